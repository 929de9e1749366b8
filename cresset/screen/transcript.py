"""The log of a build, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cresset.screen.rawjson import LineFile

if TYPE_CHECKING:
    from pathlib import Path

    from cresset.screen.vertex import Vertex


class Transcript(LineFile):
    """Writes what is done `>`, what it prints `|` and how it ends `=`, each line behind the label of its step.

    build-base 2/5 > RUN apt-get update
    build-base 2/5 | Reading package lists...
    build-base 2/5 = 2.4 s
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._begun: set[str] = set()

    def begin(self, vertex: Vertex) -> None:
        """Say what is done, the first time."""
        if vertex.digest not in self._begun:
            self._begun.add(vertex.digest)
            self.append(f"{vertex.label} > {vertex.text}" if vertex.label else f"> {vertex.text}")

    def hear(self, vertex: Vertex, line: str) -> None:
        """Write a line that it printed."""
        self.begin(vertex)
        self.append(f"{vertex.title} | {line}".rstrip())

    def end(self, vertex: Vertex, seconds: float) -> None:
        """Write how it ended."""
        self.begin(vertex)
        self.append(f"{vertex.title} = {vertex.error or ('cached' if vertex.cached else f'{seconds:.1f} s')}")
