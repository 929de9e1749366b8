"""Streams that Buildx 0.13.1 and 0.29.1 wrote (Engine 26.1.5), taken apart, summed up and shown."""

from __future__ import annotations

import json
import os
import re
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from cresset.screen.display import Progress
from cresset.screen.live import abridge, duration
from cresset.screen.progress import Build, Outcome
from cresset.screen.rawjson import Decoder, Event, prune_records
from cresset.screen.vertex import Log, Vertex, clean
from tests.unit.streams import COMPLETED, SAMPLES, STARTED, Clock, line, log, vertex

if TYPE_CHECKING:
    from collections.abc import Iterable


def decode(chunks: Iterable[bytes]) -> list[Event | str]:
    decoder = Decoder()
    return [item for chunk in chunks for item in decoder.feed(chunk)] + decoder.close()


def replay(name: str, exit_code: int = 0) -> tuple[Build, Outcome]:
    build = Build()
    for item in decode([SAMPLES[name]]):
        build.update(item)
    return build, build.outcome(exit_code, 12.5)


def show(
    stream: bytes, exit_code: int = 0, *, quiet: bool = False, terminal: bool = False, record: Path | None = None
) -> str:
    out = StringIO()
    console = Console(file=out, width=80, force_terminal=terminal, color_system=None)
    progress = Progress(console=console, quiet=quiet, record=record, header={"at": 1}, clock=Clock())
    with progress:
        progress.feed(stream)
    progress.outcome(exit_code)
    return out.getvalue()


class TestDecoder:
    @pytest.mark.parametrize("name", SAMPLES)
    def test_every_event_of_a_recording_is_found(self, name: str) -> None:
        items = decode([SAMPLES[name]])
        objects = [item for item in items if isinstance(item, dict)]
        pretty = b'\n  "' in SAMPLES[name]
        assert pretty == name.endswith("0.13")
        assert len(objects) == sum(row[:1] == b"{" for row in SAMPLES[name].split(b"\n"))
        assert not any('"' in item[:3] for item in items if isinstance(item, str))

    @settings(max_examples=30, deadline=None)
    @given(st.data())
    def test_any_split_gives_the_same(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(["failing-0.13", "failing-0.29", "syntax-0.13"]))
        stream = "경고: 텍스트\n".encode() + SAMPLES[name] + "끝: no newline".encode()
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=40)))
        chunks = [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]
        assert decode(chunks) == decode([stream])

    def test_each_byte_alone(self) -> None:
        stream = SAMPLES["failing-0.13"]
        assert decode(stream[at : at + 1] for at in range(len(stream))) == decode([stream])

    @pytest.mark.parametrize(
        ("stream", "items"),
        [
            pytest.param(b'one\n{"logs":[]}\ntwo\r\n{}\nend', ["one", {"logs": []}, "two", {}, "end"], id="mixed"),
            pytest.param(b'{"errors": [1]}\n', ['{"errors": [1]}'], id="foreign JSON is text"),
            pytest.param(b"{stage} is no stage\n[1]\n", ["{stage} is no stage", "[1]"], id="not JSON"),
            pytest.param(b'{\n  "errors": 1\n}\n', ["{", '  "errors": 1', "}"], id="foreign JSON over lines"),
            pytest.param(b'{\nno\n{"logs":[]}\n', ["{", "no", {"logs": []}], id="a bracket that opens nothing"),
            pytest.param(b'{\n{\n  "logs": []\n}\n', ["{", {"logs": []}], id="a bracket before an object"),
            pytest.param(b'{\n  "logs"', ["{", '  "logs"'], id="cut off, over lines"),
            pytest.param(b'{"logs":[', ['{"logs":['], id="cut off, on one line"),
            pytest.param(b"\xff\xfe\n", ["\ufffd\ufffd"], id="not UTF-8"),
        ],
    )  # fmt: skip
    def test_text_around_events(self, stream: bytes, items: list[Event | str]) -> None:
        assert decode([stream]) == items


