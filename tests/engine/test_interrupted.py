"""Signals, `kill -9`, two at once: nothing is half written, nothing stays locked, what was done is not done again."""

from __future__ import annotations

import fcntl
import http.server
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.engine.checkout import Checkout, Result, run
from tests.engine.conftest import folder
from tests.engine.light_wheels import make_wheel
from tests.engine.test_secrets import GATEWAY_FORMAT

PATIENCE = 120
ONE_LINE = "interrupted; what was built so far is in the cache"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A running task: at the head of a process group of its own, with or without a terminal."""

    process: subprocess.Popen[bytes]
    output: int

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to the task and to every docker of it, as a terminal would."""
        os.killpg(self.process.pid, number)

    def type(self, keys: str) -> None:
        os.write(self.output, keys.encode())

    def end(self) -> Result:
        """Return how it ended; its output is the evidence if it does not."""
        printed = b""
        with suppress(OSError):  # how a terminal says that the other side is gone
            while select.select([self.output], [], [], PATIENCE)[0] and (chunk := os.read(self.output, 4096)):
                printed += chunk
        os.close(self.output)
        return Result(code=self.process.wait(PATIENCE), out=printed.decode(errors="replace").replace("\r", ""))


def begin(checkout: Checkout, *words: str, terminal: bool = False, **environment: str) -> Task:
    """Start a task; the test ends it."""
    reader, writer = os.openpty() if terminal else os.pipe()
    # Under nohup the tests ignore it, and what they start would inherit that.
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    process = subprocess.Popen(
        [*(["setsid", "--ctty"] if terminal else []), sys.executable, "-m", "invoke", *words],
        cwd=checkout.path,
        env={**os.environ, **checkout.extra, **environment},
        stdin=writer if terminal else subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
        start_new_session=not terminal,
    )
    signal.signal(signal.SIGHUP, former)
    os.close(writer)
    return Task(process=process, output=reader)


def until(happens: Callable[[], object]) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.05)


@dataclass(frozen=True, kw_only=True)
class Slow:
    """A server of one wheel, which it holds back until it is let go."""

    address: str
    asked: threading.Event = field(default_factory=threading.Event)
    hung_up: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)

    def hold(self) -> str:
        """Hold back from now on; return a requirement that no build has seen."""
        for event in (self.asked, self.hung_up, self.let_go):
            event.clear()
        return f"tiny @ {self.address}/{uuid.uuid4().hex}/tiny-1.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slow]:
    place = tmp_path_factory.mktemp("wheel")
    make_wheel(place, "tiny", "1.0")
    content = (place / "tiny-1.0-py3-none-any.whl").read_bytes()

    class Hold(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            held.asked.set()
            while not held.let_go.is_set():
                if select.select([self.connection], [], [], 0.1)[0]:
                    with suppress(OSError):
                        if self.connection.recv(1, socket.MSG_PEEK):
                            continue
                    held.hung_up.set()
                    return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(content if self.command == "GET" else b"")

        do_HEAD = do_GET  # noqa: N815 - the same

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("", 0), Hold)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gateway = run(["docker", "network", "inspect", "bridge", "--format", GATEWAY_FORMAT]).out.strip()
    held = Slow(address=f"http://{gateway}:{server.server_port}")
    yield held
    held.let_go.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def checkout(clone: Callable[[], Checkout]) -> Checkout:
    return clone()


def contents(checkout: Checkout) -> dict[str, bytes]:
    """Return the files of a checkout but for its records and what Python compiles."""
    found = (path for path in checkout.path.rglob("*") if path.is_file())
    relative = {str(path.relative_to(checkout.path)): path.read_bytes() for path in found}
    return {name: text for name, text in relative.items() if not name.startswith(".cresset/") and ".pyc" not in name}


def locks_held(checkout: Checkout) -> list[str]:
    held = []
    for path in (checkout.path / ".cresset").glob("*.lock"):
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(path.name)
    return held


