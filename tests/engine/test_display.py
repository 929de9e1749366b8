"""What a terminal has seen of a build, while it ran and afterwards."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import uuid
from collections.abc import Callable
from pathlib import Path

from tests.engine.checkout import Checkout, Result

WIDTH, HEIGHT = 80, 24


def with_step(checkout: Checkout, command: str) -> Checkout:
    """Let the checkout build a further stage, of one step that was never run before."""
    checkout.edit("Dockerfile", f"FROM train AS shown\nRUN {command} # {uuid.uuid4().hex}")
    checkout.edit("docker-compose.override.yaml", "services: {cpu: {build: {target: shown}}}")
    return checkout


def on_a_terminal(checkout: Checkout, *words: str) -> Result:
    """Run a task on a terminal of its own, and return all that was written to it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    with subprocess.Popen(
        [sys.executable, "-m", "invoke", *words],
        cwd=checkout.path,
        env={**environment, "TERM": "xterm", "LC_ALL": "C.UTF-8"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        written = b""
        while chunk := read(ours):
            written += chunk
    os.close(ours)
    return Result(code=process.returncode, out=written.decode())


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the last program has left the terminal
        return b""


def screen(written: str) -> list[str]:
    """Return the lines that a terminal shows in the end; of cursor movements it knows those that rich makes."""
    lines, row = [""], 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif up := re.fullmatch(r"\x1b\[(\d+)A", part):
            row = max(0, row - int(up[1]))
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part[0] not in "\x1b\r":  # rich erases a line before it writes another text to it
            lines[row] += part
    return [line.rstrip() for line in lines]


def test_the_live_rows_are_gone_when_the_build_ends(clone: Callable[[], Checkout]) -> None:
    checkout = with_step(clone(), "for i in 1 2 3; do echo [$i/3] building; sleep 0.5; done; sleep 1")
    done = on_a_terminal(checkout, "build-only")
    assert done.code == 0, done.out
    assert re.search(r"shown 1/1 .*\[2/3\] building .*━.* 66%", done.out)
    assert re.search(r"build .*\d+ of \d+ steps", done.out)
    building, *steps, summary, log, end = screen(done.out)
    assert building == f"Building {checkout.image}"
    assert any(line.startswith("shown 1/1") and line.endswith(" s") for line in steps)
    assert not any("%" in line or re.match(r"build  ", line) for line in steps)
    assert summary.endswith(" s")
    assert end == ""
    path = checkout.path / log.removeprefix("the whole log: ")
    assert "shown 1/1 | [3/3] building" in path.read_text().splitlines()
    assert path.with_suffix(".jsonl").exists()


def test_plain_is_buildkits_own_and_keeps_nothing(clone: Callable[[], Checkout]) -> None:
    checkout = with_step(clone(), "echo so far; exit 3")
    done = on_a_terminal(checkout, "build-only", "--progress=plain")
    assert done.code == 1
    assert re.search(r"^#1 \[internal\]", done.out, re.MULTILINE)
    assert re.search(r"^#\d+ [\d.]+ so far", done.out, re.MULTILINE)
    assert "ERROR: failed to solve" in done.out
    assert screen(done.out)[-2] == f"the build of {checkout.image} failed"
    assert not (checkout.path / ".cresset" / "builds").exists()


def test_quiet_shows_failures_only(clone: Callable[[], Checkout]) -> None:
    checkout = with_step(clone(), "echo so far; test $(id -u) = none")
    done = checkout.invoke("build-only", "--progress=quiet", check=False)
    assert done.code == 1
    assert done.lines[0].startswith("failed after ")
    assert "  | so far" in done.lines
    (checkout.path / "docker-compose.override.yaml").unlink()
    assert checkout.invoke("build-only", "--progress=quiet").out == ""


def test_an_unknown_way_is_refused(clone: Callable[[], Checkout]) -> None:
    checkout = clone()
    for task in ("build", "build-only", "up", "run"):
        done = checkout.invoke(task, "--progress=fancy", check=False)
        assert done.code == 2
        assert done.lines == [
            "--progress: 'fancy' is no way to show a build",
            "  choose one of: auto, plain, tty, quiet",
        ]


def test_a_fault_of_buildkits_is_tried_again_once(clone: Callable[[], Checkout], tmp_path: Path) -> None:
    """A docker that fails like BuildKit the first so many times, and then is the real one."""
    docker = tmp_path / "docker"
    docker.write_text(f"""#!/bin/sh
case " $* " in *" bake "*" rawjson "* | *" bake "*--progress=rawjson*)
    echo x >> {tmp_path}/builds
    if [ "$(wc -l < {tmp_path}/builds)" -le "$FAILURES" ]; then
        echo "ERROR: failed to solve: failed to compute cache key: failed to get state for index 2 on [one 1/1] RUN" >&2
        exit 1
    fi
esac
exec {shutil.which("docker")} "$@"
""")
    docker.chmod(0o755)
    checkout, path = clone(), f"{tmp_path}:{os.environ['PATH']}"
    assert "once more" in checkout.invoke("build-only", PATH=path, FAILURES="1").out
    assert (tmp_path / "builds").read_text().split() == ["x", "x"]
    failed = checkout.invoke("build-only", check=False, PATH=path, FAILURES="9")
    assert (failed.code, failed.lines[-2]) == (
        1,
        f"the build of {checkout.setting('IMAGE_NAME')} failed: BuildKit lost its thread",
    )
    assert (tmp_path / "builds").read_text().split() == 4 * ["x"]