class TestBuildsAtOnce:
    """BuildKit executes once what two builds have in common, and tells the second one of the first one's vertices."""

    def test_a_step_that_another_build_executes_counts_once(self) -> None:
        build, outcome = replay("merged-0.13")
        assert build.steps == (8, 8)
        assert (len(outcome.executed), outcome.cached) == (8, 0)
        assert len({(step.stage, step.i) for step in outcome.executed}) == 8
        assert not any(one.is_step and not one.is_done for one in build.vertices.values())

    def test_at_no_time_are_there_more_steps_than_of_one_build(self) -> None:
        build = Build()
        for item in decode([SAMPLES["merged-0.13"]]):
            build.update(item)
            done, total = build.steps
            assert done <= total <= 8

    def test_each_of_its_steps_is_shown_once(self) -> None:
        rows = [row[:14].strip() for row in show(SAMPLES["merged-0.13"]).splitlines()]
        assert sorted(row for row in rows if re.fullmatch(r".* \d/\d", row)) == [
            *("base 2/2", "make 1/2", "make 2/2", "other 1/1", "scripts 1/1"),
            *("stage-4 1/3", "stage-4 2/3", "stage-4 3/3"),
        ]

    def test_what_another_build_executes_of_what_is_cached_here_is_not_told(self) -> None:
        name, twin = "[a 1/1] RUN make", {"digest": "twin"}
        cached = vertex(name, **COMPLETED, cached=True)
        theirs = [vertex(name, **STARTED, **twin), log("twin", "said\n"), vertex(name, **COMPLETED, **twin)]
        assert "RUN make" not in show(b"".join([vertex(name), cached, *theirs]))
        build = Build()
        for item in decode([vertex(name), cached, *theirs, vertex(name, **twin)]):
            build.update(item)
        assert build.steps == (1, 1)
        assert build.outcome(0, 1.0).cached == 1

    def test_what_was_set_aside_stays_there(self) -> None:
        name, twin = "[a 1/1] RUN make", {"digest": "twin"}
        build = Build()
        for item in decode([vertex(name, **STARTED), vertex(name, **COMPLETED, **twin), vertex(name, **STARTED)]):
            build.update(item)
        assert [one.digest for one in build.vertices.values()] == ["twin"]
        assert not any(one.is_running for one in build.vertices.values())


class TestLog:
    def test_streams_are_cut_apart_and_joined(self) -> None:
        found = Log()
        seoul = "Seoul is 서울\n".encode()
        found.feed(1, seoul[:10])
        found.feed(2, b"a warn")
        found.feed(1, seoul[10:])
        found.feed(2, b"ing\nlast")
        assert list(found.lines) == ["Seoul is 서울", "a warning"]
        found.close()
        assert list(found.lines) == ["Seoul is 서울", "a warning", "last"]

    def test_a_bar_is_one_line_and_does_not_pile_up(self) -> None:
        found = Log()
        for percent in range(5000):
            found.feed(1, f"\rdownload \x1b[32m{percent}\x1b[0m".encode())
            assert found.newest == f"download {percent}"
        assert len(found._rest[1]) < 100
        found.feed(1, b"\r\n")
        assert list(found.lines) == ["download 4999"]

    def test_an_error_is_not_pushed_out_by_what_came_after(self) -> None:
        found = Log()
        found.feed(1, b"old\n" * 5)
        found.feed(2, b"".join(b"error %d\n" % at for at in range(12)))
        found.feed(1, b"".join(b"line %d\n" % at for at in range(200)))
        errors = [f"error {at}" for at in range(2, 12)]
        assert list(found.tail()) == errors + [f"line {at}" for at in range(180, 200)]
        found.feed(2, b"last\n")
        assert list(found.tail()) == errors[1:] + [f"line {at}" for at in range(180, 200)] + ["last"]

    def test_memory_is_bounded(self) -> None:
        found = Log()
        for _ in range(20):
            found.feed(1, b"x" * 10_000)
        found.feed(1, b"\n" + b"y\n" * 500)
        assert len(found._rest[1]) == 0
        assert 30 <= len(found.lines) <= 100
        found.feed(1, b"z" * 5000 + b"\n")
        assert found.lines[-1] == "z" * 2000 + "…"

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("\x1b[1;31merror\x1b[0m: no", "error: no"),
            ("\x1b]0;title\x07kept", "kept"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1b(Ba\x08b\x00\x9b\u202ec", "abc"),
            ("tab\tstop", "tab     stop"),
            ("10%\r20%\r\x1b[K", "20%"),
            ("\ud800", ""),
        ],
    )
    def test_nothing_steers_the_terminal(self, text: str, shown: str) -> None:
        assert clean(text) == shown


