"""The names of the image family, and what a torch image says of itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from cresset import dockerfile, family, settings
from cresset.configuration import Configuration, Value
from cresset.errors import CressetError

ROOT = Path(__file__).resolve().parents[2]
SEEDS = {
    "PYTORCH_VERSION_TAG": "v1.9.1",
    "PYTHON_VERSION": "3.9",
    "USE_CUDA": "1",
    "CUDA_VERSION": "10.2",
    "CUDNN_VERSION": "8",
    "LINUX_DISTRO": "ubuntu",
    "DISTRO_VERSION": "18.04",
    "BUILD_IMAGE": "nvidia/cuda:10.2-cudnn8-devel-ubuntu18.04",
    "INSTALL_NAME": "",
    "TORCH_NAME": "",
    "TRAIN_NAME": "",
}


def configuration(source: str = "default", **values: str) -> Configuration:
    """Return a configuration of these values, all from one place."""
    rows = {name: Value(name=name, value=value, source=source, help="") for name, value in {**SEEDS, **values}.items()}
    service = SimpleNamespace(name="cpu")
    return Configuration(service=service, model=None, recipe=None, values=rows)  # type: ignore[arg-type]


def references(resolved: Configuration, *, full: bool = False) -> list[str]:
    return [member.reference for member in family.members(resolved, full=full).values()]


def test_the_plain_names_are_those_of_the_seeds() -> None:
    assert references(configuration()) == [
        "pytorch_source:build_install",
        "pytorch_source:build_torch-v1.9.1",
        "pytorch_source:train",
    ]


def test_the_full_names_are_those_of_the_seeds() -> None:
    assert references(configuration(TRAIN_NAME="train_cu102"), full=True) == [
        "pytorch_source:build_install-ubuntu18.04-cuda10.2-cudnn8-py3.9",
        "pytorch_source:build_torch-v1.9.1-ubuntu18.04-cuda10.2-cudnn8-py3.9",
        "pytorch_source:train_cu102",
    ]


def test_without_cuda_a_full_name_says_the_base_instead() -> None:
    plain = configuration(USE_CUDA="0", BUILD_IMAGE="debian:bookworm-slim")
    assert references(plain, full=True)[0] == "pytorch_source:build_install-debian-bookworm-slim-cpu-py3.9"


def test_names_that_are_given_are_taken_as_they_are() -> None:
    given = configuration(TORCH_NAME="build_torch-nightly", TRAIN_NAME="registry.example.org/team/train:me")
    assert references(given, full=True)[1:] == [
        "pytorch_source:build_torch-nightly",
        "registry.example.org/team/train:me",
    ]


def test_a_branch_makes_a_name_that_docker_takes() -> None:
    assert references(configuration(PYTORCH_VERSION_TAG="release/2.14"))[1] == "pytorch_source:build_torch-release-2.14"


LABELS = {"cresset.stage": "dist", "cresset.arguments": "USE_CUDA='0' CCA='7.5 8.6+PTX' PYTHON_VERSION='3.9'"}
RECIPE = dockerfile.parse((ROOT / "Dockerfile").read_text())


def test_the_arguments_of_a_torch_image_are_in_its_labels() -> None:
    found = family.arguments_of(LABELS, "a", RECIPE)
    assert found == {"USE_CUDA": "0", "CCA": "7.5 8.6+PTX", "PYTHON_VERSION": "3.9"}


@pytest.mark.parametrize("labels", [{}, {"cresset.stage": "train", "cresset.arguments": ""}, {"cresset.stage": "dist"}])
def test_another_image_is_refused(labels: dict[str, str]) -> None:
    with pytest.raises(CressetError, match="debian:12 is no torch image"):
        family.arguments_of(labels, "debian:12", RECIPE)


@pytest.mark.parametrize(
    "label", ["USE_CUDA='0", "USE_CUDA 0", "", "UID='77'", "TRAIN_IMAGE='evil'", "USE_CUDA='2'", "PYTHON_VERSION='x'"]
)
def test_a_damaged_label_is_refused(label: str) -> None:
    with pytest.raises(CressetError, match="a:1"):
        family.arguments_of({"cresset.stage": "dist", "cresset.arguments": label}, "a:1", RECIPE)


def test_one_name_for_two_images_is_refused() -> None:
    given = configuration(TORCH_NAME="mine", TRAIN_NAME="mine")
    with pytest.raises(CressetError, match="torch and train have one name: pytorch_source:mine"):
        family.require_distinct(family.members(given, full=False))


def test_what_was_given_and_differs_is_told() -> None:
    given = configuration(".env", PYTHON_VERSION="3.12", USE_CUDA="0")
    (found,) = family.differences(given, {"PYTHON_VERSION": "3.9", "USE_CUDA": "0", "TORCH_NAME": ""}, "image")
    assert (found.name, found.given, found.source, found.made) == ("PYTHON_VERSION", "3.12", ".env", "3.9")


def test_a_default_that_differs_is_not_worth_telling() -> None:
    assert family.differences(configuration(), {"PYTHON_VERSION": "3.12"}, "image") == []


def test_a_service_that_cannot_take_the_image_is_refused() -> None:
    with pytest.raises(CressetError, match="made with USE_CUDA=1"):
        family.differences(configuration("service", USE_CUDA="0"), {"USE_CUDA": "1"}, "image")


def test_the_example_of_the_seeds_gives_their_names() -> None:
    lines = (ROOT / "docs" / "examples" / "cuda-10.2.env").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    values = {name: value.strip('"') for name, value in given.items()}
    for name, value in values.items():
        settings.find(name, "the example").check(value, "the example")
    assert references(configuration(**values, TRAIN_NAME="train_cu102"), full=True) == [
        "pytorch_source:build_install-ubuntu18.04-cuda10.2-cudnn8-py3.9",
        "pytorch_source:build_torch-v1.9.1-ubuntu18.04-cuda10.2-cudnn8-py3.9",
        "pytorch_source:train_cu102",
    ]
