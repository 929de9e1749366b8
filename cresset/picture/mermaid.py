"""A graph and a timeline as Mermaid's text. Pure."""

from __future__ import annotations

from cresset.picture.graph import Graph
from cresset.picture.timeline import Timeline
from cresset.picture.words import said_of, second_line

_ARROWS = {"FROM": "==>", "COPY": "-->", "mount": "-.->"}
_FILLS = {
    "CACHED": ("#eef7f4", "#00795a"),
    "REBUILD": ("#fdf0e7", "#c44e00"),
    "MAYBE": ("#fdf6e3", "#b57f00"),
    "UNKNOWN": ("#f3f5f7", "#59636e"),
    "GIVEN": ("#ffffff", "#7c8a94"),
}


def write_mermaid(graph: Graph) -> str:
    """Return the stages as Mermaid's flowchart."""
    number = {node.name: f"n{at}" for at, node in enumerate(graph.nodes)}
    state = {node.name: node.state for node in graph.nodes}
    lines = ["flowchart TD"]
    for node in graph.nodes:
        words = "<br/>".join(_quoted(line) for line in (node.name, second_line(node, with_state=True)) if line)
        lines.append(f'  {number[node.name]}["{words}"]:::{node.state}')
    links: dict[str, list[int]] = {}
    for at, arrow in enumerate(graph.arrows):
        lines.append(f"  {number[arrow.source]} {_ARROWS[arrow.kind]} {number[arrow.to]}")
        links.setdefault(state[arrow.source], []).append(at)
    for name, (fill, stroke) in _FILLS.items():
        lines.append(f"  classDef {name} fill:{fill},stroke:{stroke},color:#1b1f24")
        if name in links and name in {"REBUILD", "MAYBE"}:
            lines.append(f"  linkStyle {','.join(map(str, links[name]))} stroke:{stroke}")
    return "\n".join([*lines, ""])


def write_gantt(timeline: Timeline) -> str:
    """Return what ran when as Mermaid's Gantt chart, in which `crit` is what the end had to wait for."""
    lines = [
        "gantt",
        f"  title {_plain(timeline.name)}, {timeline.began} UTC",
        "  dateFormat x",
        "  axisFormat %H:%M:%S",
    ]
    for bar in timeline.bars:
        crit = "crit, " if bar.is_critical else ""
        start, end = round(bar.start * 1000), round(max(bar.end, bar.start + 0.001) * 1000)
        lines.append(f"  {_plain(said_of(bar))} :{crit}{start}, {end}")
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    return text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;")


def _plain(text: str) -> str:
    """Return a text without what ends a name in Mermaid's Gantt charts."""
    return text.translate({ord(letter): " " for letter in ":;#,"})
