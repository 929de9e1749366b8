"""What was built before, by builder: a line for each build in `.cresset/history.jsonl`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cresset import files
from cresset.credentials import mask
from cresset.foresight.tree import digest

PATH = ".cresset/history.jsonl"
_LARGEST = 1_000_000  # bytes, more than a hundred builds, read in 20 ms; then the older half goes
_ENDLESS = 1e9  # seconds that no step takes
_LONGEST = 200  # characters of a value that are kept


class Value(NamedTuple):
    """What a step saw of a variable.

    Attributes:
        kind: ARG, ENV, USER, SHELL or WORKDIR.
        name: empty where the kind says it all.
        shown: the value, without credentials.
        mark: another value has another one.
    """

    kind: str
    name: str
    shown: str
    mark: str


@dataclass(frozen=True, kw_only=True)
class Past:
    """A step as it was; see `keys.Step`.

    Attributes:
        seconds: what it took when it was last executed; None where that is not known.
        executed: by this build.
    """

    stage: str
    i: int
    line: int
    keyword: str
    text: str
    fine: str
    coarse: str
    loose: str = ""
    shape: str = ""
    values: tuple[Value, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    image: tuple[str, str] | None = None
    writes: tuple[str, ...] = ()
    seconds: float | None = None
    executed: bool = False


@dataclass(frozen=True, kw_only=True)
class Build:
    """A build and those of its steps that came to a result.

    Attributes:
        record: the name of its record, which begins with its start in UTC.
        builder: its name, the engine's id and its store.
        address: where the engine was reached.
        name: what it made.
        target: the stage.
        steps: in the order of the file.
        texts: requirement files that it read, line by line.
        wrong: what was foretold of it and came otherwise, a line each; None where nothing was.
        counts: how many steps were foretold CACHED, REBUILD and MAYBE.
        is_pruned: it had to execute what the builder had had before.
        choices: the arguments that choose stages.
        result: the id of the image that it made; empty where it made none.
        images: those that it was built from, as `Image` in `keys` has them, where they hold no secret.
        folders: the modes of the host's folders as the engine had them, by context.
    """

    record: str
    builder: str
    address: str
    name: str
    target: str
    steps: tuple[Past, ...]
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    wrong: Sequence[str] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    is_pruned: bool = False
    choices: Mapping[str, str] = field(default_factory=dict)
    result: str = ""
    images: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folders: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether it came to its end: only then was what came compared with what was foretold."""
        return self.wrong is not None


def seen(kind: str, name: str, value: str) -> Value:
    """Return a variable as it may be written down."""
    return Value(kind=kind, name=name, shown=mask(value)[:_LONGEST], mark=digest(value)[:8])


def read() -> tuple[Build, ...]:
    """Return the builds of this checkout, the oldest first; a line that cannot be read is passed over."""
    try:
        text = (files.ROOT / PATH).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    return parse(text)


def parse(text: str) -> tuple[Build, ...]:
    """Return the builds that a history's text tells of."""
    found = []
    for line in text.splitlines():
        with suppress(ValueError, LookupError, TypeError, RecursionError):
            found.append(_read(json.loads(line)))
    return tuple(found)


def folder_modes(builds: Sequence[Build]) -> dict[str, Mapping[str, int]]:
    """Return the modes of the folders that the engine has, by context: those that it was sent last.

    What a step may write to it keeps for itself, and is sent all anew for the next build.
    """
    kept: dict[str, Mapping[str, int]] = {}
    for build in builds:
        kept |= build.folders
        for name in {name for step in build.steps if step.executed for name in step.writes}:
            kept.pop(name, None)
    return kept


def append(build: Build) -> None:
    """Add a build. It is whole or not there; where it cannot be written, it is not kept."""
    with files.turn("history"), suppress(OSError):
        path = files.ROOT / PATH
        path.parent.mkdir(exist_ok=True)
        if path.exists() and path.stat().st_size > _LARGEST:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            files.keep(PATH, "\n".join([*lines[len(lines) // 2 :], ""]))
        # One write at the end of the file; what follows a line that was cut short begins a line of its own.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, f"\n{dump(build)}\n".encode())
        finally:
            os.close(descriptor)


def dump(build: Build) -> str:
    """Return a build as a line."""
    return json.dumps(as_data(build), separators=(",", ":"))


def as_data(build: Build) -> dict[str, object]:
    """Return a build as JSON can have it."""
    return {**{name: getattr(build, name) for name in _FIELDS}, "steps": [_write(step) for step in build.steps]}


# What a value has to be: a type, one of several, a list of such, a mapping to such, or one with these names.
_IMAGE = {
    "reference": str,
    "identity": str,
    "environment": [[str]],
    "user": str,
    "folder": str,
    "shell": [str],
    "triggers": [str],
    "made": None,
}
# Of a build, as they are; and of a step.
_FIELDS: Mapping[str, object] = {
    "record": str,
    "builder": str,
    "address": str,
    "name": str,
    "target": str,
    "texts": {str: [str]},
    "wrong": ([str], None),
    "counts": {str: int},
    "is_pruned": bool,
    "choices": {str: str},
    "result": str,
    "images": {str: _IMAGE},
    "folders": {str: {str: int}},
}
_BARE: Mapping[str, object] = {
    "stage": str,
    "i": int,
    "line": int,
    "keyword": str,
    "text": str,
    "fine": str,
    "coarse": str,
    "loose": str,
    "shape": str,
    "seconds": (float, None),
    "executed": bool,
}
_REST = ([[str]], {str: str}, ([str], None), [str])


def _write(step: Past) -> list[object]:
    return [*(getattr(step, name) for name in _BARE), step.values, step.files, step.image, step.writes]


def _read(row: Mapping[str, Any]) -> Build:
    found = {name: row[name] for name in _FIELDS if name in row}
    for name, value in found.items():
        _check(value, _FIELDS[name], name)
    return Build(**found, steps=tuple(_read_step(step) for step in row["steps"]))


def _read_step(row: Sequence[Any]) -> Past:
    for value, shape in zip(row, (*_BARE.values(), *_REST), strict=False):
        _check(value, shape, "a step")
    values, kept, image, *rest = row[len(_BARE) :]
    return Past(
        **dict(zip(_BARE, row, strict=False)),
        values=tuple(map(Value._make, values)),
        files=dict(kept),
        image=(image[0], image[1]) if image else None,
        writes=tuple(rest[0] if rest else ()),
    )


def _check(value: object, shape: object, name: str) -> None:
    """Refuse a value that is not what it should be.

    Raises:
        ValueError: it is not.
    """
    if not _fits(value, shape):
        raise ValueError(name)


def _fits(value: object, shape: object) -> bool:
    if isinstance(shape, tuple):
        return any(_fits(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(one, shape[0]) for one in value)
    if isinstance(shape, dict):
        every = shape.get(str)
        return isinstance(value, dict) and all(_fits(one, every or shape.get(name, ())) for name, one in value.items())
    if shape is float:
        return type(value) in {int, float} and 0 <= value < _ENDLESS  # type: ignore[operator]
    return type(value) is shape if isinstance(shape, type) else value is shape