class TestNames:
    @pytest.mark.parametrize(
        ("name", "prefixed", "parts"),
        [
            ("[build-base 2/5] RUN echo  a", False, ("build-base 2/5", "build-base", 2, 5, "RUN echo a")),
            ("[2/5] RUN x", False, ("2/5", "", 2, 5, "RUN x")),
            ("[stage-0 12/14] RUN x", False, ("stage-0 12/14", "stage-0", 12, 14, "RUN x")),
            ("[audio build-base 2/5] RUN x", True, ("build-base 2/5", "build-base", 2, 5, "RUN x")),
            ("[audio 2/5] RUN [1/2] x", True, ("audio 2/5", "", 2, 5, "RUN [1/2] x")),
            ("[internal] load build context", False, ("", "", 0, 0, "load build context")),
            ("[context extra] load from client", False, ("", "", 0, 0, "context extra: load from client")),
            ("exporting to image", False, ("", "", 0, 0, "exporting to image")),
        ],
    )
    def test_parts(self, *, name: str, prefixed: bool, parts: tuple[str, str, int, int, str]) -> None:
        found = Vertex(digest="")
        found.rename(name, prefixed=prefixed)
        assert (found.label, found.stage, found.i, found.n, found.text) == parts

    def test_a_target_is_no_stage(self) -> None:
        _, outcome = replay("stageless-0.13")
        assert [(step.stage, step.i) for step in outcome.executed] == [("", 2), ("", 2)]


