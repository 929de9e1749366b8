"""How long a running build still takes, by what its steps took before and what they count themselves."""

from __future__ import annotations

import pytest

from cresset.screen.pace import Expected, Left, Pace, share, words
from cresset.screen.progress import Build
from cresset.screen.rawjson import Decoder
from tests.unit.streams import COMPLETED, SAMPLES, STARTED, log, vertex


def fed(*chunks: bytes) -> Build:
    build = Build()
    for item in Decoder().feed(b"".join(chunks)):
        build.update(item)
    return build


def step(
    stage: str, seconds: float | None, *before: int, is_cached: bool = False, name: str = "", i: int = 1
) -> Expected:
    return Expected(stage=stage, i=i, name=name or stage, seconds=seconds, is_cached=is_cached, before=before)


def running(stage: str, said: str = "") -> bytes:
    name = f"[{stage} 1/1] RUN make"
    return vertex(name, **STARTED) + (log(name, said) if said else b"")


def whole(steps: list[Expected], *chunks: bytes, spent: float = 10.0) -> Left:
    build = fed(*chunks)
    running = {digest: spent for digest, one in build.vertices.items() if one.is_running}
    return Pace(steps).whole(build.vertices, running)


class TestStep:
    @pytest.mark.parametrize(
        ("before", "said", "seconds"),
        [
            (None, "", None),
            (None, "[1/4] a\n", 90.0),  # as fast as so far
            (None, "[1/10] a\n", None),  # too little to tell
            (100.0, "", 70.0),
            (30.0, "", None),
            (30.0, "[1/2] a\n", 30.0),
            (30.0, "[2/2] linking\n", 0.0),
            (120.0, "[1/2] a\n", pytest.approx((90 * 30) ** 0.5)),
            (18_030.0, "[9/10] a\n", pytest.approx(18_000**0.1 * (30 / 9) ** 0.9)),  # a compiler cache helps
        ],
    )
    def test_what_is_left_of_it(self, before: float | None, said: str, seconds: float | None) -> None:
        (one,) = fed(running("torch", said)).vertices.values()
        assert Pace([step("torch", before)]).of(one, 30.0).seconds == seconds

    def test_one_that_takes_longer_says_what_it_took(self) -> None:
        (one,) = fed(running("torch")).vertices.values()
        assert Pace([step("torch", 180.0)]).of(one, 181.0) == Left(last=180.0)

    def test_a_file_with_one_stage_has_no_names_in_its_progress(self) -> None:
        (one,) = fed(vertex("[1/1] RUN make", **STARTED)).vertices.values()
        assert Pace([step("stage-0", 50.0)]).of(one, 20.0).seconds == 30.0


class TestBuild:
    def test_what_runs_side_by_side_is_not_added_up(self) -> None:
        steps = [step("a", 100.0), step("b", 40.0), step("c", 5.0, 0, 1)]
        waiting = vertex("[c 1/1] RUN make")
        assert whole(steps, running("a"), running("b"), waiting) == Left(seconds=95.0)

    def test_what_is_done_or_cached_takes_no_more_time(self) -> None:
        steps = [step("a", 100.0), step("b", 40.0, 0, is_cached=True), step("c", 20.0, 1)]
        done = vertex("[a 1/1] RUN make", **COMPLETED)
        assert whole(steps, done, vertex("[b 1/1] RUN make"), running("c")) == Left(seconds=10.0)

    def test_nothing_is_said_where_nothing_is_known(self) -> None:
        assert whole([], running("a")) == Left()
        assert whole([step("a", None)], running("a")) == Left()
        assert whole([step("a", 100.0)]) == Left()  # before BuildKit has named its steps

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(step("b", None), id="a step that was never seen to run"),
            pytest.param(step("b", 5.0), id="a step that takes longer than last time"),
            pytest.param(step("b", 50.0, is_cached=True), id="a step that was to be cached"),
        ],
    )
    def test_a_bound_is_called_one(self, other: Expected) -> None:
        assert whole([step("a", 100.0), other], running("a"), running("b")) == Left(seconds=90.0, is_least=True)

    def test_where_most_were_never_timed_there_is_no_figure(self) -> None:
        known, copied = step("a", 100.0), Expected(stage="d", i=1, name="d", is_run=False)
        unknown = [step("b", None), step("c", None)]
        chunks = [running("a"), running("b"), running("c"), vertex("[d 1/1] COPY x")]
        assert whole([known, *unknown], *chunks) == Left(untimed=2)
        assert whole([known, unknown[0], copied], *chunks) == Left(seconds=90.0, is_least=True)
        done = vertex("[b 1/1] RUN make", **COMPLETED)
        assert whole([known, *unknown], *chunks, done) == Left(seconds=90.0, is_least=True)

    def test_of_steps_that_are_equal_one_is_told_of(self) -> None:
        steps = [step("a", 100.0, name="same"), step("b", 100.0, name="same"), step("c", 20.0, 1)]
        assert whole(steps, running("a"), vertex("[c 1/1] RUN make")) == Left(seconds=110.0)

    @pytest.mark.parametrize("name", SAMPLES)
    def test_a_recording_ends_with_nothing_left(self, name: str) -> None:
        build = fed(SAMPLES[name])
        steps = [step(one.stage, 60.0, i=one.i, name=one.name) for one in build.vertices.values() if one.is_step]
        ended = all(one.is_done for one in build.vertices.values() if one.is_step)
        assert (Pace(steps).whole(build.vertices, {}).seconds is None) is ended


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (Left(), ""),
        (Left(seconds=0.4), ""),
        (Left(seconds=7.2), "7 s left"),
        (Left(seconds=44), "40 s left"),
        (Left(seconds=57), "1 min left"),
        (Left(seconds=720), "12 min left"),
        (Left(seconds=3580), "1 h left"),
        (Left(seconds=7900), "2 h 10 min left"),
        (Left(seconds=720, is_least=True), "at least 12 min left"),
        (Left(last=16.4), "16 s last time"),
        (Left(last=180), "3 min last time"),
        (Left(untimed=9), "9 never timed"),
    ],
)
def test_it_is_said_as_exactly_as_it_is_meant(left: Left, said: str) -> None:
    assert words(left) == said


def test_a_share_is_only_of_what_is_known() -> None:
    assert share(30, Left(seconds=90)) == 0.25
    assert share(0, Left(seconds=90)) == 0
    assert share(30, Left(seconds=0)) == 0.99  # it has not ended
    assert share(30, Left(seconds=90, is_least=True)) is None
    assert share(30, Left(last=20)) is None
