from __future__ import annotations

import io

from rich.console import Console

from cresset import environment
from cresset.env_file import Choice


def test_a_value_is_shown_as_it_is() -> None:
    odd = Choice(name="COMMAND", value="[/bold] :smile: 1", reason="[shell] 1")
    proposal = environment._Proposal(text="", choices={"COMMAND": odd}, gpus=(), notes=["[/it] :smile: 1"])
    printed = io.StringIO()
    environment._show(proposal, before=frozenset(), console=Console(file=printed))
    lines = [line.split() for line in printed.getvalue().splitlines()]
    assert lines[1:] == [["COMMAND", "[/bold]", ":smile:", "1", "[shell]", "1"], ["[/it]", ":smile:", "1"]]