WAYS: dict[str, Callable[[Task], None]] = {
    "Ctrl-C on a terminal": lambda task: task.type("\x03"),
    "Ctrl-C without one": lambda task: task.signal_all(signal.SIGINT),
    "SIGINT to invoke alone": lambda task: os.kill(task.process.pid, signal.SIGINT),
    "SIGTERM to invoke alone": lambda task: os.kill(task.process.pid, signal.SIGTERM),
    "SIGHUP to invoke alone": lambda task: os.kill(task.process.pid, signal.SIGHUP),
    "kill -9 of all": lambda task: task.signal_all(signal.SIGKILL),
    "kill -9 of invoke alone": lambda task: os.kill(task.process.pid, signal.SIGKILL),
}
# Exit codes of those that do not end like Ctrl-C.
CODES: dict[str, int] = {
    "SIGTERM to invoke alone": 143,
    "SIGHUP to invoke alone": 129,
    "kill -9 of all": -signal.SIGKILL,
    "kill -9 of invoke alone": -signal.SIGKILL,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_build_is_interrupted_and_the_next_goes_on_from_there(checkout: Checkout, slow: Slow, way: str) -> None:
    (checkout.path / "reqs/pip-train.requirements.txt").write_text(slow.hold() + "\n")
    if way.endswith("terminal"):  # once is enough for a step that takes its time
        checkout.edit("reqs/apt-train.requirements.txt", f"# {uuid.uuid4()}")
    before = contents(checkout)
    task = begin(checkout, "build-only", terminal=way.endswith("terminal"))
    assert slow.asked.wait(PATIENCE)
    WAYS[way](task)
    ended = task.end()
    assert ended.code == CODES.get(way, 130), ended.out
    if ended.code == 130:
        assert ended.lines[-1] == ONE_LINE
    elif ended.code > 0:
        assert ended.lines[-2:] == [f"ended by {way.split(maxsplit=1)[0]}", "  what was built so far is in the cache"]
    assert "Traceback" not in ended.out
    # A docker that has lost its invoke only notices when BuildKit says something, at the latest as the step ends.
    if way != "kill -9 of invoke alone":
        assert slow.hung_up.wait(PATIENCE), "the engine goes on with a step that nobody waits for"
    assert contents(checkout) == before
    assert locks_held(checkout) == []
    assert not any("result" in event for event in checkout.events())

    slow.let_go.set()
    checkout.invoke("build-only")
    executed = set(checkout.executed())
    assert {"requirements 1/1", "train-base 1/1", "train-env 1/2"} & executed == set()
    assert {"train-user-include 1/1", "train 1/4"} & executed


@pytest.mark.parametrize("way", ["Ctrl-C on a terminal", "SIGINT to invoke alone", "SIGTERM to invoke alone"])
def test_builds_side_by_side_are_interrupted(checkout: Checkout, slow: Slow, way: str) -> None:
    (checkout.path / "reqs/pip-train.requirements.txt").write_text(slow.hold() + "\n")
    names = [f"test-{uuid.uuid4().hex[:8]}" for _ in range(3)]
    rows = [f"{{name: {name}, TZ: {zone}}}" for name, zone in zip(names, ("Asia/Seoul", "UTC", "CET"), strict=True)]
    (checkout.path / "configurations.yaml").write_text("".join(f"- {row}\n" for row in rows))
    task = begin(checkout, "matrix", "configurations.yaml", "--at-once=2", terminal=way.endswith("terminal"))
    assert slow.asked.wait(PATIENCE)
    WAYS[way](task)
    ended = task.end()
    (checkout.path / "configurations.yaml").unlink()
    assert ended.code == CODES.get(way, 130), ended.out
    assert ended.out.rstrip().endswith("what was built so far is in the cache")
    assert "Traceback" not in ended.out
    assert slow.hung_up.wait(PATIENCE), "the engine goes on with a step that nobody waits for"
    slow.let_go.set()
    assert not [name for name in names if run(["docker", "image", "inspect", f"cresset:{name}"], check=False).code == 0]


@pytest.fixture
def stuck(tmp_path: Path) -> tuple[str, Path]:
    """A PATH with a docker that says that it was asked and never answers, and where it says so."""
    asked = tmp_path / "asked"
    (tmp_path / "docker").write_text(f"#!/bin/sh\ntouch {asked}\nexec sleep 600\n")
    (tmp_path / "docker").chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}", asked


@pytest.mark.parametrize("way", ["Ctrl-C on a terminal", "SIGINT to invoke alone", "kill -9 of all"])
@pytest.mark.parametrize("words", ["env", "env --update --set TZ=Asia/Seoul", "over", "up"])
def test_an_interrupted_task_has_written_nothing(
    checkout: Checkout, stuck: tuple[str, Path], words: str, way: str
) -> None:
    path, asked = stuck
    kept = checkout.path / ".env.kept"
    if words == "env":
        (checkout.path / ".env").rename(kept)
    try:
        before = contents(checkout)
        task = begin(checkout, *words.split(), terminal=way.endswith("terminal"), PATH=path)
        until(asked.exists)
        WAYS[way](task)
        ended = task.end()
        assert ended.code == (-signal.SIGKILL if "9" in way else 130), ended.out
        assert "Traceback" not in ended.out
        assert contents(checkout) == before
        assert locks_held(checkout) == []
    finally:
        if words == "env":
            kept.rename(checkout.path / ".env")


def containers(checkout: Checkout) -> list[str]:
    label = f"label=com.docker.compose.project={checkout.setting('COMPOSE_PROJECT_NAME')}"
    return run(["docker", "ps", "--all", "--filter", label, "--format", "{{.Names}} {{.State}}"]).lines


