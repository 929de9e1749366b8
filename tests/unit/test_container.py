from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from rich.console import Console

from cresset import container, dockerfile, hardware, inventory
from cresset.compose import Model, Service
from cresset.configuration import Configuration
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.inventory import Image


@pytest.mark.parametrize(
    ("command", "want"),
    [
        ("zsh", ["zsh"]),
        ("/usr/bin/zsh", ["/usr/bin/zsh"]),
        ("exit 7", ["sh", "-c", "exit 7"]),
        ("python -c 'import torch'", ["sh", "-c", "python -c 'import torch'"]),
        ("ls | wc -l", ["sh", "-c", "ls | wc -l"]),
        ("echo $HOME", ["sh", "-c", "echo $HOME"]),
    ],
    ids=["a program", "its path", "a word of the shell", "quotes", "a pipe", "a variable"],
)
def test_a_shell_reads_only_what_needs_one(command: str, want: list[str]) -> None:
    assert container.arguments(command) == want


@pytest.mark.parametrize(
    ("seconds", "want"),
    [(5, "5 seconds"), (119, "119 seconds"), (120, "2 minutes"), (7200, "2 hours"), (864000, "10 days")],
)
def test_an_age_is_in_the_unit_that_says_most(seconds: int, want: str) -> None:
    assert container.age_of(timedelta(seconds=seconds)) == want


def test_a_name_of_an_image_is_shown_as_it_is(mounted: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image(name="[abc::1]:5000/x", short_id="1", size=1, created=datetime.now(timezone.utc))
    monkeypatch.setattr(inventory, "images", lambda *_: [image])
    printed = io.StringIO()
    container.list_images(mounted, Engine(), console=Console(file=printed))
    assert "[abc::1]:5000/x " in printed.getvalue()


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    """A service that mounts a folder below a file, where none can be made."""
    monkeypatch.setattr(hardware, "engine_address", lambda: "unix:///run/docker.sock")
    monkeypatch.setattr(hardware, "system", lambda: "Linux")
    (tmp_path / "file").touch()
    service = Service(name="cpu", image="x", build={}, made_folders=(str(tmp_path / "file" / "below"),))
    model = Model(project="x", services={"cpu": service}, secrets={}, settings={})
    return Configuration(service=service, model=model, recipe=dockerfile.parse("FROM x\n"), values={})


def test_a_folder_that_the_person_cannot_make_is_not_left_to_docker(mounted: Configuration) -> None:
    with pytest.raises(CressetError, match=r"a volume of the service cpu: .* cannot be made: Not a directory"):
        container._make_folders(mounted, Engine())


def test_a_folder_that_may_be_there_is_not_left_to_docker(mounted: Configuration, tmp_path: Path) -> None:
    closed = replace(mounted.service, made_folders=(str(tmp_path / ("x" * 300)),))
    with pytest.raises(CressetError, match="cannot be looked into: File name too long") as refused:
        container._make_folders(replace(mounted, service=closed), Engine())
    assert "long form" in refused.value.hint


def test_a_folder_of_another_machine_is_left_to_docker(mounted: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "engine_address", lambda: "ssh://there")
    container._make_folders(mounted, Engine())
