"""What the person sees of a build while it runs and when it ends; record and log are written on the way."""

from __future__ import annotations

import re
import sys
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from rich.text import Text

from cresset.credentials import quoted
from cresset.errors import CressetError
from cresset.screen.live import WIDEST, Region, abridge, duration, label_width, rows
from cresset.screen.pace import Pace, words
from cresset.screen.progress import Build, Outcome
from cresset.screen.rawjson import Decoder, Event, Recorder
from cresset.screen.transcript import Transcript
from cresset.screen.vertex import Vertex, clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from rich.console import Console
    from typing_extensions import Self

Mode = Literal["auto", "plain", "tty", "quiet"]

_NOTICE = "cresset: "  # how a line of misc/image begins that is for the person, not for the log alone
_VERIFIED = "cresset verified: "  # and one of what misc/image/check-image.py found to be as it was asked for
_LINE = 100  # characters of a line of words, which a narrow terminal shows whole
_HEARTBEAT = 30.0  # seconds without a line after which a plain log says what is still running
_REDRAW = 0.1  # seconds between two drawings of the live rows
_TICK = 0.5  # seconds between two drawings in a silence
_WORTH_A_ROW = 0.3  # seconds from which what runs gets a live row; below, it would flash
_WORTH_A_LINE = 1.0  # seconds from which pulling, exporting and sending files get a line as steps do


def mode(text: str) -> Mode:
    """Return how `--progress` wants a build to be shown.

    Raises:
        CressetError: it is none of the ways there are, or one that needs a terminal where there is none.
    """
    if text == "tty" and not (sys.stderr and sys.stderr.isatty()):
        raise CressetError("--progress: tty needs a terminal", "choose plain, or leave it out")
    for known in get_args(Mode):
        if text == known:
            return known  # type: ignore[no-any-return]
    raise CressetError(
        f"--progress: {quoted(text)} is no way to show a build", f"choose one of: {', '.join(get_args(Mode))}"
    )


