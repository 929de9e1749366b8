"""The stages of a build as a graph, where its nodes go, and what is drawn of it."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cresset import configuration, dockerfile
from cresset.dockerfile import Dockerfile
from cresset.foresight import explain, inputs, keys
from cresset.foresight.explain import Forecast
from cresset.foresight.history import Build
from cresset.foresight.inputs import Inputs
from cresset.foresight.tree import Tree
from cresset.picture import drawing, graph, layout, mermaid
from cresset.picture.graph import Arrow, Graph
from cresset.picture.timeline import Bar, Timeline

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"
TEXT = """
ARG BASE=debian
ARG WORD=b
FROM scratch AS nothing
FROM ${BASE} AS tools
RUN install
FROM tools AS build
ARG WORD
RUN --mount=from=nothing,target=/n make
FROM tools AS other
RUN --mount=from=build,target=/b other
FROM build AS chosen
FROM tools AS last
COPY --from=chosen /dist /dist
COPY --from=ghcr.io/some/tool:1 /bin/tool /bin/
RUN --mount=from=other,target=/o link
"""


class Nothing:
    """A folder without files."""

    def find(self, pattern: str) -> Tree:  # noqa: ARG002 - there is none
        return {}


@cache
def parsed(text: str) -> Dockerfile:
    return dockerfile.parse(text)


def foretold(text: str, *builds: Build, target: str = "last", **arguments: str) -> Forecast:
    recipe = parsed(text)
    platform = inputs.platform_of("x86_64")
    return explain.foretell(
        keys.compute(Inputs(recipe=recipe, target=target, arguments=arguments, context=Nothing(), platform=platform)),
        builds,
    )


def record(forecast: Forecast, seconds: float = 60.0) -> Build:
    executed = {(one.step.stage, one.step.i): seconds for one in forecast.verdicts}
    steps = explain.came(explain.plan(forecast), executed)
    return Build(record="1", builder="default", address="", name="image", target="last", steps=steps)


def traced(text: str, *builds: Build, target: str = "last", **arguments: str) -> Graph:
    forecast = foretold(text, *builds, target=target, **arguments)
    return graph.trace(parsed(text), target, arguments, forecast, name="image")


def states(found: Graph) -> dict[str, str]:
    return {node.name: node.state for node in found.nodes}


class TestTrace:
    def test_stages_and_what_they_take(self) -> None:
        found = traced(TEXT)
        assert [node.name for node in found.nodes] == [
            *("debian", "tools", "build", "other", "chosen", "ghcr.io/some/tool:1", "last"),
        ]
        assert [(arrow.source, arrow.kind, arrow.to) for arrow in found.arrows] == [
            ("debian", "FROM", "tools"),
            ("tools", "FROM", "build"),
            ("tools", "FROM", "other"),
            ("build", "mount", "other"),
            ("build", "FROM", "chosen"),
            ("tools", "FROM", "last"),
            ("chosen", "COPY", "last"),
            ("ghcr.io/some/tool:1", "COPY", "last"),
            ("other", "mount", "last"),
        ]

    def test_what_nobody_has_built_is_unknown(self) -> None:
        assert set(states(traced(TEXT)).values()) == {"UNKNOWN", "GIVEN"}

    def test_the_verdict_is_the_worst_of_the_steps(self) -> None:
        past = record(foretold(TEXT))
        assert set(states(traced(TEXT, past)).values()) == {"CACHED", "GIVEN"}
        found = traced(TEXT, past, WORD="c")
        assert states(found) == {
            "debian": "GIVEN",
            "tools": "CACHED",
            "build": "REBUILD",
            "other": "MAYBE",
            "chosen": "REBUILD",
            "ghcr.io/some/tool:1": "GIVEN",
            "last": "MAYBE",
        }
        nodes = {node.name: node for node in found.nodes}
        assert nodes["last"].why == nodes["chosen"].why == "ARG WORD b → c"
        assert (nodes["last"].steps, nodes["last"].seconds) == (3, 180.0)
        assert (nodes["chosen"].steps, nodes["chosen"].seconds) == (0, None)

    def test_another_target_is_a_smaller_graph(self) -> None:
        assert [*states(traced(TEXT, target="build"))] == ["debian", "tools", "build"]

    def test_what_a_context_replaces_is_given(self) -> None:
        recipe = dockerfile.parse(TEXT)
        forecast = foretold(TEXT)
        kept = tuple(one for one in forecast.verdicts if one.step.stage in {"tools", "other", "last"})
        # Whoever replaced it, its steps are not among those that are foretold.
        found = graph.trace(recipe, "last", {}, Forecast(verdicts=kept), name="image")
        assert states(found)["build"] == "GIVEN"
        found = graph.trace(recipe, "last", {}, forecast, name="image", replaced=["nothing"])
        assert states(found)["nothing"] == "GIVEN"

    def test_arrows_from_what_all_take_are_left_out(self) -> None:
        users = "".join(f"FROM debian AS s{at}\nRUN --mount=from=files,target=/f x{at}\n" for at in range(9))
        copies = "".join(f"COPY --from=s{at} /a /{at}\n" for at in range(9))
        found = traced(f"FROM debian AS files\nRUN f\n{users}FROM debian AS last\n{copies}")
        assert {node.name: node.users for node in found.nodes if node.users} == {"files": 9}
        assert "files" not in {arrow.source for arrow in found.arrows}
        assert len([arrow for arrow in found.arrows if arrow.to == "last"]) == 10


RECIPES = {name: (ROOT / name).read_text() for name in configuration.RECIPES}


@pytest.mark.parametrize(
    ("name", "target", "arguments"),
    [
        ("Dockerfile", "train", {"BUILD_MODE": "exclude"}),
        ("Dockerfile", "train", {"BUILD_MODE": "include", "MAGMA_MODE": "source"}),
        ("Dockerfile", "deploy", {"BUILD_MODE": "include"}),
        ("ngc.Dockerfile", "ngc", {}),
    ],
)
class TestOurs:
    def test_it_is_drawn_without_overlap(self, name: str, target: str, arguments: dict[str, str]) -> None:
        found = traced(RECIPES[name], target=target, **arguments)
        picture = ET.fromstring(drawing.draw_graph(found))  # noqa: S314 - our own
        width, height = (float(picture.attrib[side]) for side in ("width", "height"))
        boxes = [box for box in picture.iter(f"{SVG}rect") if box.get("class") == "box" and box.get("rx") == "5"]
        assert len(boxes) == len(found.nodes)
        shared = sum(bool(node.users) for node in found.nodes)
        corners = [
            (
                *(float(box.attrib[side]) for side in ("x", "y")),
                *(float(box.attrib[side]) for side in ("width", "height")),
            )
            for box in boxes[shared:]
        ]
        assert all(x >= 0 and x + w <= width and y >= 0 and y + h <= height for x, y, w, h in corners)
        for (x, y, w, h), (to_x, to_y, to_w, to_h) in combinations(corners, 2):
            assert x + w <= to_x or to_x + to_w <= x or y + h <= to_y or to_y + to_h <= y
        drawn = {"".join(text.itertext()) for text in picture.iter(f"{SVG}text")}
        assert {node.name for node in found.nodes if len(node.name) < 40} <= drawn

    def test_each_arrow_points_down(self, name: str, target: str, arguments: dict[str, str]) -> None:
        found = traced(RECIPES[name], target=target, **arguments)
        pairs = [(arrow.source, arrow.to) for arrow in found.arrows]
        places = layout.arrange(dict.fromkeys(states(found), 50.0), pairs, gap=5, step=10).places
        assert all(places[source][1] < places[to][1] for source, to in pairs)

    def test_mermaid_has_the_same(self, name: str, target: str, arguments: dict[str, str]) -> None:
        found = traced(RECIPES[name], target=target, **arguments)
        text = mermaid.write_mermaid(found)
        assert text.startswith("flowchart TD\n")
        nodes = re.findall(r'^  n\d+\["[^"\[\]<>]+(?:<br/>[^"\[\]<>]+)?"\]:::[A-Z]+$', text, re.MULTILINE)
        assert len(nodes) == len(found.nodes)
        assert len(re.findall(r"^  n\d+ (?:==>|-->|-\.->) n\d+$", text, re.MULTILINE)) == len(found.arrows)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_graph_finds_room(data: st.DataObject) -> None:
    names = [f"n{at}" for at in range(data.draw(st.integers(1, 14)))]
    every = [*combinations(names, 2)]
    pairs = data.draw(st.lists(st.sampled_from(every), unique=True, max_size=30)) if every else []
    widths = {name: data.draw(st.floats(10, 200)) for name in names}
    found = layout.arrange(widths, pairs, gap=5, step=10)
    for one, other in combinations(names, 2):
        (x, y), (to_x, to_y) = found.places[one], found.places[other]
        assert y != to_y or abs(x - to_x) >= (widths[one] + widths[other]) / 2 + 4.99
    for name, (x, _) in found.places.items():
        assert widths[name] / 2 - 0.01 <= x <= found.width - widths[name] / 2 + 0.01
    for (source, to), way in found.ways.items():
        assert (way[0], way[-1]) == (found.places[source], found.places[to])


EVIL = '<b>"a" & [b]</b>: c; d'


def test_no_name_breaks_out() -> None:
    nodes = (graph.Node(name=EVIL, state="REBUILD", why=EVIL), graph.Node(name="x" * 300, state="MAYBE"))
    found = Graph(name=EVIL, nodes=nodes, arrows=(Arrow(source=EVIL, to="x" * 300, kind="FROM"),))
    bars = (Bar(label="", text=EVIL, start=0, end=1), Bar(label=EVIL, text="RUN", start=1, end=3, failed=True))
    timeline = Timeline(name=EVIL, began="2026-01-01 00:00", seconds=3, bars=bars, cached=0)
    for text in (drawing.draw_graph(found), drawing.draw_timeline(timeline)):
        assert EVIL in "".join(ET.fromstring(text).itertext())  # noqa: S314 - our own
    page = drawing.write_page(found, timeline)
    assert "<b>" not in page
    assert page.count("<svg") == 2
    assert not re.search(r"(?:src|href)=|url\(|@import", page)  # it needs nothing else
    assert "<b>" not in mermaid.write_mermaid(found)
    assert all(line.count(":") == 1 for line in mermaid.write_gantt(timeline).splitlines()[4:])


def test_each_state_has_a_letter_of_its_own_and_both_lights() -> None:
    letters = [letter for letter, _ in drawing._STATES.values()]
    assert len({*letters}) == len(letters) == 5
    light, dark = drawing._STYLE.split("@media (prefers-color-scheme:dark)")
    assert {".CACHED", ".REBUILD", ".MAYBE", ".UNKNOWN"} <= {*re.findall(r"\.[A-Z]+", dark)}
    assert {*re.findall(r"\.[A-Z]+", dark)} <= {*re.findall(r"\.[A-Z]+", light)}


def test_the_picture_of_the_page_has_the_stages_of_the_dockerfile() -> None:
    arguments = {"BUILD_MODE": "include", "BUILD_IMAGE": "ubuntu:24.04", "PYTORCH_VERSION_TAG": "v2.8.0"}
    past = record(foretold(RECIPES["Dockerfile"], target="train", **arguments))
    past = replace(past, steps=tuple(replace(step, seconds=None) for step in past.steps))
    arguments["PYTORCH_VERSION_TAG"] = "v2.9.1"
    found = traced(RECIPES["Dockerfile"], past, target="train", **arguments)
    text = drawing.draw_graph(replace(found, name="cresset:train"))
    path = ROOT / "docs/graph.svg"
    if os.environ.get("CRESSET_RENEW"):
        path.write_text(text)
    assert titles(path.read_text()) == titles(text)


def titles(svg: str) -> list[str]:
    """Return the stages with their verdicts, and the arrows."""
    return sorted(re.findall("<title>(.*?)</title>", svg))
