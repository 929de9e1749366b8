"""The service ngc, on a stand-in for NVIDIA's image: a package `torch` that is none, constraints, an entry point."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine import bases
from tests.engine.checkout import Checkout, run
from tests.engine.light_wheels import make_wheel
from tests.engine.test_services import log_in_from_inside

TORCH = "2.14.0a0+b2c75dd062.nv26.9"
# Laid out as NVIDIA's: docs.nvidia.com/deeplearning/frameworks/pytorch-release-notes.
STAND_IN = f"""
FROM {{base}}
{bases.INSTALL} python3 python3-pip
COPY *.whl /tmp/wheels/
RUN python3 -m pip install --break-system-packages --no-index --root-user-action ignore /tmp/wheels/*.whl \\
    && mkdir -p /etc/pip /opt/nvidia && echo companion==1.0 > /etc/pip/constraint.txt && useradd --uid 1000 ubuntu
COPY --chmod=755 program /usr/local/bin/
COPY --chmod=755 nvidia_entrypoint.sh /opt/nvidia/
ENV PIP_CONSTRAINT=/etc/pip/constraint.txt PIP_BREAK_SYSTEM_PACKAGES=1 NVIDIA_PRODUCT_NAME=PyTorch
ENTRYPOINT ["/opt/nvidia/nvidia_entrypoint.sh"]
"""
PROGRAM = """#!/usr/bin/python3
import companion, torch
from importlib.util import find_spec

print(torch.__version__, companion.__version__, find_spec("thop") is not None)
"""
ENTRY = '#!/bin/sh\necho "the entry point ran"\nexec "$@"\n'
# No engine of a test has to have GPUs.
NO_GPU = "services:\n  ngc:\n    deploy: !reset null\n"
SUMS = "cd /usr/local/lib/python3.*/dist-packages && find . -type f ! -name '*.pyc' -exec sha256sum {} + | sort"


@pytest.fixture(scope="module")
def stand_in(
    base: str, clone: Callable[[], Checkout], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Checkout]]:
    checkout = clone()
    context = tmp_path_factory.mktemp("stand-in")
    for name, version in {"torch": TORCH, "companion": "1.0", "unwanted": "1.0"}.items():
        make_wheel(context, name, version)
    (context / "program").write_text(PROGRAM)
    (context / "nvidia_entrypoint.sh").write_text(ENTRY)
    image = bases.make(context, STAND_IN.format(base=base), checkout)
    yield image, checkout
    run(["docker", "image", "rm", "--force", image], check=False)


@pytest.fixture(scope="module")
def ngc(stand_in: tuple[str, Checkout]) -> Checkout:
    image, former = stand_in
    checkout = Checkout(path=former.path, service="ngc")
    (checkout.path / "docker-compose.override.yaml").write_text(NO_GPU)
    checkout.set(SERVICE="ngc", COMPOSE_PROFILES="ngc", NGC_IMAGE=image, TZ="Asia/Seoul", UID="4321", GID="4321")
    checkout.set(USR="nick", GRP="nick", SUDO="include", SSH="include", PRELOAD="libiomp5")
    os.chown(checkout.path, 4321, 4321)
    (checkout.path / "reqs/apt-ngc.requirements.txt").write_text("file\n")
    checkout.edit("reqs/pip-ngc.requirements.txt", "thop  # asks for a torch")
    checkout.edit("reqs/pip-ngc-uninstall.requirements.txt", "Unwanted  # of the stack")
    checkout.invoke("build")
    return checkout


def sums(image: str) -> set[str]:
    return set(run(["docker", "run", "--rm", "--entrypoint", "sh", image, "-c", SUMS]).lines)


def test_the_stack_stays_as_it_is(ngc: Checkout) -> None:
    before, after = sums(ngc.setting("NGC_IMAGE")), sums(ngc.image)
    assert {line.split("/")[1] for line in before - after} == {"unwanted.py", "unwanted-1.0.dist-info"}
    assert [line.split()[1] for line in after - before] == ["./cresset.pth"]


def test_a_hand_typed_exec_finds_zsh_and_everything_in_it(ngc: Checkout) -> None:
    assert ngc.compose("exec", "-T", "ngc", "zsh", "-lc", "true").code == 0
    typed = "id -un; pwd; date +%Z; whence -p pip; file --version > /dev/null && echo file; program; whence pip"
    expected = ["nick", "/opt/project", "KST", "/opt/venv/bin/pip", "file", f"{TORCH} 1.0 True", "noglob pip"]
    assert ngc.compose("exec", "ngc", "zsh", "-lic", typed).lines == expected
    assert ngc.inside("python -c 'import torch; print(torch.__version__)'").lines == [TORCH]


