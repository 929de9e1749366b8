"""What stands in a picture, whatever draws it. Pure."""

from __future__ import annotations

from cresset.picture.graph import Node
from cresset.picture.timeline import Bar
from cresset.screen.live import duration

_LONGEST = 46  # letters of a name; an image's may be of any length


def cut(text: str) -> str:
    """Return a name, as much of it as there is room for."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def said_of(bar: Bar) -> str:
    """Return what stands beside a bar."""
    return cut(bar.label or bar.text)


def second_line(node: Node, *, with_state: bool = False) -> str:
    """Return what stands below a node's name."""
    steps = f"{node.steps} step{'s'[: node.steps != 1]}" if node.steps else ""
    took = "" if node.seconds is None else duration(node.seconds)
    users = f"for {node.users} stages" if node.users else ""
    return ", ".join(filter(None, (node.state if with_state and node.state != "GIVEN" else "", steps, took, users)))
