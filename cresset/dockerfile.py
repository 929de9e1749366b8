"""A Dockerfile's text as stages, arguments and instructions, read by the rules of BuildKit's own frontend.

Not modelled: triggers that ONBUILD leaves to the stages built on it, and named contexts that replace a stage or image.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cresset.errors import CressetError
from cresset.instructions import Argument, Heredoc, Instruction, content, describe, pairs, read_instruction
from cresset.shell_words import expand, used

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = [
    "Argument",
    "Dockerfile",
    "Heredoc",
    "Instruction",
    "Stage",
    "bases",
    "expand",
    "global_values",
    "needed",
    "pairs",
    "parse",
    "resolve_base",
    "steps",
    "used",
]

_NUMBERED = {"ADD", "COPY", "RUN", "WORKDIR"}
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*", re.ASCII)
_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")
_NAMED_STAGE_WORDS = 3
# Known without being declared: the platforms that the build is for and runs on.
_PREDEFINED = (
    *(side + part for side in ("BUILD", "TARGET") for part in ("PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT")),
    "TARGETSTAGE",
)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """From one FROM to the next; `base` and `platform` are unexpanded, `instructions` are those after the FROM."""

    index: int
    name: str | None
    base: str
    platform: str | None
    description: str | None
    instructions: tuple[Instruction, ...]
    line: int
    end_line: int

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """The arguments that the stage declares, in order."""
        return tuple(argument for instruction in self.instructions for argument in instruction.arguments)


@dataclass(frozen=True, kw_only=True)
class Dockerfile:
    """A whole file; `arguments` are those before the first FROM, `instructions` all there are, each FROM included."""

    name: str
    directives: Mapping[str, str]
    arguments: tuple[Argument, ...]
    stages: tuple[Stage, ...]
    instructions: tuple[Instruction, ...]

    @property
    def escape(self) -> str:
        """The character that escapes the next one, or the end of a line."""
        return self.directives.get("escape", "\\")


def parse(text: str, *, name: str = "Dockerfile") -> Dockerfile:
    """Read a Dockerfile.

    Raises:
        CressetError: `name:line: ...` for what BuildKit would refuse to read.
    """
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    directives = _read_directives(lines, name)
    instructions: list[Instruction] = []
    above: list[str] = []  # the comment that ends right here
    heads: list[tuple[int, list[str]]] = []  # where in `instructions` each FROM stands, and the comment above it
    at = len(directives)
    while at < len(lines):
        line = content(lines, at)
        if not line or line.startswith("#"):
            comment = line[1:].strip()
            above = [*above, comment] if comment else []
            at += 1
            continue
        try:
            instruction = read_instruction(lines, at, directives.get("escape", "\\"), above)
            _check(instruction, in_stage=bool(heads))
        except CressetError as problem:
            raise CressetError(f"{name}:{at + 1}: {problem}", problem.hint) from None
        if instruction.keyword == "FROM":
            heads.append((len(instructions), above))
        instructions.append(instruction)
        above = []
        at = instruction.end_line
    if not heads:
        raise CressetError(f"{name}:{max(len(lines), 1)}: there is no stage", "begin with FROM IMAGE")
    ends = [start for start, _ in heads[1:]] + [len(instructions)]
    return Dockerfile(
        name=name,
        directives=directives,
        arguments=tuple(argument for early in instructions[: heads[0][0]] for argument in early.arguments),
        stages=tuple(
            _make_stage(index, instructions[start:end], comment)
            for index, ((start, comment), end) in enumerate(zip(heads, ends, strict=True))
        ),
        instructions=tuple(instructions),
    )


def steps(stage: Stage) -> tuple[Instruction, ...]:
    """Return the instructions that BuildKit counts in `[stage i/n]`.

    n is one more when `resolve_base` gives an image other than `scratch`: the FROM then is i=1. A WORKDIR that ends at
    `/` is counted in n and gets no i of its own.
    """
    return tuple(instruction for instruction in stage.instructions if instruction.keyword in _NUMBERED)


def global_values(dockerfile: Dockerfile, values: Mapping[str, str]) -> dict[str, str]:
    """Return what each FROM and each bare ARG sees: the arguments before the first FROM, given values over defaults.

    Raises:
        CressetError: a default that cannot be expanded.
    """
    scope = {name: values[name] for name in _PREDEFINED if name in values}
    for argument in dockerfile.arguments:
        if argument.name in values:
            scope[argument.name] = values[argument.name]
        elif argument.raw is not None:
            scope[argument.name] = _expand_at(dockerfile, argument.line, argument.raw, scope)
    return scope


def resolve_base(dockerfile: Dockerfile, stage: Stage, values: Mapping[str, str]) -> Stage | str:
    """Return the earlier stage that FROM names, or else the image reference.

    Raises:
        CressetError: the name is empty or cannot be expanded.
    """
    base = _expand_at(dockerfile, stage.line, stage.base, global_values(dockerfile, values))
    if not base:
        hint = f"set {', '.join(used(stage.base, dockerfile.escape))}"
        raise CressetError(f"{dockerfile.name}:{stage.line}: FROM {stage.base} names no image", hint)
    # Case counts here, and only what stands above is seen; of several stages of one name the last is meant.
    return next((above for above in reversed(dockerfile.stages[: stage.index]) if above.name == base), base)


def needed(
    dockerfile: Dockerfile, target: str, values: Mapping[str, str], *, replaced: Collection[str] = ()
) -> tuple[Stage, ...]:
    """Return the stages that a target is built from, itself included, in the order of the file.

    Args:
        dockerfile: the file.
        target: a stage's name, in any case; "" is the last stage.
        values: the build arguments that are given.
        replaced: the stages whose place a named context takes; what they are built from is not needed.

    Raises:
        CressetError: there is no such stage, or one takes files from a stage that is not above it.
    """
    last = _find(dockerfile, target) if target else dockerfile.stages[-1]
    if last is None:
        names = ", ".join(stage.name for stage in dockerfile.stages if stage.name)
        raise CressetError(f"{dockerfile.name}: there is no stage {target}", f"the stages are {names}")
    indexes = {last.index}
    for stage in reversed(dockerfile.stages[: last.index + 1]):  # a stage needs none but those above it
        if stage.index in indexes and stage.name not in replaced:
            sources = [resolve_base(dockerfile, stage, values), *_find_sources(dockerfile, stage)]
            indexes.update(source.index for source in sources if isinstance(source, Stage))
    return tuple(stage for stage in dockerfile.stages if stage.index in indexes)


def bases(
    dockerfile: Dockerfile, target: str, values: Mapping[str, str], *, replaced: Collection[str] = ()
) -> frozenset[str]:
    """Return the images that the stages of a target begin with; the arguments are those of `needed`."""
    stages = needed(dockerfile, target, values, replaced=replaced)
    found = {resolve_base(dockerfile, stage, values) for stage in stages if stage.name not in replaced}
    return frozenset(base for base in found if isinstance(base, str)) - {"scratch"}


def _find_sources(dockerfile: Dockerfile, stage: Stage) -> list[Stage]:
    """List the stages whose files the instructions take; COPY knows stages by number too, a mount does not."""
    sources = []
    for instruction in stage.instructions:
        for name in _name_sources(instruction):
            source = _find(dockerfile, name)
            if instruction.keyword == "COPY" and name.isdecimal():
                source = next((stage for stage in dockerfile.stages if stage.index == int(name)), stage)
            if source and source.index >= stage.index:
                place = f"{dockerfile.name}:{instruction.line}"
                raise CressetError(f"{place}: stage {name} does not stand above", "move it above, or name another")
            sources += [source] if source else []
    return sources


def _name_sources(instruction: Instruction) -> list[str]:
    """List what `COPY --from` and `RUN --mount=from=` name: stages, images or contexts."""
    if instruction.keyword == "COPY":
        return [name for name in instruction.flag("from") if name]
    try:
        fields = [field for mount in instruction.flag("mount") for field in next(csv.reader([mount], strict=True), [])]
    except csv.Error:
        raise CressetError("the quotes of RUN --mount do not match", "quote a whole field, as in type=bind") from None
    parts = [field.partition("=") for field in fields]
    return [value for key, _, value in parts if key.lower() == "from" and value]


def _find(dockerfile: Dockerfile, name: str) -> Stage | None:
    return next((stage for stage in reversed(dockerfile.stages) if stage.name == name.lower()), None)


def _expand_at(dockerfile: Dockerfile, line: int, text: str, values: Mapping[str, str]) -> str:
    try:
        return expand(text, values, dockerfile.escape)
    except CressetError as problem:
        raise CressetError(f"{dockerfile.name}:{line}: {problem}", problem.hint) from None


def _read_directives(lines: Sequence[str], name: str) -> dict[str, str]:
    directives: dict[str, str] = {}
    for at in range(len(lines)):
        found = _DIRECTIVE.fullmatch(content(lines, at))
        key = found[1].lower() if found else ""
        if not found or key not in {"check", "escape", "syntax"}:
            break
        if key in directives:
            raise CressetError(f"{name}:{at + 1}: the directive {key} stands there twice", "keep one of the two")
        if key == "escape" and found[2] not in {"\\", "`"}:
            raise CressetError(f"{name}:{at + 1}: {found[2]} cannot be the escape character", "use \\ or `")
        directives[key] = found[2]
    return directives


def _check(instruction: Instruction, *, in_stage: bool) -> None:
    """Refuse what stands outside of any stage, a FROM that is not understood, a variable where BuildKit takes none."""
    if instruction.keyword == "FROM":
        _name_stage(instruction)
    elif not in_stage and instruction.keyword != "ARG":
        raise CressetError(f"{instruction.keyword} stands before the first FROM", "begin with FROM IMAGE")
    for name in _name_sources(instruction):
        if used(name, instruction.escape):
            raise CressetError(f"from={name}: no variable may stand there", f"add a stage FROM {name} and name that")


def _name_stage(head: Instruction) -> str | None:
    words = head.words()
    if len(words) == 1:
        return None
    if len(words) != _NAMED_STAGE_WORDS or words[1].lower() != "as":
        raise CressetError(f"FROM {head.text} is not understood", "write FROM IMAGE or FROM IMAGE AS NAME")
    name = words[2].lower()
    if not _STAGE_NAME.fullmatch(name):
        raise CressetError(f"{words[2]} cannot name a stage", "begin with a letter; then letters, digits, - _ .")
    return name


def _make_stage(index: int, instructions: Sequence[Instruction], comment: Sequence[str]) -> Stage:
    head, *rest = instructions
    name = _name_stage(head)
    return Stage(
        index=index,
        name=name,
        base=head.words()[0],
        platform=next(iter(head.flag("platform")), None),
        description=describe(name, comment) if name else None,
        instructions=tuple(rest),
        line=head.line,
        end_line=instructions[-1].end_line,
    )
