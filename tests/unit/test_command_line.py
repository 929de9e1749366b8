from __future__ import annotations

import pytest
from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from cresset import command_line


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
