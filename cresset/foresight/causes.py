"""Why a step is not cached: in what it differs from what it was when its stage was last built. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from cresset.foresight.history import Build, Past, Value, seen
from cresset.foresight.steps import Step

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


class Before:
    """The steps as they were when each stage was last built."""

    def __init__(self, builds: Sequence[Build], target: str, choices: Mapping[str, str]) -> None:
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
        last = next((build.choices for build in reversed(builds) if build.target == target), {})
        # What brings in stages that there were none of when this target was last built.
        self.chosen = ", ".join(
            f"ARG {name} {last[name] or '(empty)'} → {value or '(empty)'}"
            for name, value in choices.items()
            if last.get(name, value) != value
        )

    def has(self, stage: str) -> bool:
        """Return whether the stage was ever built."""
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


def find_cause(
    steps: Sequence[Step],
    index: int,
    causes: Sequence[Cause | None],
    before: Before,
    texts: Mapping[str, Sequence[str]],
) -> Cause:
    """Return the first cause: that of the step before, of a stage that it takes files from, or its own."""
    step = steps[index]
    if step.parent is not None and (cause := causes[step.parent]):
        return cause
    if words := _difference(step, before.find(steps, index), before, texts):
        return Cause(words=words, step=index)
    for source in step.sources:
        if cause := causes[source]:
            return cause
    return Cause(words=_UNSEEN, step=index)


def _difference(step: Step, former: Past | None, before: Before, texts: Mapping[str, Sequence[str]]) -> str:
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
        if name.endswith("/") and not (name in old and name in new):
            continue  # what is in it says so
        words = "removed" if name not in new else "new" if name not in old else "changed"
        if name.endswith("/"):
            words = f"mode {old[name]} → {new[name]}"
        if name in before and name in now and words == "changed":
            lines = [f"+{line}" for line in now[name] if line not in before[name]]
            lines += [f"-{line}" for line in before[name] if line not in now[name]]
            words = " ".join(lines[:_SHOWN]) + (" ..." if len(lines) > _SHOWN else "") if lines else words
        found.append(f"{name}: {words}")
    return found
