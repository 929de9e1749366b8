"""One compiles, others use it: two accounts on an engine that has built nothing, a compiler cache of hosts."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.checkout import Checkout, Result, run
from tests.engine.conftest import folder
from tests.engine.second_engine import SecondEngine
from tests.engine.source_build import SourceBuild, read

NUMBERS = (12345, 12346)
PACKAGES = ("PYTORCH", "TORCHVISION", "TORCHAUDIO")
ALONE = ("--set=TORCHVISION_VERSION_TAG=", "--set=TORCHAUDIO_VERSION_TAG=")


@pytest.fixture(scope="module")
def distant(source_build: SourceBuild, second_engine: SecondEngine) -> SecondEngine:
    """An engine that has the torch image, as from a registry, and has built nothing."""
    second_engine.folder.chmod(0o711)
    second_engine.take(source_build.image("torch"))
    return second_engine


@pytest.fixture(scope="module")
def accounts(base: str) -> Iterator[dict[int, Checkout]]:
    """Two accounts, each with a fresh clone of its own."""
    if os.getuid() != 0 or shutil.which("su") is None:
        pytest.skip("only root can make an account, and it takes su to become one")
    made = {number: Checkout(path=folder()) for number in NUMBERS}
    for number, checkout in made.items():
        run(["useradd", "--non-unique", "--create-home", "--uid", str(number), "--groups", "docker", name_of(number)])
        run(["chown", "--recursive", f"{name_of(number)}:", str(checkout.path)])
        become(number, f"PLAIN_IMAGE={base} {invoke(number)} env", cwd=checkout.path)
    yield made
    for number, checkout in made.items():
        run(["userdel", "--force", "--remove", name_of(number)], check=False)
        shutil.rmtree(checkout.path)


@contextmanager
def registry(folder: Path, engine: SecondEngine) -> Iterator[str]:
    """Give the address of a registry that is on the loopback of both engines, where they ask for no certificate."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("there is no docker-registry to start")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"localhost:{free.getsockname()[1]}"
    config = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder)}},
        "http": {"addr": address},
    }
    (folder / "config.yml").write_text(json.dumps(config))
    argv = [program, "serve", str(folder / "config.yml")]
    with (
        subprocess.Popen(argv) as here,
        subprocess.Popen(["nsenter", f"--net=/proc/{engine.network}/ns/net", *argv]) as beside,
    ):
        try:
            while here.poll() is None:
                with suppress(OSError), urllib.request.urlopen(f"http://{address}/v2/", timeout=10):
                    break
                time.sleep(0.1)
            yield address
        finally:
            here.terminate()
            beside.terminate()


def name_of(number: int) -> str:
    return f"cresset-test-torch-{number}"


def become(number: int, command: str, *, cwd: Path, check: bool = True) -> Result:
    """Run a command as somebody who has just logged in."""
    return run(["su", "--login", name_of(number), "--command", f"cd {shlex.quote(str(cwd))} && {command}"], check=check)


def invoke(number: int) -> str:
    """Return how an account calls Invoke: with this very Python if it may, otherwise with one of its own."""
    ours = f"{shlex.quote(sys.executable)} -m invoke"
    may = become(number, f"{ours} --version", cwd=Path("/"), check=False).code == 0
    return ours if may else "bash misc/setup.sh invoke"


def test_two_accounts_work_from_one_torch_image_and_compile_nothing(
    source_build: SourceBuild, distant: SecondEngine, accounts: dict[int, Checkout]
) -> None:
    for number, checkout in accounts.items():
        # Not even what the other one has built is there.
        distant.docker("builder", "prune", "--all", "--force")
        train = f"{source_build.name}-{number}"
        words = f"build-train --torch-name {source_build.name}-torch --train-name {train}"
        done = become(number, f"DOCKER_HOST={distant.address} {invoke(number)} {words}", cwd=checkout.path)
        records = [*(checkout.path / ".cresset" / "builds").glob("*.jsonl")]
        ran = read(done, records)
        assert len(records) == 1
        assert ran.build_stages == set()
        assert {"make-env", "train-base", "train-env", "train-user-include", "train"} <= ran.stages
        command = ["sh", "-c", "id --user && python -c 'import torch, torchvision; print(torch.add(20, 22))'"]
        assert distant.docker("run", "--rm", f"pytorch_source:{train}", *command).lines == [str(number), "42"]


