"""A copy of this repository, and what a person does in it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cresset.foresight.store import REPOSITORY as STORE
from cresset.screen.progress import Build

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a command ended."""

    code: int
    out: str

    @property
    def lines(self) -> list[str]:
        return self.out.strip().splitlines()


def run(argv: Sequence[str], *, cwd: Path = ROOT, check: bool = True, **environment: str) -> Result:
    """Run a command without a terminal; its two streams are one."""
    # What the person who runs the tests has set for themselves must not decide them.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("COMPOSE_", "CRESSET_"))}
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout
    return Result(code=done.returncode, out=done.stdout)


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A copy of this repository, as a fresh clone has it, and its own Compose project."""

    path: Path
    service: str = "cpu"
    extra: dict[str, str] = field(default_factory=dict)

    def invoke(self, *words: str, check: bool = True, **environment: str) -> Result:
        return run(
            [sys.executable, "-m", "invoke", *words], cwd=self.path, check=check, **{**self.extra, **environment}
        )

    def compose(self, *words: str, check: bool = True) -> Result:
        return run(["docker", "compose", *words], cwd=self.path, check=check, **self.extra)

    def inside(self, command: str) -> Result:
        return self.invoke("exec", "--command", command)

    def setting(self, name: str) -> str:
        rows = json.loads(self.invoke("config", "--json").out)
        return next(str(row["value"]) for row in rows if row["name"] == name)

    def set(self, **values: str) -> None:
        """Add lines to `.env`; the last one of a name counts."""
        with (self.path / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in values.items())

    def edit(self, name: str, line: str) -> None:
        with (self.path / name).open("a") as file:
            file.write(line + "\n")

    @property
    def image(self) -> str:
        return self.setting("IMAGE_NAME")

    def events(self) -> list[dict[str, Any]]:
        """Return BuildKit's events of the newest recorded build."""
        newest = max((self.path / ".cresset" / "builds").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(line) for line in newest.read_text().splitlines()]

    def executed(self) -> list[str]:
        """Return the steps that the newest recorded build executed, like `train-env 2/2`."""
        build = Build()
        for event in self.events():
            if "vertexes" in event:
                build.update(event)
        return sorted(f"{step.stage} {step.i}/{step.n}" for step in build.outcome(0, 0).executed)

    def step_log(self) -> str:
        """Return what the steps of the newest recorded build printed."""
        logs = [log["data"] for event in self.events() for log in event.get("logs") or ()]
        return b"".join(map(base64.b64decode, logs)).decode(errors="replace")

    def container(self) -> str:
        return self.compose("ps", "--quiet", self.service).out.strip()

    def remove(self) -> None:
        """Remove the checkout, its container, and every image that was built in it."""
        image, label = self.image, f"label=com.docker.compose.project={self.setting('COMPOSE_PROJECT_NAME')}"
        self.compose("--profile", "*", "down", "--volumes", check=False)
        run(["docker", "image", "rm", "--force", image], check=False)
        run(["docker", "image", "prune", "--force", "--filter", label], check=False)
        for kept in run(
            ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", label, STORE]
        ).lines:
            run(["docker", "image", "rm", kept], check=False)
        # Those of accounts that the checkout's settings have named in the meantime.
        for volume in run(["docker", "volume", "ls", "--quiet", "--filter", label]).lines:
            run(["docker", "volume", "rm", volume], check=False)
        shutil.rmtree(self.path)


def copy_repository(to: Path) -> None:
    """Copy what a clone would have, uncommitted changes included."""
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]).out
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to / name)


def lend_environment(to: Path) -> None:
    """Give a copy of the repository the environment of these tests, which `misc/setup.sh` takes for its own."""
    (to / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (to / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    stamp = Path(sys.prefix) / ".cresset"
    if stamp.exists():
        first, rest = stamp.read_text().split("\n", 1)
        (to / ".venv" / stamp.name).write_text(f"{first.split(' ', 1)[0]} {to.resolve()}\n{rest}")