def test_a_hand_typed_build_replaces_no_container(ngc: Checkout) -> None:
    container = ngc.container()
    assert container
    ngc.compose("up", "--detach", "--build")
    assert ngc.container() == container


def test_the_entry_point_runs(ngc: Checkout) -> None:
    assert "the entry point ran" in ngc.compose("logs", "ngc").out


def test_sudo_ssh_and_a_preload_are_had_here_too(ngc: Checkout) -> None:
    names = "VIRTUAL_ENV LD_PRELOAD KMP_BLOCKTIME PIP_CONSTRAINT NVIDIA_PRODUCT_NAME PATH"
    assert log_in_from_inside(ngc, f"printenv {names}") == ngc.inside(f"printenv {names}").lines
    assert "/opt/preload/libiomp5.so\n" in ngc.inside("cat /proc/self/maps").out


def test_what_goes_wrong_inside_is_looked_for_here_too(ngc: Checkout) -> None:
    assert ngc.inside("bash misc/fixes.sh").lines == ["nothing needed mending"]


def test_neither_torch_nor_a_companion_is_replaced(ngc: Checkout, tmp_path: Path) -> None:
    make_wheel(tmp_path, "companion", "2.0")
    make_wheel(tmp_path, "mine", "1.0")
    for wheel in tmp_path.glob("*.whl"):
        (ngc.path / wheel.name).write_bytes(wheel.read_bytes())
    refused = ngc.invoke("exec", "--command", "pip install --no-index ./companion-2.0-py3-none-any.whl", check=False)
    assert refused.code != 0
    assert "companion==1.0" in refused.out
    ngc.inside("pip install --quiet --no-index ./mine-1.0-py3-none-any.whl")
    assert "/opt/venv/" in ngc.inside("python -c 'import mine; print(mine.__file__)'").out
    ngc.inside("pip uninstall --quiet --yes mine")
    listed = ngc.inside("pip list --path /opt/venv/lib/python3.*/site-packages --format freeze").out
    assert "torch" not in listed


def test_another_torch_is_no_requirement(ngc: Checkout) -> None:
    requirements = ngc.path / "reqs/pip-ngc.requirements.txt"
    kept = requirements.read_text()
    requirements.write_text(kept + "torch<2\n")
    try:
        failed = ngc.invoke("build-only", check=False)
    finally:
        requirements.write_text(kept)
    assert failed.code != 0
    assert "NVIDIA's version stays" in failed.out
    assert f"torch is {TORCH}" in " ".join(failed.out.split())


def test_what_is_not_there_cannot_be_uninstalled(ngc: Checkout) -> None:
    gone = ngc.path / "reqs/pip-ngc-uninstall.requirements.txt"
    kept = gone.read_text()
    gone.write_text(kept + "no-such-package\n")
    try:
        failed = ngc.invoke("build-only", check=False)
    finally:
        gone.write_text(kept)
    assert failed.code != 0
    assert "has no Python package no-such-package" in " ".join(failed.out.split())


def test_a_pip_line_runs_what_stands_on_it_and_no_step_of_another_service(ngc: Checkout) -> None:
    requirements = ngc.path / "reqs/pip-ngc.requirements.txt"
    kept = requirements.read_text()
    requirements.write_text(kept + "einops\n")
    ngc.invoke("build-only")
    requirements.write_text(kept)
    assert set(ngc.executed()) <= {"requirements 1/1", "ngc-env 1/1", "ngc-user-include 1/1", "check-ngc 1/1"} | {
        *(f"ngc {i}/4" for i in (1, 2, 3, 4)),
        *("ngc-sudo-include 1/1", "ngc-ssh-include 1/2", "ngc-ssh-include 2/2", "ngc-preload-libiomp5 1/1"),
    }
    assert "ngc-env 1/1" in ngc.executed()


def test_the_settings_of_the_release_are_shown_and_checked(ngc: Checkout) -> None:
    assert ngc.setting("NGC_MONTH") == "09"
    refused = ngc.invoke("build-only", "--set", "NGC_MONTH=13", check=False)
    assert (refused.code, refused.lines[0]) == (2, "NGC_MONTH (from --set): '13' is not a month")
    printed = ngc.invoke("build-only", "--dry-run", "--set", "NGC_YEAR=25", "--set", "NGC_MONTH=12").out
    assert '"dockerfile": "ngc.Dockerfile"' in printed
    assert '"NGC_YEAR": "25"' in printed
