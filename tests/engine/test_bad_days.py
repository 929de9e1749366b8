"""Engine, registry, disk or network fail: what a person is told, and that nothing is lost."""

from __future__ import annotations

import os
import shutil
import site
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cresset.engine import Engine
from cresset.errors import CressetError
from tests.engine.bad_servers import Registry, Shop, registry, shop
from tests.engine.checkout import Checkout, Result, run
from tests.engine.conftest import folder
from tests.engine.second_engine import SecondEngine

NOBODY = "65533"


def two_lines(result: Result, *, code: int = 2) -> str:
    """Return the last two lines, which are all that a person has to read."""
    assert result.code == code, result.out
    assert "Traceback" not in result.out
    message, hint = result.lines[-2:]
    assert not message.startswith(" ")
    assert hint.startswith("  ")
    return f"{message}\n{hint}"


# --------------------------------------------------------------------------------------------------------- the engine


@pytest.mark.parametrize("task", ["build", "build-only", "up", "start", "stop", "exec", "down", "ls", "logs", "prune"])
def test_no_daemon(built: Checkout, task: str) -> None:
    said = two_lines(built.invoke(task, check=False, DOCKER_HOST="unix:///nowhere/docker.sock"))
    assert "no Docker daemon answers" in said
    assert "bash misc/setup.sh" in said


def test_a_daemon_that_refuses(built: Checkout) -> None:
    said = two_lines(built.invoke("exec", check=False, DOCKER_API_VERSION="1.99"))
    assert said.startswith("the Docker daemon refuses: client version 1.99 is too new")
    assert said.endswith("\n  unset DOCKER_API_VERSION")


