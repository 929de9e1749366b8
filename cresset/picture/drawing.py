"""A graph and a timeline as SVG, and as a page of HTML. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from cresset.picture.graph import Graph, Kind, Node
from cresset.picture.layout import Layout, Point, arrange
from cresset.picture.timeline import Timeline
from cresset.picture.words import cut, said_of, second_line
from cresset.screen.live import duration

_CHARACTER = 7.83  # pixels of a letter of 13 px, of the fonts below
_SMALL = 6.63  # of one of 11 px
_HEIGHT, _FLAT = 42.0, 26.0  # of a node with a second line, and without
_STRIP = 22.0  # with the letter
_STEP, _GAP, _MARGIN = 82.0, 22.0, 24.0
_ROW = 22.0
_PLOT = 620.0  # the width of the longest time

# A letter for whoever cannot tell the colours apart, and what it means.
_STATES = {
    "CACHED": ("C", "cached"),
    "REBUILD": ("R", "to be built again"),
    "MAYBE": ("M", "may be built again"),
    "UNKNOWN": ("?", "not known: no build is on record"),
    "GIVEN": ("", "given: an image or a named context"),
}
_KINDS: dict[Kind, str] = {"FROM": "FROM", "COPY": "COPY --from", "mount": "mount"}

# The colours are those of Okabe and Ito, which whoever sees fewer colours can tell apart too.
_STYLE = """
svg{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:13px}
.small{font-size:11px}.bold{font-weight:700}.head{font-size:16px}.letter{font-weight:700;fill:#fff}
.paper{fill:#fff}.ink{fill:#1b1f24}.pale{fill:#59636e}.grid{stroke:#d1d9e0}
.box{fill:#fff;stroke:#7c8a94;stroke-width:1.5}.GIVEN .box{stroke-dasharray:4 3}
.CACHED .box{fill:#eef7f4;stroke:#00795a}.CACHED .strip{fill:#00795a}
.REBUILD .box{fill:#fdf0e7;stroke:#c44e00}.REBUILD .strip{fill:#c44e00}
.MAYBE .box{fill:#fdf6e3;stroke:#b57f00}.MAYBE .strip{fill:#e69f00}.MAYBE .letter{fill:#1b1f24}
.UNKNOWN .box{fill:#f3f5f7;stroke:#59636e}.UNKNOWN .strip{fill:#59636e}
.way{fill:none;stroke:#7c8a94;stroke-width:1.4}.tip{fill:#7c8a94}
.way.FROM{stroke-width:2.6}.way.mount{stroke-dasharray:2 4;stroke-linecap:round}
.way.REBUILD{stroke:#c44e00}.tip.REBUILD{fill:#c44e00}.way.MAYBE{stroke:#b57f00}.tip.MAYBE{fill:#b57f00}
.bar{fill:#0072b2}.bar.critical{fill:#c44e00}
@media (prefers-color-scheme:dark){
.paper{fill:#0d1117}.ink{fill:#e6edf3}.pale{fill:#9aa4af}.grid{stroke:#30363d}.box{fill:#0d1117}
.CACHED .box{fill:#0c2a22;stroke:#2fb391}.UNKNOWN .box{fill:#21262d;stroke:#9aa4af}
.REBUILD .box{fill:#3a1d08;stroke:#f08a45}.MAYBE .box{fill:#33270a;stroke:#e6b84d}
.way.REBUILD{stroke:#f08a45}.tip.REBUILD{fill:#f08a45}.way.MAYBE{stroke:#e6b84d}.tip.MAYBE{fill:#e6b84d}
.bar{fill:#56b4e9}.bar.critical{fill:#f08a45}
}
""".strip()


def draw_graph(graph: Graph) -> str:
    """Return the stages as SVG."""
    shared = [node for node in graph.nodes if node.users]
    free = [node for node in graph.nodes if not node.users]
    pairs = list(dict.fromkeys((arrow.source, arrow.to) for arrow in graph.arrows))
    layout = arrange({node.name: _width(node) for node in free}, pairs, gap=_GAP, step=_STEP)
    legend, legend_width = _legend(graph)
    apart_width = sum(_width(node) + _GAP for node in shared)
    width = max(layout.width, legend_width, apart_width, len(graph.name) * 10.0) + 2 * _MARGIN
    top = 110.0 + (70.0 if shared else 0.0)
    aside = (width - layout.width) / 2
    parts = [_text(_MARGIN, 34, graph.name, "ink bold head"), _group(legend, y=66)]
    x = _MARGIN
    for node in shared:
        parts.append(_group(_box(node, (x + _width(node) / 2, 122.0))))
        x += _width(node) + _GAP
    picture = [*_ways(graph, layout), *(_box(node, layout.places[node.name]) for node in free)]
    parts.append(_group("".join(picture), x=aside, y=top))
    return _svg("".join(parts), width, top + layout.layers * _STEP + _MARGIN / 2, f"the stages of {graph.name}")


def draw_timeline(timeline: Timeline) -> str:
    """Return what ran when as SVG; what the end had to wait for is marked."""
    left = _MARGIN + max(len(said_of(bar)) for bar in timeline.bars) * _SMALL + 30
    scale = _PLOT / (timeline.seconds or 1.0)
    top = 94.0
    bottom = top + len(timeline.bars) * _ROW
    waits = sum(bar.end - bar.start for bar in timeline.bars if bar.is_critical)
    ended = "failed after" if any(bar.failed for bar in timeline.bars) else "built in"
    title = f"{timeline.name}, {timeline.began} UTC, {ended} {duration(timeline.seconds)}"
    parts = [
        _text(_MARGIN, 34, title, "ink bold head"),
        _text(_MARGIN, 58, _summarize(timeline, waits), "pale small"),
    ]
    for tick in _ticks(timeline.seconds):
        x = left + tick * scale
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4:.1f}" y2="{bottom:.1f}"/>')
        parts.append(_text(x, top - 10, _short(tick), "pale small", anchor="middle"))
    for row, bar in enumerate(timeline.bars):
        y = top + row * _ROW
        long = max(2.0, (bar.end - bar.start) * scale)
        kind = "critical" if bar.is_critical else ""
        took = f"{duration(bar.end - bar.start)}{', failed' if bar.failed else ''}"
        parts.append(
            f"<g><title>{escape(f'{bar.label} {bar.text}: {took}'.strip())}</title>"
            + _text(left - 10, y + 15, said_of(bar), f"ink small {'bold' if kind else ''}", anchor="end")
            + f'<rect class="bar {kind}" x="{left + bar.start * scale:.1f}" y="{y + 4:.1f}"'
            + f' width="{long:.1f}" height="{_ROW - 8:.0f}" rx="2"/>'
            + _text(left + bar.start * scale + long + 6, y + 15, took, "pale small")
            + "</g>"
        )
    right = left + _PLOT + 20 * _SMALL
    width = max(right, len(title) * 9.64 + _MARGIN) + _MARGIN
    return _svg("".join(parts), width, bottom + _MARGIN, f"what ran when: {timeline.name}")


def write_page(graph: Graph, timeline: Timeline | None) -> str:
    """Return both as a page that needs nothing else."""
    pictures = [draw_graph(graph), *([draw_timeline(timeline)] if timeline else [])]
    figures = "\n".join(f"<figure>{picture}</figure>" for picture in pictures)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(graph.name)}</title>\n'
        '<meta name="viewport" content="width=device-width">\n<meta name="color-scheme" content="light dark">\n'
        "<style>body{margin:0;background:#fff}figure{margin:0;overflow-x:auto}svg{display:block;margin:auto}\n"
        "@media (prefers-color-scheme:dark){body{background:#0d1117}}</style>\n"
        f"{figures}\n</html>\n"
    )


def _legend(graph: Graph) -> tuple[str, float]:
    """Return what the colours, letters and strokes mean, those that occur, and its width."""
    parts, x = [], _MARGIN
    for state, (letter, meaning) in _STATES.items():
        count = sum(node.state == state for node in graph.nodes)
        if not count:
            continue
        words = f"{count} {meaning}"
        parts.append(
            f'<g class="{state}"><rect class="box" x="{x:.1f}" y="-13" width="18" height="18" rx="3"/>'
            + (f'<rect class="strip" x="{x:.1f}" y="-13" width="18" height="18" rx="3"/>' if letter else "")
            + _text(x + 9, 1, letter, "letter", anchor="middle")
            + _text(x + 25, 0, words, "ink small")
            + "</g>"
        )
        x += 25 + len(words) * _SMALL + 20
    for kind, words in _KINDS.items():
        if any(arrow.kind == kind for arrow in graph.arrows):
            parts.append(f'<path class="way {kind}" d="M{x:.1f} -4h30"/>')
            parts.append(_text(x + 37, 0, words, "ink small"))
            x += 37 + len(words) * _SMALL + 20
    return "".join(parts), x - _MARGIN


def _ways(graph: Graph, layout: Layout) -> list[str]:
    state = {node.name: node.state for node in graph.nodes}
    height = {node.name: _tall(node) for node in graph.nodes}
    kinds: dict[tuple[str, str], Kind] = {}
    for arrow in graph.arrows:
        kinds.setdefault((arrow.source, arrow.to), arrow.kind)
    parts = []
    # What is calm lies below what is not.
    for (source, to), points in sorted(layout.ways.items(), key=lambda item: state[item[0][0]] in {"REBUILD", "MAYBE"}):
        first, last = points[0], points[-1]
        begin = first[0], first[1] + height[source] / 2
        tip = last[0], last[1] - height[to] / 2
        kind = f"{kinds[source, to]} {state[source]}"
        parts.append(
            f"<g><title>{escape(f'{to} {_KINDS[kinds[source, to]]} {source}')}</title>"
            f'<path class="way {kind}" d="{_curve(begin, points[1:-1], (tip[0], tip[1] - 6))}"/>'
            f'<path class="tip {state[source]}" d="M{tip[0]:.1f} {tip[1]:.1f}l-4.5 -9h9z"/></g>'
        )
    return parts


def _curve(begin: Point, passed: Sequence[Point], end: Point) -> str:
    """Return a way that is straight where it passes a layer, so that it stays between the nodes."""
    path = f"M{begin[0]:.1f} {begin[1]:.1f}"
    x, y = begin
    for to_x, middle in [*passed, (end[0], end[1] + _HEIGHT / 2)]:
        to_y = middle - _HEIGHT / 2
        half = (y + to_y) / 2
        path += f"C{x:.1f} {half:.1f} {to_x:.1f} {half:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
        if (to_x, middle) in passed:
            y = middle + _HEIGHT / 2
            path += f"V{y:.1f}"
    return path


def _box(node: Node, middle: Point) -> str:
    width, height = _width(node), _tall(node)
    x, y = middle[0] - width / 2, middle[1] - height / 2
    letter, meaning = _STATES[node.state]
    strip = _STRIP if letter else 0.0
    centre = x + strip + (width - strip) / 2
    second = second_line(node)
    said = "; ".join(filter(None, (f"{node.name}: {meaning}", node.why, second)))
    return (
        f'<g class="{node.state}"><title>{escape(said)}</title>'
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="5"/>'
        + (
            f'<path class="strip" d="M{x + strip:.1f} {y:.1f}v{height:.1f}h-{strip - 5:.1f}'
            f'q-5 0 -5 -5v-{height - 10:.1f}q0 -5 5 -5z"/>'
            + _text(x + strip / 2, middle[1] + 4.5, letter, "letter", anchor="middle")
            if strip
            else ""
        )
        + _text(centre, middle[1] + (-3 if second else 4.5), cut(node.name), "ink", anchor="middle")
        + (_text(centre, middle[1] + 13, second, "pale small", anchor="middle") if second else "")
        + "</g>"
    )


def _width(node: Node) -> float:
    strip = _STRIP if _STATES[node.state][0] else 0.0
    return max(len(cut(node.name)) * _CHARACTER, len(second_line(node)) * _SMALL, 40.0) + strip + 18


def _tall(node: Node) -> float:
    return _HEIGHT if second_line(node) else _FLAT


def _summarize(timeline: Timeline, waits: float) -> str:
    ran = sum(bool(bar.label) for bar in timeline.bars)
    share = f"{round(100 * min(1.0, waits / (timeline.seconds or 1.0)))} % of it"
    return f"{ran} steps run, {timeline.cached} cached; bold: what the end had to wait for, {share}"


def _ticks(seconds: float) -> list[float]:
    """Return some six round times."""
    rounds = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
    step = next((one for one in rounds if seconds / one <= 7), 28800.0)  # noqa: PLR2004
    return [at * step for at in range(int(seconds / step) + 1)]


def _short(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:g} s"
    return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02}:{int(seconds % 60):02}".removeprefix("0:")


def _text(x: float, y: float, text: str, kind: str, *, anchor: str = "") -> str:
    anchored = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{anchored}>{escape(text)}</text>' if text else ""


def _group(inner: str, *, x: float = 0.0, y: float = 0.0) -> str:
    return f'<g transform="translate({x:.1f} {y:.1f})">{inner}</g>'


def _svg(inner: str, width: float, height: float, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" role="img">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect class="paper" width="100%" height="100%"/>\n{inner}\n</svg>\n'
    ).replace("</g><g", "</g>\n<g")
