"""What a build will do: told before it starts, compared with what it did, and remembered."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from cresset import explain, files, history, host, keys, processes, progress
from cresset.bake import Product
from cresset.configuration import Configuration
from cresset.context import DiskFolder, Memory
from cresset.credentials import mask
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.explain import Forecast
from cresset.history import Build
from cresset.keys import Folder, Image, Inputs
from cresset.live import duration
from cresset.progress import Outcome

_IMAGE = "docker-image://"
_LONG = 600.0  # seconds that a stage took, from which a person is asked before it is built again
_MANY = 400  # lines of a requirement file that are remembered
_SHOWN = 6  # lines of a forecast above a build


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
    """

    forecast: Forecast
    name: str
    target: str
    builder: str
    address: str
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, Image] = field(default_factory=dict)


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
    memory = Memory()
    given = {**build.get("additional_contexts", {}), **product.contexts}
    places = {name: _read_context(name, str(place), memory) for name, place in given.items()}
    named = [place.reference for place in places.values() if isinstance(place, Image)]
    wanted = [*keys.images_needed(resolved.recipe, product.target, arguments, places), *named]
    here = engine.inspect_images(list(dict.fromkeys([*wanted, *product.tags])))
    images = _find_images(wanted, here, builds)
    last = next((one for one in reversed(builds) if one.name == product.name and one.result), None)
    made = {here[tag].get("Id", "") for tag in product.tags if tag in here} if last else set()
    contexts: dict[str, Folder | Image] = {
        name: images.get(place.reference, place) if isinstance(place, Image) else place
        for name, place in places.items()
    }
    steps = keys.compute(
        Inputs(
            recipe=resolved.recipe,
            target=product.target,
            arguments=arguments,
            context=DiskFolder(Path(build["context"]), dockerfile=resolved.service.dockerfile, memory=memory),
            contexts=contexts,
            images=images,
            platform=keys.platform_of(platform.machine()),
            links=not builder.endswith(" overlay2"),
        )
    )
    memory.keep()
    texts = _read_texts({name for step in steps for name in step.files})
    choices = {name: mask(value) for name, value in keys.choices(resolved.recipe, arguments).items()}
    return Outlook(
        forecast=explain.foretell(
            steps, builds, texts=texts, choices=choices, is_complete=made <= {build.result for build in builds}
        ),
        name=product.name,
        target=product.target,
        builder=builder,
        address=address,
        texts=texts,
        choices=choices,
        images=images,
    )


def _read_context(name: str, place: str, memory: Memory) -> Folder | Image:
    if place.startswith(_IMAGE):
        return Image(reference=place.removeprefix(_IMAGE))
    path = Path(place)
    if "://" in place or not path.is_dir():
        return Image(reference=place)
    return DiskFolder(path, name=name, memory=memory)


def _find_images(
    wanted: Sequence[str], here: Mapping[str, Mapping[str, Any]], builds: Sequence[Build]
) -> dict[str, Image]:
    """Return the images that are here, and those that were when they were last built on."""
    found = {}
    for build in builds:
        for name, kept in build.images.items():
            with suppress(TypeError, KeyError):
                found[name] = _restore(kept)
    found |= {name: keys.read_image(name, raw) for name, raw in here.items()}
    return {name: found[name] for name in wanted if name in found}


def _restore(kept: Mapping[str, object]) -> Image:
    fields = json.loads(json.dumps(kept))
    environment = tuple((name, value) for name, value in fields.pop("environment"))
    return Image(environment=environment, shell=tuple(fields.pop("shell")), **fields)


def _read_texts(names: set[str]) -> dict[str, tuple[str, ...]]:
    texts = {}
    for name in sorted(names):
        if name.endswith(".requirements.txt"):
            with suppress(CressetError):
                lines = (files.read(name) or "").splitlines()
                texts[name] = tuple(mask(line.strip()) for line in lines[:_MANY] if line.strip())
    return texts


def announce(
    resolved: Configuration, product: Product, engine: Engine, *, console: Console, quiet: bool
) -> Outlook | None:
    """Say before a build what of it is not cached, in a few lines; ask where that would be costly.

    Returns:
        What is foretold; None where nothing can be, for which no build should fail.

    Raises:
        CressetError: the person would rather not build.
    """
    outlook = None
    with suppress(CressetError, OSError, ValueError, LookupError):
        outlook = look(resolved, product, engine)
    if outlook is None or quiet or not outlook.forecast.pending or not outlook.forecast.is_known:
        return outlook
    lines = explain.describe(outlook.forecast, outlook.name)
    for line in lines[:_SHOWN]:
        console.print(Text(line), soft_wrap=True)
    if len(lines) > _SHOWN:
        console.print(Text("... `invoke explain` has the rest"))
    _confirm(outlook, console=console)
    return outlook


