"""The image family of source builds: its names, and the arguments that an image says it was made with. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from cresset import settings
from cresset.configuration import Configuration
from cresset.dockerfile import Dockerfile
from cresset.errors import CressetError

REPOSITORY = "pytorch_source"
# Which label says which stage an image is, and which says with what arguments; the Dockerfile writes both.
STAGE = "cresset.stage"
ARGUMENTS = "cresset.arguments"


@dataclass(frozen=True, kw_only=True)
class Member:
    """An image of the family.

    Attributes:
        target: the stage that it is.
        reference: its name.
    """

    target: str
    reference: str


def members(resolved: Configuration, *, full: bool) -> dict[str, Member]:
    """Return the images of a configuration, in the order in which they are made: install, torch, train.

    Args:
        resolved: the settings; INSTALL_NAME, TORCH_NAME and TRAIN_NAME are taken as they are where they are given.
        full: say distribution, CUDA, cuDNN and Python in the names.
    """
    tag = re.sub(r"[^A-Za-z0-9_.-]", "-", resolved["PYTORCH_VERSION_TAG"])
    suffix = suffix_of(resolved) if full else ""
    names = {
        "install": ("install", resolved["INSTALL_NAME"] or f"build_install{suffix}"),
        "torch": ("dist", resolved["TORCH_NAME"] or f"build_torch-{tag}{suffix}"),
        "train": ("train", resolved["TRAIN_NAME"] or "train"),
    }
    return {key: Member(target=target, reference=reference(name)) for key, (target, name) in names.items()}


def require_distinct(images: Mapping[str, Member]) -> None:
    """Refuse one name for two images of the family.

    Raises:
        CressetError: the later one would take it from the earlier one.
    """
    owners: dict[str, str] = {}
    for name, member in images.items():
        former = owners.setdefault(member.reference, name)
        if former != name:
            raise CressetError(
                f"the images {former} and {name} have one name: {member.reference}",
                f"give each its own: --{former}-name, --{name}-name",
            )


def suffix_of(resolved: Configuration) -> str:
    """Return what a full name ends with, like -ubuntu18.04-cuda10.2-cudnn8-py3.9."""
    python = f"-py{resolved['PYTHON_VERSION']}"
    if resolved["USE_CUDA"] == "0":
        return "-" + re.sub(r"[^A-Za-z0-9_.]+", "-", resolved["BUILD_IMAGE"].split("@")[0]) + "-cpu" + python
    system = resolved["LINUX_DISTRO"] + resolved["DISTRO_VERSION"]
    return f"-{system}-cuda{resolved['CUDA_VERSION']}-cudnn{resolved['CUDNN_VERSION']}{python}"


def reference(name: str) -> str:
    """Return the image that a name of the family means: pytorch_source:NAME, unless it is a reference already."""
    return name if re.search(r"[:/@]", name) else f"{REPOSITORY}:{name}"


def arguments_of(labels: Mapping[str, str], image: str, recipe: Dockerfile) -> dict[str, str]:
    """Return the arguments that a torch image was made with.

    Args:
        labels: the image's.
        image: its name.
        recipe: the Dockerfile, whose stage `dist` writes them.

    Raises:
        CressetError: it is no torch image of this program, or its label is damaged.
    """
    if labels.get(STAGE) != "dist" or ARGUMENTS not in labels:
        what = f"it is the stage {labels[STAGE]}" if STAGE in labels else "it has no label of this program"
        raise CressetError(
            f"{image} is no torch image: {what}",
            "make one: invoke build-torch; `invoke ls --images` lists this checkout's",
        )
    known = {argument.name for stage in recipe.stages if stage.name == "dist" for argument in stage.arguments}
    try:
        found = dict(word.split("=", 1) for word in shlex.split(labels[ARGUMENTS]))
    except ValueError:
        found = {}
    if not found or not found.keys() <= known:
        raise CressetError(f"{image} has a damaged label {ARGUMENTS}", "make it anew: invoke build-torch")
    for name, value in found.items():
        settings.find(name, image).check(value, image)
    return found


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A setting that a person gave and a torch image answers otherwise.

    Attributes:
        name: the setting.
        given: the person's value.
        source: where that is from.
        made: what the image was made with, which counts.
    """

    name: str
    given: str
    source: str
    made: str


def differences(resolved: Configuration, made: Mapping[str, str], image: str) -> list[Difference]:
    """Return what was given by a person and differs from what a torch image was made with.

    Raises:
        CressetError: the service fixes what decides whether the two can go together at all.
    """
    found = []
    for name, value in made.items():
        setting = resolved.values.get(name)
        if not setting or setting.value == value:
            continue
        if name == "USE_CUDA" and setting.source == "service":
            raise CressetError(
                f"{image} was made with USE_CUDA={value}, but the service {resolved.service.name} fixes it",
                "use another --service, or another torch image",
            )
        if setting.source not in {"default", "service"}:
            found.append(Difference(name=name, given=setting.value, source=setting.source, made=value))
    return found
