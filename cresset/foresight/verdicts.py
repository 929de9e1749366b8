"""A forecast in words, and for scripts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cresset.foresight.causes import Cause
from cresset.foresight.explain import Forecast, State
from cresset.screen.live import duration

# Of one step, and of several.
_WORDS = {
    "REBUILD": ("step will be executed", "steps will be executed"),
    "MAYBE": ("may be", "may be"),
    "CACHED": ("is cached", "are cached"),
}
_WORTH_NAMING = 60.0  # seconds from which a stage is named beside the cause that redoes it


@dataclass(frozen=True, kw_only=True)
class Group:
    """The steps of one cause.

    Attributes:
        cause: the cause.
        where: who sees it first: `RUN at line 88 of stage build-torch`.
        stages: by name, the state and the seconds of each, in the order of the file.
    """

    cause: Cause
    where: str
    stages: Mapping[str, tuple[State, float | None]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """What its stages took, one after the other."""
        return sum(seconds or 0.0 for _, seconds in self.stages.values())


def group(forecast: Forecast) -> list[Group]:
    """Return what is not cached by its causes, the most costly first."""
    stages: dict[str, dict[str, tuple[State, float | None]]] = {}
    causes: dict[str, Cause] = {}  # one edit may have several first steps: the first of them is named
    for verdict in forecast.pending:
        if verdict.cause:
            causes.setdefault(verdict.cause.words, verdict.cause)
            of_cause = stages.setdefault(verdict.cause.words, {})
            state, seconds = of_cause.get(verdict.step.stage, ("MAYBE", None))
            both: State = "REBUILD" if "REBUILD" in {state, verdict.state} else "MAYBE"
            total = None if seconds is None and verdict.seconds is None else (seconds or 0.0) + (verdict.seconds or 0.0)
            of_cause[verdict.step.stage] = both, total
    groups = []
    for words, found in stages.items():
        cause = causes[words]
        step = forecast.verdicts[cause.step].step
        where = f"{step.keyword} at line {step.line} of stage {step.stage}"
        groups.append(Group(cause=cause, where=where, stages=found))
    return sorted(groups, key=lambda one: -one.seconds)


def describe(forecast: Forecast, name: str, taken: str = "") -> list[str]:
    """Return the forecast as lines: what it comes to, what is taken from elsewhere, each cause with its stages."""
    first, *rest = _describe(forecast, name)
    return [first, *filter(None, [taken]), *rest]


def _describe(forecast: Forecast, name: str) -> list[str]:
    counts = forecast.counts()
    pending = forecast.pending
    if not forecast.verdicts:
        return [f"{name}: nothing to do"]
    if not pending:
        return [f"{name}: nothing to do, all {counts['CACHED']} steps are cached"]
    if not forecast.is_known:
        return [f"{name}: no build by this builder is on record, so how much of it is cached is not known"]
    took, runs = "", [verdict for verdict in pending if verdict.step.keyword == "RUN"]
    untimed = sum(verdict.seconds is None for verdict in runs)
    if forecast.seconds is not None and untimed * 2 > len(runs):
        took = f", {untimed} of them never timed"  # what the others took says little
    elif forecast.seconds is not None:
        about = "about" if all(verdict.seconds is not None for verdict in pending) else "at least"
        took = f", {about} {duration(forecast.seconds)} if it takes what it took"
    parts = [_count(counts[state], *words) for state, words in _WORDS.items() if counts[state]]
    lines = [f"{name}: {', '.join(parts)}{took}"]
    if not forecast.is_complete:
        lines.append("It was built by other means since: what is not on record is likely cached")
    for one in group(forecast):
        lines.append(f"{one.cause.words}, first seen by {one.where}{_costliest(one)}")
        for state in ("REBUILD", "MAYBE"):
            stages = [_with_time(stage, took) for stage, (is_, took) in one.stages.items() if is_ == state]
            lines += [f"  {state:7} {', '.join(stages)}"] if stages else []
    return lines


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _costliest(one: Group) -> str:
    name, (_, seconds) = max(one.stages.items(), key=lambda item: item[1][1] or 0.0)
    if not seconds or seconds < _WORTH_NAMING or one.where.endswith(f" {name}"):
        return ""
    return f"; it concerns {name} ({duration(seconds)})"


def _with_time(stage: str, seconds: float | None) -> str:
    return stage if seconds is None else f"{stage} ({duration(seconds)})"


def as_data(forecast: Forecast, name: str) -> dict[str, object]:
    """Return the forecast for a script."""
    return {
        "name": name,
        "is_known": forecast.is_known,
        "seconds": forecast.seconds,
        "counts": forecast.counts(),
        "steps": [
            {
                "stage": verdict.step.stage,
                "step": f"{verdict.step.i}/{verdict.step.n}",
                "line": verdict.step.line,
                "verdict": verdict.state,
                "seconds": verdict.seconds,
                "cause": verdict.cause.words if verdict.cause else None,
                "seen_by": forecast.verdicts[verdict.cause.step].step.label if verdict.cause else None,
            }
            for verdict in forecast.verdicts
        ],
    }
