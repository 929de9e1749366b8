"""When each step of a build ran, and which of them its end had to wait for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cresset.screen.live import abridge
from cresset.screen.progress import Build
from cresset.screen.vertex import Vertex

_SHARE = 0.005  # of the whole build, from which loading, pulling and exporting are shown as steps are


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What ran from when to when.

    Attributes:
        label: `build-base 2/5`; empty where it is no instruction.
        text: the instruction, abridged, or what else was done.
        start: in seconds since the first of them began.
        end: the same.
        is_critical: whether the build would have ended earlier, had this.
        failed: whether it did not come to a result.
    """

    label: str
    text: str
    start: float
    end: float
    is_critical: bool = False
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """What a build executed, in the order in which it began.

    Attributes:
        name: what was built.
        began: the time of day in UTC, like 2026-01-31 12:00.
        seconds: from the first beginning to the last end.
        bars: what ran.
        cached: how many steps did not have to.
    """

    name: str
    began: str
    seconds: float
    bars: tuple[Bar, ...]
    cached: int


def read(header: Mapping[str, Any], events: Iterable[Mapping[str, Any]], *, touched: float = 0.0) -> Timeline | None:
    """Return when the steps of a recorded build ran; None where it executed none.

    Args:
        header: the first line of its record.
        events: the rest.
        touched: when the record was last written to, in seconds since the epoch: of a build that was killed, the last
            that is known of what was running.
    """
    build = Build()
    result: Mapping[str, Any] = {"exit": 1}
    for event in events:
        if event.keys() & {"vertexes", "statuses"}:
            build.update(dict(event))
        result = event.get("result", result)
    cut_short = _close(build.vertices.values(), result, touched) if result["exit"] else set()
    ran = {digest: one for digest, one in build.vertices.items() if one.seconds and not one.cached}
    if not any(one.is_step for one in ran.values()):
        return None
    first = min(min(one.spans) for one in ran.values())
    seconds = max(_end(one) for one in ran.values()) - first
    critical = _critical(ran, build.vertices)
    bars = [
        Bar(
            label=one.label,
            text=abridge(one.text),
            start=min(one.spans) - first,
            end=_end(one) - first,
            is_critical=digest in critical,
            failed=bool(one.error) or digest in cut_short,
        )
        for digest, one in sorted(ran.items(), key=lambda item: min(item[1].spans))
        if one.is_step or one.seconds >= seconds * _SHARE
    ]
    started = str(header.get("started", ""))
    return Timeline(
        name=str(header.get("image", "")),
        began=f"{started[:4]}-{started[4:6]}-{started[6:8]} {started[9:11]}:{started[11:13]}",
        seconds=seconds,
        bars=tuple(bars),
        cached=sum(one.is_step and one.cached for one in build.vertices.values()),
    )


def _close(vertices: Collection[Vertex], result: Mapping[str, Any], touched: float) -> set[str]:
    """Let what was still running end when the build did, and return it: it may well be what took the time."""
    instants = [at for one in vertices for span in one.spans.items() for at in span if at]
    if not instants:
        return set()
    # The engine's clock may be another one than this host's.
    until = max(*instants, min(instants) + result["seconds"] if "seconds" in result else touched)
    found = {one.digest for one in vertices if one.is_running}
    for one in vertices:
        one.spans = {start: end or until for start, end in one.spans.items()}
    return found


def _end(vertex: Vertex) -> float:
    return max(end for end in vertex.spans.values() if end)


def _critical(ran: Mapping[str, Vertex], known: Mapping[str, Vertex]) -> set[str]:
    """Return what the last one had to wait for: of what each depends on, that which ended last, and so on."""
    found: set[str] = set()
    last = max(ran, key=lambda digest: _end(ran[digest]))
    while True:
        found.add(last)
        before = _before(ran[last], known, ran)
        # The export depends on all that was done before it, and does not say so.
        if not before and not ran[last].is_step:
            before = {digest for digest, one in ran.items() if one.is_step and _end(one) <= min(ran[last].spans)}
        if not before - found:
            return found
        last = max(before - found, key=lambda digest: _end(ran[digest]))


def _before(vertex: Vertex, known: Mapping[str, Vertex], ran: Mapping[str, Vertex]) -> set[str]:
    """Return what a vertex depends on of what was executed, through what was not."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [*vertex.inputs]
    while waiting:
        digest = waiting.pop()
        if digest in seen or digest not in known:
            continue
        seen.add(digest)
        if digest in ran:
            found.add(digest)
        else:
            waiting += known[digest].inputs
    return found