def _confirm(outlook: Outlook, *, console: Console) -> None:
    """Ask before a stage is built again that took long; where nobody can answer, the build goes on.

    Raises:
        CressetError: the person would rather not.
    """
    if not console.is_terminal or not sys.stdin.isatty():
        return
    for group in explain.group(outlook.forecast):
        for stage, (state, seconds) in group.stages.items():
            # Who sets CLEAN has asked for it.
            if state == "REBUILD" and (seconds or 0.0) > _LONG and not group.cause.words.startswith("ARG CLEAN "):
                question = f"{stage} took {duration(seconds or 0.0)} last time. Build it again? [y/N] "
                if console.input(Text(question)).strip().lower() not in {"y", "yes"}:
                    raise CressetError("not built", f"the cause: {group.cause.words}")
                return


def _plan(outlook: Outlook, name: str) -> Build:
    """Return a build as it is to be remembered, before it has begun.

    Args:
        outlook: what is foretold.
        name: of its record.
    """
    forecast = outlook.forecast
    return Build(
        record=name,
        builder=outlook.builder,
        address=outlook.address,
        name=outlook.name,
        target=outlook.target,
        steps=explain.plan(forecast),
        texts=outlook.texts,
        choices=outlook.choices,
        counts=forecast.counts() if forecast.is_known else {},
        images={name: asdict(image) for name, image in outlook.images.items() if not _has_secret(image)},
    )


def header(outlook: Outlook | None, name: str) -> dict[str, object]:
    """Return what the first line of a build's record has to say, for `recover`."""
    return {"process": os.getpid(), "plan": history.as_data(_plan(outlook, name))} if outlook else {}


def settle(outlook: Outlook | None, outcome: Outcome, *, name: str, console: Console) -> None:
    """Remember a build that has ended, and say what of it came otherwise than was foretold.

    Args:
        outlook: what was foretold.
        outcome: what came.
        name: of its record.
        console: where to say it.
    """
    planned = _plan(outlook, name) if outlook else None
    if not outlook or not planned or not planned.steps or not outlook.builder:
        return
    build = _complete(planned, outcome)
    executed = {(step.stage, step.i): step.seconds or 0.0 for step in build.steps if step.executed}
    wrong = explain.judge(outlook.forecast, executed) if not outcome.exit_code else None
    history.append(replace(build, wrong=wrong, is_pruned=explain.is_pruned(outlook.forecast, executed)))
    for line in wrong or ():
        console.print(Text(f"Not as foretold: {line}"), soft_wrap=True)


def recover(builds: Sequence[Build]) -> bool:
    """Remember builds that were interrupted: what they planned and did is in their records.

    Returns:
        Whether there was any.
    """
    found = False
    known = {build.record for build in builds}
    for path in sorted(files.RECORDS.glob("*.jsonl")) if files.RECORDS.is_dir() else ():
        if path.stem in known:
            continue
        with suppress(OSError, ValueError, LookupError, TypeError), path.open(encoding="utf-8") as file:
            header = json.loads(file.readline())
            planned = history.parse(json.dumps(header["plan"]))[0]
            if processes.is_alive(header["process"]):
                continue
            state = progress.Build()
            for line in file:
                with suppress(ValueError):
                    item = json.loads(line)
                    if item.keys() & {"vertexes", "statuses"}:
                        state.update(item)
            history.append(_complete(planned, state.outcome(1, 0.0)))
            found = True
    return found


def _complete(planned: Build, outcome: Outcome) -> Build:
    # A Dockerfile with one stage has no names in its progress.
    last = planned.steps[-1].stage
    executed = {(step.stage or last, step.i): step.seconds for step in outcome.executed}
    done = [(stage or last, i) for stage, i in outcome.done]
    steps = explain.came(planned.steps, executed, done if outcome.exit_code else None)
    return replace(planned, steps=steps, result=outcome.image)


def _has_secret(image: Image) -> bool:
    return any(mask(value) != value for _, value in image.environment)


def audit(*, console: Console) -> None:
    """Show how often the forecasts of this checkout were right."""
    builds = [one for one in history.read() if one.wrong is not None and one.counts]
    told = {state: sum(one.counts.get(state, 0) for one in builds) for state in ("CACHED", "REBUILD", "MAYBE")}
    wrong = sum(len(one.wrong or ()) for one in builds)
    steps = ", ".join(f"{count} {state}" for state, count in told.items())
    counted = "1 build" if len(builds) == 1 else f"{len(builds)} builds"
    console.print(Text(f"{counted}, {sum(told.values())} steps foretold ({steps}): {wrong} wrong"))
    for one in builds:
        for line in one.wrong or ():
            console.print(Text(f"  {one.record}: {line}"), soft_wrap=True)


def tell(outlook: Outlook, *, console: Console, as_json: bool = False) -> None:
    """Show all that is foretold."""
    if as_json:
        print(json.dumps(explain.as_data(outlook.forecast, outlook.name), indent=2))
    else:
        for line in explain.describe(outlook.forecast, outlook.name):
            console.print(Text(line), soft_wrap=True)
