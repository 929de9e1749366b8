"""What the tasks cost over the plain commands, in one run: `python tests/figures/overhead.py` in a built checkout.

Each pair is run alternately nine times; the table shows the medians in seconds, their difference and their ratio.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
TIMES = 9
INVOKE = (sys.executable, "-m", "invoke")
COMPOSE = ("docker", "compose")


def seconds(argv: tuple[str, ...]) -> float:
    """Return how long a command took.

    Raises:
        CalledProcessError: it failed; then its time says nothing.
    """
    began = time.perf_counter()
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Print the table."""
    rows = json.loads(subprocess.check_output([*INVOKE, "config", "--json"], cwd=ROOT))
    service = next(row["value"] for row in rows if row["name"] == "SERVICE")
    pairs = [
        (("--list",), (sys.executable, "-c", "import invoke.program")),
        (("build-only",), (*COMPOSE, "build", service)),
        (("up",), (*COMPOSE, "up", "--detach", "--force-recreate", service)),
        (("exec", "--command", "true"), (*COMPOSE, "exec", "-T", service, "true")),
    ]
    table = Table("task", "plain command", "task, s", "plain, s", "over, s", "ratio")
    for task, plain in pairs:
        took = [(seconds((*INVOKE, *task)), seconds(plain)) for _ in range(TIMES)]
        ours, theirs = (statistics.median(column) for column in zip(*took, strict=True))
        shown = " ".join(plain if plain[0] == "docker" else ("python", *plain[1:]))
        figures = (f"{ours:.2f}", f"{theirs:.2f}", f"{ours - theirs:+.2f}", f"{ours / theirs:.1f}")
        table.add_row(f"invoke {' '.join(task)}", shown, *figures)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
