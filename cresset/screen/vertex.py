"""A step of a build, as far as BuildKit's events have told: what it is, how far it is, what it printed. Pure."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from cresset.credentials import mask

TAIL = 30  # log lines that a failure shows
_KEPT = 100  # log lines that are kept for each vertex
_ERRORS = 10  # lines of stderr among those that a failure shows, however much stdout came after them
_STDERR = 2
_LONGEST = 2000  # characters of a log line that are shown; the rest of it says little and fills the screen
_UNFINISHED = 2**16  # bytes of a line that has no end yet; a step may print zeros for hours
_COUNT = re.compile(r"\[(\d{1,9})/(\d{1,9})\] ")  # ninja's
_DIGEST = re.compile(r"\bsha256:[0-9a-f]{12,}")
_NAME = re.compile(r"\[(?P<head>[^\]]*?)(?:(?P<i>\d+)/(?P<n>\d+))?\] (?P<text>.*)", re.DOTALL)
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours and cursor movements
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # titles, links and other strings to the terminal
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]",
    re.DOTALL,
)


def clean(text: str) -> str:
    """Return the text without what steers a terminal, what a carriage return overwrote, and credentials."""
    parts = (_CONTROL.sub("", part.expandtabs()).rstrip() for part in reversed(text.split("\r")))
    return mask(next(filter(None, parts), ""))


class Log:
    """The last lines that a vertex printed. Chunks are cut anywhere, and each of the two streams on its own."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=_KEPT)
        self.newest = ""  # for display: may be a line that is still being written
        self.fraction: float | None = None  # of the work that the step counts itself
        self._rest: dict[int, bytes] = {}
        self._count = 0
        self._errors: deque[tuple[int, str]] = deque(maxlen=_ERRORS)  # with their place among all lines

    def feed(self, stream: int, chunk: bytes) -> list[str]:
        """Append a chunk of stream 1 (stdout) or 2 (stderr); return the lines that it completes, however long."""
        *lines, rest = (self._rest.get(stream, b"") + chunk).split(b"\n")
        completed = [self._add(stream, line) for line in lines]
        # a bar redrawn for hours must not pile up
        self._rest[stream] = rest = rest[rest.rfind(b"\r", 0, -1) + 1 :][:_UNFINISHED]
        self._show(clean(rest[: 4 * _LONGEST].decode(errors="ignore")))  # four bytes are the longest character
        return completed

    def close(self) -> list[str]:
        """Take the last lines as they are, without their ends, and return them."""
        completed = [self._add(stream, rest) for stream, rest in self._rest.items() if rest]
        self._rest.clear()
        return completed

    def tail(self) -> tuple[str, ...]:
        """Return the last 30 lines, the newest of stderr always among them.

        The daemon reads stdout and stderr apart: an error that was printed last may arrive well before the end.
        """
        last = list(self.lines)[-TAIL:]
        missed = [text for place, text in self._errors if place < self._count - len(last)]
        return (*missed, *last[len(missed) :])

    def _add(self, stream: int, line: bytes) -> str:
        whole = clean(line.decode(errors="replace"))
        self._show(whole)
        text = whole if len(whole) <= _LONGEST else whole[:_LONGEST] + "…"
        self.lines.append(text)
        if stream == _STDERR:
            self._errors.append((self._count, text))
        self._count += 1
        return whole

    def _show(self, text: str) -> None:
        if not text:
            return
        self.newest = text[:_LONGEST]
        if match := _COUNT.match(text):
            current, total = int(match[1]), int(match[2])
            self.fraction = current / total if current <= total and total else None
        elif self.fraction == 1:  # what a compiler says between two counts leaves its bar alone
            self.fraction = None


@dataclass(kw_only=True, eq=False)
class Vertex:
    """A node of BuildKit's graph, as far as its events have told.

    Attributes:
        label: `build-base 2/5`; empty where it is no instruction.
        stage: empty where BuildKit does not say it, as in a file with one stage.
        text: the instruction, variables expanded; or the name of what else is done.
        spans: start to end in seconds since the epoch, None while open. BuildKit starts some vertices twice, first to
            resolve, then to do the work; and what two targets share is told for each, a few milliseconds apart.
        statuses: of transfers, what to current and total bytes; total is 0 where it is unknown.
    """

    digest: str
    name: str = ""
    label: str = ""
    stage: str = ""
    i: int = 0
    n: int = 0
    text: str = ""
    inputs: tuple[str, ...] = ()
    cached: bool = False
    error: str = ""
    spans: dict[float, float | None] = field(default_factory=dict)
    statuses: dict[str, tuple[int, int]] = field(default_factory=dict)
    log: Log = field(default_factory=Log)

    @property
    def is_step(self) -> bool:
        """Whether it is an instruction that can be cached: FROM of a local image says `cached` at random."""
        return self.i > 0 and not self.text.startswith("FROM ")

    @property
    def title(self) -> str:
        """What to call it in front of what it says."""
        return self.label or self.text

    @property
    def is_running(self) -> bool:
        """Whether it has started and not completed."""
        return None in self.spans.values()

    @property
    def is_done(self) -> bool:
        """Whether it completed without an error. One that never started was merged with an equal one."""
        return bool(self.spans) and not self.is_running and not self.error

    @property
    def seconds(self) -> float:
        """The seconds that its completed spans took; where they overlap, counted once."""
        total = until = 0.0
        for start, end in sorted((start, end) for start, end in self.spans.items() if end):
            total += max(0.0, end - max(start, until))
            until = max(end, until)
        return total

    @property
    def activity(self) -> str:
        """The newest thing it said: a log line, or how far its transfers are."""
        if self.log.newest or not self.statuses:
            return self.log.newest
        current, total = self._transferred
        if total and current < total:
            return f"{current / 1e6:.1f} of {total / 1e6:.1f} MB"
        what, (current, _) = list(self.statuses.items())[-1]
        what = _DIGEST.sub("", what).rstrip(" :")
        return f"{what} {current / 1e6:.1f} MB".strip() if current else what

    @property
    def fraction(self) -> float | None:
        """How much of it is done, from 0 to 1; None where nobody says."""
        current, total = self._transferred
        if self.log.fraction is not None or not total or self.log.newest:
            return self.log.fraction
        return min(1.0, current / total) if current < total else None  # what follows a transfer has no measure

    @property
    def _transferred(self) -> tuple[int, int]:
        """Current and total bytes of the transfers whose total is known."""
        known = [status for status in self.statuses.values() if status[1]]
        return sum(current for current, _ in known), sum(total for _, total in known)

    def rename(self, name: str, *, prefixed: bool) -> None:
        """Read `[stage i/n] TEXT`; with several targets their name comes first, and the stage may be missing."""
        self.name = clean(name)
        match = _NAME.fullmatch(self.name)
        head, i, n, text = match.groups() if match else ("", None, None, self.name)
        words = head.split()
        self.i, self.n, self.text = int(i or 0), int(n or 0), " ".join(text.split())
        self.stage = words[-1] if i and len(words) > prefixed else ""
        self.label = f"{self.stage or head.strip()} {i}/{n}".strip() if i else ""
        if not i and head not in {"", "internal"}:
            self.text = f"{head}: {self.text}"
