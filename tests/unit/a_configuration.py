"""Settings as the Dockerfile makes them of a few, and what doctor looks at, for the tests that need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cresset import dockerfile
from cresset.hardware import Gpu
from cresset.health import doctor
from cresset.health.findings import Docker, Facts, Finding, Machine, Project
from cresset.versions import compat

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "cresset" / "data" / "compat.yaml").read_text()
TABLES = compat.read(TEXT)
RECIPE = dockerfile.parse((ROOT / "Dockerfile").read_text())
# What docker-compose.yaml has by default.
_COMPOSE = {
    "SERVICE": "train",
    "CA_BUNDLE": "",
    "GPUS": "all",
    "IPC": "private",
    "MAX_JOBS": "",
    "NETWORK": "bridge",
    "PLAIN_IMAGE": "debian:bookworm-slim",
    "SHM_SIZE": "8gb",
    "WHEELHOUSE": "misc/wheelhouse",
}
# A host on which all is well.
DOCKER = Docker(
    client="28.2.2",
    version="26.1.5",
    compose="2.26.1",
    buildx="0.13.1",
    address="unix:///var/run/docker.sock",
    memory=64 * 2**30,
    cores=8,
    root="/var/lib/docker",
    free=200 * 10**9,
    knows_gpus=True,
)
MACHINE = Machine(env_names=("SERVICE", "UID"))


def settings(given: Mapping[str, str]) -> dict[str, str]:
    """Return every setting where a few are given."""
    return {**_COMPOSE, **dockerfile.global_values(RECIPE, given), **given}


def gpu(capability: str, *, driver: str = "610.43.02", cuda: str = "13.3", index: int = 0) -> Gpu:
    """Return a GPU of a compute capability."""
    return Gpu(index=index, name="a GPU", capability=capability, driver=driver, cuda=cuda, memory=24576)


def facts(
    given: Mapping[str, str] | None = None,
    *,
    docker: Docker = DOCKER,
    machine: Machine = MACHINE,
    **project: object,
) -> Facts:
    """Return what doctor looks at: all is well, but for what is given."""
    values = settings(given or {})
    chosen = Project(service=values["SERVICE"], reserves_gpus=values["USE_CUDA"] == "1", values=values, lacks=())
    chosen = replace(chosen, **project)  # type: ignore[arg-type] # the test knows
    return Facts(docker=docker, machine=machine, tables=TABLES, project=chosen)


def examine(
    given: Mapping[str, str] | None = None,
    *,
    docker: Docker = DOCKER,
    machine: Machine = MACHINE,
    **project: object,
) -> dict[str, Finding]:
    """Return what doctor finds, by check; of several of one check, the worst."""
    rank = ["ok", "info", "warning", "error"]
    found: dict[str, Finding] = {}
    for one in doctor.examine(facts(given, docker=docker, machine=machine, **project)):
        found[one.check] = max(found.get(one.check, one), one, key=lambda finding: rank.index(finding.severity))
    return found
