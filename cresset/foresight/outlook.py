"""What a build will do, looked up: its inputs as they are, and what this builder has built before."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cresset import dockerfile, files, host, requirements
from cresset.bake import Product
from cresset.configuration import Configuration
from cresset.credentials import mask
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.foresight import explain, history, inputs, keys, store
from cresset.foresight.context import DiskFolder, Memory
from cresset.foresight.explain import Forecast
from cresset.foresight.history import Build
from cresset.foresight.inputs import Image, Inputs
from cresset.foresight.recovery import recover
from cresset.foresight.store import Kept
from cresset.foresight.tree import Folder

_IMAGE = "docker-image://"
_MANY = 400  # lines of a requirement file, or folders of a context, that are remembered


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is foretold of one build, and what has to be remembered with it.

    Attributes:
        forecast: of each step.
        name: what the build makes.
        target: the stage.
        builder: its name, the engine's id and its store; empty where that was never known.
        address: where the engine is reached.
        texts: the requirement files as they are.
        choices: the arguments that choose stages.
        images: what it is built from.
        folders: the modes of the host's folders as the engine has them after it, by context.
        shelf: the store's name for what this build compiles; empty where that is nothing.
        kept: the image of that name, where there is one and it is taken.
        contexts: what it takes the place of.
        former: the labels of the image that has the product's name now; None where there is none.
    """

    forecast: Forecast
    name: str
    target: str
    builder: str
    address: str
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, Image] = field(default_factory=dict)
    folders: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    shelf: str = ""
    kept: Kept | None = None
    contexts: Mapping[str, str] = field(default_factory=dict)
    former: Mapping[str, str] | None = None


def look(resolved: Configuration, product: Product, engine: Engine, *, quickly: bool = False) -> Outlook:
    """Return what a build of the product would do.

    Args:
        resolved: the configuration.
        product: what to make.
        engine: where. Without a daemon it is what the builder that was last used at this address would do.
        quickly: take that builder anyway, and do not ask who answers there.

    Raises:
        CressetError: the Dockerfile cannot be expanded with these arguments.
    """
    build = resolved.service.build
    builds = history.read()
    if recover(builds):
        builds = history.read()
    address, name = host.engine_context(), host.builder()
    used = [one.builder for one in builds if one.address == address and one.builder.startswith(f"{name}@")]
    builder = used[-1] if used and quickly else ""
    if not builder:
        identity, store = engine.identity()
        builder = f"{name}@{identity} {store}" if identity else used[-1] if used else ""
    builds = tuple(one for one in builds if one.builder == builder)
    arguments = {**resolved.service.arguments, **product.arguments}
    memory = Memory(history.folder_modes(builds))
    given = {**build.get("additional_contexts", {}), **product.contexts}
    places = {name: _read_context(name, str(place), memory) for name, place in given.items()}
    named = [place.reference for place in places.values() if isinstance(place, Image)]
    wanted = [*inputs.images_needed(resolved.recipe, product.target, arguments, places), *named]
    here = engine.inspect_images(list(dict.fromkeys([*wanted, *product.tags])))
    images = _find_images(wanted, here, builds)
    last = next((one for one in reversed(builds) if one.name == product.name and one.result), None)
    made = {here[tag].get("Id", "") for tag in product.tags if tag in here} if last else set()
    contexts: dict[str, Folder | Image] = {
        name: images.get(place.reference, place) if isinstance(place, Image) else place
        for name, place in places.items()
    }
    context = DiskFolder(Path(build["context"]), dockerfile=resolved.service.dockerfile, memory=memory)
    everything = Inputs(
        recipe=resolved.recipe,
        target=product.target,
        arguments=arguments,
        context=context,
        contexts=contexts,
        images=images,
        platform=inputs.platform_of(platform.machine()),
        links=not builder.endswith(" overlay2"),
    )
    shelf, kept, replaced = _find_kept(everything, engine)
    steps = keys.compute(replace(everything, contexts={**contexts, **replaced}))
    memory.keep()
    texts = _read_texts({name for step in steps for name in step.files})
    choices = {name: mask(value) for name, value in inputs.choices(resolved.recipe, arguments).items()}
    return Outlook(
        forecast=explain.foretell(
            steps,
            builds,
            texts=texts,
            target=product.target,
            choices=choices,
            is_complete=made <= {build.result for build in builds},
        ),
        name=product.name,
        target=product.target,
        builder=builder,
        address=address,
        texts=texts,
        choices=choices,
        images=images,
        folders=_sent(context, *contexts.values()),
        shelf=shelf,
        kept=kept,
        contexts={name: f"{_IMAGE}{image.reference}" for name, image in replaced.items()},
        former=next(((here[tag].get("Config") or {}).get("Labels") or {} for tag in product.tags if tag in here), None),
    )