@pytest.mark.parametrize("way", WAYS)
def test_the_next_up_mends_one_that_was_interrupted(checkout: Checkout, way: str) -> None:
    checkout.invoke("build")
    container = f"{checkout.setting('COMPOSE_PROJECT_NAME')}-cpu-1"
    override = checkout.path / "docker-compose.override.yaml"
    # One that does not go when it is asked to, so that its replacement takes a while.
    command = "trap : HUP TERM; while true; do sleep 0.2; done"
    override.write_text(f"services: {{cpu: {{stop_grace_period: 6s, command: [sh, -c, '{command}']}}}}\n")
    try:
        checkout.invoke("up")
        task = begin(checkout, "up", terminal=way.endswith("terminal"))
        until(lambda: len(containers(checkout)) == 2)
        WAYS[way](task)
        ended = task.end()
        assert ended.code == CODES.get(way, 130), ended.out
        assert "Traceback" not in ended.out
        assert locks_held(checkout) == []
        checkout.invoke("up")
        assert containers(checkout) == [f"{container} running"]
    finally:
        override.unlink()
        run(["docker", "rm", "--force", container], check=False)


def end_well(*tasks: Task) -> list[Result]:
    ended = [task.end() for task in tasks]
    assert [one.code for one in ended] == [0] * len(tasks), "\n".join(one.out for one in ended)
    return ended


@pytest.fixture
def fresh(base: str) -> Iterator[Checkout]:
    """A clone without an `.env`."""
    name = f"cresset-test-{uuid.uuid4().hex[:8]}"
    settings = {"PLAIN_IMAGE": base, "COMPOSE_PROJECT_NAME": name, "IMAGE_NAME": f"cresset:{name}"}
    checkout = Checkout(path=folder(), extra=settings)
    yield checkout
    checkout.remove()


def test_two_first_builds_at_once_are_one_container(fresh: Checkout) -> None:
    ended = end_well(begin(fresh, "build"), begin(fresh, "build"))
    assert sum("Wrote .env" in one.out for one in ended) == 1
    names = [line.split("=")[0] for line in (fresh.path / ".env").read_text().splitlines() if line[:1].isalpha()]
    assert sorted(names) == sorted(set(names))
    assert "is there already" in fresh.invoke("env").out
    assert containers(fresh) == [f"{fresh.extra['COMPOSE_PROJECT_NAME']}-cpu-1 running"]
    fresh.invoke("exec", "--command", "true")


def test_two_first_env_at_once_write_it_once(fresh: Checkout) -> None:
    ended = end_well(begin(fresh, "env"), begin(fresh, "env"))
    assert sum("Wrote .env" in one.out for one in ended) == 1
    assert sum("is there already" in one.out for one in ended) == 1
    assert (
        "lacks nothing"
        in fresh.invoke("env", "--update", COMPOSE_PROJECT_NAME=fresh.setting("COMPOSE_PROJECT_NAME")).out
    )


def test_settings_that_change_during_a_build_are_whole(checkout: Checkout) -> None:
    changes = {"TZ": "Asia/Seoul", "SHM_SIZE": "192mb"}
    builds = begin(checkout, "build-only")
    end_well(builds, *(begin(checkout, "env", "--update", "--set", f"{name}={new}") for name, new in changes.items()))
    # Neither of the two has undone what the other one wrote, whichever was the later.
    assert {name: checkout.setting(name) for name in changes} == changes


@pytest.fixture
def read_only(built: Checkout) -> Iterator[Checkout]:
    """The built checkout as a file system that nobody can write, root included."""
    if os.getuid() != 0:
        pytest.skip("only root can mount")
    place = str(built.path)
    if run(["mount", "--bind", place, place], check=False).code:
        pytest.skip("mounting is not allowed here")
    try:
        run(["mount", "--options", "remount,bind,ro", place])
        yield built
    finally:
        run(["umount", place])
    built.invoke("up")


def test_a_checkout_that_cannot_be_written_can_be_used(read_only: Checkout) -> None:
    assert read_only.image
    read_only.invoke("up")
    read_only.inside("python -c 'import torch'")
    assert "1\n" in read_only.invoke("run", "--command", "echo 1").out
    said = read_only.invoke("build").out
    assert said.count("No record of this build is kept") == 1
    read_only.invoke("down")
    for words in (["env", "--update", "--set", "TZ=Asia/Seoul"], ["over"]):
        refused = read_only.invoke(*words, check=False)
        assert refused.code == 2
        assert "cannot be written: Read-only file system" in refused.out
        assert len(refused.lines) == 2
    assert "Made" not in read_only.invoke("config").out
