"""The real engine: each test owns its names and removes what it made."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cresset import host
from tests.engine.checkout import ROOT, Checkout, copy_repository, run
from tests.engine.light_wheels import make_light
from tests.engine.second_engine import SecondEngine, running
from tests.engine.source_build import SourceBuild
from tests.engine.source_build import made as made_source_build
from tests.engine.source_build import redis as running_redis


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Behind a shell's `&` the tests ignore Ctrl-C, and so would what they start and interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _engine() -> None:
    try:
        done = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
        reason = done.stderr.strip() if done.returncode else ""
    except FileNotFoundError:
        reason = "docker is not installed"
    if reason and os.environ.get("CRESSET_ENGINE") == "required":
        pytest.fail(f"CRESSET_ENGINE=required, but no Docker Engine answers: {reason}", pytrace=False)
    if reason:
        pytest.skip(f"no Docker Engine answers: {reason}")


@pytest.fixture(scope="session")
def base() -> str:
    """The plain base image that this host can make; made once and kept, as for a person."""
    name = f"cresset-base:{host.codename()}"
    run([str(ROOT / "misc" / "base_image.sh"), name, host.codename()])
    return name


@pytest.fixture(scope="module")
def unseen_base(base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A base that no build has seen before, so that every step on it is executed."""
    name = f"cresset-test-base:{uuid.uuid4().hex[:8]}"
    folder = tmp_path_factory.mktemp("base")
    (folder / "unique").write_text(name)
    (folder / "Dockerfile").write_text(f"FROM {base}\nCOPY unique /etc/cresset-test\n")
    run(["docker", "build", "--quiet", "--tag", name, str(folder)])
    yield name
    run(["docker", "image", "rm", "--force", name], check=False)


@pytest.fixture(scope="session")
def built(base: str) -> Iterator[Checkout]:
    """A clone whose image is built and whose container runs; tests put back what they change."""
    checkout = Checkout(path=folder())
    # A name of its own: the default one may be that of a checkout in use.
    checkout.invoke("env", PLAIN_IMAGE=base, IMAGE_NAME=f"cresset:test-{uuid.uuid4().hex[:8]}")
    checkout.invoke("build")
    yield checkout
    checkout.remove()


@pytest.fixture(scope="session")
def light_wheels(built: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheelhouse of stand-ins for what the built checkout asks for."""
    house = tmp_path_factory.mktemp("light")
    make_light(house, built)
    return house


@pytest.fixture(scope="session")
def second_engine(base: str) -> Iterator[SecondEngine]:
    """An engine that tests may stop, restart and fill to the brim; it has the plain base image."""
    with running(base) as engine:
        yield engine


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """The address of a Redis for the steps of builds; empty where there is none."""
    with running_redis() as address:
        yield address


@pytest.fixture(scope="session")
def source_build(base: str, redis: str) -> Iterator[SourceBuild]:
    """A checkout whose images were compiled from the stand-ins; tests put back what they change."""
    with made_source_build(folder(), base, CCACHE_REMOTE_STORAGE=redis) as made:
        yield made


@pytest.fixture(scope="module")
def clone(built: Checkout) -> Iterator[Callable[[], Checkout]]:
    """Make further clones, with the settings of the built one."""
    made = []

    def make() -> Checkout:
        checkout = Checkout(path=folder())
        project, image = f"cresset-test-{uuid.uuid4().hex[:8]}", f"cresset:test-{uuid.uuid4().hex[:8]}"
        (checkout.path / ".env").write_text((built.path / ".env").read_text())
        checkout.set(COMPOSE_PROJECT_NAME=project, IMAGE_NAME=image)
        made.append(checkout)
        return checkout

    yield make
    for checkout in made:
        checkout.remove()


def folder() -> Path:
    """Return a fresh clone in a folder that every account may enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="cresset-test-"))
    path.chmod(0o755)
    copy_repository(path)
    return path
