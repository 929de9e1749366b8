from __future__ import annotations

from datetime import timedelta

import pytest

from cresset import container


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