class TestBuild:
    @pytest.mark.parametrize("version", ["0.13", "0.29"])
    def test_cached_and_executed(self, version: str) -> None:
        build, outcome = replay(f"mixed-{version}")
        executed = {(step.stage, step.i, step.n): step for step in outcome.executed}
        assert {("build-base", 2, 4), ("build-base", 4, 4), ("build-vision", 1, 1), ("build-audio", 1, 1)} <= set(
            executed
        )
        assert executed["build-vision", 1, 1].seconds == pytest.approx(1.4, abs=0.1)
        assert len(executed) + outcome.cached == 10  # FROM is not counted
        assert (outcome.failed, outcome.error, outcome.lines) == (None, "", ())
        vision = next(vertex for vertex in build.vertices.values() if vertex.stage == "build-vision")
        assert [row for row in vision.log.lines if not row.startswith("xxx")][1:] == [
            "download 100%",
            "Seoul is 서울",
            "a warning",
            "no newline at the end",
        ]
        assert vision.inputs

    @pytest.mark.parametrize("version", ["0.13", "0.29"])
    def test_what_two_targets_share_is_run_once(self, version: str) -> None:
        _, outcome = replay(f"pair-{version}")
        assert sorted((step.stage, step.i) for step in outcome.executed) == [("base", 2), ("one", 1), ("two", 1)]
        shared = next(step for step in outcome.executed if step.stage == "base")
        assert shared.seconds == pytest.approx(0.68, abs=0.05)
        assert show(SAMPLES[f"pair-{version}"]).count("base 2/2") == 1

    @pytest.mark.parametrize("version", ["0.13", "0.29"])
    def test_failure_has_its_step_and_last_lines(self, version: str) -> None:
        _, outcome = replay(f"failing-{version}", 1)
        assert outcome.failed
        assert outcome.failed.label == "failing 1/1"
        assert len(outcome.failed.log) == 30
        assert "error: no matching function" in outcome.failed.log
        assert outcome.failed.log[-2] == {"0.13": "compiling file_45.cpp", "0.29": "compiling file_44.cpp"}[version]
        assert outcome.failed.error.endswith("did not complete successfully: exit code: 3")
        assert outcome.error.startswith("ERROR: failed to solve: process")
        assert outcome.lines[0] == "Dockerfile:27"
        assert (outcome.executed, outcome.cached) == ((), 3)

    @pytest.mark.parametrize("version", ["0.13", "0.29"])
    def test_a_cancelled_neighbour_is_not_to_blame(self, version: str) -> None:
        _, outcome = replay(f"cancelled-{version}", 1)
        assert outcome.failed
        assert outcome.failed.label == "broken 1/1"
        assert outcome.failed.log == ("broken begins", "fatal: out of luck")

    def test_interruption_blames_no_step(self) -> None:
        _, outcome = replay("interrupted-0.29", 130)
        assert (outcome.failed, outcome.error) == (None, "ERROR: failed to solve: Canceled: context canceled")

    def test_bad_syntax_blames_no_vertex(self) -> None:
        _, outcome = replay("syntax-0.13", 1)
        assert outcome.failed is None
        assert outcome.error.endswith("unknown instruction: RUNN (did you mean RUN?)")

    def test_missing_base_image(self) -> None:
        _, outcome = replay("missing-0.29", 1)
        assert outcome.failed
        assert outcome.failed.text == "load metadata for docker.io/library/progress-absent:1"

    def test_transfers_and_times(self) -> None:
        build, outcome = replay("pull-0.29")
        pulled = next(vertex for vertex in build.vertices.values() if vertex.stage == "pulled")
        assert not pulled.is_step
        assert len(pulled.spans) == 3
        assert pulled.activity.endswith(" MB")
        assert [(step.stage, step.i) for step in outcome.executed] == [("train", 2)]

    def test_a_zone_and_nanoseconds_are_read(self) -> None:
        build = Build()
        ends = {"started": "2026-01-02T12:04:05.000000001+09:00", "completed": "2026-01-02T03:04:07.25Z"}
        [(_, seconds)] = [end for item in decode([vertex("[1/1] RUN x", **ends)]) for end in build.update(item)]
        assert seconds == pytest.approx(2.25)


