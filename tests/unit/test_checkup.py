"""What doctor prints for a script."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from cresset.configuration import Request
from cresset.errors import CressetError
from cresset.health import checkup, probes
from cresset.health.findings import Facts
from cresset.versions import knowledge
from tests.unit.a_configuration import DOCKER, MACHINE, TABLES


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


def test_a_script_gets_the_other_findings_beside_a_mistake_of_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = Facts(docker=DOCKER, machine=MACHINE, tables=TABLES, project=None)
    monkeypatch.setattr(probes, "look", lambda *_: facts)
    mistake = CressetError("--set: there is no setting 'FOO'", "`invoke config` lists all settings")
    screen = Console(file=io.StringIO())
    with pytest.raises(CressetError, match="doctor found 1 error: env-keys"):
        checkup.examine(Request(), console=screen, as_json=True, mistake=mistake)
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [one["message"] for one in found if one["severity"] == "error"] == [str(mistake)]
    assert {"engine", "compose", "buildx", "context", "docker-config"} <= {one["check"] for one in found}
    with pytest.raises(CressetError, match="no setting"):
        checkup.examine(Request(), console=screen, mistake=mistake)
