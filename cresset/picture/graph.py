"""The stages of a target and what they take from each other, with what becomes of each. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from cresset import dockerfile
from cresset.dockerfile import Dockerfile, Stage
from cresset.foresight.explain import Forecast, Verdict
from cresset.foresight.inputs import mounts_of
from cresset.instructions import Instruction

State = Literal["CACHED", "REBUILD", "MAYBE", "UNKNOWN", "GIVEN"]
Kind = Literal["FROM", "COPY", "mount"]

_MANY = 6  # stages; what more of them take from is named once instead of being the beginning of so many arrows
_WORST: tuple[State, ...] = ("REBUILD", "UNKNOWN", "MAYBE", "CACHED")


@dataclass(frozen=True, kw_only=True)
class Node:
    """A stage, or what stages are made from.

    Attributes:
        name: of the stage; of what is given, its reference.
        state: what becomes of its steps; of a stage without any, of what it stands for. UNKNOWN where no build is on
            record, GIVEN of images and named contexts.
        seconds: what its steps took when they were last executed; None where none was ever seen to run.
        steps: how many it has.
        why: the first cause, in words; empty where it is cached.
        users: how many stages take from it, where arrows to all of them would hide the rest; otherwise 0.
    """

    name: str
    state: State
    seconds: float | None = None
    steps: int = 0
    why: str = ""
    users: int = 0


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """What a stage is made from: it goes on from it, copies files of it, or sees them while a step runs."""

    source: str
    to: str
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The stages of a target, in the order of the file, and the arrows among them; the last node is the target."""

    name: str
    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]


def trace(
    recipe: Dockerfile,
    target: str,
    arguments: Mapping[str, str],
    forecast: Forecast,
    *,
    name: str,
    replaced: Collection[str] = (),
) -> Graph:
    """Return what a target is made from.

    Args:
        recipe: the Dockerfile.
        target: the stage.
        arguments: the build arguments that are given.
        forecast: of the target's steps.
        name: what the build makes.
        replaced: stages whose place a named context takes.

    Raises:
        CressetError: there is no such stage.
    """
    verdicts: dict[str, list[Verdict]] = {}
    for verdict in forecast.verdicts:
        verdicts.setdefault(verdict.step.stage, []).append(verdict)
    stages = dockerfile.needed(recipe, target, arguments, replaced=replaced)
    # What has steps and none of them foretold is taken as it is.
    given = {_name(stage) for stage in stages if dockerfile.steps(stage) and _name(stage) not in verdicts}
    stages = dockerfile.needed(recipe, target, arguments, replaced={*replaced, *given})
    given |= {*replaced}
    empty: set[str] = set()
    nodes: dict[str, Node] = {}
    arrows: list[Arrow] = []
    for stage in stages:
        own = _name(stage)
        if own in given:
            nodes[own] = Node(name=own, state="GIVEN")
            continue
        base = dockerfile.resolve_base(recipe, stage, arguments)
        source = _name(base) if isinstance(base, Stage) else base
        if not dockerfile.steps(stage) and source in {"scratch", *empty} and stage is not stages[-1]:
            empty.add(own)
        if source != "scratch":
            nodes.setdefault(source, Node(name=source, state="GIVEN"))
            arrows.append(Arrow(source=source, to=own, kind="FROM"))
        for kind, taken in _sources(recipe, stage):
            nodes.setdefault(taken, Node(name=taken, state="GIVEN"))
            arrows.append(Arrow(source=taken, to=own, kind=kind))
        nodes[own] = _node(own, verdicts.get(own, []), nodes.get(source), is_known=forecast.is_known)
    return _with_few_arrows(
        Graph(
            name=name,
            nodes=tuple(node for own, node in nodes.items() if own not in empty),
            arrows=tuple(arrow for arrow in dict.fromkeys(arrows) if not empty & {arrow.source, arrow.to}),
        )
    )


def _with_few_arrows(graph: Graph) -> Graph:
    """Return the graph without the arrows from what nearly every stage takes files from."""
    users = Counter(one.source for one in {replace(arrow, kind="mount") for arrow in graph.arrows})
    own = {arrow.source for arrow in graph.arrows if arrow.kind == "FROM"} | {graph.nodes[-1].name}
    shared = {name: count for name, count in users.items() if count > _MANY and name not in own}
    return replace(
        graph,
        nodes=tuple(replace(node, users=shared.get(node.name, 0)) for node in graph.nodes),
        arrows=tuple(arrow for arrow in graph.arrows if arrow.source not in shared),
    )


def _name(stage: Stage) -> str:
    return stage.name or f"stage-{stage.index}"


def _sources(recipe: Dockerfile, stage: Stage) -> list[tuple[Kind, str]]:
    """Return what the instructions of a stage take files from: stages, images and contexts."""
    found: list[tuple[Kind, str]] = []
    for instruction in stage.instructions:
        kind: Kind = "COPY" if instruction.keyword == "COPY" else "mount"
        for name in _named(instruction):
            by_number = kind == "COPY" and name.isdecimal()
            above = [one for one in recipe.stages[: stage.index] if _name(one) == name.lower()]
            above = [recipe.stages[int(name)]] if by_number else above
            found.append((kind, _name(above[-1]) if above else name))
    return found


def _named(instruction: Instruction) -> list[str]:
    if instruction.keyword == "COPY":
        return [name for name in instruction.flag("from") if name]
    return [mount["from"] for mount in mounts_of(instruction, {}) if mount.get("from")]


def _node(name: str, verdicts: list[Verdict], base: Node | None, *, is_known: bool) -> Node:
    if not verdicts:
        state = base.state if base and base.state != "GIVEN" else "CACHED"
        return Node(name=name, state=state, why=base.why if base else "")
    states: set[State] = {"UNKNOWN" if not is_known and one.state == "MAYBE" else one.state for one in verdicts}
    times = [one.seconds for one in verdicts if one.seconds is not None]
    return Node(
        name=name,
        state=next(state for state in _WORST if state in states),
        seconds=sum(times) if times else None,
        steps=len(verdicts),
        why=next((one.cause.words for one in verdicts if one.cause and is_known), ""),
    )
