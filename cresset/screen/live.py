"""The live rows of a build on a terminal: one for each running step, and one for the whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.control import Control
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import ControlType
from rich.table import Table
from rich.text import Text

from cresset.screen.pace import Pace, share, words
from cresset.screen.progress import Build
from cresset.screen.vertex import Vertex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

WIDEST = 120  # columns of a row; beyond, the eye loses it
_ROOMY = 100  # columns from which a bar may be long
_LEGIBLE = 16  # columns of what is done, below which a bar gives way to how long it still takes
_PERCENT = 4


class Region:
    """The rows at the end of what is printed; they are redrawn in place, and gone when it is closed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._drawn = (0, 0)  # rows, and their columns
        self._live.start()

    def draw(self, rows: Table) -> None:
        """Replace the rows."""
        self._unwrap()
        self._live.update(rows, refresh=True)
        self._drawn = rows.row_count, rows.width or 0
        self._park()

    def print(self, text: Text, *, soft_wrap: bool) -> None:
        """Print above the rows."""
        self._unwrap()
        self._console.print(text, soft_wrap=soft_wrap)
        self._park()

    def close(self) -> None:
        """Take the rows away."""
        self._unwrap()
        self._live.stop()

    def _park(self) -> None:
        """Put the cursor where the ^C that a terminal echoes begins no line of its own."""
        self._console.control(Control(ControlType.CARRIAGE_RETURN))

    def _unwrap(self) -> None:
        """Erase what rich knows nothing of: a terminal that became narrower has wrapped each row into several."""
        rows, columns = self._drawn
        more = -(-columns // self._console.width) - 1
        if more > 0:
            erase = (ControlType.ERASE_IN_LINE, 2)
            up = [(ControlType.CURSOR_UP, 1), erase] * (rows * more)
            self._console.control(Control((ControlType.CURSOR_DOWN, more), erase, *up))
            self._drawn = rows, self._console.width


def rows(
    build: Build,
    running: Sequence[tuple[Vertex, float]],
    seconds: float,
    *,
    width: int,
    height: int,
    utf8: bool,
    pace: Pace | None = None,
) -> Table:
    """Return the rows: as many as the screen holds, then how many more there are, then the whole build.

    Args:
        build: for the count of its steps; BuildKit names all of them before it runs the first.
        running: what is shown, each with the seconds it has taken.
        seconds: since the build began.
        width: columns of the terminal.
        height: its lines; one is left for what is printed.
        utf8: the terminal takes any letter.
        pace: what the steps took before.
    """
    pace = pace or Pace()
    column = max(min(label_width(build), width // 3), len("+99 more"))
    inner = min(width, WIDEST) - column - 2 * 3 - 12

    def line(text: str, style: str = "") -> Text:
        text = text if utf8 else text.encode("ascii", errors="replace").decode()
        return Text(text, style=style, no_wrap=True, overflow="ellipsis" if utf8 else "crop")

    def middle(text: str, fraction: float | None, left: str, style: str = "") -> Table | Text:
        if fraction is None and not left:
            return line(text, style)
        long = 20 if width >= _ROOMY else 10
        parts = Table.grid(padding=(0, 1, 0, 0), expand=True)
        parts.add_column(ratio=1)
        cells: list[Text | ProgressBar | str] = [line(text, style)]
        if left:
            parts.add_column(width=len(left))
            cells.append(line(left, style or "dim"))
        if fraction is not None:
            if not left or inner - len(left) - long - _PERCENT - 3 >= _LEGIBLE:
                parts.add_column(width=long)
                bar = ProgressBar(
                    1.0, fraction, width=long, style="dim", complete_style="green", finished_style="green"
                )
                cells.append(bar)
            parts.add_column(width=_PERCENT, justify="right")
            # rounded down: 100% is the end
            cells.append(f"{int(fraction * 100)}%")
        parts.add_row(*cells)
        return parts

    table = Table.grid(padding=(0, 3, 0, 0), expand=True)
    table.width = min(width, WIDEST)
    table.add_column(width=column)
    table.add_column(ratio=1)
    table.add_column(width=12, justify="right")
    room = max(0, height - 2)
    shown = running if len(running) <= room else running[: max(0, room - 1)]
    for vertex, spent in shown:
        left = pace.of(vertex, spent)
        fraction = share(spent, left) if vertex.fraction is None else vertex.fraction
        text = middle(vertex.activity or abridge(vertex.text), fraction, words(left))
        table.add_row(line(vertex.label, "cyan"), text, line(duration(spent, exact=False)))
    if len(shown) < len(running):
        table.add_row(line(f"+{len(running) - len(shown)} more", "cyan"), "", "")
    done, total = build.steps
    left = pace.whole(build.vertices, {vertex.digest: spent for vertex, spent in running})
    count = middle(f"{done} of {total} steps" if total else "", share(seconds, left), words(left), "bold")
    table.add_row(line("build", "bold"), count, line(duration(seconds, exact=False), "bold"))
    return table


def label_width(build: Build) -> int:
    """Return the columns that the labels of the build's steps need."""
    return max((len(vertex.label) for vertex in build.vertices.values() if vertex.is_step), default=0)


def abridge(text: str) -> str:
    """Return an instruction without its mounts and modes, which are noise in a log."""
    # where the Dockerfile mounts its scripts
    text = text.replace("/run/cresset/", "")
    options = re.match(r"\w+((?: --\S+)*)", text)
    kept = [word for word in (options[1] if options else "").split() if word.startswith(("--from=", "--platform="))]
    return text if not options else " ".join([text[: options.start(1)], *kept]) + text[options.end(1) :]


def duration(seconds: float, *, exact: bool = True) -> str:
    """Return `12.3 s`, `2 min 05 s` or `1 h 02 min`; what still grows is better not exact: `12 s`."""
    seconds = seconds if exact else int(seconds)
    if seconds < 59.95:  # noqa: PLR2004 (what would round to 60.0 s is a minute)
        return f"{seconds:.1f} s" if exact else f"{seconds} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02} min" if hours else f"{minutes} min {rest:02} s"
