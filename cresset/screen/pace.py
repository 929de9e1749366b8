"""How far a build is and how long it still takes, by what its steps took before. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cresset.screen.vertex import Vertex

_WORTH_COUNTING = 0.15  # of its work, from which what a step counts itself is enough to say how long the rest takes
_WORTH_SAYING = 1.0  # seconds
_ALMOST = 0.99


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A step as it is foretold.

    Attributes:
        stage: its stage's name.
        i: its number there.
        name: what it is known by: BuildKit executes one of several that are equal, and tells of that one.
        seconds: what it took last time; None where it was never seen to run.
        is_cached: whether it is foretold not to run.
        is_run: whether it is a RUN; what other instructions take says little of a build.
        before: the steps that have to end first, by index.
    """

    stage: str
    i: int
    name: str
    seconds: float | None = None
    is_cached: bool = False
    is_run: bool = True
    before: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Left:
    """How long something still takes.

    Attributes:
        seconds: as many; None where nothing says.
        is_least: it may well be more: of a part of it nothing is known, or it takes longer than last time.
        last: the seconds that it took last time, where it takes longer now and nothing else says how long.
        untimed: how many RUN steps were never seen to run, where that are most of them and no figure would mean much.
    """

    seconds: float | None = None
    is_least: bool = False
    last: float | None = None
    untimed: int = 0


class Pace:
    """What the steps of a build took before.

    Args:
        steps: in an order in which each stands behind those it depends on.
    """

    def __init__(self, steps: Sequence[Expected] = ()) -> None:
        self._steps = steps
        # A Dockerfile with one stage has no names in its progress.
        self._last = steps[-1].stage if steps else ""
        self._by_place = {(step.stage, step.i): step for step in steps}

    def of(self, vertex: Vertex, spent: float) -> Left:
        """Return how long a running step still takes, by what it took before and what it counts itself.

        The more it has counted, the more that weighs: a compiler cache makes hours of minutes.
        """
        step = self._by_place.get((vertex.stage or self._last, vertex.i))
        before = step.seconds if step else None
        rest = max(0.0, before - spent) if before is not None else 0.0
        fraction = vertex.fraction
        if fraction and (rest or fraction >= _WORTH_COUNTING):
            counted = spent * (1 - fraction) / fraction
            return Left(seconds=rest ** (1 - fraction) * counted**fraction if rest else counted)
        if before is None:
            return Left()
        return Left(seconds=rest) if rest > 0 else Left(last=before)

    def whole(self, vertices: Mapping[str, Vertex], spent: Mapping[str, float]) -> Left:
        """Return how long the build still takes, side by side where it can.

        Args:
            vertices: of the build, by digest.
            spent: of those that run, the seconds so far.
        """
        told = {(vertex.stage or self._last, vertex.i): digest for digest, vertex in vertices.items() if vertex.is_step}
        places = {step.name: told[step.stage, step.i] for step in self._steps if (step.stage, step.i) in told}
        ends: list[float] = []
        is_least = is_known = False
        timed = untimed = 0
        for step in self._steps:
            digest = places.get(step.name, "")
            vertex = vertices.get(digest)
            own: float | None = 0.0
            if digest in spent and vertex:
                own = self.of(vertex, spent[digest]).seconds
                # What was to be cached has taken with it what comes after it.
                is_least |= step.is_cached
            elif vertex and not vertex.is_done and not step.is_cached:
                own = step.seconds
            if step.is_run and own != 0.0:
                is_untimed = own is None and step.seconds is None
                timed, untimed = timed + (not is_untimed), untimed + is_untimed
            is_known |= bool(own)
            is_least |= own is None
            ends.append((own or 0.0) + max((ends[index] for index in step.before), default=0.0))
        if is_known and untimed > timed:
            return Left(untimed=untimed)
        left = max(ends, default=0.0)
        return Left(seconds=left, is_least=is_least) if is_known and left >= _WORTH_SAYING else Left()


def share(spent: float, left: Left) -> float | None:
    """Return how much is done of what takes `left` more seconds, from 0 to below 1; None where that is not known."""
    if left.seconds is None or left.is_least:
        return None
    return min(_ALMOST, spent / (spent + left.seconds)) if spent else 0.0


def words(left: Left) -> str:
    """Return `12 min left`, `at least 40 s left`, `3 min last time` or `9 never timed`; empty where nothing is known.

    It is as exact as it can be meant: to ten seconds, to the minute, to ten minutes.
    """
    if left.untimed:
        return f"{left.untimed} never timed"
    if left.last is not None:
        return f"{_round(left.last, to=0)} last time"
    if left.seconds is None or left.seconds < _WORTH_SAYING:
        return ""
    return f"{'at least ' if left.is_least else ''}{_round(left.seconds)} left"


def _round(seconds: float, *, to: int = -1) -> str:
    if seconds < 55:  # noqa: PLR2004 - what would be 60 s is a minute
        return f"{max(1, round(seconds, to if seconds >= 10 else 0)):.0f} s"  # noqa: PLR2004
    minutes = round(seconds / 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{max(1, minutes)} min"
    hours, minutes = divmod(round(minutes, -1), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
