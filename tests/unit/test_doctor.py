"""Each check of doctor, each way it can end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cresset import hardware
from cresset.health import doctor, doctor_versions
from cresset.health.findings import Docker, Facts, Machine
from cresset.versions.wheels import Lack
from tests.unit.a_configuration import DOCKER, MACHINE, TABLES, examine, facts, gpu

SOURCE = {"BUILD_MODE": "include", "CCA": "8.6"}
CPU = {"SERVICE": "cpu", "USE_CUDA": "0", "BUILD_IMAGE": "debian:bookworm-slim", "TRAIN_IMAGE": "debian:bookworm-slim"}


def test_where_all_is_well_nothing_is_said_but_that() -> None:
    found = examine(machine=replace(MACHINE, gpus=(gpu("8.6"),)))
    assert {one.severity for one in found.values()} == {"ok"}
    assert not any(one.hint for one in found.values())
    assert set(found) <= set(doctor.NAMES)


def test_the_names_are_those_of_the_checks() -> None:
    everything = examine({**SOURCE, "MAX_JOBS": "2"}, machine=replace(MACHINE, gpus=(gpu("8.6"),)))
    assert set(doctor.NAMES) - set(everything) == {"wheel-arch"}
    assert len(set(doctor.NAMES)) == len(doctor.NAMES)


def test_a_host_without_a_gpu_is_well_with_cpu_and_not_with_train() -> None:
    bare = replace(DOCKER, knows_gpus=False)
    assert not [one for one in examine(CPU, docker=bare).values() if one.severity in {"warning", "error"}]
    found = examine(docker=bare)
    assert [one.check for one in found.values() if one.severity == "error"] == ["gpu-runtime"]
    assert "this host has none" in found["gpu-runtime"].message
    assert "--service cpu" in found["gpu-runtime"].hint


Row = tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], str, str]
# check, settings, what of docker differs, what of the machine differs, severity, words of the message or the hint
ROWS: tuple[Row, ...] = (
    ("engine", {}, {"client": "", "version": "", "compose": "", "buildx": ""}, {}, "error", "docker is not installed"),
    ("engine", {}, {"version": "", "complaint": "Cannot connect to the Docker daemon"}, {}, "error", "Cannot connect"),
    (
        "engine",
        {},
        {"client": "", "version": "", "compose": "", "buildx": "", "complaint": hardware.SILENCE},
        {},
        "error",
        "daemon does not answer",
    ),
    ("engine", {}, {"version": "20.10.24"}, {}, "error", "20.10.24 is too old"),
    ("permission", {}, {"version": "", "complaint": "permission denied while trying"}, {}, "error", "may not use"),
    ("compose", {}, {"compose": ""}, {}, "error", "install_compose.sh"),
    ("compose", {}, {"compose": "2.17.2"}, {}, "error", "2.17.2 is too old"),
    ("buildx", {}, {"buildx": ""}, {}, "error", "no Buildx plugin"),
    ("buildx", {}, {"buildx": "0.10.4"}, {}, "error", "0.10.4 is too old"),
    ("context", {}, {"address": "ssh://me@far"}, {}, "warning", "ssh://me@far"),
    ("context", {}, {"builder": ("mine", "docker-container")}, {}, "warning", "docker buildx use default"),
    ("docker-config", {}, {}, {"docker_folder": ("~/.docker is another's", "sudo chown")}, "error", "another's"),
    ("docker-config", {}, {}, {"docker_config": "config.json is no JSON"}, "error", "config.json.old"),
    ("docker-config", {}, {}, {"helpers": ("docker-credential-x",)}, "warning", "docker-credential-x"),
    ("gpu-runtime", CPU, {}, {"gpus": (gpu("8.6"),)}, "info", "--service train"),
    ("gpu-runtime", {"USE_CUDA": "0"}, {"knows_gpus": False}, {}, "warning", "--set USE_CUDA=1"),
    ("gpu-runtime", {}, {"knows_gpus": False}, {"gpus": (gpu("8.6"),)}, "error", "NVIDIA's toolkit"),
    ("gpu-runtime", {}, {"knows_gpus": False}, {"gpu_complaint": "no devices"}, "error", "nvidia-smi says no devices"),
    ("gpu-runtime", {}, {}, {"gpu_complaint": hardware.NO_ANSWER}, "warning", "does not answer: what GPUs"),
    ("gpu-runtime", CPU, {}, {"gpu_complaint": hardware.NO_ANSWER}, "info", "is not known"),
    ("driver", {}, {}, {"gpus": (gpu("8.6", driver="[Unknown Error]"),)}, "warning", "says [Unknown Error]"),
    ("driver", {}, {}, {"gpus": (gpu("8.6", driver=""),)}, "warning", "cannot be read"),
    ("driver", {}, {}, {"gpus": (gpu("8.6", driver="535.104.05"),)}, "error", "needs driver 580 or newer"),
    ("driver", {}, {}, {"gpus": (gpu("8.6", driver="580.65.06", cuda="13.0"),)}, "ok", "runs CUDA 13.0.3"),
    ("driver", {"CUDA_VERSION": "10.2"}, {}, {"gpus": (gpu("6.1", driver="418.87.00"),)}, "error", "driver 440.33.01"),
    (
        "driver",
        {"CUDA_VERSION": "13.2.1"},
        {},
        {"gpus": (gpu("8.6", driver="580.65.06", cuda="13.0"),)},
        "warning",
        "may refuse to start",
    ),
    ("gpu-arch", SOURCE, {}, {"gpus": (gpu("9.0"),)}, "warning", "add 9.0 to CCA"),
    ("gpu-arch", SOURCE, {}, {"gpus": (gpu("8.9"),)}, "ok", "8.9"),
    ("gpu-arch", {**SOURCE, "CCA": "8.6+PTX"}, {}, {"gpus": (gpu("9.0"),)}, "ok", "9.0"),
    ("gpu-arch", {**SOURCE, "CCA": "8.6+PTX"}, {}, {"gpus": (gpu("42.7"),)}, "info", "for 42.7 by PTX"),
    ("wheel-arch", {}, {}, {"gpus": (gpu("42.7"),)}, "info", "for 42.7 by PTX"),
    ("wheel-arch", {}, {}, {"gpus": (gpu("6.1"),)}, "error", "6.1"),
    ("wheel-arch", {}, {}, {"gpus": (gpu("6.1"), gpu("8.6", index=1))}, "warning", "GPU 0"),
    ("wheel-arch", {"CCA": "6.1 9.0"}, {}, {}, "warning", "CCA names 6.1"),
    (
        "wheel-arch",
        {"PYTORCH_VERSION_TAG": "v2.6.0", "CUDA_VERSION": "12.6.3"},
        {},
        {"gpus": (gpu("12.0"),)},
        "warning",  # PTX may be there, and nobody says so
        "is for no other than CUDA 12.6.3 compiles for, 5.0 to 9.0",
    ),
    (
        "wheel-arch",
        {"PYTORCH_VERSION_TAG": "v2.6.0", "CUDA_VERSION": "12.6.3", "CCA": "12.0"},
        {},
        {},
        "warning",
        "CCA names 12.0",
    ),
    # Nobody knows what that wheel has code for; that for 12.8 has none for them.
    *(
        ("wheel-arch", {"PYTORCH_VERSION_TAG": "v2.11.0", "CUDA_VERSION": "12.9.2", **more}, {}, machine, *words)
        for more, machine, words in (
            ({}, {"gpus": (gpu("7.0"),)}, ("warning", "that for CUDA 12.8 has no more code for 7.0")),
            ({"CCA": "6.1"}, {}, ("warning", "no more code for 6.1")),
            ({}, {"gpus": (gpu("8.6"),)}, ("info", "is not in the tables")),
        )
    ),
    ("wheel-arch", {"GPUS": "1"}, {}, {"gpus": (gpu("6.1"), gpu("8.6", index=1))}, "ok", "8.6"),
    ("wheel-arch", {}, {"machine": "aarch64"}, {"gpus": (gpu("11.0"),)}, "ok", "11.0"),
    ("wheel-arch", {"PYTORCH_INDEX_URL": "https://x.example"}, {}, {"gpus": (gpu("8.6"),)}, "info", "not in the"),
    ("toolkit-arch", {"BUILD_MODE": "include"}, {}, {}, "error", "needs CCA"),
    ("toolkit-arch", {**SOURCE, "CCA": "6.1"}, {}, {}, "error", "does not compile for 6.1"),
    ("torch-cuda", {"CUDA_VERSION": "12.4.1"}, {}, {}, "error", "no wheels of PyTorch 2.14.1 for cu124"),
    ("torch-cuda", {"PYTORCH_VERSION_TAG": "v2.99.0"}, {}, {}, "warning", "not in the tables"),
    ("torch-cuda", {"PYTORCH_VERSION_TAG": "2.6"}, {}, {}, "warning", "write it in full, like v2.6.0"),
    ("torch-python", {**CPU, "PYTORCH_VERSION_TAG": "v2.99.0"}, {}, {}, "warning", "misc/compat.yaml"),
    ("torch-python", {"PYTHON_VERSION": "3.9"}, {}, {}, "error", "do not go together"),
    ("companions", {"TORCHVISION_VERSION_TAG": "v0.20.1"}, {}, {}, "error", "v0.29.1"),
    ("base-image", {"CUDNN_VERSION": "9"}, {}, {}, "error", "set CUDNN_VERSION="),
    ("base-image", {"CUDA_VERSION": "13.0.9"}, {}, {}, "warning", "not in the tables"),
    ("base-image", {"CUDA_VERSION": "12.4.0"}, {}, {}, "error", "set CUDA_VERSION=12.4.1"),
    ("base-image", {"DISTRO_VERSION": "28.04"}, {}, {}, "warning", "not in the tables"),
    ("base-image", {"LINUX_DISTRO": "rockylinux"}, {}, {}, "error", "set DISTRO_VERSION as well, to 8 or 9"),
    (
        "base-image",
        {"LINUX_DISTRO": "rockylinux", "DISTRO_VERSION": "9"},
        {},
        {},
        "warning",
        "is not in the tables: with",
    ),
    ("base-image", {"DISTRO_VERSION": "20.04"}, {}, {}, "error", "set DISTRO_VERSION=24.04"),
    (
        "base-image",
        {"CUDA_VERSION": "10.2", "CUDNN_VERSION": "8", "DISTRO_VERSION": "18.04"},
        {},
        {},
        "warning",
        "deleted",
    ),
    ("compiler", {**SOURCE, "BUILD_IMAGE": "ubuntu:focal"}, {}, {}, "error", "needs 11.3 or newer"),
    (
        "compiler",
        {**SOURCE, "PYTORCH_VERSION_TAG": "v2.6.0", "CUDA_VERSION": "11.8.0", "BUILD_IMAGE": "ubuntu:24.04"},
        {},
        {},
        "error",
        "11 is the newest",
    ),
    ("compiler", SOURCE, {}, {}, "ok", "gcc 13.3"),
    (
        "compiler",
        {**SOURCE, "BUILD_IMAGE": "mirror.example.org/nvidia/cuda:12.8.1-cudnn-devel-ubuntu22.04"},
        {},
        {},
        "error",
        "has CUDA 12.8.1, not 13.0.3, which a source build takes from BUILD_IMAGE set CUDA_VERSION=12.8.1",
    ),
    ("compiler", {**SOURCE, "IMAGE_FLAVOR": "runtime"}, {}, {}, "error", "set IMAGE_FLAVOR=devel"),
    ("compiler", {**SOURCE, "BUILD_IMAGE": "nvidia/cuda:13.0.3-devel-ubuntu24.04"}, {}, {}, "error", "has no cuDNN"),
    ("compiler", {**SOURCE, "BUILD_IMAGE": "ubuntu:24.04"}, {}, {}, "error", "ubuntu:24.04 has no nvcc"),
    ("compiler", {**SOURCE, "BUILD_IMAGE": "ubuntu:24.04", "USE_CUDA": "0"}, {}, {}, "ok", "gcc 13.3"),
    ("compiler", {**SOURCE, "BUILD_IMAGE": "me/cuda:12.4-noble"}, {}, {}, "ok", "gcc 13.3"),
    # What else is in an image of one's own, its name does not say.
    ("compiler", {**SOURCE, "BUILD_IMAGE": "me/mine:focal"}, {}, {}, "warning", "needs 11.3 or newer"),
    ("distribution", {"BUILD_IMAGE": "me/mine:bionic"}, {}, {}, "warning", "need glibc 2.28"),
    ("distribution", {"BUILD_IMAGE": "me/alpine-dev:1"}, {}, {}, "error", "has neither apt nor dnf"),
    ("distribution", {"LINUX_DISTRO": "rockylinux", "DISTRO_VERSION": "9"}, {}, {}, "ok", "rhel9"),
    ("distribution", {"DISTRO_VERSION": "18.04"}, {}, {}, "error", "need glibc 2.28"),
    ("distribution", {**SOURCE, "DISTRO_VERSION": "18.04"}, {}, {}, "ok", "ubuntu18.04 has a Python that installs uv"),
    ("distribution", {**SOURCE, "DISTRO_VERSION": "16.04"}, {}, {}, "error", "ubuntu16.04 is too old"),
    ("disk", {}, {"free": 10**10}, {}, "warning", "the first build takes about"),
    ("disk", {}, {"free": 10**7}, {}, "error", "only 10.0 MB are free"),
    ("disk", {}, {"free": None}, {}, "info", "not this machine's"),
    ("memory", SOURCE, {"memory": 4 * 2**30}, {}, "warning", "one compiler may take 6 GB"),
    ("memory", {**SOURCE, "MAX_JOBS": "16"}, {}, {}, "warning", "set MAX_JOBS=10"),
    ("memory", SOURCE, {"memory": 16 * 2**30}, {}, "ok", "2 compilers"),
    ("builder-gc", SOURCE, {"cache_limit": 20 * 10**9}, {}, "warning", '"keepStorage": "100GB"'),
    ("builder-gc", SOURCE, {"idle_limit": (48, 512 * 10**6)}, {}, "warning", "beyond 512.0 MB the builder throws away"),
    ("builder-gc", SOURCE, {"idle_limit": (48, 60 * 10**9)}, {}, "ok", "without a limit"),
    ("builder-gc", SOURCE, {"idle_limit": (1440, 10**9)}, {}, "ok", "without a limit"),
    ("builder-gc", SOURCE, {"cache_limit": 100 * 10**9}, {}, "ok", "100.0 GB"),
    ("shm", {"SHM_SIZE": "64mb"}, {}, {}, "warning", "bus error"),
    ("shm", {"SHM_SIZE": "128g"}, {}, {}, "warning", "set SHM_SIZE=32768mb"),
    ("shm", {"IPC": "host"}, {}, {}, "ok", "the host's"),
    ("shm", {"IPC": "host"}, {}, {"system": "WSL"}, "warning", "IPC=private"),
    ("user", {"UID": "1001"}, {}, {}, "warning", "1001:1000"),
    ("user", {"ADD_USER": "exclude"}, {}, {}, "info", "belongs to root"),
    ("user", {"ADD_USER": "exclude"}, {"rootless": True}, {}, "ok", "root inside"),
    ("user", {}, {"rootless": True}, {}, "warning", "set ADD_USER=exclude"),
    ("env-keys", {}, {}, {"env_mode": None}, "warning", ".env is missing"),
    ("env-keys", {}, {}, {"env_mode": 0o644}, "info", "chmod 600"),
    ("env-keys", {}, {}, {"unreadable": (".env:2 is not UTF-8", "convert it")}, "error", "not UTF-8 convert it"),
    ("env-keys", {}, {"compose": ""}, {"unreadable": (".env:2 is not UTF-8", "convert it")}, "error", "not UTF-8"),
    ("env-keys", {}, {}, {"env_names": ("CC",)}, "error", "write CCA"),
    ("env-keys", {}, {}, {"env_names": ("GPUSS",)}, "error", "did you mean GPUS?"),
    ("env-keys", {}, {}, {"env_names": ("GPUS", "GPUS")}, "warning", "more than once"),
    ("env-keys", {}, {}, {"env_names": ("DATA_ROOT",)}, "info", "nothing here reads"),
    ("env-keys", {}, {}, {"env_names": ("DATA_ROOT",), "override": "${DATA_ROOT}"}, "ok", "settings only"),
    ("env-keys", {}, {}, {"env_names": ("COMPOSE_FILE", "HTTPS_PROXY")}, "ok", "settings only"),
    ("vscode-server", {}, {}, {"folders": {"/data": None}}, "warning", "invoke up"),
    ("vscode-server", {}, {}, {"folders": {"/home/me/.vscode-server": 0}}, "warning", "sudo chown"),
    ("vscode-server", {}, {}, {"folders": {"/home/me/x": 1000, "/data": 0}}, "ok", "volume"),
    ("proxy-ca", {}, {}, {"ca_bundle": "/etc/ssl/x.crt"}, "warning", "CA_BUNDLE is empty"),
    ("proxy-ca", {"CA_BUNDLE": "/etc/ssl/x.crt"}, {}, {"ca_bundle": "/etc/ssl/x.crt"}, "ok", "is trusted"),
    ("proxy-ca", {}, {}, {"proxies": {"HTTP_PROXY": "http://me:pw@127.0.0.1:3128"}}, "warning", "http://***@127"),
    ("proxy-ca", {}, {}, {"proxies": {"HTTP_PROXY": "localhost:3128"}}, "warning", "cannot reach by that name"),
    ("proxy-ca", {}, {}, {"proxies": {"HTTP_PROXY": "127.0.0.1:3128"}}, "warning", "cannot reach by that name"),
    ("proxy-ca", {}, {}, {"proxies": {"https_proxy": "http://[::1]:3128"}}, "warning", "cannot reach by that name"),
    ("proxy-ca", {}, {}, {"proxies": {"HTTP_PROXY": "proxy.example:3128"}}, "ok", "nothing"),
    ("proxy-ca", {}, {}, {"proxies": {"HTTP_PROXY": "http://[::1"}}, "warning", "is no address of a proxy"),
    ("proxy-ca", {"NETWORK": "host"}, {}, {"proxies": {"HTTP_PROXY": "http://localhost:1"}}, "ok", "nothing"),
    ("proxy-ca", {}, {}, {"proxies": {"HTTP_PROXY": "http://proxy.example:3128"}}, "ok", "nothing"),
)


@pytest.mark.parametrize(
    ("check", "given", "docker", "machine", "severity", "words"), ROWS, ids=lambda value: str(value)[:40]
)
def test_a_check_says_what_it_found(  # noqa: PLR0917 - the columns of the table
    check: str, given: dict[str, str], docker: dict[str, Any], machine: dict[str, Any], severity: str, words: str
) -> None:
    found = examine(given, docker=replace(DOCKER, **docker), machine=replace(MACHINE, **machine))[check]
    assert found.severity == severity, found
    assert words in f"{found.message} {found.hint}"
    assert "\n" not in found.message + found.hint
    assert bool(found.hint) or severity in {"ok", "info"}


@pytest.mark.parametrize(
    ("place", "severity", "words"),
    [
        ("gone", "error", "the registry has no"),
        ("here", "ok", "is here"),
        ("there", "ok", "is to be had"),
        ("", "error", "never was"),
    ],
)
def test_what_the_registry_says_of_a_base_image_counts_more_than_the_tables(
    place: str, severity: str, words: str
) -> None:
    image = "nvidia/cuda:12.4.0-cudnn-devel-ubuntu22.04"
    given = {"CUDA_VERSION": "12.4.0", "DISTRO_VERSION": "22.04"}
    found = examine(given, presence={image: place})["base-image"]
    assert (found.severity, words in found.message) == (severity, True)


def test_a_plain_base_that_nobody_has_is_made_here() -> None:
    found = examine(CPU, presence={"debian:bookworm-slim": ""})["base-image"]
    assert found.severity == "info"
    assert "invoke base-image" in found.hint


def test_without_an_engine_nobody_knows_which_images_are_here() -> None:
    found = examine(CPU, docker=replace(DOCKER, version=""), presence={"cresset-base:bookworm": ""})["base-image"]
    assert (found.severity, found.hint) == ("info", "")
    assert "is not known" in found.message


def test_another_platform_than_the_engines_is_an_error() -> None:
    assert examine(CPU, platform="linux/amd64")["context"].severity == "ok"
    found = examine(CPU, platform="linux/arm64")["context"]
    assert (found.severity, found.hint) == ("error", "unset DOCKER_DEFAULT_PLATFORM, and take it out of .env")


def test_a_wheelhouse_may_hold_what_no_index_has() -> None:
    found = examine({"CUDA_VERSION": "12.4.1"}, has_wheels=True)["torch-cuda"]
    assert found.severity == "warning"


@pytest.mark.parametrize(("is_sure", "severity"), [(True, "error"), (False, "warning")])
def test_a_wheel_that_no_build_will_find(severity: str, *, is_sure: bool) -> None:
    found = examine(CPU, lacks=(Lack(message="torch 2.6.0 is not there", is_sure=is_sure),))["wheels"]
    assert (found.severity, found.message) == (severity, "torch 2.6.0 is not there")
    assert "WHEELHOUSE" in found.hint
    assert "wheels" not in examine(CPU, lacks=None)


def test_an_image_that_is_built_needs_no_room_for_a_first_build() -> None:
    assert examine(docker=replace(DOCKER, free=10**10), is_built=True)["disk"].severity == "ok"


@pytest.mark.parametrize(("source", "remedy"), [("default", "env"), (".env", "")])
def test_an_account_is_written_where_nobody_named_another(source: str, remedy: str) -> None:
    assert examine({"UID": "4711"}, sources={"UID": source})["user"].remedy == remedy


def test_a_gpu_that_nothing_has_code_for_is_an_error_where_a_container_is_to_start() -> None:
    old = facts(SOURCE, machine=replace(MACHINE, gpus=(gpu("7.5"), gpu("9.0", index=1))))
    assert old.project
    found = list(doctor_versions.architectures(old, old.project, starts=True))
    assert [one.severity for one in found] == ["error", "error"]
    mixed = facts(SOURCE, machine=replace(MACHINE, gpus=(gpu("8.6"), gpu("9.0", index=1))))
    assert [one.severity for one in doctor_versions.architectures(mixed, old.project, starts=True)] == ["warning"]


def test_without_a_configuration_the_rest_is_looked_at() -> None:
    bare = Facts(docker=DOCKER, machine=MACHINE, tables=TABLES, project=None, complaint=("USR is odd", "write it so"))
    found = {one.check: one for one in doctor.examine(bare)}
    assert (found["env-keys"].severity, found["env-keys"].message) == ("error", "USR is odd")
    assert found["engine"].severity == "ok"


def test_an_env_that_cannot_be_read_is_not_called_missing() -> None:
    odd = replace(MACHINE, env_mode=None)
    found = doctor.examine(
        Facts(
            docker=DOCKER, machine=odd, tables=TABLES, project=None, complaint=(".env is a folder", "mv .env .env.old")
        )
    )
    assert [one.message for one in found if one.check == "env-keys"] == [".env is a folder"]


def test_a_closed_folder_of_dockers_is_said_once() -> None:
    said = ("~/.docker is another's", "sudo chown")
    closed = replace(MACHINE, docker_folder=said)
    found = list(doctor.examine(Facts(docker=DOCKER, machine=closed, tables=TABLES, project=None, complaint=said)))
    assert [one.check for one in found if one.message == said[0]] == ["docker-config"]


def test_where_there_is_no_docker_the_configuration_is_not_blamed() -> None:
    bare = Facts(docker=Docker(), machine=Machine(), tables=TABLES, project=None, complaint=("docker is missing", ""))
    assert [one.check for one in doctor.examine(bare) if one.severity == "error"] == ["engine"]


def test_a_service_that_brings_its_own_pytorch_is_not_judged_by_the_settings() -> None:
    odd = {"CUDA_VERSION": "12.4.0", "PYTHON_VERSION": "3.9"}
    old = replace(MACHINE, gpus=(gpu("6.1", driver="470.82.01"),))
    found = examine(odd, machine=old, has_torch_by_tag=False, presence={"nvcr.io/nvidia/pytorch:26.09-py3": ""})
    assert {"driver", "wheel-arch", "torch-cuda", "torch-python", "companions", "distribution"}.isdisjoint(found)
    assert {one.severity for one in found.values()} <= {"ok", "info"}


def test_which_gpus_a_container_sees() -> None:
    two = (gpu("6.1"), gpu("8.6", index=1))
    assert doctor_versions.visible(two, "all") == list(two)
    assert doctor_versions.visible(two, "1") == [two[1]]
    assert doctor_versions.visible(two, "0:3,1") == list(two)
    assert doctor_versions.visible(two, "GPU-8a9b1c2d") == list(two)


def test_the_memory_of_a_compiler_is_that_of_the_build() -> None:
    text = (Path(__file__).resolve().parents[2] / "misc" / "image" / "compile.sh").read_text()
    for mib in (6144, 2048):
        assert f"per_job={mib}" in text
    assert "CCACHE_MAXSIZE=50G" in text
    assert hardware.oldest_driver("13.0.3")
