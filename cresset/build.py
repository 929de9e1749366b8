"""The order of a build: read, check, bake, report."""

from __future__ import annotations

import re
import time

from rich.console import Console

from cresset import bake, dockerfile, files, requirements
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
    _check_requirements(resolved)
    definition = bake.define(resolved.model, service, compose_version=engine.compose_version())
    builder = Engine(environment={**engine.environment, **bake.secret_values(resolved.model)}, dry_run=engine.dry_run)
    if mode != "quiet" and not engine.dry_run:
        console.print(f"Building {service.image}", highlight=False)
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
        hint = _remedy("\n".join([outcome.error, *(outcome.failed.log if outcome.failed else ())]), resolved)
        raise CressetError(failure, hint, code=exit_code)


def _check_requirements(resolved: Configuration) -> None:
    """Refuse requirement files that the service's stages read and that are missing or cannot be meant."""
    stages = dockerfile.needed(resolved.recipe, resolved.service.build["target"], resolved.service.arguments)
    mounts = [value for stage in stages for step in stage.instructions for _, value in step.flags]
    read = {name for mount in mounts for name in re.findall(r"source=/([\w.-]+\.requirements\.txt)", mount)}
    for name in sorted(read):
        text = files.require(f"reqs/{name}")
        if files.is_linked_elsewhere(f"reqs/{name}"):
            raise CressetError(
                f"reqs/{name} is a link out of its folder", "put the file itself there: a build follows none"
            )
        if name.startswith("apt-"):
            requirements.check_apt(text, f"reqs/{name}")
        else:
            requirements.check_pip(text, f"reqs/{name}", is_here=lambda path: bool(files.kind(path)))


def _remedy(text: str, resolved: Configuration) -> str:
    """Return what to do about a failure, by what BuildKit and the failing step said."""
    if "failed to resolve source metadata" in text or "pull access denied" in text:
        return (
            f"the base image {resolved['BUILD_IMAGE']} is neither here nor to be pulled: log in to its registry, "
            "choose another (BUILD_IMAGE), or build without CUDA: --service cpu"
        )
    if "no wheel in the wheelhouse" in text:
        return "name a folder of wheels: invoke env --update --set WHEELHOUSE=DIR; or another version that is to be had"
    if "python-build-standalone" in text:
        return (
            f"the base image's own Python is not {resolved['PYTHON_VERSION']}, and another cannot be fetched: set "
            "PYTHON_VERSION to the base's, or PYTHON_MIRROR"
        )
    return f"BuildKit's events are in {files.RECORDS.relative_to(files.ROOT)}" if files.RECORDS.is_dir() else ""
