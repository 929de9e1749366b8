"""What `invoke prune` takes, and above all what it leaves: two projects with the same leftovers on one engine."""

from __future__ import annotations

import os
import pty
import select
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.checkout import Checkout, run
from tests.engine.conftest import folder


@dataclass(frozen=True, kw_only=True)
class Project:
    """A checkout and what lies about of it."""

    checkout: Checkout
    name: str
    base: str

    @property
    def label(self) -> str:
        return f"com.docker.compose.project={self.name}"

    def image(self, tag: str = "") -> str:
        """Make an image, and return its id; without a tag it has no name."""
        context = self.checkout.path / ".cresset" / "context"
        context.mkdir(parents=True, exist_ok=True)
        (context / "unique").write_text(uuid.uuid4().hex * 1000)
        (context / "Dockerfile").write_text(f"FROM {self.base}\nCOPY unique /\n")
        argv = ["docker", "build", "--quiet", "--label", self.label, "--label", "com.docker.compose.service=cpu"]
        return run([*argv, *(["--tag", tag] if tag else []), str(context)]).out.strip()

    def container(self, image: str, *, running: bool = False) -> str:
        """Make a container, and return its id."""
        start = ["run", "--detach", "--init"] if running else ["create"]
        return run(["docker", *start, "--label", self.label, image, "sleep", "600"]).out.strip()

    def records(self) -> list[str]:
        return sorted(path.name for path in (self.checkout.path / ".cresset" / "builds").iterdir())

    def prune(self, *options: str) -> str:
        return self.checkout.invoke("prune", *options).out

    def remove_containers(self) -> None:
        for container in run(["docker", "ps", "--all", "--quiet", "--filter", f"label={self.label}"]).lines:
            run(["docker", "rm", "--force", container])


@pytest.fixture
def project(base: str) -> Iterator[Callable[[], Project]]:
    """Make projects, each in a checkout with five build records."""
    made = []

    def make() -> Project:
        name = f"cresset-test-{uuid.uuid4().hex[:8]}"
        checkout = Checkout(path=folder())
        made.append(Project(checkout=checkout, name=name, base=base))
        checkout.set(SERVICE="cpu", COMPOSE_PROJECT_NAME=name, IMAGE_NAME=f"cresset:{name}", PLAIN_IMAGE=base)
        builds = checkout.path / ".cresset" / "builds"
        builds.mkdir(parents=True)
        for age in range(5):
            (builds / f"{age}.jsonl").write_text("{}\n")
            os.utime(builds / f"{age}.jsonl", (1_000_000 - age, 1_000_000 - age))
        return made[-1]

    yield make
    # All containers first: one project's may have another's image.
    for one in made:
        one.remove_containers()
    for one in made:
        one.checkout.remove()


def here(kind: str, identifier: str) -> bool:
    return run(["docker", kind, "inspect", identifier], check=False).code == 0


def test_a_project_loses_its_leftovers_and_nothing_else_does(project: Callable[[], Project]) -> None:
    mine, other = project(), project()
    named, unnamed, running = mine.image(f"cresset:{mine.name}"), mine.image(), mine.image()
    runs, stopped = mine.container(running, running=True), mine.container(unnamed)
    theirs, their_container = other.image(), other.container(other.image())
    borrowed = mine.image()
    borrower = other.container(borrowed)

    for shown in (mine.prune(), mine.prune("--dry-run"), mine.prune("--dry-run", "--yes")):
        assert unnamed.removeprefix("sha256:")[:12] in shown
        # All of it before the first --yes: a prune that sees too much is not let loose on other people's images.
        assert all(one.removeprefix("sha256:")[:12] not in shown for one in (named, running, theirs, borrowed))
        assert "2 of builds" in shown
        assert "`docker builder prune` would free" in shown
    assert "add --yes" in mine.prune()
    assert here("image", unnamed)
    assert here("container", stopped)
    assert len(mine.records()) == 5

    assert mine.prune("--yes").strip().endswith("Removed 4 of 4.")
    assert not here("image", unnamed)
    assert not here("container", stopped)
    assert mine.records() == ["0.jsonl", "1.jsonl", "2.jsonl"]
    assert all(here("image", one) for one in (named, running, theirs, borrowed))
    assert all(here("container", one) for one in (runs, their_container, borrower))
    assert len(other.records()) == 5

    again = mine.prune().strip()
    assert again.startswith(f"Nothing is left behind by {mine.name}.")
    assert "\n" not in again


def answer(project: Project, words: str, *, meanwhile: Callable[[], object] = lambda: None) -> tuple[int, str]:
    """Return the exit code and the screen of a prune on a terminal, where the words are typed when it asks."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(project.checkout.path)
        os.execv(sys.executable, [sys.executable, "-m", "invoke", "prune"])
    screen = b""
    try:
        while b"[y/N] " not in screen:
            screen += os.read(terminal, 4096)
        meanwhile()
        os.write(terminal, words.encode())
        while True:
            if not select.select([terminal], [], [], 5)[0]:
                # As a person would: Python misses a Ctrl-C in the moment between its question and its reading.
                os.write(terminal, words.encode())
            elif chunk := os.read(terminal, 4096):
                screen += chunk
            else:
                break
    except OSError:  # how a terminal says that the other side is gone
        pass
    finally:
        os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), screen.decode()


@pytest.mark.parametrize(
    ("words", "code"), [("\n", 0), ("n\n", 0), ("\x04", 0), ("\x03", 130)], ids=["enter", "n", "Ctrl-D", "Ctrl-C"]
)
def test_on_a_terminal_nothing_goes_without_a_yes(project: Callable[[], Project], words: str, code: int) -> None:
    mine = project()
    assert answer(mine, words)[0] == code
    assert len(mine.records()) == 5


def test_on_a_terminal_what_is_in_use_meanwhile_stays(project: Callable[[], Project]) -> None:
    mine = project()
    goes, starts, used, named = mine.image(), mine.image(), mine.image(), mine.image()
    starting = mine.container(starts)

    def meanwhile() -> None:
        run(["docker", "start", starting])
        mine.container(used)
        run(["docker", "tag", named, f"cresset:{mine.name}"])

    code, screen = answer(mine, "y\n", meanwhile=meanwhile)
    assert code == 0
    assert screen.count(" stays: ") == 4
    assert f"it is cresset:{mine.name} again" in screen
    assert "Removed 3 of 7." in screen
    assert not here("image", goes)
    assert all(here("image", one) for one in (starts, used, named))
    assert here("container", starting)
    assert len(mine.records()) == 3


def test_without_a_daemon_or_a_project_nothing_is_looked_for(project: Callable[[], Project], tmp_path: Path) -> None:
    mine = project()
    silent = mine.checkout.invoke("prune", "--yes", check=False, DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert silent.code == 2
    assert "no Docker daemon answers" in silent.out
    assert len(mine.records()) == 5
    env = mine.checkout.path / ".env"
    text = env.read_text()
    env.unlink()
    assert ".env is missing" in mine.checkout.invoke("prune", "--yes", check=False).out
    env.write_text(text)
    assert len(mine.records()) == 5