def test_a_daemon_that_never_answers(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        server.listen()
        address = f"unix://{tmp_path}/docker.sock"
        with pytest.raises(CressetError, match="the Docker daemon does not answer"):
            Engine(environment={"DOCKER_HOST": address}, patience=0.5).ready()


def test_an_account_that_may_not_use_the_daemon() -> None:
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another account, with setpriv")
    checkout = Checkout(path=folder())
    # The environment of whoever runs the tests may be theirs alone.
    packages = next(path for path in site.getsitepackages() if Path(path, "invoke").is_dir())
    shutil.copytree(packages, checkout.path / "packages")
    try:
        run(["chown", "--recursive", NOBODY, str(checkout.path)])
        become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        python = [str(Path(sys.executable).resolve()), "-m", "invoke", "build"]
        place = {"HOME": str(checkout.path), "PYTHONPATH": str(checkout.path / "packages")}
        said = two_lines(run([*become, *python], cwd=checkout.path, check=False, **place))
        assert said == (
            "this account may not use the Docker daemon\n  run: bash misc/setup.sh (it offers the group docker)"
        )
    finally:
        shutil.rmtree(checkout.path)


def test_an_account_whose_docker_can_keep_nothing(built: Checkout) -> None:
    failed = built.invoke("build-only", check=False, BUILDX_CONFIG="/dev/null/buildx")
    assert len(failed.lines) == 2  # before anything is said of a build, or a record of one begun
    said = two_lines(failed)
    assert said.startswith(
        "docker cannot keep its notes in /dev/null/buildx: /dev/null is no folder\n  unset BUILDX_CONFIG"
    )
    found = built.invoke("doctor", "--json", check=False, BUILDX_CONFIG="/dev/null/buildx").out
    assert '"docker cannot keep its notes in /dev/null/buildx: /dev/null is no folder"' in found


@pytest.mark.parametrize("task", ["build", "run"])
def test_a_platform_that_is_not_the_engines(built: Checkout, task: str) -> None:
    other = "linux/amd64" if os.uname().machine == "aarch64" else "linux/arm64"
    said = two_lines(built.invoke(task, check=False, DOCKER_DEFAULT_PLATFORM=other))
    assert said.startswith(f"DOCKER_DEFAULT_PLATFORM is '{other}'")


def test_no_compose(built: Checkout, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can hide the folders of docker's plugins")
    places = [f"/usr/{place}/docker/cli-plugins" for place in ("lib", "libexec", "local/lib", "local/libexec")]
    hide = " && ".join(f"mount -t tmpfs none {place}" for place in places if Path(place).is_dir())
    argv = ["unshare", "--mount", "sh", "-c", f'{hide} && exec "$@"', "sh", sys.executable, "-m", "invoke", "build"]
    if run([*argv[:5], f"{hide} && true"], check=False).code:
        pytest.skip("mounts are not allowed here")
    said = two_lines(run(argv, cwd=built.path, check=False, DOCKER_CONFIG=str(tmp_path)))
    assert said == "docker has no Compose V2 plugin\n  run: bash misc/install_compose.sh"


def test_a_daemon_that_was_restarted(second: Checkout, second_engine: SecondEngine) -> None:
    second.invoke("up")
    second.inside("touch /tmp/kept")
    second_engine.stop()
    assert "no Docker daemon answers" in two_lines(second.invoke("exec", "--command", "true", check=False))
    second_engine.start()
    said = two_lines(second.invoke("exec", "--command", "true", check=False))
    ways = "start it as it was: invoke start --service cpu; or a fresh one: invoke up --service cpu"
    assert said == f"no container of the service cpu runs\n  {ways}"
    second.invoke("start")
    second.inside("test -e /tmp/kept")
    second.invoke("up")
    second.inside("test ! -e /tmp/kept")


# ----------------------------------------------------------------------------------------------------------- the disk


@pytest.fixture(scope="module")
def second(second_engine: SecondEngine, built: Checkout, light_wheels: Path) -> Iterator[Checkout]:
    """A clone that uses the second engine."""
    checkout = Checkout(path=folder(), extra={"DOCKER_HOST": second_engine.address})
    (checkout.path / ".env").write_text((built.path / ".env").read_text())
    names = {"COMPOSE_PROJECT_NAME": second_engine.name, "IMAGE_NAME": f"cresset:{second_engine.name}"}
    checkout.set(**names, WHEELHOUSE=str(light_wheels))
    yield checkout
    checkout.remove()


@pytest.fixture
def disk(second_engine: SecondEngine) -> Iterator[SecondEngine]:
    """The second engine, whose disk may be filled."""
    yield second_engine
    second_engine.make_room()


def test_a_disk_that_is_too_small(second: Checkout, disk: SecondEngine) -> None:
    second.compose("down")
    disk.docker("image", "rm", "--force", second.image)
    disk.docker("builder", "prune", "--all", "--force")
    disk.leave(450_000_000)
    before = (second.path / ".env").read_text()
    result = second.invoke("build-only", check=False)
    said = two_lines(result, code=1)
    assert "Warning: 450.0 MB are free on the disk" in result.out
    assert f"the build of {second.image} failed: no space left on device" in said
    assert str(disk.data) in said
    assert "invoke prune" in said
    assert (second.path / ".env").read_text() == before
    finished = second.executed()
    assert finished

    disk.make_room()
    second.invoke("build-only")
    # BuildKit itself removes what copies of files it can make again. The first has two names, of two stages alike.
    packages, uv = {"build-python 2/3", "train-python 2/2"}, {"build-python 3/3"}
    assert packages & set(finished)
    assert uv <= set(finished)
    assert not (packages | uv) & set(second.executed())
    second.invoke("up")


def test_a_disk_that_is_full(second: Checkout, disk: SecondEngine) -> None:
    second.invoke("up")
    disk.leave(100_000_000)
    said = two_lines(second.invoke("build", check=False))
    assert f"are free on the disk that holds {disk.data}" in said
    assert "docker builder prune" in said
    second.inside("true")


def test_a_disk_with_little_room_where_all_is_built(second: Checkout, disk: SecondEngine) -> None:
    second.invoke("build")
    disk.leave(400_000_000)
    out = second.invoke("build").out
    assert second.executed() == []
    assert "Warning" not in out


# ------------------------------------------------------------------------------------------------------- the registry


@pytest.fixture(scope="module")
def bad_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.mark.parametrize(
    ("image", "failure", "hint"),
    [
        ("localhost:1/x:1", "the registry does not answer", "does not reach localhost:1:"),
        ("nowhere.invalid/x:1", "the registry does not answer", "does not reach nowhere.invalid:"),
        ("{local}/503/x:1", "the registry does not answer", "does not reach {local}:"),
        ("{local}/401/x:1", "the registry asks who you are", "docker login {local};"),
        ("{local}/403/x:1", "the registry asks who you are", "docker login {local};"),
        ("{local}/404/x:1", "the base image is gone", "{local} has no {local}/404/x:1"),
        ("{local}/404/nvidia/cuda:9.9-devel", "NVIDIA's tag is gone", "choose a CUDA_VERSION"),
        ("{local}/429/x:1", "too many downloads", "docker login {local}"),
        ("{bridge}/404/x:1", "the registry's certificate is not trusted", "/etc/docker/certs.d/{bridge}/ca.crt"),
    ],
)
def test_a_base_image_that_is_not_to_be_had(
    built: Checkout, bad_registry: Registry, image: str, failure: str, hint: str
) -> None:
    places = {"local": bad_registry.local, "bridge": bad_registry.bridge}
    base = f"BUILD_IMAGE={image.format(**places)}"
    said = two_lines(built.invoke("build-only", "--service", "train", "--set", base, check=False), code=1)
    assert f": {failure}\n" in said
    assert hint.format(**places).lower() in said.lower()


def test_a_plain_base_image_that_is_not_to_be_had(built: Checkout, bad_registry: Registry) -> None:
    base = f"{bad_registry.local}/404/x:1"
    said = two_lines(built.invoke("build", "--set", f"PLAIN_IMAGE={base}", check=False))
    assert f"{base} is not here and cannot be pulled: " in said
    assert "manifest unknown" in said
    assert "docker login" in said
    said = two_lines(built.invoke("build", "--set", "PLAIN_IMAGE=nowhere.invalid/x:1", check=False))
    assert "see to the network, choose another" in said


# ---------------------------------------------------------------------------------- downloads in the steps of a build


@pytest.fixture(scope="module")
def cutting() -> Iterator[Shop]:
    with shop() as server:
        yield server


def test_a_download_that_is_cut_off_is_taken_up_again(
    cutting: Shop, clone: Callable[[], Checkout], unseen_base: str
) -> None:
    checkout = clone()
    checkout.set(
        PLAIN_IMAGE=unseen_base,
        PYTORCH_INDEX_URL=f"{cutting.address}/wheels",
        PYTORCH_VERSION_TAG="v9.1.0",
        INDEX_URL=f"{cutting.address}/simple",
        EXTRA_INDEX_URL=f"{cutting.address}/wheels",
        TRUSTED_HOST=cutting.host,
    )
    checkout.edit("reqs/pip-train.requirements.txt", "cresset-cut")
    checkout.invoke("build-only")
    # By the pip of the distribution, by a new pip, by uv.
    for name in ("uv-", "torch-9.1.0", "cresset_cut-"):
        assert cutting.count(name) > 1, cutting.asked


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A line that is added to a requirement file, with settings, and what comes of it."""

    file: str = "pip"
    line: str = "cresset-nowhere"
    settings: dict[str, str] = field(default_factory=dict)
    failure: str
    hint: str


@pytest.mark.parametrize(
    "wish",
    [
        Wish(
            file="apt",
            line="nosuch-package-xyz",
            failure="no such apt package",
            hint="reqs/apt-train.requirements.txt, line {line}:",
        ),
        Wish(
            line="iniconfig==99",
            failure="no such version of a Python package",
            hint="reqs/pip-train.requirements.txt, line {line}:",
        ),
        Wish(
            settings={"INDEX_URL": "http://nowhere.invalid/simple"},
            failure="no network",
            hint="does not reach nowhere.invalid:",
        ),
        Wish(
            settings={"INDEX_URL": "http://127.0.0.1:1/simple"},
            failure="no network",
            hint="does not reach 127.0.0.1:1:",
        ),
        Wish(
            settings={"INDEX_URL": "https://{bridge}/simple"},
            failure="a certificate is not trusted",
            hint="--set CA_BUNDLE=",
        ),
        Wish(
            settings={"INDEX_URL": "https://{bridge}/401", "TRUSTED_HOST": "{bridge}"},
            failure="an index asks who you are",
            hint="INDEX_URL",
        ),
    ],
    ids=["apt", "Python", "no such host", "nobody answers", "unknown certificate", "no password"],
)
def test_a_requirement_that_is_not_to_be_had(clone: Callable[[], Checkout], bad_registry: Registry, wish: Wish) -> None:
    checkout = clone()
    name = f"reqs/{wish.file}-train.requirements.txt"
    checkout.edit(name, wish.line)
    checkout.set(**{key: value.format(bridge=bad_registry.bridge) for key, value in wish.settings.items()})
    said = two_lines(checkout.invoke("build-only", check=False), code=1)
    assert f": {wish.failure}\n" in said
    assert wish.hint.format(line=len((checkout.path / name).read_text().splitlines())) in said
