"""All that a build depends on: the Dockerfile, its arguments, folders and images. Pure."""

from __future__ import annotations

import csv
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cresset import dockerfile
from cresset.dockerfile import Dockerfile, expand, used
from cresset.foresight.steps import Key
from cresset.foresight.tree import Folder, digest
from cresset.instructions import Instruction

SHELL = ("/bin/sh", "-c")


@dataclass(frozen=True, kw_only=True)
class Image:
    """What steps on an image depend on.

    Attributes:
        reference: what the Dockerfile calls it.
        identity: its layers; empty where it is not here, so that its name has to do.
        environment: its variables, in order.
        user: who runs its commands.
        folder: where they begin.
        shell: what reads them.
        triggers: instructions (`ONBUILD`) that are carried out where something is built on it.
        made: what the stage that it takes the place of is known by; None for any other image.
    """

    reference: str
    identity: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    user: str = ""
    folder: str = "/"
    shell: tuple[str, ...] = SHELL
    triggers: tuple[str, ...] = ()
    made: Key | None = None


def read_image(reference: str, raw: Mapping[str, Any]) -> Image:
    """Return an image from what `docker image inspect` says of it."""
    config = raw.get("Config") or {}
    layers = (raw.get("RootFS") or {}).get("Layers") or [raw.get("Id", "")]
    return Image(
        reference=reference,
        identity=digest(*layers),
        environment=tuple((name, value) for name, _, value in (one.partition("=") for one in config.get("Env") or ())),
        user=config.get("User") or "",
        folder=config.get("WorkingDir") or "/",
        shell=tuple(config.get("Shell") or SHELL),
        triggers=tuple(config.get("OnBuild") or ()),
    )


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """All that a build depends on.

    Attributes:
        recipe: the Dockerfile.
        target: the stage; "" for the last.
        arguments: the build arguments that are given.
        context: the folder to build in.
        contexts: named contexts: folders, and images in the place of stages.
        images: those that stages start from or take files from, by reference.
        platform: what the engine runs on, as BuildKit's own arguments say it.
        links: whether the engine's store can join layers, which is what `COPY --link` needs.
    """

    recipe: Dockerfile
    target: str
    arguments: Mapping[str, str]
    context: Folder
    contexts: Mapping[str, Folder | Image] = field(default_factory=dict)
    images: Mapping[str, Image] = field(default_factory=dict)
    platform: Mapping[str, str] = field(default_factory=dict)
    links: bool = False


def platform_of(machine: str) -> dict[str, str]:
    """Return BuildKit's own arguments for the kernel's name of a machine, like x86_64."""
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return {
        f"{side}{part}": value
        for side in ("BUILD", "TARGET")
        for part, value in {"PLATFORM": f"linux/{arch}", "OS": "linux", "ARCH": arch, "VARIANT": ""}.items()
    }


def images_needed(
    recipe: Dockerfile, target: str, arguments: Mapping[str, str], contexts: Mapping[str, object]
) -> list[str]:
    """Return the references of the images that a target is built from.

    Raises:
        CressetError: the target or a base cannot be.
    """
    found = []
    for stage in dockerfile.needed(recipe, target, arguments, replaced=contexts):
        if stage.name in contexts:
            continue
        base = dockerfile.resolve_base(recipe, stage, arguments)
        found += [base] if isinstance(base, str) else []  # also where a stage below has its name
        names: list[str] = []
        for instruction in stage.instructions:
            names += instruction.flag("from") if instruction.keyword == "COPY" else ()
            names += [mount["from"] for mount in mounts_of(instruction, {}) if "from" in mount]
        stages = {str(one.name) for one in recipe.stages}
        found += [name for name in names if name.lower() not in stages and not name.isdecimal()]
    found = [name for name in found if name != "scratch" and name not in contexts]
    return list(dict.fromkeys(found))


def choices(recipe: Dockerfile, arguments: Mapping[str, str]) -> dict[str, str]:
    """Return the arguments that choose stages and base images, with their values: those that FROM lines are made of.

    Raises:
        CressetError: a default cannot be expanded.
    """
    values = dockerfile.global_values(recipe, arguments)
    names = dict.fromkeys(name for stage in recipe.stages for name in used(stage.base, recipe.escape))
    return {name: values[name] for name in names if name in values}


def mounts_of(instruction: Instruction, values: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the mounts of a RUN: their options, by their first names."""
    names = {"dst": "target", "destination": "target", "src": "source", "ro": "readonly", "readwrite": "rw"}
    found = []
    for mount in instruction.flag("mount"):
        options = {"type": "bind"}
        for word in next(csv.reader([mount]), []):
            name, _, value = word.partition("=")
            name = names.get(name.lower(), name.lower())
            options[name] = expand(value, values, instruction.escape) if value else "true"
        if options["type"] == "bind":
            is_writable = options.pop("rw", "false") == "true" or options.pop("readonly", "true") == "false"
            options.pop("readonly", None)
            options |= {"rw": "true"} if is_writable else {}
        if options["type"] == "secret":
            options.setdefault("id", posixpath.basename(options.get("target", "")))
            options.setdefault("target", f"/run/secrets/{options['id']}")
        options.setdefault("target", "")
        found.append(options)
    return found
