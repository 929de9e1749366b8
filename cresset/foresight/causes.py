"""Why a step is not cached: in what it differs from what it was when its stage was last built. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from cresset.foresight.history import Build, Past, Value, seen
from cresset.foresight.steps import Step

_UNSEEN = "not built before"
_SHOWN = 3  # differences of one step that are named
_COMPARED = 60  # builds


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
class Former:
    """A step as an earlier build had it.

    Attributes:
        step: the step; None where that build has none in its place.
        gone: one that was right before it and is no more.
        build: the build.
        differences: in what the step differs from it, in words.
    """

    step: Past | None
    gone: Past | None
    build: Build
    differences: Sequence[str] = ()


class Before:
    """What earlier builds had, to compare with."""

    def __init__(self, builds: Sequence[Build], target: str, choices: Mapping[str, str]) -> None:
        self._builds = builds[-_COMPARED:]
        self._made = [{past.fine for past in build.steps} for build in self._builds]
        self._aligned: dict[tuple[int, str], tuple[Mapping[int, Past], Mapping[int, Past]]] = {}
        last = next((build.choices for build in reversed(builds) if build.target == target), {})
        # What brings in stages that there were none of when this target was last built.
        self.chosen = ", ".join(
            f"ARG {name} {last[name] or '(empty)'} → {value or '(empty)'}"
            for name, value in choices.items()
            if last.get(name, value) != value
        )

    def is_new(self, step: Step) -> bool:
        """Return whether a build that came to its end had the step's stage, and no such step."""
        return any(build.is_whole and any(past.stage == step.stage for past in build.steps) for build in self._builds)

    def took(self, steps: Sequence[Step], index: int) -> float | None:
        """Return the seconds that the step took in the last build that came to it; None where it was never executed."""
        step = steps[index]
        for at in reversed(range(len(self._builds))):
            if past := self._align(at, steps, step.stage)[0].get(step.i):
                return past.seconds
        return None

    def nearest(self, steps: Sequence[Step], index: int, texts: Mapping[str, Sequence[str]]) -> Former | None:
        """Return the step as it was in the build that differs least: of the same step before, of the same sources.

        The last of several. A build that ended early has no say on what it did not come to.
        """
        step = steps[index]
        below = {steps[index].key.fine for index in (step.parent, *step.sources) if index is not None}
        best: tuple[tuple[int, int], Former] | None = None
        for at in reversed(range(len(self._builds))):
            pairs, gone = self._align(at, steps, step.stage)
            if step.i in pairs:
                build, past = self._builds[at], pairs[step.i]
                found = Former(
                    step=past,
                    gone=gone.get(step.i),
                    build=build,
                    differences=_differences(step, past, gone.get(step.i), build.texts, texts),
                )
                rank = len(below - self._made[at]), len(found.differences)
                if best is None or rank < best[0]:
                    best = rank, found
                if rank == (0, 1):
                    break
        return best[1] if best else None

    def _align(self, at: int, steps: Sequence[Step], stage: str) -> tuple[Mapping[int, Past], Mapping[int, Past]]:
        """Return the steps of a stage as a build had them, and those that were right before one and are no more."""
        if (at, stage) not in self._aligned:
            new = [step for step in steps if step.stage == stage]
            old = [past for past in self._builds[at].steps if past.stage == stage]
            pairs: dict[int, Past] = {}
            gone: dict[int, Past] = {}
            matcher = SequenceMatcher(a=[one.text for one in old], b=[one.text for one in new], autojunk=False)
            for _, old_from, old_to, new_from, new_to in matcher.get_opcodes():
                pairs |= {one.i: past for one, past in zip(new[new_from:new_to], old[old_from:old_to], strict=False)}
                if new_from == new_to and new_to < len(new):
                    gone[new[new_to].i] = old[old_from]
            self._aligned[at, stage] = pairs, gone
        return self._aligned[at, stage]


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
    former = before.nearest(steps, index, texts)
    if former and former.differences:
        more = len(former.differences) - _SHOWN
        words = ", ".join(former.differences[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        return Cause(words=words, step=index)
    if former is None and (words := f"{step.file} line {step.line} is new" if before.is_new(step) else before.chosen):
        return Cause(words=words, step=index)
    for source in step.sources:
        if cause := causes[source]:
            return cause
    return Cause(words=_UNSEEN, step=index)


def _differences(
    step: Step, past: Past, gone: Past | None, before: Mapping[str, Sequence[str]], texts: Mapping[str, Sequence[str]]
) -> list[str]:
    """Say in what a step differs from what it was: nothing if that cannot be seen."""
    if step.image and past.image and step.image != past.image:
        old, new = past.image[0], step.image[0]
        return [f"the base image {new} has moved" if old == new else f"base image {old} → {new}"]
    found = _differing_values(past.values, [seen(one.kind, one.name, one.value) for one in step.changes])
    if past.text != step.text:
        found.append(f"{step.file} line {step.line} edited")
    found += _differing_files(past.files, step.files, before, texts)
    if not found and gone:
        found = [f"{gone.keyword} that was at {step.file} line {gone.line} removed"]
    return found


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
    names = [name for name in dict.fromkeys([*new, *old]) if old.get(name) != new.get(name)]
    for name in names:
        is_folder = name.endswith("/")
        words = "removed" if name not in new else "new" if name not in old else "changed"
        if is_folder and words != "changed" and any(one != name and one.startswith(name) for one in names):
            continue  # what is in it says so
        if words == "changed":
            (was, _, mode_was), (content, _, mode) = (kept[name].rpartition(" ") for kept in (old, new))
            if is_folder or (content and content == was):
                words = f"mode {mode_was} → {mode}"
        if name in before and name in now and words == "changed":
            lines = [f"+{line}" for line in now[name] if line not in before[name]]
            lines += [f"-{line}" for line in before[name] if line not in now[name]]
            words = " ".join(lines[:_SHOWN]) + (" ..." if len(lines) > _SHOWN else "") if lines else words
        found.append(f"{name}: {words}")
    return found
