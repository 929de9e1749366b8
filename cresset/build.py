"""The order of a build: read, check, bake, report."""

from __future__ import annotations

import re
import time

from rich.console import Console

from cresset import bake, disk, dockerfile, files, remedies, requirements, settings
from cresset.configuration import Configuration
from cresset.display import Mode, Progress
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.rawjson import prune_records


def build(resolved: Configuration, engine: Engine, *, console: Console, mode: Mode = "auto") -> None:
    """Build the service's image, show how it goes, and keep BuildKit's events and the log.

    Args:
        resolved: the configuration.
        engine: where to build.
        console: where to show it.
        mode: `plain` and `tty` hand the screen to BuildKit, and nothing is kept; `quiet` shows failures only.

    Raises:
        CressetError: the build failed; the exit code is docker's own.
    """
    service = resolved.service
    if "target" not in service.build:
        raise CressetError(
            f"the service {service.name} is not built from this Dockerfile",
            f"run: docker compose --profile {service.name} up --build --detach",
        )
    read = _check_requirements(resolved)
    definition = bake.define(resolved.model, service, compose_version=engine.compose_version())
    builder = Engine(environment={**engine.environment, **bake.secret_values(resolved.model)}, dry_run=engine.dry_run)
    if mode != "quiet" and not engine.dry_run:
        console.print(f"Building {service.image}", highlight=False)
    root = "" if engine.dry_run else _check_disk(resolved, engine, console=console, quiet=mode == "quiet")
    failure = f"the build of {service.image} failed"
    if engine.dry_run or mode in {"plain", "tty"}:
        if exit_code := builder.bake(definition, progress="auto" if mode == "quiet" else mode):
            raise CressetError(failure, code=exit_code)
        return
    started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    record = files.new_record(f"{started}-{service.name}")
    header = {"started": started, "service": service.name, "image": service.image, "arguments": bake.recorded(service)}
    log = record.with_suffix(".log") if record else None
    if record is None:
        console.print("No record of this build is kept: .cresset/builds cannot be written.")
    with Progress(console=console, quiet=mode == "quiet", record=record, header=header, log=log) as progress:
        exit_code = builder.bake(definition, feed=progress.feed)
    outcome = progress.outcome(exit_code)
    prune_records(files.RECORDS)
    if exit_code:
        # What BuildKit says is on the screen already.
        text = "\n".join([outcome.error, *(outcome.failed.log if outcome.failed else ())])
        values = {name: settings.mask(value.value) for name, value in resolved.values.items()}
        known = remedies.find(text, values={**values, "root": root}, requirements=read)
        if known:
            raise CressetError(f"{failure}: {known.name}", known.text, code=exit_code)
        raise CressetError(failure, _about_records(), code=exit_code)


def _check_requirements(resolved: Configuration) -> dict[str, str]:
    """Return the requirement files that the service's stages read; refuse those that are missing or cannot be meant."""
    stages = dockerfile.needed(resolved.recipe, resolved.service.build["target"], resolved.service.arguments)
    mounts = [value for stage in stages for step in stage.instructions for _, value in step.flags]
    names = {name for mount in mounts for name in re.findall(r"source=/([\w.-]+\.requirements\.txt)", mount)}
    read = {name: files.require(f"reqs/{name}") for name in sorted(names)}
    for name, text in read.items():
        if files.is_linked_elsewhere(f"reqs/{name}"):
            raise CressetError(
                f"reqs/{name} is a link out of its folder", "put the file itself there: a build follows none"
            )
        if name.startswith("apt-"):
            requirements.check_apt(text, f"reqs/{name}")
        else:
            requirements.check_pip(text, f"reqs/{name}", is_here=lambda path: bool(files.kind(path)))
    return read


def _check_disk(resolved: Configuration, engine: Engine, *, console: Console, quiet: bool) -> str:
    """Return the folder that holds the engine's data; say it where the disk below it may be too small."""
    found = disk.look(engine)
    needed = disk.NEEDED[resolved["USE_CUDA"]]
    if not found.has(needed):
        is_first = engine.project_of(resolved.service.image) is None
        warning = disk.check(found, needed=needed, is_first=is_first)
        if warning and not quiet:
            console.print(f"Warning: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    return found.root


def _about_records() -> str:
    return f"BuildKit's events are in {files.RECORDS.relative_to(files.ROOT)}" if files.RECORDS.is_dir() else ""
