from __future__ import annotations

import io

import pytest
from rich.console import Console

from cresset import dockerfile, environment, files
from cresset.compose import Model, Service
from cresset.configuration import Configuration, Request, Value
from cresset.env_file import Choice


def test_a_value_is_shown_as_it_is() -> None:
    odd = Choice(name="COMMAND", value="[/bold] :smile: 1", reason="[shell] 1")
    proposal = environment._Proposal(text="", choices={"COMMAND": odd}, gpus=(), notes=["[/it] :smile: 1"])
    printed = io.StringIO()
    environment._show(proposal, before=frozenset(), console=Console(file=printed))
    lines = [line.split() for line in printed.getvalue().splitlines()]
    assert lines[1:] == [["COMMAND", "[/bold]", ":smile:", "1", "[shell]", "1"], ["[/it]", ":smile:", "1"]]


@pytest.mark.parametrize(
    ("before", "head"),
    [
        (set(), "Wrote .env:"),
        ({"UID"}, "Added to .env:"),
        ({"UID", "GPUS"}, "Changed in .env, or added to it:"),
        ({"UID", "GPUS", "CCA"}, "Changed in .env, or added to it:"),
    ],
)
def test_the_heading_says_what_was_done(before: set[str], head: str) -> None:
    choices = {name: Choice(name=name, value="1") for name in ("GPUS", "CCA", "UID")}
    proposal = environment._Proposal(text="", choices=choices, gpus=(), notes=[], asked=["GPUS"])
    printed = io.StringIO()
    environment._show(proposal, before=frozenset(before), console=Console(file=printed))
    assert printed.getvalue().splitlines()[0] == head


def test_a_dry_run_warns_beside_the_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    proposal = environment._Proposal(text="UID=1", choices={}, gpus=(), notes=["Warning: it fails"])
    monkeypatch.setattr(environment, "_propose", lambda *_: proposal)
    monkeypatch.setattr(files, "read", lambda _: None)
    environment.write_env(Request(dry_run=True), console=Console())
    assert capsys.readouterr() == ("UID=1\n", "Warning: it fails\n")


def test_an_empty_variable_of_the_shell_is_not_written() -> None:
    service = Service(name="cpu", image="cresset:cpu", build={})
    found = {
        name: Value(name=name, value=value, source=source, help="")
        for name, value, source in (
            ("IMAGE_NAME", "cresset:cpu", "shell"),
            ("GPUS", "0", "shell"),
            ("TZ", "UTC", ".env"),
            ("TRAIN_NAME", "x", "--set"),
        )
    }
    model = Model(project="x", services={"cpu": service}, secrets={}, settings={})
    resolved = Configuration(service=service, model=model, recipe=dockerfile.parse("FROM x\n"), values=found)
    request = Request(overrides={"TRAIN_NAME": "x"})
    said = environment._said(resolved, request, {"IMAGE_NAME": "", "GPUS": "0", "TZ": "UTC"})
    assert [(one.name, one.value, one.reason) for one in said] == [("GPUS", "0", "shell"), ("TRAIN_NAME", "x", "--set")]


def test_an_empty_name_that_is_asked_for_stays_empty() -> None:
    service = Service(name="cpu", image="cresset:cpu", build={})
    found = {"IMAGE_NAME": Value(name="IMAGE_NAME", value="cresset:cpu", source="--set", help="")}
    model = Model(project="x", services={"cpu": service}, secrets={}, settings={})
    resolved = Configuration(service=service, model=model, recipe=dockerfile.parse("FROM x\n"), values=found)
    said = environment._said(resolved, Request(overrides={"IMAGE_NAME": ""}), {})
    assert [(one.name, one.value) for one in said] == [("IMAGE_NAME", "")]
