"""What a terminal shows while a build runs, what the log file holds, and the ways to choose among."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.screen import display, live
from cresset.screen.display import Progress
from cresset.screen.pace import Expected, Pace
from cresset.screen.progress import Build
from cresset.screen.rawjson import Decoder
from cresset.screen.vertex import clean
from tests.unit.streams import COMPLETED, SAMPLES, STARTED, Clock, log, status, vertex

TORCH, VISION, BASE = "[build-torch 3/4] RUN make --jobs", "[build-vision 1/1] RUN make", "[build-base 1/2] RUN apt"
PULL = "[pulled 1/1] FROM registry/image:1"


def fed(*chunks: bytes) -> Build:
    build = Build()
    for item in Decoder().feed(b"".join(chunks)):
        build.update(item)
    return build


def running(name: str, said: str = "") -> bytes:
    return vertex(name, **STARTED) + (log(name, said) if said else b"")


def drawn(build: Build, *, width: int = 80, height: int = 24, utf8: bool = True, pace: Pace | None = None) -> list[str]:
    console = Console(file=StringIO(), width=width, color_system=None)
    shown = [(one, 65.0) for one in build.vertices.values() if one.is_running]
    table = live.rows(build, shown, 125.9, width=width, height=height, utf8=utf8, pace=pace)
    return ["".join(segment.text for segment in row) for row in console.render_lines(table, pad=False)]


class TestRows:
    @pytest.mark.parametrize(("width", "last", "bar"), [(80, 80, 10), (200, 120, 20)])
    def test_each_running_step_has_one_and_so_has_the_build(self, width: int, last: int, bar: int) -> None:
        build = fed(vertex(BASE, **COMPLETED), running(TORCH, "[30/120] Building\n"), running(VISION, "cc a.o"))
        rows = drawn(build, width=width)
        assert [row[:18].strip() for row in rows] == ["build-torch 3/4", "build-vision 1/1", "build"]
        assert [row[19:36].strip() for row in rows] == ["[30/120] Building", "cc a.o", "1 of 3 steps"]
        assert [row[last - 14 :].strip() for row in rows] == ["1 min 05 s", "1 min 05 s", "2 min 05 s"]
        assert [row.count("━") for row in rows] == [bar // 4, 0, 0]
        assert [row[last - 20 : last - 14].strip() for row in rows] == ["25%", "", ""]
        assert {len(row) for row in rows} == {last}

    def test_an_instruction_until_it_speaks(self) -> None:
        assert "RUN make --jobs" in drawn(fed(running(TORCH)))[0]
        assert "RUN" not in drawn(fed(running(TORCH, "gcc -c a.c")))[0]

    def test_nothing_is_counted_before_it_is_known(self) -> None:
        rows = drawn(fed(running("[internal] load build definition")))
        assert rows[0].split() == ["load", "build", "definition", "1", "min", "05", "s"]
        assert rows[1].split() == ["build", "2", "min", "05", "s"]

    @pytest.mark.parametrize(
        ("height", "labels"),
        [
            (24, ["s 1/9", "s 2/9", "s 3/9", "s 4/9", "build"]),
            (6, ["s 1/9", "s 2/9", "s 3/9", "s 4/9", "build"]),
            (5, ["s 1/9", "s 2/9", "+2 more", "build"]),
            (3, ["+4 more", "build"]),
            (1, ["+4 more", "build"]),
        ],
    )
    def test_no_more_than_the_screen_holds(self, height: int, labels: list[str]) -> None:
        rows = drawn(fed(*(running(f"[s {i}/9] RUN x") for i in (1, 2, 3, 4))), height=height)
        assert [row[:7].strip() for row in rows] == labels

    def test_wide_letters_and_long_lines_stay_in_their_row(self) -> None:
        build = fed(running(TORCH, "\x1b[2J서울 " * 40))
        row = drawn(build)[0]
        assert row.count("서울") < 15
        assert "…" in row
        assert "\x1b" not in row
        assert drawn(build, utf8=False)[0].isascii()


def expected(stage: str, i: int, seconds: float | None, *before: int) -> Expected:
    return Expected(stage=stage, i=i, name=f"{stage} {i}", seconds=seconds, before=before)


class TestWhatIsLeft:
    """Each has run for 65 s, the build for two minutes."""

    BUILD = fed(vertex(BASE, **COMPLETED), running(TORCH), running(VISION), vertex("[train 1/1] RUN pip"))

    @pytest.mark.parametrize(("width", "bars"), [(200, 20), (80, 10)])
    def test_by_what_it_took(self, width: int, bars: int) -> None:
        steps = [expected("build-torch", 3, 260.0), expected("build-vision", 1, 30.0), expected("train", 1, 190.0, 0)]
        torch, vision, build = drawn(self.BUILD, width=width, pace=Pace(steps))
        assert re.search(r"RUN make --jobs +3 min left ━+\S* +25% +1 min 05 s", torch)
        assert torch.count("━") == bars // 4
        assert re.search(r"RUN make +30 s last time +1 min 05 s", vision)
        assert "%" not in vision + build
        assert re.search(r"1 of 4 steps +at least 6 min left", build)

    def test_the_build_has_a_share_where_all_of_it_is_known(self) -> None:
        steps = [expected("build-torch", 3, 260.0), expected("build-vision", 1, 70.0), expected("train", 1, 183.0, 0)]
        assert re.search(r"1 of 4 steps +6 min left ━+\S* +24% +2 min 05 s", drawn(self.BUILD, pace=Pace(steps))[-1])

    def test_a_log_says_it_in_a_silence(self) -> None:
        out, clock = StringIO(), Clock()
        pace = Pace([expected("build-torch", 3, 220.0)])
        progress = Progress(console=Console(file=out, width=100), clock=clock, pace=pace)
        progress.feed(running(TORCH))
        clock.now += 40
        progress.tick()
        assert "build-torch 3/4   still running, 3 min left " in out.getvalue()

    def test_a_narrow_terminal_has_room_for_words_rather_than_bars(self) -> None:
        row = drawn(fed(running(TORCH, "[30/120] Building CXX object")), width=62, pace=Pace())[0]
        assert "━" not in row
        assert re.search(r"\[30/120\] Bui\S* 3 min left +25%", row)


class TestFractions:
    @pytest.mark.parametrize(
        ("lines", "fraction"),
        [
            ("[1/4] CXX a.o\n", 0.25),
            ("[1/4] CXX a.o\n[3/4] CXX", 0.75),
            ("[1/4] CXX a.o\nwarning: unused\n", 0.25),
            ("[4/4] Linking\n", 1.0),
            ("[4/4] Linking\nInstalling\n", None),
            ("[4/4] Linking\n[1/2] CXX", 0.5),
            ("[5/4] no\n", None),
            ("[0/0] no\n", None),
            ("step [1/4] no\n", None),
            ("[1/4]no\n", None),
        ],
    )
    def test_of_a_compile(self, lines: str, fraction: float | None) -> None:
        build = fed(running(TORCH, lines))
        assert build.vertices[TORCH].fraction == fraction

    @pytest.mark.parametrize(
        ("statuses", "fraction", "activity"),
        [
            ([("sha256:a", 5, 10)], 0.5, "0.0 of 0.0 MB"),
            ([("sha256:a", 4_000_000, 10_000_000), ("sha256:b", 1_000_000, 10_000_000)], 0.25, "5.0 of 20.0 MB"),
            ([("sha256:a", 1_000_000, 4_000_000), ("sending", 9_000_000, 0)], 0.25, "1.0 of 4.0 MB"),
            ([("sha256:a", 7, 7), (f"extracting sha256:{'a' * 64}", 0, 0)], None, "extracting"),
            ([("transferring context:", 2_500_000, 0)], None, "transferring context 2.5 MB"),
        ],
    )
    def test_of_a_transfer(self, statuses: list[tuple[str, int, int]], fraction: float | None, activity: str) -> None:
        found = fed(running(PULL), *(status(PULL, *one) for one in statuses)).vertices[PULL]
        assert (found.fraction, found.activity) == (fraction, activity)

    def test_of_the_build(self) -> None:
        assert fed(SAMPLES["mixed-0.29"]).steps == (10, 10)
        assert fed(SAMPLES["cancelled-0.29"]).steps == (0, 4)


class TestTerminal:
    def test_rows_come_and_go(self) -> None:
        out, clock = StringIO(), Clock()
        console = Console(file=out, width=60, height=10, force_terminal=True, _environ={})
        with Progress(console=console, clock=clock) as progress:
            progress.feed(running(TORCH))
            assert "build-torch" not in out.getvalue()  # what is over in a blink gets no row
            clock.now += 1
            progress.feed(b"")
            assert "build-torch 3/4" in clean(out.getvalue().split("\n")[-2])
            assert out.getvalue().endswith("\r")  # the ^C that a terminal echoes must not begin a line
            clock.now += 1
            progress.feed(vertex(TORCH, **COMPLETED))
            progress.feed(b"")
        progress.outcome(0)
        *_, last, summary = out.getvalue().splitlines()
        assert clean(summary) == "1 step: 0 cached, 1 run in 2.0 s"
        assert "\x1b[?25h" in last + summary  # the cursor is back
        assert out.getvalue().count("2.2 s") == 1

    def test_a_narrower_terminal_has_wrapped_the_rows(self) -> None:
        out = StringIO()
        console = Console(file=out, width=100, height=10, force_terminal=True, _environ={})
        region = live.Region(console)
        build = fed(running(TORCH))
        region.draw(live.rows(build, [(build.vertices[TORCH], 1)], 1, width=100, height=10, utf8=True))
        console.width = 40
        before = len(out.getvalue())
        region.close()
        # Two rows have become six.
        assert out.getvalue()[before:].split("\x1b[36m")[0].count("\x1b[1A\x1b[2K") == 5

    @pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {}])
    def test_no_colour_where_none_is_wanted(self, environment: dict[str, str]) -> None:
        out, clock = StringIO(), Clock()
        console = Console(file=out, force_terminal=True, color_system="standard", _environ=environment)
        with Progress(console=console, clock=clock) as progress:
            progress.feed(running(TORCH, "[1/2] x"))
            clock.now += 1
            progress.feed(b"")
        assert ("\x1b[36m" in out.getvalue()) is not bool(environment)
        assert "50%" in out.getvalue()


class TestTranscript:
    def written(self, tmp_path: Path, stream: bytes, exit_code: int = 0) -> list[str]:
        path = tmp_path / "builds" / "one.log"
        with Progress(console=Console(file=StringIO()), log=path, clock=Clock()) as progress:
            progress.feed(stream)
        progress.outcome(exit_code)
        return path.read_text().splitlines()

    def test_a_line_says_whose_it_is(self, tmp_path: Path) -> None:
        assert self.written(
            tmp_path,
            b"a word of docker\n"
            + running(TORCH, "half a ")
            + running(BASE, "\x1b[31mred\x1b[0m\n")
            + log(TORCH, "line\n 10%\r 20%\r\n")
            + log(BASE, "no end")
            + vertex(BASE, **COMPLETED, cached=True)
            + vertex(TORCH, **COMPLETED, error="exit code: 3")
            + vertex("exporting to image", **COMPLETED),
            1,
        ) == [
            "a word of docker",
            "build-torch 3/4 > RUN make --jobs",
            "build-base 1/2 > RUN apt",
            "build-base 1/2 | red",
            "build-torch 3/4 | half a line",
            "build-torch 3/4 |  20%",
            "build-base 1/2 | no end",
            "build-base 1/2 = cached",
            "build-torch 3/4 = exit code: 3",
            "> exporting to image",
            "exporting to image = 2.2 s",
            "failed with exit code 1 after 0.0 s",
        ]

    def test_a_long_line_is_whole_and_the_last_words_are_there(self, tmp_path: Path) -> None:
        stream = running(BASE, "x" * 30_000) + log(BASE, "y\n") + vertex(BASE, **COMPLETED) + log(BASE, "late")
        rows = self.written(tmp_path, stream)
        assert rows[1] == f"build-base 1/2 | {'x' * 30_000}y"
        assert rows[-2:] == ["build-base 1/2 | late", "1 step: 0 cached, 1 run in 0.0 s"]

    @pytest.mark.parametrize("name", SAMPLES)
    def test_every_line_of_a_recording_is_there(self, tmp_path: Path, name: str) -> None:
        said: list[str] = []
        build = Build(heard=lambda vertex, text: said.append(f"{vertex.title} | {text}".rstrip()))
        for item in Decoder().feed(SAMPLES[name]):
            build.update(item)
        build.outcome(0, 0)
        rows = self.written(tmp_path, SAMPLES[name])
        # The excerpt of the Dockerfile has bars as well, behind the number of a line.
        assert [row for row in rows if re.match(r"\S.* \|( |$)", row)] == said
        assert [row for row in rows if row in build.lines] == list(build.lines)

    def test_it_is_written_as_it_comes_and_nobody_else_may_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "one.log"
        with Progress(console=Console(file=StringIO()), log=path) as progress:
            progress.feed(running(TORCH, "one\ntw"))
            assert path.read_text().splitlines()[1:] == ["build-torch 3/4 | one"]
        assert path.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize(("exit_code", "quiet", "told"), [(0, False, 1), (1, False, 1), (0, True, 0), (1, True, 1)])
    def test_its_name_is_said_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exit_code: int, told: int, *, quiet: bool
    ) -> None:
        monkeypatch.chdir(tmp_path)
        out = StringIO()
        with Progress(console=Console(file=out), quiet=quiet, log=tmp_path / "kept" / "one.log") as progress:
            progress.feed(SAMPLES["failing-0.29" if exit_code else "mixed-0.29"])
        progress.outcome(exit_code)
        assert out.getvalue().splitlines()[-1:] == ["the whole log: kept/one.log"] * told
        assert out.getvalue().count("one.log") == told

    def test_a_full_disk_ends_the_log_only(self) -> None:
        out = StringIO()
        with Progress(console=Console(file=out), log=Path("/dev/full")) as progress:
            progress.feed(SAMPLES["mixed-0.29"])
        progress.outcome(0)
        assert "the record of this build is incomplete: [Errno 28] No space left" in out.getvalue()
        assert "10 steps" in out.getvalue()
        assert "the whole log" not in out.getvalue()


class TestMode:
    @pytest.mark.parametrize(("progress", "option"), [("auto", ""), ("plain", " --progress=plain")])
    def test_a_dry_run_says_what_it_would_run(
        self, capsys: pytest.CaptureFixture[str], progress: str, option: str
    ) -> None:
        assert Engine(dry_run=True).bake("{}", progress=progress) == 0
        assert f"docker buildx bake{option} --file=- <<" in capsys.readouterr().out

    @pytest.mark.parametrize("known", ["auto", "plain", "quiet"])
    def test_the_known_ones(self, known: str) -> None:
        assert display.mode(known) == known

    @pytest.mark.parametrize("is_terminal", [True, False])
    def test_a_terminal_is_needed_for_one_of_them(self, monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> None:
        monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: is_terminal))
        if is_terminal:
            assert display.mode("tty") == "tty"
        else:
            with pytest.raises(CressetError, match="tty needs a terminal"):
                display.mode("tty")

    @pytest.mark.parametrize("unknown", ["fancy", "", "PLAIN", "rawjson"])
    def test_any_other_is_refused_with_those_there_are(self, unknown: str) -> None:
        with pytest.raises(CressetError, match=f"--progress: '{unknown}' is no way") as caught:
            display.mode(unknown)
        assert caught.value.hint == "choose one of: auto, plain, tty, quiet"
        assert caught.value.code == 2
