"""The image still is what it was asked for: the build's last check, once more, in a container of it."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest

REPORT = Path("/opt/image.json")


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    if not REPORT.exists():
        pytest.skip(f"this is no image of this program: there is no {REPORT}")
    found: dict[str, Any] = json.loads(REPORT.read_text())
    return found


@pytest.fixture(scope="module")
def check() -> Any:
    path = Path(__file__).resolve().parents[2] / "misc" / "image" / "check-image.py"
    spec = importlib.util.spec_from_file_location("check_image", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_environment_is_what_was_asked_for(report: dict[str, Any], check: Any) -> None:
    if "BUILD_MODE" not in report["asked"]:
        pytest.skip("of an image of somebody else's only the account is claimed")
    assert check.differences(report["asked"], check.look(report["asked"])) == []


def test_the_account_is_the_one_that_was_asked_for(report: dict[str, Any], check: Any) -> None:
    if "UID" not in report["asked"]:
        pytest.skip("the service has an account of its own")
    if os.getuid() != report["account"]["uid"]:
        pytest.skip(f"somebody else runs this: {os.getuid()} instead of {report['account']['uid']}")
    assert check.account_differences(report["asked"], check.look_at_account()) == []


def test_what_was_found_by_the_build_is_found_now(report: dict[str, Any], check: Any) -> None:
    found = check.look(report["asked"])
    same = {"python", "torch", "torchvision", "torchaudio", "torchtext", "cuda", "commit", "distribution"}
    assert {name: found.get(name) for name in same & set(report)} == {name: report[name] for name in same & set(report)}
