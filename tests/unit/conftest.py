"""Unit tests start no process and open no connection."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import NoReturn

import pytest


def _refuse(*_args: object, **_options: object) -> NoReturn:
    raise AssertionError("a unit test must not start a process or open a connection: pass data in")


@pytest.fixture(autouse=True)
def _no_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", _refuse)
    monkeypatch.setattr(os, "execvpe", _refuse)
    monkeypatch.setattr(os, "system", _refuse)
    monkeypatch.setattr(socket.socket, "connect", _refuse)
