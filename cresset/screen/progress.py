"""The state of a build, from BuildKit's progress events, and what it came to."""

from __future__ import annotations

import base64
import re
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cresset.screen.vertex import Vertex, clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from cresset.screen.rawjson import Event

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")
# As the two stores of Docker Engine say it.
_WRITING = re.compile(r"(?:writing image|exporting manifest(?: list)?) (sha256:[0-9a-f]{64})")


def _instant(text: str | None) -> float | None:
    """Return the seconds since the epoch, None for no time; Python 3.10 reads neither nanoseconds nor Z."""
    match = _TIME.fullmatch(text or "")
    if not match:
        return None
    zone = "+00:00" if match[3] == "Z" else match[3]
    return datetime.fromisoformat(match[1] + zone).timestamp() + float(match[2] or 0)


@dataclass(frozen=True, kw_only=True)
class Step:
    """An instruction that was executed, and the seconds it took. Map it by (stage, i): its text is abridged."""

    stage: str
    i: int
    n: int
    text: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The vertex that failed, BuildKit's reason, and the last lines that it printed."""

    name: str
    label: str
    text: str
    error: str
    log: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a build came to.

    Attributes:
        exit_code: docker's own.
        seconds: of the whole call.
        executed: the steps that were run, in the order in which they started.
        cached: the number of steps that were not.
        failed: None on success, and where no vertex is to blame (bad syntax, interruption).
        error: BuildKit's `ERROR: ...`; empty on success.
        lines: the plain text of the stream, with the excerpt of the Dockerfile; at most the last 200 lines.
        done: every step that came to a result, by stage and i.
        image: the id of the image that was made; empty where none was, or nothing tells.
    """

    exit_code: int
    seconds: float
    executed: tuple[Step, ...]
    cached: int
    failed: Failure | None
    error: str
    lines: tuple[str, ...]
    done: frozenset[tuple[str, int]] = frozenset()
    image: str = ""


class Build:
    """The state of one build, fed with its events.

    Args:
        heard: called with each line that a vertex printed, once it is complete.
    """

    def __init__(self, *, heard: Callable[[Vertex, str], None] = lambda *_: None) -> None:
        self._heard = heard
        self.vertices: dict[str, Vertex] = {}
        self._aside: dict[str, Vertex] = {}  # each has a twin among the others
        self.lines: deque[str] = deque(maxlen=200)
        self.warnings: list[str] = []
        self._failed: Vertex | None = None
        self._prefixed = False

    def update(self, item: Event | str) -> list[tuple[Vertex, float]]:
        """Take an event or a plain line; return the vertices of which a span ended, with the seconds of that span."""
        if isinstance(item, str):
            self.lines.append(clean(item))
            return []
        ended = [end for vertex in item.get("vertexes") or () for end in self._update_vertex(vertex)]
        for status in item.get("statuses") or ():
            vertex = self._find(status["vertex"])
            what = clean(str(status["id"]))
            vertex.statuses.pop(what, None)  # the newest is the last one
            vertex.statuses[what] = status.get("current", 0), status.get("total", 0)
        for log in item.get("logs") or ():
            vertex = self._find(log["vertex"])
            self._tell(vertex, vertex.log.feed(log.get("stream", 1), base64.b64decode(log["data"])))
        for warning in item.get("warnings") or ():
            short = clean(base64.b64decode(warning["short"]).decode(errors="replace"))
            if short not in self.warnings:  # each target repeats it
                self.warnings.append(short)
        return ended

    @property
    def steps(self) -> tuple[int, int]:
        """The steps that are done, and all that are known: BuildKit names each before it runs the first."""
        steps = [vertex for vertex in self.vertices.values() if vertex.is_step]
        return len({vertex.name for vertex in steps if vertex.is_done}), len({vertex.name for vertex in steps})

    def outcome(self, exit_code: int, seconds: float) -> Outcome:
        """Return what the build came to; `seconds` is the time of the whole call."""
        for vertex in self.vertices.values():  # the last words of some come after their end
            self._tell(vertex, vertex.log.close())
        steps = [vertex for vertex in self.vertices.values() if vertex.is_step and vertex.is_done]
        executed = sorted((step for step in steps if not step.cached), key=lambda step: min(step.spans))
        failed = self._failure() if exit_code else None
        lines = list(self.lines)
        first = max((at for at, line in enumerate(lines) if line.startswith("ERROR:")), default=len(lines))
        return Outcome(
            exit_code=exit_code,
            seconds=seconds,
            executed=tuple(
                Step(stage=step.stage, i=step.i, n=step.n, text=step.text, seconds=step.seconds) for step in executed
            ),
            cached=len(steps) - len(executed),
            failed=failed,
            error="\n".join(lines[first:]) or (f"ERROR: {failed.error}" if failed else "") if exit_code else "",
            lines=tuple(lines),
            done=frozenset((step.stage, step.i) for step in steps),
            image=self._image(),
        )

    def _image(self) -> str:
        said = [what for vertex in self.vertices.values() for what in vertex.statuses]
        return next((match[1] for what in reversed(said) if (match := _WRITING.match(what))), "")

    def _failure(self) -> Failure | None:
        if not (vertex := self._failed):
            return None
        return Failure(
            name=vertex.name, label=vertex.label, text=vertex.text, error=vertex.error, log=vertex.log.tail()
        )

    def _tell(self, vertex: Vertex, lines: list[str]) -> None:
        for line in lines:
            self._heard(vertex, line)

    def _find(self, digest: str) -> Vertex:
        return self._aside.get(digest) or self.vertices.setdefault(digest, Vertex(digest=digest))

    def _set_twins_aside(self, vertex: Vertex) -> None:
        """Keep one vertex of those with a step's name, the first that came to a result.

        What two builds at once have in common BuildKit does once: it then tells the second one of the first one's
        vertices, and of its own no more.
        """
        twins = [one for one in self.vertices.values() if one.name == vertex.name and one is not vertex]
        if any(one.is_done for one in twins):
            twins = [vertex]
        elif not vertex.is_done:
            return
        for one in twins:
            self._aside[one.digest] = self.vertices.pop(one.digest, one)

    def _update_vertex(self, news: Event) -> list[tuple[Vertex, float]]:
        vertex = self._find(news["digest"])
        # bake of several targets announces each of them by name before its steps
        self._prefixed |= bool(re.match(r"\[(?!context )\S+ internal\]", news["name"]))
        vertex.rename(news["name"], prefixed=self._prefixed)
        vertex.inputs = tuple(news.get("inputs") or ())
        vertex.cached = news.get("cached", False)
        vertex.error = clean(news.get("error", ""))
        if not (start := _instant(news.get("started"))) or vertex.spans.get(start):
            return []
        earlier = [span for span in vertex.spans.items() if span[0] != start]
        vertex.spans[start] = end = _instant(news.get("completed"))
        if vertex.is_step and vertex.digest in self.vertices:
            self._set_twins_aside(vertex)
        if end is None or vertex.digest in self._aside:
            return []
        self._tell(vertex, vertex.log.close())
        # neighbours of a failed step are cancelled, and say so with an error of their own
        if vertex.error and not vertex.error.endswith("context canceled"):
            self._failed = self._failed or vertex
        told = any(last and first < end and start < last for first, last in earlier)
        return [] if told else [(vertex, end - start)]
