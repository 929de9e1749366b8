"""What doctor prints for a script."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from cresset.configuration import Request
from cresset.errors import CressetError
from cresset.health import checkup
from cresset.versions import knowledge


def test_a_script_gets_findings_where_nothing_can_be_looked_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise CressetError("misc/compat.yaml: releases, row 1: audio is missing", "write it")

    monkeypatch.setattr(knowledge, "tables", refuse)
    with pytest.raises(CressetError, match="doctor found 1 error"):
        checkup.examine(Request(), console=Console(file=io.StringIO()), as_json=True)
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert found["severity"] == "error"
    assert "row 1" in found["message"]
    assert found["hint"] == "write it"
    with pytest.raises(CressetError, match="row 1"):
        checkup.examine(Request(), console=Console(file=io.StringIO()))
