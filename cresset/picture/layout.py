"""Where the nodes of a graph go: in layers from top to bottom, with few crossings and short arrows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]

_SWEEPS = 24  # down and up, for the order
_ROUNDS = 80  # down and up, for the places
_STRAIGHT = 3.0  # how much more it counts for each end of a piece that is no node
_SLIM = 14.0  # the width that an arrow takes where it passes a layer


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where everything is, in the units of the widths.

    Attributes:
        places: the middle of each node.
        ways: of each arrow, the points that it goes through, in the middle of each layer.
        width: of all.
        layers: how many there are.
    """

    places: Mapping[str, Point]
    ways: Mapping[tuple[str, str], Sequence[Point]]
    width: float
    layers: int


def arrange(widths: Mapping[str, float], arrows: Sequence[tuple[str, str]], *, gap: float, step: float) -> Layout:
    """Return where to draw the nodes of a graph without circles.

    Layers by the longest way to each node, their order by barycenters (Sugiyama's method); then each node goes as near
    to its neighbours as the order lets it.

    Args:
        widths: of each node, from the sources to the last.
        arrows: pairs of nodes, the first above the second.
        gap: between two nodes of a layer.
        step: from the middle of a layer to that of the next.
    """
    layer = _layer([*widths], arrows)
    sizes = dict(widths)
    ways: dict[tuple[str, str], list[str]] = {}
    for source, to in arrows:
        # What passes a layer takes a place in it.
        passed = [f"{source} {to} {at}" for at in range(layer[source] + 1, layer[to])]
        sizes |= dict.fromkeys(passed, _SLIM)
        layer |= {name: at for at, name in enumerate(passed, layer[source] + 1)}
        ways[source, to] = [source, *passed, to]
    links = [pair for way in ways.values() for pair in pairwise(way)]
    above: dict[str, list[str]] = {name: [] for name in sizes}
    below: dict[str, list[str]] = {name: [] for name in sizes}
    for one, other in links:
        above[other].append(one)
        below[one].append(other)
    layers: list[list[str]] = [[] for _ in range(max(layer.values(), default=0) + 1)]
    for name in sizes:
        layers[layer[name]].append(name)
    layers = _order(layers, above, below)
    # Of a long arrow, what is between its ends is to be straight.
    weight = {pair: _STRAIGHT ** sum(name not in widths for name in pair) for pair in links}
    x = _spread(layers, sizes, weight, gap)
    left = min((x[name] - sizes[name] / 2 for name in sizes), default=0.0)
    right = max((x[name] + sizes[name] / 2 for name in sizes), default=0.0)
    places = {name: (x[name] - left, (layer[name] + 0.5) * step) for name in sizes}
    return Layout(
        places={name: places[name] for name in widths},
        ways={pair: [places[name] for name in way] for pair, way in ways.items()},
        width=right - left,
        layers=len(layers),
    )


def _layer(names: Sequence[str], arrows: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the layer of each node: below all that it is made from, right above the first that takes from it."""
    layer = dict.fromkeys(names, 0)
    for _ in names:
        for source, to in arrows:
            layer[to] = max(layer[to], layer[source] + 1)
    for name in reversed(names):
        if users := [layer[to] for source, to in arrows if source == name]:
            layer[name] = min(users) - 1
    return layer


def _order(layers: list[list[str]], above: Mapping[str, list[str]], below: Mapping[str, list[str]]) -> list[list[str]]:
    """Return the layers in the order in which the fewest arrows cross, of those that were tried."""
    best, fewest = layers, _crossings(layers, below)
    for sweep in range(_SWEEPS):
        is_down = sweep % 2 == 0
        moved: list[list[str]] = []
        at: dict[str, int] = {}
        for row in layers if is_down else layers[::-1]:
            centres = {name: float(place) for place, name in enumerate(row)}
            for name in row:
                if near := [at[other] for other in (above if is_down else below)[name]]:
                    centres[name] = sum(near) / len(near)
            moved.append(sorted(row, key=centres.__getitem__))
            at = {name: place for place, name in enumerate(moved[-1])}
        layers = moved if is_down else moved[::-1]
        if (count := _crossings(layers, below)) < fewest:
            best, fewest = layers, count
    return best


def _crossings(layers: list[list[str]], below: Mapping[str, list[str]]) -> int:
    at = {name: place for row in layers for place, name in enumerate(row)}
    count = 0
    for row in layers:
        ends = [at[other] for name in row for other in sorted(below[name], key=at.__getitem__)]
        count += sum(one > other for place, one in enumerate(ends) for other in ends[place + 1 :])
    return count


def _spread(
    layers: list[list[str]], sizes: Mapping[str, float], weight: Mapping[tuple[str, str], float], gap: float
) -> dict[str, float]:
    """Return where each node stands from left to right: as near to its neighbours as the order lets it."""
    near: dict[str, list[tuple[str, float]]] = {name: [] for name in sizes}
    for (one, other), own in weight.items():
        near[one].append((other, own))
        near[other].append((one, own))
    x: dict[str, float] = {}
    for row in layers:
        x |= dict(zip(row, _place([0.0] * len(row), [1.0] * len(row), [sizes[name] for name in row], gap), strict=True))
    for sweep in range(_ROUNDS):
        for row in layers if sweep % 2 == 0 else layers[::-1]:
            heavy = [sum(own for _, own in near[name]) for name in row]
            wanted = [
                sum(x[other] * own for other, own in near[name]) / total if total else x[name]
                for name, total in zip(row, heavy, strict=True)
            ]
            x |= dict(zip(row, _place(wanted, heavy, [sizes[name] for name in row], gap), strict=True))
    return x


def _place(wanted: Sequence[float], weights: Sequence[float], widths: Sequence[float], gap: float) -> list[float]:
    """Return the middles of a row that are nearest to the wanted ones, without overlap.

    Less the room that the row needs so far, they only have to ascend: neighbours that would not share their mean.
    """
    room = [0.0]
    for one, other in pairwise(widths):
        room.append(room[-1] + (one + other) / 2 + gap)
    blocks: list[tuple[float, float, int]] = []  # mean, weight and size
    for want, heavy, own in zip(wanted, weights, room, strict=False):
        blocks.append((want - own, heavy or 1.0, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (one, left, count), (other, right, more) = blocks[-2:]
            blocks[-2:] = [((one * left + other * right) / (left + right), left + right, count + more)]
    means = [mean for mean, _, size in blocks for _ in range(size)]
    return [mean + own for mean, own in zip(means, room, strict=False)]
