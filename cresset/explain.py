"""Which steps of a build will be executed, why, and how long they took last time. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import Literal

from cresset.history import Build, Past, Value, seen
from cresset.keys import Step
from cresset.live import duration

State = Literal["CACHED", "REBUILD", "MAYBE"]
_UNSEEN = "not built before"
_SHOWN = 3  # differences of one step that are named


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why a step is not cached.

    Attributes:
        words: what has changed: `ARG PYTORCH_VERSION_TAG v2.8.0 → v2.9.1`.
        step: the first that sees it, by index.
    """

    words: str
    step: int


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What becomes of a step.

    Attributes:
        step: the step.
        state: CACHED: it was built with exactly these inputs; REBUILD: it was not; MAYBE: it depends on what comes of
            stages that are built again.
        cause: None where it is cached.
        seconds: what it took last time; None where it was never seen to run.
    """

    step: Step
    state: State
    cause: Cause | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What becomes of a build.

    Attributes:
        verdicts: one for each step.
        is_known: whether any build by this builder is on record.
        is_complete: whether no build is known of that is not on record; otherwise no step is certain to be executed.
    """

    verdicts: tuple[Verdict, ...]
    is_known: bool = True
    is_complete: bool = True

    @property
    def pending(self) -> tuple[Verdict, ...]:
        """The steps that are not cached."""
        return tuple(verdict for verdict in self.verdicts if verdict.state != "CACHED")

    @property
    def seconds(self) -> float | None:
        """What they will take if they take what they took, side by side where they can; None if none was ever seen."""
        if self.pending and all(verdict.seconds is None for verdict in self.pending):
            return None
        ends: list[float] = []
        for verdict in self.verdicts:
            own = 0.0 if verdict.state == "CACHED" else verdict.seconds or 0.0
            step = verdict.step
            before = [*step.sources, *([] if step.parent is None else [step.parent])]
            ends.append(own + max((ends[index] for index in before), default=0.0))
        return max(ends, default=0.0)

    def counts(self) -> dict[str, int]:
        """Return how many steps are of each state."""
        states = [verdict.state for verdict in self.verdicts]
        return {state: states.count(state) for state in ("CACHED", "REBUILD", "MAYBE")}


def foretell(
    steps: Sequence[Step],
    builds: Sequence[Build],
    *,
    texts: Mapping[str, Sequence[str]] | None = None,
    choices: Mapping[str, str] | None = None,
    is_complete: bool = True,
) -> Forecast:
    """Return what will become of the steps.

    Args:
        steps: of `keys.compute`.
        builds: those of this builder, the oldest first.
        texts: requirement files as they are now, to say which line of one has changed.
        choices: the arguments that choose stages.
        is_complete: whether no other build is known of.
    """
    pruned = max((at for at, build in enumerate(builds) if build.is_pruned), default=0)
    sure = {past.fine for build in builds[pruned:] for past in build.steps} - {""}
    fine = {past.fine for build in builds for past in build.steps} - {""}
    coarse = {past.coarse for build in builds for past in build.steps}
    shapes: dict[str, set[str]] = {}
    for past in (past for build in builds for past in build.steps):
        shapes.setdefault(past.loose, set()).add(past.shape)
    times = {past.fine: past.seconds for build in builds for past in build.steps if past.seconds is not None}
    before = _Before(builds, choices or {})
    verdicts: list[Verdict] = []
    for index, step in enumerate(steps):
        key, former = step.key, before.find(steps, index)
        # Where files of other stages are known that were not known then, or the reverse, only the rest compares.
        is_certain = is_complete and builds and key.coarse not in coarse and shapes.get(key.loose, set()) <= {key.shape}
        state: State = "CACHED" if key.fine in sure else "REBUILD" if is_certain else "MAYBE"
        seconds = times.get(key.fine, former.seconds if former else None)
        cause = None
        if state != "CACHED":
            cause = _find_cause(steps, index, verdicts, before, texts or {})
            if key.fine in fine:
                cause = replace(cause, words="the builder has been pruned since")
        verdicts.append(Verdict(step=step, state=state, cause=cause, seconds=seconds))
    return Forecast(verdicts=tuple(verdicts), is_known=bool(builds), is_complete=is_complete)


