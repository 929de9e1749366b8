from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from cresset import container, dockerfile, files, hardware, inventory
from cresset.compose import Model, Service
from cresset.configuration import Configuration
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.inventory import Image

_MOUNTED = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
    'unable to start container process: error during container init: error mounting "/tmp/x" '
    'to rootfs at "/etc/passwd"'
    ": mount /tmp/x:/etc/passwd (via /proc/self/fd/6), flags: 0x5000: not a directory: unknown: Are you trying to "
    "mount a directory onto a file (or vice-versa)?"
)


@pytest.mark.parametrize(
    ("problem", "want"),
    [
        ('could not select device driver "nvidia" with capabilities: [[gpu]]', "--service cpu"),
        ("nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1", "--service cpu"),
        ("Bind for 0.0.0.0:8888 failed: port is already allocated", "ports: in docker-compose.override.yaml"),
        ("Error starting userland proxy: listen tcp4 0.0.0.0:45871: bind: address already in use", "choose another"),
        (_MOUNTED, "see /tmp/x under volumes: in docker-compose.override.yaml"),
        (
            'error gathering device information while adding custom device "/dev/nosuch": no such file or directory',
            "this host has no device /dev/nosuch",
        ),
        ('unable to start container process: exec: "x": executable file not found in $PATH: unknown', "command:"),
    ],
    ids=["no GPUs", "a broken driver", "a port", "a port of another program", "a mount", "a device", "a command"],
)
def test_a_container_that_does_not_start_has_a_hint(problem: str, want: str) -> None:
    assert want in container.remedy(problem)


@pytest.mark.parametrize("problem", ["", "a surprise {path}", "network x not found"])
def test_a_hint_that_would_mislead_is_not_given(problem: str) -> None:
    assert container.remedy(problem) == ""


@pytest.mark.parametrize(
    ("states", "message", "hint"),
    [
        ([], "no container of the service cpu runs", "start one: invoke up --service cpu"),
        (["created"], "no container of the service cpu runs", "start one: invoke up --service cpu"),
        (["exited"], "no container of the service cpu runs", "start it as it was: invoke start --service cpu; or"),
        (["paused"], "the container of the service cpu is paused", "docker compose unpause cpu"),
        (["restarting"], "the container of the service cpu is restarting", "invoke logs --service cpu"),
    ],
)
def test_a_stopped_container_is_not_thrown_away(states: list[str], message: str, hint: str) -> None:
    error = container._no_way_in("cpu", states)
    assert str(error) == message
    assert error.hint.startswith(hint) or hint in error.hint


@pytest.mark.parametrize("task", [container.start, partial(container.logs, follow=False)], ids=["start", "logs"])
def test_a_service_without_a_container_is_not_passed_over_in_silence(
    mounted: Configuration, monkeypatch: pytest.MonkeyPatch, task: Callable[[Configuration, Engine], None]
) -> None:
    asked = []
    monkeypatch.setattr(Engine, "ready", lambda _: None)
    monkeypatch.setattr(Engine, "run", lambda *_, **__: asked.append("compose"))
    monkeypatch.setattr(Engine, "become", lambda *_: asked.append("compose"))
    monkeypatch.setattr(Engine, "states", lambda *_: [])
    with pytest.raises(CressetError, match="no container of the service cpu runs") as refused:
        task(mounted, Engine())
    assert refused.value.hint == "start one: invoke up --service cpu"
    assert asked == []
    task(mounted, Engine(dry_run=True))
    monkeypatch.setattr(Engine, "states", lambda *_: ["exited"])
    task(mounted, Engine())
    assert asked == ["compose", "compose"]


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


def test_what_docker_would_not_make_is_said_before_it_refuses(mounted: Configuration, tmp_path: Path) -> None:
    there = [str(tmp_path / "file"), str(tmp_path), "/dev/null", str(tmp_path / ("x" * 300))]
    container._make_folders(
        replace(mounted, service=replace(mounted.service, made_folders=(), needed_paths=(*there,))), Engine()
    )
    keys = str(tmp_path / "authorized_keys")
    closed = replace(mounted.service, needed_paths=(keys,))
    with pytest.raises(CressetError, match=f"a volume of the service cpu: there is no {keys} on this host"):
        container._make_folders(replace(mounted, service=closed), Engine())


def test_a_folder_of_another_machine_is_left_to_docker(mounted: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "engine_address", lambda: "ssh://there")
    container._make_folders(mounted, Engine())


@pytest.mark.parametrize(("made", "want"), [([], ""), (["new"], "choose another")], ids=["nothing", "a container"])
def test_a_failure_is_told_by_a_container_of_its_own(
    mounted: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[str], want: str
) -> None:
    here = ["old"]
    hints = []

    def run(_: Engine, __: object, *, hint: Callable[[], str]) -> None:
        here.extend(made)
        hints.append(hint())

    def note(_: Engine, argv: list[str]) -> subprocess.CompletedProcess[str]:
        assert "old" not in argv
        return subprocess.CompletedProcess(argv, 0, stdout="port is already allocated\n", stderr="")

    monkeypatch.setattr(Engine, "_containers", lambda *_, **__: list(here))
    monkeypatch.setattr(files, "ROOT", tmp_path)
    monkeypatch.setattr(Engine, "remove_half_made", lambda *_: None)
    monkeypatch.setattr(Engine, "run", run)
    monkeypatch.setattr(Engine, "_capture", note)
    container.up(replace(mounted, service=replace(mounted.service, made_folders=())), Engine())
    assert want in hints[0]
    assert bool(hints[0]) == bool(want)


def test_another_checkout_is_told_of_before_it_loses_its_container(
    mounted: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "this").mkdir()
    (tmp_path / "link").symlink_to("this")
    rows = ["a\t", f"b\t{tmp_path}/this", f"c\t{tmp_path}/link"]
    monkeypatch.setattr(files, "ROOT", tmp_path / "this")
    monkeypatch.setattr(Engine, "_containers", lambda *_, **__: rows)
    monkeypatch.setattr(Engine, "remove_half_made", lambda *_: None)
    monkeypatch.setattr(Engine, "run", lambda *_, **__: print("docker replaces it"))
    one = replace(mounted, service=replace(mounted.service, made_folders=()))
    container.up(one, Engine())
    assert capsys.readouterr().out == "docker replaces it\n"
    rows += [f"d\t{tmp_path}/an other", f"e\t{tmp_path}/an other"]
    container.up(one, Engine())
    warning, then = capsys.readouterr().out.splitlines()
    assert warning.startswith(
        f"Warning: the container of the service cpu was that of {tmp_path}/an other, which loses it"
    )
    assert then == "docker replaces it"
