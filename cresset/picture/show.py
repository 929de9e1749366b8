"""The picture of a build: its stages with what becomes of them, or what ran when in the last one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, get_args

from cresset import build, files
from cresset.configuration import Configuration
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.picture import drawing, graph, mermaid, timeline
from cresset.picture.timeline import Timeline
from cresset.screen import rawjson

Format = Literal["svg", "mermaid", "html"]


def draw(resolved: Configuration, engine: Engine, *, target: str, kind: str, by_time: bool) -> str:
    """Return the picture.

    Args:
        resolved: the configuration.
        engine: where the build would be.
        target: a stage instead of the service's image.
        kind: one of `Format`.
        by_time: what ran when in the last build of the service, instead of the stages.

    Raises:
        CressetError: there is no such format or stage, or no build on record.
    """
    if kind not in get_args(Format):
        raise CressetError(
            f"--format: {kind!r} is no way to draw a graph", f"choose one of: {', '.join(get_args(Format))}"
        )
    if kind != "mermaid" and sys.stdout and sys.stdout.isatty():
        raise CressetError(
            "a picture is nothing to read on a terminal", f"write it to a file: invoke graph ... > graph.{kind}"
        )
    last = _last(resolved.service.name) if by_time or kind == "html" else None
    if by_time and kind != "html":
        if last is None:
            raise CressetError(
                f"no build of {resolved.service.name} that executed a step is on record",
                "the next build that executes one is drawn",
            )
        return mermaid.write_gantt(last) if kind == "mermaid" else drawing.draw_timeline(last)
    outlook = build.foresee(resolved, engine, target=target)
    stages = graph.trace(
        resolved.recipe,
        outlook.target,
        resolved.service.arguments,
        outlook.forecast,
        name=outlook.name,
        replaced=resolved.service.build.get("additional_contexts", ()),
    )
    if kind == "html":
        return drawing.write_page(stages, last)
    return mermaid.write_mermaid(stages) if kind == "mermaid" else drawing.draw_graph(stages)


def _last(service: str) -> Timeline | None:
    """Return what the last build of a service did that executed any step."""
    for record in rawjson.records(files.RECORDS):
        for path in record.paths:
            with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
                if path.suffix != ".jsonl":
                    continue
                header, *lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                made = json.loads(header)
                touched = max(one.stat().st_mtime for one in record.paths)
                if made.get("service") == service and (found := timeline.read(made, _read(lines), touched=touched)):
                    return found
    return None


def _read(lines: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yield a record's events; of a build that was killed the last line may be cut short."""
    for line in lines:
        with suppress(ValueError):
            yield json.loads(line)
