"""Which steps of a build will be executed, why, and how long they took last time. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cresset.foresight.causes import Before, Cause, find_cause
from cresset.foresight.history import Build, Past, seen
from cresset.foresight.steps import Step

CACHED_AFTER_ALL = "was foretold REBUILD and was cached"
State = Literal["CACHED", "REBUILD", "MAYBE"]


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
        """Return how many steps are of each state; of steps that are equal BuildKit makes one."""
        states = [*{_name(verdict.step): verdict.state for verdict in self.verdicts}.values()]
        return {state: states.count(state) for state in ("CACHED", "REBUILD", "MAYBE")}


def foretell(
    steps: Sequence[Step],
    builds: Sequence[Build],
    *,
    texts: Mapping[str, Sequence[str]] | None = None,
    target: str = "",
    choices: Mapping[str, str] | None = None,
    is_complete: bool = True,
) -> Forecast:
    """Return what will become of the steps.

    Args:
        steps: of `keys.compute`.
        builds: those of this builder, the oldest first.
        texts: requirement files as they are now, to say which line of one has changed.
        target: the stage that is built.
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
    before = Before(builds, target, choices or {})
    verdicts: list[Verdict] = []
    for index, step in enumerate(steps):
        key = step.key
        # Where files of other stages are known that were not known then, or the reverse, only the rest compares.
        is_certain = is_complete and builds and key.coarse not in coarse and shapes.get(key.loose, set()) <= {key.shape}
        state: State = "CACHED" if key.fine in sure else "REBUILD" if is_certain else "MAYBE"
        seconds = times[key.fine] if key.fine in times else before.took(steps, index)
        cause = None
        if state != "CACHED":
            cause = find_cause(steps, index, [one.cause for one in verdicts], before, texts or {})
            if key.fine in fine:
                cause = replace(cause, words="the builder has been pruned since")
        verdicts.append(Verdict(step=step, state=state, cause=cause, seconds=seconds))
    return Forecast(verdicts=tuple(verdicts), is_known=bool(builds), is_complete=is_complete)


def took(forecast: Forecast, stages: Collection[str], executed: Mapping[tuple[str, int], float]) -> float | None:
    """Return the seconds that stages take where nothing is cached, side by side where they can; None if never seen.

    Args:
        forecast: what was foretold, with the times of earlier builds.
        stages: their names.
        executed: the steps that BuildKit has executed since, by stage and number, with their seconds.
    """
    verdicts = tuple(
        replace(
            one,
            state="REBUILD" if one.step.stage in stages else "CACHED",
            seconds=executed.get((one.step.stage, one.step.i), one.seconds),
        )
        for one in forecast.verdicts
    )
    return replace(forecast, verdicts=verdicts).seconds or None


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
            wrong.append(f"{step.label} {CACHED_AFTER_ALL}")
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
            writes=step.writes,
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