class TestDisplay:
    def test_executed_steps_get_a_line_and_the_end_a_summary(self) -> None:
        rows = show(SAMPLES["mixed-0.29"]).splitlines()
        assert rows[0] == "build-base 2/4     RUN echo prepared 0.29                                  0.2 s"
        assert all(len(row) <= 80 for row in rows)
        assert rows[-1] == "10 steps: 5 cached, 5 run in 0.0 s"

    @pytest.mark.parametrize("quiet", [False, True])
    @pytest.mark.parametrize("terminal", [False, True])
    def test_failure(self, *, quiet: bool, terminal: bool) -> None:
        rows = [clean(row) for row in show(SAMPLES["failing-0.13"], 1, quiet=quiet, terminal=terminal).splitlines()]
        at = next(at for at, row in enumerate(rows) if "failed after" in row)
        assert "failing 1/1 RUN echo 'before the failure'" in rows[at]
        assert rows[-2] == "  | error: no matching function"
        assert rows[-1] == "ERROR: failed to solve: the command did not complete successfully: exit code: 3"
        assert len(rows) - at == 1 + 30 + 1

    def test_failure_without_a_step_shows_the_excerpt(self) -> None:
        rows = show(SAMPLES["syntax-0.13"], 1, quiet=True).splitlines()
        assert rows[0] == "Syntax.Dockerfile:2"
        assert rows[-1].startswith("ERROR: failed to solve: dockerfile parse error")

    def test_failure_without_a_word(self) -> None:
        assert show(b"", 137) == "failed after 0.0 s: docker ended with exit code 137\n"

    def test_quiet_success_says_nothing(self) -> None:
        assert show(SAMPLES["mixed-0.13"], quiet=True) == ""

    def test_warnings_come_once(self) -> None:
        assert show(SAMPLES["stageless-0.13"]).count("warning: Empty continuation line found in") == 1

    NOTICE = "cresset: the apt mirror of DEB_NEW does not serve debian here; using the image's own sources\n"

    @pytest.mark.parametrize("terminal", [False, True])
    def test_what_a_step_wants_known_comes_once_and_with_its_end(self, *, terminal: bool) -> None:
        one, two = "[build-base 1/2] RUN apt", "[train-base 1/2] RUN apt"
        said = b"".join(vertex(name, **STARTED) + log(name, "a\n" + self.NOTICE) for name in (one, two))
        assert "warning" not in show(said, terminal=terminal)
        ended = said + vertex(one, **COMPLETED) + vertex(two, **COMPLETED)
        assert show(ended, terminal=terminal).count("warning: the apt mirror of DEB_NEW does not serve") == 1
        assert show(ended, quiet=True) == ""

    def test_what_was_verified_is_one_line_before_the_sum(self) -> None:
        steps = {"[check-env 1/1] RUN check": "torch 2.6.0+cpu", "[check-user 1/1] RUN check": "user nick"}
        said = b""
        for name, text in steps.items():
            said += vertex(name, **STARTED) + log(name, f"cresset verified: {text}\n") + vertex(name, **COMPLETED)
        assert show(said).splitlines()[-2] == "verified in the image: torch 2.6.0+cpu, user nick"
        assert "warning" not in show(said)
        assert "verified in the image" not in show(said, 1)
        assert show(said, quiet=True) == ""

    def test_what_was_verified_fits_a_line(self) -> None:
        name = "[check-env 1/1] RUN check"
        words = ["Python 3.12.3", "torch 2.6.0+cu124", "CUDA 12.4", "no library missing", "torchvision 0.21.0+cu124"]
        for count, end in ((4, "no library missing"), (5, "no library missing and 1 more")):
            line = f"cresset verified: {', '.join(words[:count])}\n"
            shown = show(vertex(name, **STARTED) + log(name, line) + vertex(name, **COMPLETED)).splitlines()[-2]
            assert shown.endswith(f", CUDA 12.4, {end}")
            assert len(shown) <= 100

    def test_what_a_failed_step_wanted_known_is_in_its_log_alone(self) -> None:
        name = "[build-base 1/2] RUN apt"
        said = vertex(name, **STARTED) + log(name, self.NOTICE) + vertex(name, **COMPLETED, error="exit code: 1")
        shown = show(said, 1)
        assert "warning" not in shown
        assert shown.count("does not serve") == 1

    def test_no_password_is_shown_or_in_the_log(self, tmp_path: Path) -> None:
        name, out, path = "[train-env 2/2] RUN uv", StringIO(), tmp_path / "one.log"
        uv = "error: Invalid URL in `/tmp/requirements.txt` at position 0: https://u:secret@\n  cause: empty host\n"
        failed = vertex(name, **COMPLETED, error="uv --index-url https://u:secret@h: exit code: 2")
        with Progress(console=Console(file=out, width=200), log=path) as progress:
            progress.feed(vertex(name, **STARTED) + log(name, uv) + failed + b"ERROR: https://u:secret@h\n")
            outcome = progress.outcome(1)
        for text in (out.getvalue(), path.read_text(), outcome.error, str(outcome.failed)):
            assert "secret" not in text
            assert "https://***@" in text

    def test_a_long_silence_is_broken(self) -> None:
        out, clock = StringIO(), Clock()
        progress = Progress(console=Console(file=out, width=80), clock=clock)
        progress.feed(vertex("[torch 3/9] RUN make", **STARTED) + log("[torch 3/9] RUN make", "[1/9] Building a"))
        progress.tick()
        clock.now += 29
        progress.tick()
        assert out.getvalue() == ""
        clock.now += 2
        progress.tick()
        progress.tick()
        clock.now += 30
        progress.tick()
        assert out.getvalue().splitlines() == [
            "torch 3/9   still running: [1/9] Building a                               31.0 s",
            "torch 3/9   still running: [1/9] Building a                           1 min 01 s",
        ]

    def test_an_encoding_without_the_letters(self) -> None:
        out = open(os.devnull, "w", encoding="ascii")  # noqa: SIM115, PTH123
        with out, Progress(console=Console(file=out, width=40)) as progress:
            progress.feed("경고 …\n".encode() + SAMPLES["mixed-0.29"])
            progress.outcome(0)

    def test_markup_in_a_log_is_text(self) -> None:
        assert "[bold]x[/nothing]" in show(b"[bold]x[/nothing]\n", 1)

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (125, "2 min 05 s"), (3725, "1 h 02 min")],
    )
    def test_durations(self, seconds: float, text: str) -> None:
        assert duration(seconds) == text

    @pytest.mark.parametrize(
        ("text", "short"),
        [
            ("RUN --mount=type=cache,target=/a --network=none make --jobs=2", "RUN make --jobs=2"),
            ("COPY --chmod=755 --from=build /a /b", "COPY --from=build /a /b"),
            ("exporting to image", "exporting to image"),
            ("", ""),
        ],
    )
    def test_instructions_without_their_options(self, text: str, short: str) -> None:
        assert abridge(text) == short