class Progress:
    """Shows and records one build. Feed it docker's stderr, then ask for the outcome.

        with Progress(console=console, record=path, header={"targets": targets}) as progress:
            for chunk in pipe:
                progress.feed(chunk)
        outcome = progress.outcome(process.wait())

    Each executed step gets a line when it ends; on a terminal, what runs has live rows below.

    Args:
        console: all that is shown goes there.
        quiet: show failures only.
        record: the file to write the events to; its folder is made.
        header: the first line of that file.
        log: the file to write the log to; its folder is made.
        pace: what the steps took before.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        *,
        console: Console,
        quiet: bool = False,
        record: Path | None = None,
        header: Mapping[str, object] | None = None,
        log: Path | None = None,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._quiet = quiet
        self._clock = clock
        self._began = self._printed = self._drawn = clock()
        self._decoder = Decoder()
        self._record = Recorder(record, header or {}) if record else None
        self._log = Transcript(log) if log else None
        self._log_path = log
        self._pace = pace or Pace()
        self._build = Build(heard=self._hear)
        self._since: dict[str, float] = {}  # running vertices by our own clock: the daemon's may be another machine's
        self._pending: list[str] = []  # plain lines; those that no event follows tell of the failure
        self._warned = 0
        self._notices: dict[str, Vertex] = {}  # what our own scripts want known, in the order in which they said it
        self._noticed: set[str] = set()
        self._verified: list[str] = []
        self._live: Region | None = None
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick_along, name="progress", daemon=True)

    def __enter__(self) -> Self:
        """Begin to show elapsed time; without `with`, only what is fed is shown."""
        if not self._quiet:
            if self._console.is_terminal and not self._console.is_dumb_terminal:
                self._live = Region(self._console)
            self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the terminal back. A build that is left by an exception stays a record without a result."""
        self._stop()

    def feed(self, chunk: bytes) -> None:
        """Take what came through the pipe, in pieces of any size."""
        with self._lock:
            for item in self._decoder.feed(chunk):
                self._take(item)
            self._running()
            if self._clock() - self._drawn >= _REDRAW:
                self._draw()

    def tick(self) -> None:
        """Let time pass on the screen; a thread does this again and again within `with`."""
        with self._lock:
            self._draw()
            if not self._live and not self._quiet and self._clock() - self._printed >= _HEARTBEAT:
                for vertex, spent in self._running():
                    if spent >= _HEARTBEAT:
                        running = ", ".join(filter(None, ("still running", words(self._pace.of(vertex, spent)))))
                        said = ("" if vertex.label else vertex.text, running, vertex.activity)
                        self._print(self._row(vertex.label, ": ".join(filter(None, said)), spent))

    def outcome(self, exit_code: int) -> Outcome:
        """End it: show the summary or the failure, complete record and log, return what the build came to."""
        self._stop()
        for item in self._decoder.close():
            self._take(item)
        outcome = self._build.outcome(exit_code, self._clock() - self._began)
        if self._record:
            self._record.write({"result": {"exit": exit_code, "seconds": round(outcome.seconds, 3)}})
        if self._log:
            took = duration(outcome.seconds)
            self._log.append(f"failed with exit code {exit_code} after {took}" if exit_code else summarize(outcome))
        self._stop()
        for problem in dict.fromkeys(file.problem for file in (self._record, self._log) if file and file.problem):
            self._print(f"the record of this build is incomplete: {problem}", "magenta")
        if exit_code:
            self._show_failure(outcome)
        elif not self._quiet:
            self._show_pending()
            self._show_notices()
            if self._verified:
                self._print(_fit("verified in the image: ", ", ".join(self._verified).split(", ")))
            self._print(summarize(outcome), "bold")
        if exit_code or not self._quiet:
            self._show_log()
        return outcome

    def _stop(self) -> None:
        self._over.set()
        if self._ticker.is_alive():
            self._ticker.join()
        if self._live:
            self._live.close()
            self._live = None
        for file in filter(None, (self._record, self._log)):
            file.close()

    def _tick_along(self) -> None:
        with suppress(OSError):  # the screen is gone; who feeds meets the same error where it can be handled
            while not self._over.wait(_TICK):
                self.tick()

    def _take(self, item: Event | str) -> None:
        if self._record:
            self._record.write(item)
        ended = self._build.update(item)
        if self._log:
            self._keep(self._log, item, ended)
        if isinstance(item, str):
            self._pending.append(clean(item))
            return
        if self._quiet:
            self._pending.clear()
            return
        self._show_pending()
        for short in self._build.warnings[self._warned :]:
            self._print(f"warning: {short}", "magenta")
        self._warned = len(self._build.warnings)
        for vertex, seconds in ended:
            shown = vertex.is_step or seconds >= _WORTH_A_LINE
            if shown and not vertex.cached and not vertex.error:
                self._print(self._row(vertex.label, vertex.text, seconds))
        self._show_notices()

    def _keep(self, log: Transcript, item: Event | str, ended: list[tuple[Vertex, float]]) -> None:
        if isinstance(item, str):
            log.append(clean(item))
            return
        for vertex in self._build.vertices.values():
            if vertex.is_running and vertex.is_step:
                log.begin(vertex)
        for vertex, seconds in ended:
            if vertex.is_step or vertex.error or seconds >= _WORTH_A_LINE:
                log.end(vertex, seconds)

    def _hear(self, vertex: Vertex, line: str) -> None:
        if self._log:
            self._log.hear(vertex, line)
        if line.startswith(_NOTICE):
            self._notices.setdefault(line.removeprefix(_NOTICE), vertex)
        if line.startswith(_VERIFIED):
            self._verified.append(line.removeprefix(_VERIFIED))

    def _show_notices(self) -> None:
        """Show what a step wants known once it has ended well: the log of one that fails is shown anyway."""
        for notice, vertex in self._notices.items():
            if vertex.is_done and notice not in self._noticed:
                self._noticed.add(notice)
                self._print(f"warning: {notice}", "magenta")

    def _running(self) -> list[tuple[Vertex, float]]:
        """Return the running vertices with their seconds, the longest first, and note when each was first seen."""
        now = self._clock()
        running = {digest: vertex for digest, vertex in self._build.vertices.items() if vertex.is_running}
        self._since = {digest: self._since.get(digest, now) for digest in running}
        times = [(vertex, now - self._since[digest]) for digest, vertex in running.items()]
        return sorted(times, key=lambda pair: pair[1], reverse=True)

    def _draw(self) -> None:
        self._drawn = self._clock()
        running = [(vertex, spent) for vertex, spent in self._running() if spent >= _WORTH_A_ROW]
        if self._live:
            width, height = self._console.size
            utf8 = self._console.encoding.startswith("utf")
            seconds = self._drawn - self._began
            shown = rows(self._build, running, seconds, width=width, height=height, utf8=utf8, pace=self._pace)
            self._live.draw(shown)

    def _row(self, label: str, text: str, seconds: float) -> Text:
        column = label_width(self._build)
        spent = f"   {duration(seconds):>12}"
        head = Text(f"{label:{column}}   " if label or column else "", style="cyan")
        body = Text(abridge(text))
        body.truncate(max(20, min(self._console.width, WIDEST) - len(head) - len(spent)), overflow="ellipsis", pad=True)
        return Text.assemble(head, body, (spent, "green"))

    def _show_log(self) -> None:
        if self._log_path and self._log and not self._log.problem:
            here = Path.cwd()
            path = self._log_path.relative_to(here) if self._log_path.is_relative_to(here) else self._log_path
            self._print(f"the whole log: {path}")

    def _show_pending(self) -> None:
        for line in self._pending:
            self._print(line)
        self._pending.clear()

    def _show_failure(self, outcome: Outcome) -> None:
        failed = outcome.failed
        lines = self._pending or outcome.error.splitlines()
        if failed:
            name = f"{failed.label}   {abridge(failed.text)}".strip()
            self._print(textwrap.shorten(f"failed after {duration(outcome.seconds)}: {name}", 200), "bold red")
            for line in failed.log:
                self._print(f"  | {line}")
            if failed.log:  # with the step and its log above, the excerpt only pushes them off the screen
                lines = outcome.error.splitlines()
        for line in lines:
            style = "red" if line.startswith("ERROR:") else ""
            self._print(re.sub(r'process ".*" did not', "the command did not", line) if failed else line, style)
        if not failed and not lines:
            self._print(
                f"failed after {duration(outcome.seconds)}: docker ended with exit code {outcome.exit_code}", "red"
            )

    def _print(self, line: Text | str, style: str = "") -> None:
        text = Text(line, style=style) if isinstance(line, str) else line
        (self._live or self._console).print(self._encodable(text), soft_wrap=True)
        self._printed = self._clock()

    def _encodable(self, text: Text) -> Text:
        """Return the text with what the console's encoding lacks as `?`: a stray character must not end a build."""
        encoding = self._console.encoding
        text.plain = text.plain.encode(encoding, errors="replace").decode(encoding)
        return text


def _fit(start: str, parts: Sequence[str]) -> str:
    """Return as many parts as fit a line, and how many more there are."""
    for left_out in range(len(parts)):
        kept = ", ".join(parts[: len(parts) - left_out])
        line = f"{start}{kept}{f' and {left_out} more' if left_out else ''}"
        if len(line) <= _LINE:
            break
    return line


def summarize(outcome: Outcome) -> str:
    """Return `14 steps: 11 cached, 3 run in 40.1 s`."""
    run = len(outcome.executed)
    total = run + outcome.cached
    return f"{total} step{'s'[: total != 1]}: {outcome.cached} cached, {run} run in {duration(outcome.seconds)}"
