"""What others ran into: published cases, each found by the check of its name, before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from cresset.health import probes
from tests.unit.a_configuration import DOCKER, MACHINE, examine, gpu


@dataclass(frozen=True, kw_only=True)
class Case:
    """A published failure.

    Attributes:
        url: where it was reported.
        check: what has to find it.
        severity: as what.
        given: the settings that amount to it.
        docker: what of docker was otherwise than on a host where all is well.
        machine: what of the host was.
    """

    url: str
    check: str
    severity: str = "error"
    given: Mapping[str, str] = field(default_factory=dict)
    docker: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)


def source(torch: str, cuda: str, cca: str, **more: str) -> dict[str, str]:
    return {"BUILD_MODE": "include", "PYTORCH_VERSION_TAG": torch, "CUDA_VERSION": cuda, "CCA": cca, **more}


def wheel(torch: str, cuda: str, **more: str) -> dict[str, str]:
    return {"PYTORCH_VERSION_TAG": torch, "CUDA_VERSION": cuda, **more}


CASES = (
    # nvcc fatal: Unsupported gpu architecture
    Case(
        url="https://github.com/cresset-template/cresset/issues/32",
        check="toolkit-arch",
        given=source("v1.11.0", "10.2", "8.0", PYTHON_VERSION="3.7"),
    ),
    Case(
        url="https://github.com/nagadomi/distro/issues/18", check="toolkit-arch", given=source("v1.9.1", "10.2", "8.6")
    ),
    Case(
        url="https://github.com/NVlabs/FoundationPose/issues/30",
        check="toolkit-arch",
        given=source("v1.11.0", "11.3.0", "8.9"),
    ),
    Case(
        url="https://github.com/Dao-AILab/fast-hadamard-transform/issues/16",
        check="toolkit-arch",
        given=source("v2.9.0", "13.0.0", "7.0"),
    ),
    Case(
        url="https://github.com/pytorch/pytorch/issues/49528",
        check="toolkit-arch",
        given=source("v1.7.1", "11.0.3", "3.0"),
    ),
    # no kernel image is available for execution on the device
    Case(
        url="https://github.com/pytorch/pytorch/issues/167244",
        check="wheel-arch",
        severity="warning",  # what that wheel was compiled for is not stated outright
        given=wheel("v2.6.0", "12.4.1"),
        machine={"gpus": (gpu("12.0", driver="570.124.06"),)},
    ),
    Case(
        url="https://github.com/HybridRobotics/berkeley-humanoid-lite/issues/49",
        check="wheel-arch",
        severity="warning",
        given=wheel("v2.5.1", "12.1.1"),
        machine={"gpus": (gpu("12.0", driver="590.48.01"),)},
    ),
    Case(
        url="https://github.com/Comfy-Org/ComfyUI/pull/16438",
        check="wheel-arch",
        given=wheel("v2.9.0", "13.0.3"),
        machine={"gpus": (gpu("6.1"),)},
    ),
    Case(
        url="https://github.com/unslothai/unsloth/pull/5876",
        check="wheel-arch",
        given=wheel("v2.10.0", "13.0.3"),
        machine={"gpus": (gpu("7.0"),)},
    ),
    Case(
        url="https://github.com/andreimargeloiu/WPFS/issues/3",
        check="wheel-arch",
        given=wheel("v1.10.1", "10.2"),
        machine={"gpus": (gpu("8.0"),)},
    ),
    # manifest unknown
    Case(
        url="https://github.com/pytorch/builder/issues/1811",
        check="base-image",
        given=wheel("v2.4.0", "12.4.0", CUDNN_VERSION="8", DISTRO_VERSION="22.04"),
    ),
    Case(
        url="https://github.com/NVIDIA/nvidia-docker/issues/1768",
        check="base-image",
        severity="warning",  # it was there once, and may be on a mirror
        given=wheel("v1.9.1", "10.2", CUDNN_VERSION="7", DISTRO_VERSION="18.04"),
    ),
    # unsupported GNU version! gcc versions later than 12 are not supported
    Case(
        url="https://github.com/pytorch/pytorch/issues/136556",
        check="compiler",
        given=source("v2.4.1", "12.2.2", "8.6", BUILD_IMAGE="ubuntu:24.04"),
    ),
    Case(
        url="https://github.com/vllm-project/vllm/pull/44923",
        check="compiler",
        given=source("v2.12.0", "12.6.3", "8.6", BUILD_IMAGE="debian:bullseye"),
    ),
    # the compile ends after an hour
    Case(
        url="https://github.com/pytorch/pytorch/issues/122169",
        check="torch-cuda",
        given=source("v2.2.1", "12.4.1", "8.6"),
    ),
    # No matching distribution found
    Case(
        url="https://github.com/ogkalu2/comic-translate/issues/215", check="torch-cuda", given=wheel("v2.6.0", "12.1.1")
    ),
    Case(
        url="https://github.com/pytorch/pytorch/issues/190385",
        check="torch-cuda",
        severity="warning",  # the table's list for 2.15 is not confirmed
        given=wheel("v2.15.0", "12.6.3"),
    ),
    Case(
        url="https://github.com/pytorch/pytorch/issues/91543",
        check="torch-python",
        severity="warning",  # there were wheels of torch alone
        given=wheel("v1.13.1", "11.7.1", PYTHON_VERSION="3.11.1"),
    ),
    Case(
        url="https://github.com/pytorch/pytorch/issues/71112",
        check="torch-python",
        given=wheel("v1.10.1", "11.3.1", PYTHON_VERSION="3.10"),
    ),
    Case(
        url="https://github.com/pytorch/pytorch/issues/137853",
        check="torch-python",
        given=wheel("v2.4.1", "12.4.1", PYTHON_VERSION="3.13"),
    ),
    Case(
        url="https://github.com/kojima-takeshi188/zero_shot_cot/issues/6",
        check="torch-python",
        given=wheel("v1.8.2", "11.1.1", PYTHON_VERSION="3.11"),
    ),
    Case(
        url="https://github.com/pytorch/pytorch/issues/156215",
        check="distribution",
        given=wheel("v2.7.0", "11.8.0", CUDNN_VERSION="8", DISTRO_VERSION="18.04"),
    ),
    Case(
        url="https://github.com/pytorch/pytorch/issues/123649",
        check="distribution",
        given={"USE_CUDA": "0", "BUILD_IMAGE": "amazonlinux:2", "PYTORCH_VERSION_TAG": "v2.7.0"},
    ),
    # operator torchvision::nms does not exist; Symbol not found
    Case(
        url="https://github.com/pytorch/vision/issues/9174",
        check="companions",
        given=wheel("v2.6.0", "12.6.3", TORCHVISION_VERSION_TAG="v0.23.0"),
    ),
    Case(
        url="https://github.com/TaterTotterson/microWakeWord-Trainer-AppleSilicon/pull/16",
        check="companions",
        given=wheel("v2.9.0", "12.8.1", TORCHAUDIO_VERSION_TAG="v2.11.0"),
    ),
    # nvidia-container-cli: requirement error: unsatisfied condition: cuda>=
    Case(
        url="https://github.com/NVIDIA/nvidia-docker/issues/1442",
        check="driver",
        given=wheel("v1.7.1", "11.0.3"),
        machine={"gpus": (gpu("7.0", driver="440.33.01", cuda="10.2"),)},
    ),
    Case(
        url="https://github.com/SyneRBI/PETRIC2/issues/27",
        check="driver",
        severity="warning",
        given=wheel("v2.8.0", "12.8.1"),
        machine={"gpus": (gpu("8.6", driver="551.78", cuda="12.4"),)},
    ),
    # could not select device driver "" with capabilities: [[gpu]]
    Case(
        url="https://github.com/NVlabs/BundleSDF/issues/184",
        check="gpu-runtime",
        given=wheel("v2.6.0", "12.4.1"),
        docker={"knows_gpus": False},
        machine={"gpus": (gpu("8.6", driver="550.120", cuda="12.4"),)},
    ),
    Case(
        url="https://github.com/fboulnois/stable-diffusion-docker/issues/82",
        check="gpu-runtime",
        docker={"knows_gpus": False},
    ),
    # Killed
    Case(
        url="https://github.com/pytorch/pytorch/issues/124018",
        check="memory",
        severity="warning",
        given=source("v2.9.0", "12.8.1", "8.6", MAX_JOBS="20"),
        docker={"memory": 32 * 2**30},
    ),
    # a build cache of 20 GB, as Docker Desktop sets it
    Case(
        url="https://github.com/moby/moby/issues/49826",
        check="builder-gc",
        severity="warning",
        given=source("v2.9.0", "12.8.1", "8.6"),
        docker={"cache_limit": 20 * 2**30},
    ),
    # DataLoader worker is killed by signal: Bus error
    Case(
        url="https://github.com/pytorch/pytorch/issues/5040", check="shm", severity="warning", given={"SHM_SIZE": "64m"}
    ),
    # error getting credentials
    Case(
        url="https://github.com/lux4rd0/grafana-loki-syslog-aio/issues/16",
        check="docker-config",
        severity="warning",
        machine={"helpers": probes.read_config('{"auths": {}, "credsStore": "desktop"}')[1]},
    ),
    # folders that belong to root
    Case(
        url="https://github.com/cresset-template/cresset/issues/44",
        check="vscode-server",
        severity="warning",
        machine={"folders": {"/home/me/.vscode-server": 0}},
    ),
    # self-signed certificate in certificate chain
    Case(
        url="https://github.com/docker/compose/issues/6993",
        check="proxy-ca",
        severity="warning",
        machine={"ca_bundle": "/etc/ssl/certs/ca-certificates.crt"},
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.url)
def test_what_others_ran_into_is_found_by_name(case: Case) -> None:
    found = examine(case.given, docker=replace(DOCKER, **case.docker), machine=replace(MACHINE, **case.machine))
    assert found[case.check].severity == case.severity, found[case.check]
    assert found[case.check].hint


OWN = (
    ("toolkit-arch", source("v2.14.1", "13.0.3", "6.1")),
    ("compiler", source("v2.12.0", "12.6.3", "8.6", DISTRO_VERSION="20.04")),
    ("base-image", wheel("v2.14.1", "12.6.3", CUDNN_VERSION="9")),
    ("base-image", wheel("v2.14.1", "12.5.0")),
    ("torch-python", wheel("v2.15.0", "13.2.1", PYTHON_VERSION="3.10")),
    ("distribution", source("v1.9.1", "10.2", "7.5", DISTRO_VERSION="16.04", CUDNN_VERSION="8")),
)


@pytest.mark.parametrize(("check", "given"), OWN, ids=[f"{check} {number}" for number, (check, _) in enumerate(OWN)])
def test_what_the_tables_know_is_found_by_name(check: str, given: dict[str, str]) -> None:
    assert examine(given)[check].severity == "error"


def test_each_case_is_another_one() -> None:
    assert len({case.url for case in CASES}) == len(CASES)