def _find_kept(everything: Inputs, engine: Engine) -> tuple[str, Kept | None, dict[str, Image]]:
    """Return where the store has what is compiled, or is to have it; what it has; and the stages that this replaces."""
    if not _compiles(everything):
        return "", None, {}
    key, _ = keys.identify(replace(everything, target=store.STAGE))
    _, name = keys.identify(_anywhere(replace(everything, target=store.STAGE)))
    shelf = store.reference(name) if name else ""
    found = engine.inspect_images([shelf]) if shelf and host.builds_in_engine() else {}
    if not found:
        return shelf, None, {}
    image = Image(reference=shelf, made=key)
    without = dockerfile.needed(
        everything.recipe, everything.target, everything.arguments, replaced={*everything.contexts, store.STAGE}
    )
    # The build stages' base image need not be there: BuildKit would look for it, though it runs none of them.
    bases = {"build-python"} - {stage.name for stage in without}
    return shelf, store.read([shelf], found[shelf]), dict.fromkeys([store.STAGE, *bases], image)


def _anywhere(everything: Inputs) -> Inputs:
    """Return the inputs without what is of one checkout and one builder alone."""
    contexts = {name: one.plain() if isinstance(one, DiskFolder) else one for name, one in everything.contexts.items()}
    context = everything.context
    return replace(
        everything, context=context.plain() if isinstance(context, DiskFolder) else context, contexts=contexts
    )


def _compiles(everything: Inputs) -> bool:
    """Return whether anything is compiled for the target: PyTorch, or packages against it."""
    stages = dockerfile.needed(everything.recipe, everything.target, everything.arguments, replaced=everything.contexts)
    names = {stage.name for stage in stages} - everything.contexts.keys()
    if store.STAGE not in names:
        return False
    return "build-torch" in names or any(requirements.lines(files.read("reqs/pip-build.requirements.txt") or ""))


def _read_context(name: str, place: str, memory: Memory) -> Folder | Image:
    if place.startswith(_IMAGE):
        return Image(reference=place.removeprefix(_IMAGE))
    path = Path(place)
    if "://" in place or not path.is_dir():
        return Image(reference=place)
    return DiskFolder(path, name=name, memory=memory)


def _sent(*contexts: Folder | Image) -> dict[str, Mapping[str, int]]:
    """Return the modes of the folders that the engine is sent, by context; of very many none, so that none is known."""
    read = {one.name: one.sent() for one in contexts if isinstance(one, DiskFolder)}
    return {name: modes if len(modes) <= _MANY else {} for name, modes in read.items() if modes is not None}


def _find_images(
    wanted: Sequence[str], here: Mapping[str, Mapping[str, Any]], builds: Sequence[Build]
) -> dict[str, Image]:
    """Return the images that are here, and those that were when they were last built on."""
    found = {}
    for build in builds:
        for name, kept in build.images.items():
            with suppress(TypeError, KeyError, ValueError):
                found[name] = _restore(kept)
    found |= {name: inputs.read_image(name, raw) for name, raw in here.items()}
    return {name: found[name] for name in wanted if name in found}


def _restore(kept: Mapping[str, object]) -> Image:
    fields = json.loads(json.dumps(kept))
    environment = tuple((name, value) for name, value in fields.pop("environment"))
    shell, triggers = tuple(fields.pop("shell")), tuple(fields.pop("triggers", ()))
    return Image(environment=environment, shell=shell, triggers=triggers, **fields)


def _read_texts(names: set[str]) -> dict[str, tuple[str, ...]]:
    texts = {}
    for name in sorted(names):
        if name.endswith(".requirements.txt"):
            with suppress(CressetError):
                lines = (files.read(name) or "").splitlines()
                texts[name] = tuple(mask(line.strip()) for line in lines[:_MANY] if line.strip())
    return texts
