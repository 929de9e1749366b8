"""What the person sees of a build while it runs and when it ends; the record is written on the way."""

from __future__ import annotations

import re
import textwrap
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from cresset.progress import Build, Outcome, Vertex, clean
from cresset.rawjson import Decoder, Event, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from rich.console import Console
    from rich.live import Live
    from rich.text import Text
    from typing_extensions import Self

Mode = Literal["auto", "plain", "tty", "quiet"]

_HEARTBEAT = 30.0  # seconds without a line after which a plain log says what is still running
_REDRAW = 0.1  # seconds between two drawings of the live line
_NAMED = 2  # running steps that the live line names; more would leave no room for what the newest says
_WORTH_A_LINE = 1.0  # seconds from which pulling, exporting and sending files get a line as steps do
_WIDEST = 120  # columns of a step's line; beyond, the eye loses the row


class Progress:
    """Shows and records one build. Feed it docker's stderr, then ask for the outcome.

        with Progress(console=console, record=path, header={"targets": targets}) as progress:
            for chunk in pipe:
                progress.feed(chunk)
        outcome = progress.outcome(process.wait())

    Args:
        console: all that is shown goes there.
        mode: "plain" is one line for each executed step, "tty" adds a live line, "quiet" shows failures only;
            "auto" is "tty" on a terminal and "plain" elsewhere.
        record: the file to write the events to; its folder is made.
        header: the first line of that file.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        *,
        console: Console,
        mode: Mode = "auto",
        record: Path | None = None,
        header: Mapping[str, object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        lively = console.is_terminal and not console.is_dumb_terminal
        self._mode = ("tty" if lively else "plain") if mode == "auto" else mode
        self._console = console
        self._clock = clock
        self._began = self._printed = self._drawn = clock()
        self._decoder = Decoder()
        self._build = Build()
        self._record = Recorder(record, header or {}) if record else None
        self._since: dict[str, float] = {}  # running vertices by our own clock: the daemon's may be another machine's
        self._pending: list[str] = []  # plain lines; those that no event follows tell of the failure
        self._warned = 0
        self._live: Live | None = None
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick_along, name="progress", daemon=True)

    def __enter__(self) -> Self:
        """Begin to show elapsed time; without `with`, only what is fed is shown."""
        if self._mode == "tty":
            from rich.live import Live  # noqa: PLC0415 (rich takes longer to import than all the rest)

            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
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
            if self._clock() - self._drawn >= _REDRAW:
                self._draw()

    def tick(self) -> None:
        """Let time pass on the screen; a thread does this each second within `with`."""
        with self._lock:
            self._draw()
            if self._mode == "plain" and self._clock() - self._printed >= _HEARTBEAT:
                for vertex in self._running():
                    spent = self._clock() - self._since[vertex.digest]
                    if spent >= _HEARTBEAT:
                        words = ("" if vertex.label else vertex.text, "still running", vertex.activity)
                        self._print(self._row(vertex.label, ": ".join(filter(None, words)), spent))

    def outcome(self, exit_code: int) -> Outcome:
        """End it: show the summary or the failure, complete the record, return what the build came to."""
        self._stop()
        for item in self._decoder.close():
            self._take(item)
        outcome = self._build.outcome(exit_code, self._clock() - self._began)
        if self._record:
            self._record.write({"result": {"exit": exit_code, "seconds": round(outcome.seconds, 3)}})
            self._record.close()
            if self._record.problem:
                self._print(f"the record of this build is incomplete: {self._record.problem}", "yellow")
        if exit_code:
            self._show_failure(outcome)
        elif self._mode != "quiet":
            self._show_pending()
            self._print(summarize(outcome), "bold")
        return outcome

    def _stop(self) -> None:
        self._over.set()
        if self._ticker.is_alive():
            self._ticker.join()
        if self._live:
            self._live.stop()
            self._live = None
        if self._record:
            self._record.close()

    def _tick_along(self) -> None:
        with suppress(OSError):  # the screen is gone; who feeds meets the same error where it can be handled
            while not self._over.wait(1.0):
                self.tick()

    def _take(self, item: Event | str) -> None:
        if self._record:
            self._record.write(item)
        ended = self._build.update(item)
        if isinstance(item, str):
            self._pending.append(clean(item))
            return
        if self._mode == "quiet":
            self._pending.clear()
            return
        self._show_pending()
        for short in self._build.warnings[self._warned :]:
            self._print(f"warning: {short}", "yellow")
        self._warned = len(self._build.warnings)
        for vertex, seconds in ended:
            shown = vertex.is_step or seconds >= _WORTH_A_LINE
            if shown and not vertex.cached and not vertex.error:
                self._print(self._row(vertex.label, vertex.text, seconds))

    def _running(self) -> list[Vertex]:
        """Return the running vertices, the longest first, and note when each was first seen."""
        running = {digest: vertex for digest, vertex in self._build.vertices.items() if vertex.is_running}
        self._since = {digest: self._since.get(digest, self._clock()) for digest in running}
        return sorted(running.values(), key=lambda vertex: self._since[vertex.digest])

    def _draw(self) -> None:
        self._drawn = self._clock()
        running = self._running()
        if not self._live:
            return
        from rich.text import Text  # noqa: PLC0415

        line = Text(_duration(self._drawn - self._began), style="dim")
        for vertex in running[:_NAMED]:
            name = vertex.label or vertex.text
            line.append(f"  {name} ", style="cyan").append(_duration(self._drawn - self._since[vertex.digest]))
        if len(running) > _NAMED:
            line.append(f"  +{len(running) - _NAMED}", style="cyan")
        newest = self._build.newest
        speaker = newest if newest in running else next(iter(running), None)
        if speaker and speaker.activity:
            line.append(f"  {speaker.activity}", style="dim")
        line.truncate(self._console.width - 1, overflow="ellipsis")
        self._live.update(self._encodable(line), refresh=True)

    def _row(self, label: str, text: str, seconds: float) -> Text:
        from rich.text import Text  # noqa: PLC0415

        column = max((len(vertex.label) for vertex in self._build.vertices.values() if vertex.is_step), default=0)
        spent = f"   {_duration(seconds):>12}"
        head = Text(f"{label:{column}}   " if label or column else "", style="cyan")
        body = Text(_abridge(text))
        body.truncate(
            max(20, min(self._console.width, _WIDEST) - len(head) - len(spent)), overflow="ellipsis", pad=True
        )
        return Text.assemble(head, body, (spent, "green"))

    def _show_pending(self) -> None:
        for line in self._pending:
            self._print(line, "dim")
        self._pending.clear()

    def _show_failure(self, outcome: Outcome) -> None:
        failed = outcome.failed
        lines = self._pending or outcome.error.splitlines()
        if failed:
            name = f"{failed.label}   {_abridge(failed.text)}".strip()
            self._print(textwrap.shorten(f"failed after {_duration(outcome.seconds)}: {name}", 200), "bold red")
            for line in failed.log:
                self._print(f"  | {line}")
            if failed.log:  # with the step and its log above, the excerpt only pushes them off the screen
                lines = outcome.error.splitlines()
        for line in lines:
            style = "red" if line.startswith("ERROR:") else ""
            self._print(re.sub(r'process ".*" did not', "the command did not", line) if failed else line, style)
        if not failed and not lines:
            self._print(
                f"failed after {_duration(outcome.seconds)}: docker ended with exit code {outcome.exit_code}", "red"
            )

    def _print(self, line: Text | str, style: str = "") -> None:
        from rich.text import Text  # noqa: PLC0415

        text = Text(line, style=style) if isinstance(line, str) else line
        self._console.print(self._encodable(text), soft_wrap=True)
        self._printed = self._clock()

    def _encodable(self, text: Text) -> Text:
        """Return the text with what the console's encoding lacks as `?`: a stray character must not end a build."""
        encoding = self._console.encoding
        text.plain = text.plain.encode(encoding, errors="replace").decode(encoding)
        return text


def summarize(outcome: Outcome) -> str:
    """Return `14 steps: 11 cached, 3 run in 40.1 s`."""
    run = len(outcome.executed)
    total = run + outcome.cached
    return f"{total} step{'s'[: total != 1]}: {outcome.cached} cached, {run} run in {_duration(outcome.seconds)}"


def _abridge(text: str) -> str:
    """Return an instruction without its mounts and modes, which are noise in a log."""
    # where the Dockerfile mounts its scripts
    text = text.replace("/run/cresset/", "")
    options = re.match(r"\w+((?: --\S+)*)", text)
    kept = [word for word in (options[1] if options else "").split() if word.startswith(("--from=", "--platform="))]
    return text if not options else " ".join([text[: options.start(1)], *kept]) + text[options.end(1) :]


def _duration(seconds: float) -> str:
    """Return `12.3 s`, `2 min 05 s` or `1 h 02 min`."""
    if seconds < 59.95:  # noqa: PLR2004 (what would round to 60.0 s is a minute)
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02} min" if hours else f"{minutes} min {rest:02} s"
