from __future__ import annotations

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
