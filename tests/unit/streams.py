"""Streams that Buildx wrote, and single events made by hand."""

from __future__ import annotations

import base64
import json
from pathlib import Path

SAMPLES = {path.stem: path.read_bytes() for path in (Path(__file__).parent / "rawjson").glob("*.json")}
STARTED = {"started": "2026-01-02T03:04:05.5Z"}
COMPLETED = {**STARTED, "completed": "2026-01-02T03:04:07.75Z"}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def line(**event: object) -> bytes:
    return json.dumps(event).encode() + b"\n"


def vertex(name: str, **more: object) -> bytes:
    return line(vertexes=[{"digest": name, "name": name, **more}])


def log(name: str, text: str) -> bytes:
    return line(logs=[{"vertex": name, "stream": 1, "data": base64.b64encode(text.encode()).decode()}])


def status(name: str, what: str, current: int, total: int = 0) -> bytes:
    return line(statuses=[{"vertex": name, "id": what, "current": current, "total": total}])
