"""A checkout that compiles the stand-ins, and what its builds execute."""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cresset.screen.progress import Build
from tests.engine import stand_in
from tests.engine.bad_servers import gateway
from tests.engine.checkout import Checkout, Result, run

# What nobody with a torch image needs.
BUILD_STAGES = (
    *("build-", "clone-", "choose-pins", "preflight", "magma", "dist", "fetch-", "pick-wheels", "pick-extensions"),
)


@dataclass(frozen=True, kw_only=True)
class Ran(Result):
    """How a task ended, the steps that its builds executed, like `train-env 2/2`, and what those printed."""

    steps: tuple[str, ...]
    log: str

    @property
    def stages(self) -> set[str]:
        return {step.split()[0] for step in self.steps}

    @property
    def build_stages(self) -> set[str]:
        return {stage for stage in self.stages if stage.startswith(BUILD_STAGES)}

    @property
    def compiled(self) -> dict[str, str]:
        """What the compiler cache gave, for each package."""
        return dict(re.findall(r"^(\w+): compiler cache: (.*)", self.log, re.MULTILINE))


@dataclass(frozen=True, kw_only=True)
class SourceBuild:
    """A checkout with the stand-ins in place of GitHub.

    Attributes:
        checkout: the checkout.
        sources: its folder of sources, with the stand-ins' repositories in `mirror`.
        name: what its images' names have in common.
        first: its first build, of all three images.
    """

    checkout: Checkout
    sources: Path
    name: str
    first: Ran

    def image(self, member: str) -> str:
        return f"pytorch_source:{self.name}-{member}"

    def repository(self, name: str) -> Path:
        return self.sources / "mirror" / "pytorch" / f"{name}.git"

    def do(self, task: str, *words: str, check: bool = True, **settings: str) -> Ran:
        """Run a task of the family, or another one."""
        members = ("install", "torch", "train") if task.startswith(("all", "build-install", "build-t")) else ()
        named = {word.split("=")[0] for word in words}
        names = [f"--{one}-name={self.name}-{one}" for one in members if f"--{one}-name" not in named]
        sets = [f"--set={name}={value}" for name, value in settings.items()]
        return ran(self.checkout, task, *names, *words, *sets, check=check)


def ran(checkout: Checkout, *words: str, check: bool = True, **environment: str) -> Ran:
    """Run a task, and look at the records that it left."""
    folder = checkout.path / ".cresset" / "builds"
    before = {*folder.glob("*.jsonl")}
    done = checkout.invoke(*words, check=check, **environment)
    return read(done, sorted({*folder.glob("*.jsonl")} - before))


def read(done: Result, records: list[Path]) -> Ran:
    """Return a result with what the records of its builds say."""
    steps: list[str] = []
    log = b""
    for record in records:
        build = Build()
        for event in map(json.loads, record.read_text().splitlines()):
            if "vertexes" in event:
                build.update(event)
            log += b"".join(base64.b64decode(one["data"]) for one in event.get("logs") or ())
        steps += [f"{step.stage} {step.i}/{step.n}" for step in build.outcome(0, 0).executed]
    return Ran(code=done.code, out=done.out, steps=tuple(steps), log=log.decode(errors="replace"))


@contextmanager
def redis() -> Iterator[str]:
    """Give the address of a Redis for the steps of builds, empty where there is no server to start."""
    if shutil.which("redis-server") is None:
        yield ""
        return
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    options = {"port": port, "bind": gateway(), "protected-mode": "no", "save": "", "appendonly": "no"}
    argv = ["redis-server", *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir()) as server:
        try:
            yield f"redis://{gateway()}:{port}"
        finally:
            server.terminate()


@contextmanager
def made(path: Path, base: str, **settings: str) -> Iterator[SourceBuild]:
    """Give the checkout at a path, whose three images are built, every step of them executed."""
    word = uuid.uuid4().hex[:8]
    checkout = Checkout(path=path)
    sources = Path(tempfile.mkdtemp(prefix="cresset-test-sources-"))
    sources.chmod(0o755)
    stand_in.make(sources / "mirror", mark=word)
    devel = f"cresset-test-base:{word}"
    source_build = SourceBuild(
        checkout=checkout, sources=sources, name=f"test-{word}", first=Ran(code=0, out="", steps=(), log="")
    )
    try:
        checkout.invoke("env", PLAIN_IMAGE=base, IMAGE_NAME=f"cresset:test-{word}")
        tags = {"PYTORCH": stand_in.TAG, "TORCHVISION": stand_in.VISION_TAG, "TORCHAUDIO": stand_in.AUDIO_TAG}
        checkout.set(**{f"{name}_VERSION_TAG": tag for name, tag in tags.items()})
        checkout.set(SOURCES=str(sources), MKL_MODE="exclude", **settings)
        source_build.do("build-install")
        # On a base that no build has seen, but with the compilers in it already: fetching them again takes a minute.
        dockerfile = (
            f"FROM {source_build.image('install')}\nRUN rm -rf /opt/uv /opt/build && echo {word} > /etc/cresset\n"
        )
        (sources / "Dockerfile").write_text(dockerfile)
        run(
            [
                "docker",
                "build",
                "--quiet",
                "--tag",
                devel,
                "--file",
                str(sources / "Dockerfile"),
                str(checkout.path / "reqs"),
            ]
        )
        (sources / "Dockerfile").unlink()
        checkout.set(PLAIN_IMAGE=devel)
        first = source_build.do("all")
        yield SourceBuild(checkout=checkout, sources=sources, name=source_build.name, first=first)
    finally:
        listed = run(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]).lines
        checkout.remove()
        for image in [devel, *(one for one in listed if source_build.name in one)]:
            run(["docker", "image", "rm", "--force", image], check=False)
        shutil.rmtree(sources)