def test_a_torch_image_is_pulled_from_a_registry(
    base: str, source_build: SourceBuild, distant: SecondEngine, tmp_path: Path
) -> None:
    there = replace(source_build, checkout=replace(source_build.checkout, extra={"DOCKER_HOST": distant.address}))
    with registry(tmp_path, distant) as address:
        image = f"{address}/team/torch:{source_build.name}"
        run(["docker", "tag", source_build.image("torch"), image])
        try:
            missing = there.do("build-train", f"--torch-name={image}", PLAIN_IMAGE=base, check=False)
            assert missing.code == 2
            assert f"{image} is neither here nor to be pulled" in missing.out
            run(["docker", "push", "--quiet", image])
        finally:
            run(["docker", "image", "rm", image])
        distant.docker("builder", "prune", "--all", "--force")
        distant.docker("image", "rm", "--force", source_build.image("torch"))
        done = there.do("build-train", f"--torch-name={image}", PLAIN_IMAGE=base)
    assert f"Taking PyTorch from {image}" in done.out
    assert "make-env" in done.stages
    assert done.build_stages == set()


@pytest.fixture(scope="module")
def compiled(source_build: SourceBuild, distant: SecondEngine) -> SourceBuild:
    """The checkout with that engine, where it has compiled the stand-in for PyTorch."""
    distant.take(source_build.checkout.setting("PLAIN_IMAGE"))
    there = replace(source_build, checkout=replace(source_build.checkout, extra={"DOCKER_HOST": distant.address}))
    return replace(there, first=there.do("build-torch", *ALONE))


def test_an_engine_that_has_compiled_nothing_finds_it_in_the_shared_compiler_cache(
    compiled: SourceBuild, redis: str
) -> None:
    if not redis:
        pytest.skip("there is no redis-server to start")
    done = compiled.first
    assert "build-torch" in done.stages
    # Both of its files; the one by which CMake looks at the compiler may have been found on the first engine, not sent.
    assert re.fullmatch(
        r"([23]) of 3 compilations found \(.*\), \1 of them in the remote store", done.compiled["torch"]
    )


def test_without_the_build_cache_nothing_is_compiled_again(compiled: SourceBuild, distant: SecondEngine) -> None:
    assert "What was compiled is kept: cresset-store:" in compiled.first.out
    distant.docker("builder", "prune", "--all", "--force")
    told = compiled.do("explain", *ALONE, check=False, BUILD_MODE="include")
    assert told.lines[1].startswith("What is compiled is taken from the store: compiled on "), told.out
    done = compiled.do("build-only", *ALONE, BUILD_MODE="include")
    assert done.build_stages == set()
    assert {"make-env", "train-base", "train-env", "train-user-include", "train"} <= done.stages
    command = ["python", "-c", "import torch; print(torch.add(20, 22))"]
    assert distant.docker("run", "--rm", compiled.checkout.image, *command).lines == ["42"]
    listed = compiled.do("prune", "--store").out
    assert "PyTorch v2.13.0, Python" in listed
    assert compiled.do("prune", "--store", "--yes").lines[-1] == "Removed 1 of 1."
    assert compiled.do("prune", "--store").lines == ["The store holds nothing."]


def test_wheels_belong_to_whoever_takes_them_out(source_build: SourceBuild, accounts: dict[int, Checkout]) -> None:
    number, checkout = next(iter(accounts.items()))
    names = ("PLAIN_IMAGE", "SOURCES", "MKL_MODE", *(f"{one}_VERSION_TAG" for one in PACKAGES))
    env = "".join(f" --set {name}={shlex.quote(source_build.checkout.setting(name))}" for name in names)
    done = become(number, f"{invoke(number)} wheels --set BUILD_MODE=include{env}", cwd=checkout.path)
    # The repositories are another account's; they were asked all the same, and what root compiled is found.
    assert "does not answer" not in done.out
    assert "What is compiled is taken from the store: compiled on " in done.out
    record = max((checkout.path / ".cresset" / "builds").glob("*.jsonl"))
    assert "build-torch" not in read(done, [record]).stages
    files = [*(checkout.path / "dist").iterdir()]
    assert len(files) == 4
    assert {path.stat().st_uid for path in files} == {number}