class _Before:
    """The steps as they were when each stage was last built."""

    def __init__(self, builds: Sequence[Build], choices: Mapping[str, str]) -> None:
        self._stages: dict[str, list[Past]] = {}
        self.texts: dict[str, Sequence[str]] = {}
        self._pairs: dict[str, dict[int, Past]] = {}
        self._gone: dict[str, dict[int, Past]] = {}
        for build in builds:
            stages: dict[str, list[Past]] = {}
            for past in build.steps:
                stages.setdefault(past.stage, []).append(past)
            self._stages |= stages
            self.texts |= build.texts
        last = builds[-1].choices if builds else {}
        # What brings in stages that there were none of.
        self.chosen = ", ".join(
            f"ARG {name} {last[name] or '(empty)'} → {value or '(empty)'}"
            for name, value in choices.items()
            if last.get(name, value) != value
        )

    def has(self, stage: str) -> bool:
        return stage in self._stages

    def find(self, steps: Sequence[Step], index: int) -> Past | None:
        """Return what a step was."""
        step = steps[index]
        self._align(steps, step.stage)
        return self._pairs[step.stage].get(step.i)

    def gone(self, step: Step) -> Past | None:
        """Return a step that was right before this one and is no more."""
        return self._gone[step.stage].get(step.i)

    def _align(self, steps: Sequence[Step], stage: str) -> None:
        if stage in self._pairs:
            return
        new = [step for step in steps if step.stage == stage]
        old = self._stages.get(stage, [])
        pairs: dict[int, Past] = {}
        gone: dict[int, Past] = {}
        matcher = SequenceMatcher(a=[one.text for one in old], b=[one.text for one in new], autojunk=False)
        for _, old_from, old_to, new_from, new_to in matcher.get_opcodes():
            pairs |= {one.i: past for one, past in zip(new[new_from:new_to], old[old_from:old_to], strict=False)}
            if new_from == new_to and new_to < len(new):
                gone[new[new_to].i] = old[old_from]
        self._pairs[stage], self._gone[stage] = pairs, gone


def _find_cause(
    steps: Sequence[Step],
    index: int,
    verdicts: Sequence[Verdict],
    before: _Before,
    texts: Mapping[str, Sequence[str]],
) -> Cause:
    """Return the first cause: that of the step before, of a stage that it takes files from, or its own."""
    step = steps[index]
    if step.parent is not None and (cause := verdicts[step.parent].cause):
        return cause
    if words := _difference(step, before.find(steps, index), before, texts):
        return Cause(words=words, step=index)
    for source in step.sources:
        if cause := verdicts[source].cause:
            return cause
    return Cause(words=_UNSEEN, step=index)


