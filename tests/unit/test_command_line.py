from __future__ import annotations

import errno
import os

import pytest
from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from cresset import command_line
from cresset.configuration import Request


@task
def build(_: Context, service: str = "", quiet: bool = False) -> None:  # noqa: FBT001, FBT002 - as Invoke has them
    """Stand in for a task."""


@task
def take(_: Context, file: str) -> None:
    """Stand in for a task that needs something."""


TASKS = Collection(build, take)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["build"],
        ["build", "--service", "x", "build", "--quiet"],
        ["build", "--service=--list"],
        ["take", "buidl"],
        ["--echo", "build"],
        ["build", "--echo", "--help"],
        ["--help", "build"],
        ["--help"],
        ["--list"],
        ["--list", "any"],
        ["--complete", "--", "invoke", "build", "--ser"],
    ],
    ids=" ".join,
)
def test_what_invoke_takes_is_left_to_it(words: list[str]) -> None:
    command_line.refuse_mistakes(words, TASKS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["buidl"], "there is no task 'buidl'\n  did you mean build?"),
        (["zzz"], "there is no task 'zzz'\n  `invoke --list` shows them"),
        (["build", "--servcie", "x"], "build: there is no option '--servcie'\n  did you mean --service?"),
        (["build", "--zzz=1"], "build: there is no option '--zzz'\n  `invoke --help build` shows what there is"),
        (["--ehco", "build"], "there is no option '--ehco'\n  did you mean --echo?"),
        (["build", "it's"], 'build: "it\'s" is no option and no task\n  `invoke --help build` shows what there is'),
        (["build", "--service"], "build: --service lacks its value\n  `invoke --help build` shows what there is"),
        (["take"], "take: no file is named\n  `invoke --help take` shows what there is"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_said_with_the_nearest_name(words: list[str], said: str) -> None:
    with pytest.raises(Exit) as refusal:
        command_line.refuse_mistakes(words, TASKS)
    assert (refusal.value.message, refusal.value.code) == (said, 2)


def show(_: Request) -> None:
    """Show something."""
    raise BrokenPipeError


def build_something(_: Request, progress: str = "auto") -> None:
    """Build something."""
    raise BrokenPipeError(progress)


def write(_: Request) -> None:
    """Write something."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def _stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "chdir", lambda _: None)
    monkeypatch.setattr(os, "dup2", lambda *_: None)


@pytest.mark.usefixtures("_stay")
def test_who_has_read_enough_has_ended_nothing_but_a_build() -> None:
    command_line.task(show).body(Context())
    with pytest.raises(Exit) as ended:
        command_line.task(build_something).body(Context(), progress="auto")
    assert ended.value.code == 141


def test_a_console_leaves_a_reader_who_has_gone_to_the_task() -> None:
    with pytest.raises(BrokenPipeError):
        command_line.console.on_broken_pipe()


@pytest.mark.usefixtures("_stay")
def test_a_full_disk_behind_the_output_is_told_from_others() -> None:
    with pytest.raises(Exit, match="the output cannot be written: No space left on device") as ended:
        command_line.task(write).body(Context())
    assert ended.value.code == 2
