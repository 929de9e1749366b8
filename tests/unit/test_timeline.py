"""When the steps of a recorded build ran, and what its end had to wait for."""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timezone

import pytest

from cresset.picture import drawing, mermaid, timeline
from cresset.picture.timeline import Timeline
from cresset.screen.rawjson import Decoder
from tests.unit.streams import SAMPLES, line

HEADER = {"started": "20260102T030405Z", "image": "cresset:cpu", "service": "cpu"}


def ran(name: str, start: int, end: int, *inputs: str, **more: object) -> bytes:
    times = {key: f"2026-01-02T03:04:{at:02}Z" for key, at in (("started", start), ("completed", end))}
    return line(vertexes=[{"digest": name, "name": name, "inputs": inputs, **times, **more}])


def cached(name: str, *inputs: str) -> bytes:
    return ran(name, 0, 0, *inputs, cached=True)


def read(*chunks: bytes) -> Timeline | None:
    return timeline.read(HEADER, [item for item in Decoder().feed(b"".join(chunks)) if isinstance(item, dict)])


def critical(*chunks: bytes) -> list[str]:
    found = read(*chunks)
    assert found
    return [bar.label or bar.text for bar in found.bars if bar.is_critical]


A, B, C, D = "[a 1/1] RUN a", "[b 1/1] RUN b", "[c 1/1] RUN c", "[d 1/1] RUN d"


def test_the_end_had_to_wait_for_the_latest_of_each() -> None:
    assert critical(ran(A, 0, 10), ran(B, 0, 4), ran(C, 10, 12, A, B), ran(D, 4, 9, B)) == ["a 1/1", "c 1/1"]


def test_what_ran_at_the_same_time_is_not_waited_for() -> None:
    assert critical(ran(A, 0, 10), ran(B, 0, 11), ran(C, 10, 12, A)) == ["a 1/1", "c 1/1"]


def test_one_waits_through_what_was_cached() -> None:
    assert critical(ran(A, 0, 10), cached(B, A), ran(C, 10, 12, B)) == ["a 1/1", "c 1/1"]


def test_the_export_waits_for_all() -> None:
    found = critical(ran(A, 0, 10), ran(B, 0, 4), ran("exporting to image", 10, 15))
    assert found == ["a 1/1", "exporting to image"]


def test_a_build_that_executed_nothing_has_none() -> None:
    assert read(cached(A), ran("exporting to image", 1, 2)) is None


def began(name: str, start: int) -> bytes:
    return line(vertexes=[{"digest": name, "name": name, "started": f"2026-01-02T03:04:{start:02}Z"}])


def test_what_was_running_when_a_build_was_interrupted_took_until_then() -> None:
    record = [*(ran(A, 0, 10) + began(B, 10)).splitlines(), line(result={"exit": 130, "seconds": 50.0})]
    found = timeline.read(HEADER, map(json.loads, record))
    assert found
    assert [(bar.label, bar.start, bar.end, bar.failed) for bar in found.bars] == [
        ("a 1/1", 0, 10, False),
        ("b 1/1", 10, 50, True),
    ]
    assert found.seconds == 50


def test_what_was_running_when_a_build_was_killed_took_until_its_last_sign() -> None:
    events = [item for item in Decoder().feed(ran(A, 0, 10) + began(B, 10)) if isinstance(item, dict)]
    at = datetime(2026, 1, 2, 3, 4, 40, tzinfo=timezone.utc).timestamp()
    found = timeline.read(HEADER, events, touched=at)
    assert found
    assert [(bar.end, bar.failed) for bar in found.bars] == [(10, False), (40, True)]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_recording(name: str) -> None:
    found = read(SAMPLES[name])
    if found is None:
        assert name.startswith(("cancelled", "missing", "syntax", "pull", "interrupted"))
        return
    assert found.began == "2026-01-02 03:04"
    assert [bar.start for bar in found.bars] == sorted(bar.start for bar in found.bars)
    assert all(0 <= bar.start <= bar.end <= found.seconds for bar in found.bars)
    waits = [bar for bar in found.bars if bar.is_critical]
    assert waits
    assert waits[-1].end == max(bar.end for bar in found.bars)
    # One after the other: nothing waits for what has not ended.
    assert all(one.end <= other.start + 0.01 for one, other in itertools.pairwise(waits))
    assert drawing.draw_timeline(found).count('class="bar') == len(found.bars)
    assert mermaid.write_gantt(found).count(":crit, ") == len(waits)


def test_a_recording_with_steps_has_each_of_them() -> None:
    found = read(SAMPLES["mixed-0.29"])
    assert found
    assert found.cached + sum(bool(bar.label) for bar in found.bars) == 10