def _difference(step: Step, former: Past | None, before: _Before, texts: Mapping[str, Sequence[str]]) -> str:
    """Say in what a step differs from what it was, empty if that cannot be seen."""
    if former is None:
        return f"{step.file} line {step.line} is new" if before.has(step.stage) else before.chosen or _UNSEEN
    if step.image and former.image and step.image != former.image:
        old, new = former.image[0], step.image[0]
        return f"the base image {new} has moved" if old == new else f"base image {old} → {new}"
    found = _differing_values(former.values, [seen(one.kind, one.name, one.value) for one in step.changes])
    if former.text != step.text:
        found.append(f"{step.file} line {step.line} edited")
    found += _differing_files(former.files, step.files, before.texts, texts)
    if not found and (gone := before.gone(step)):
        found = [f"{gone.keyword} that was at {step.file} line {gone.line} removed"]
    more = len(found) - _SHOWN
    return ", ".join(found[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _differing_values(old: Sequence[Value], new: Sequence[Value]) -> list[str]:
    def show(value: Value | None) -> str:
        return "(unset)" if value is None else value.shown or "(empty)"

    before = {(value.kind, value.name): value for value in old}
    after = {(value.kind, value.name): value for value in new}
    found = []
    for key in dict.fromkeys([*after, *before]):
        one, other = before.get(key), after.get(key)
        if one is None or other is None or one.mark != other.mark:
            words = f"{show(one)} → {show(other)}" if show(one) != show(other) else "changed"
            found.append(f"{' '.join(filter(None, key))} {words}")
    if not found and list(before) != list(after):
        found = [f"the order of {', '.join(' '.join(filter(None, key)) for key in after)}"]
    return found


def _differing_files(
    old: Mapping[str, str],
    new: Mapping[str, str],
    before: Mapping[str, Sequence[str]],
    now: Mapping[str, Sequence[str]],
) -> list[str]:
    found = []
    for name in dict.fromkeys([*new, *old]):
        if old.get(name) == new.get(name):
            continue
        words = "removed" if name not in new else "new" if name not in old else "changed"
        if name in before and name in now and words == "changed":
            lines = [f"+{line}" for line in now[name] if line not in before[name]]
            lines += [f"-{line}" for line in before[name] if line not in now[name]]
            words = " ".join(lines[:_SHOWN]) + (" ..." if len(lines) > _SHOWN else "") if lines else words
        found.append(f"{name}: {words}")
    return found


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


def describe(forecast: Forecast, name: str) -> list[str]:
    """Return the forecast as lines: what it comes to, each cause, and the stages that it concerns."""
    counts = forecast.counts()
    pending = forecast.pending
    if not pending:
        return [f"{name}: nothing to do, all {counts['CACHED']} steps are cached"]
    if not forecast.is_known:
        return [f"{name}: no build by this builder is on record, so how much of it is cached is not known"]
    took = "" if forecast.seconds is None else f", about {duration(forecast.seconds)} if it takes what it took"
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


# Of one step, and of several.
_WORDS = {
    "REBUILD": ("step will be executed", "steps will be executed"),
    "MAYBE": ("may be", "may be"),
    "CACHED": ("is cached", "are cached"),
}
_WORTH_NAMING = 60.0  # seconds from which a stage is named beside the cause that redoes it


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


def judge(forecast: Forecast, executed: Mapping[tuple[str, int], float]) -> tuple[str, ...]:
    """Return what came otherwise than was foretold, a line each.

    Args:
        forecast: what was foretold; where nothing was on record, nothing was.
        executed: the steps that BuildKit executed, by stage and number, with their seconds.
    """
    if not forecast.is_known:
        return ()
    # Of steps that are equal, BuildKit executes one.
    ran = {_name(verdict.step) for verdict in forecast.verdicts if (verdict.step.stage, verdict.step.i) in executed}
    wrong = []
    for verdict in forecast.verdicts:
        step = verdict.step
        if verdict.state == "CACHED" and (step.stage, step.i) in executed:
            wrong.append(f"{step.label} was foretold CACHED and was executed")
        elif verdict.state == "REBUILD" and _name(step) not in ran:
            wrong.append(f"{step.label} was foretold REBUILD and was cached")
    return tuple(wrong)


def is_pruned(forecast: Forecast, executed: Mapping[tuple[str, int], float]) -> bool:
    """Return whether the builder has lost what it had: a step that was foretold CACHED was executed."""
    return forecast.is_known and any(
        verdict.state == "CACHED" and (verdict.step.stage, verdict.step.i) in executed for verdict in forecast.verdicts
    )


def _name(step: Step) -> str:
    return step.key.fine or step.label


def plan(forecast: Forecast) -> tuple[Past, ...]:
    """Return the steps as they are to be kept, before any has run."""
    return tuple(
        Past(
            stage=step.stage,
            i=step.i,
            line=step.line,
            keyword=step.keyword,
            text=step.text,
            fine=step.key.fine,
            coarse=step.key.coarse,
            loose=step.key.loose,
            shape=step.key.shape,
            values=tuple(seen(one.kind, one.name, one.value) for one in step.changes),
            files=step.files,
            image=step.image,
            seconds=verdict.seconds,
        )
        for verdict in forecast.verdicts
        for step in (verdict.step,)
    )


def came(
    steps: Sequence[Past],
    executed: Mapping[tuple[str, int], float],
    done: Collection[tuple[str, int]] | None = None,
) -> tuple[Past, ...]:
    """Return the steps that came to a result, as a build left them.

    Args:
        steps: of `plan`.
        executed: those that BuildKit executed, by stage and number, with their seconds.
        done: those that came to a result; None for all, as in a build that succeeded.
    """
    # Of steps that are equal, BuildKit executes one and tells of one.
    times = {_same(step): round(executed[step.stage, step.i], 3) for step in steps if (step.stage, step.i) in executed}
    ended = {_same(step) for step in steps if done is None or (step.stage, step.i) in done}
    return tuple(
        replace(step, seconds=times.get(_same(step), step.seconds), executed=_same(step) in times)
        for step in steps
        if _same(step) in ended
    )


def _same(step: Past) -> str:
    return step.fine or f"{step.stage} {step.i}"