class TestRecord:
    def test_header_events_text_result(self, tmp_path: Path) -> None:
        path = tmp_path / "records" / "one.jsonl"
        show(SAMPLES["failing-0.13"], 1, record=path)
        first, *middle, last = map(json.loads, path.read_text().splitlines())
        assert first == {"at": 1}
        assert [item.get("text", item) for item in middle] == decode([SAMPLES["failing-0.13"]])
        assert last == {"result": {"exit": 1, "seconds": 0.0}}

    def test_each_line_is_on_disk_at_once_and_an_interrupted_build_has_no_result(self, tmp_path: Path) -> None:
        path = tmp_path / "one"

        def interrupt() -> None:
            with Progress(console=Console(file=StringIO()), record=path) as progress:
                progress.feed(line(logs=[]))
                assert path.read_text() == '{}\n{"logs":[]}\n'
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupt()
        assert path.read_text() == '{}\n{"logs":[]}\n'

    def test_a_record_that_cannot_be_written_does_not_end_the_build(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        shown = show(SAMPLES["mixed-0.29"], record=tmp_path / "file" / "one")
        assert "the record of this build is incomplete: [Errno" in shown
        assert "10 steps" in shown

    def test_a_full_disk_ends_the_record_only(self) -> None:
        assert "No space left" in show(SAMPLES["mixed-0.29"], record=Path("/dev/full"))

    @pytest.mark.parametrize(
        ("keep", "limit", "left"),
        [(30, 1000, "abcd"), (2, 1000, "cd"), (30, 25, "cd"), (30, 17, "d"), (30, 5, "d"), (0, 0, "d")],
    )
    def test_pruning_deletes_the_oldest(self, tmp_path: Path, keep: int, limit: int, left: str) -> None:
        (tmp_path / "folder").mkdir()
        for age, name in enumerate("abcd"):
            for suffix, size in ((".jsonl", 4), (".log", 6)):
                (tmp_path / (name + suffix)).write_bytes(b"x" * size)
                os.utime(tmp_path / (name + suffix), (age, age))
        (tmp_path / "notes.txt").touch()
        prune_records(tmp_path, keep=keep, limit=limit)
        names = [name + suffix for name in left for suffix in (".jsonl", ".log")]
        assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [*names, "notes.txt"]

    def test_pruning_bears_files_that_vanish(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        prune_records(tmp_path / "absent")
        (tmp_path / "real.log").touch()
        monkeypatch.setattr(Path, "iterdir", lambda folder: iter([folder / "gone.log", folder / "real.log"]))
        monkeypatch.setattr(Path, "is_file", lambda _: True)
        prune_records(tmp_path, keep=0)
