"""What has to be there before a build or a start, and is made or said where it is not."""

from __future__ import annotations

from rich.console import Console

from cresset import base_image, build, build_family, container, environment, family, hardware, project, refusals
from cresset.configuration import Configuration, Request
from cresset.credentials import quoted
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.screen.display import Mode
from cresset.versions import gate


def to_build(request: Request, *, console: Console) -> tuple[Configuration, Engine]:
    """Return what a build needs; what is missing for it, `.env` and a plain base image, is made.

    Raises:
        CressetError: a value that cannot be, no daemon, or no base image.
    """
    environment.ensure_env(request, console=console)
    resolved, engine = project.load(request, needs_env=not request.dry_run)
    project.require_paths(resolved)
    engine.ready()
    if not request.dry_run and (unmade := refusals.unmade_folder()):
        raise unmade
    refuse_platform(resolved, engine)
    if base_image.ensure(resolved, engine, console=console):
        resolved, engine = project.load(request)
    return resolved, engine


def to_start(
    request: Request, mode: Mode, *, console: Console, train_name: str = "", force: bool = False
) -> tuple[Configuration, Engine]:
    """Return what a new container needs, its image among it: one that is not here is built, unless it is named.

    Raises:
        CressetError: what `to_build` raises, a build that failed, or no image of that name.
    """
    named = {"IMAGE_NAME": family.reference(train_name)} if train_name else {}
    resolved, engine = project.load(request.having(**named))
    project.require_paths(resolved)
    refuse_platform(resolved, engine)
    if named:
        build_family.require(resolved, engine)
    elif not request.dry_run:
        gate.before_start(resolved, console=console, force=force)
        if reason := container.why_build(resolved, engine):
            console.print(reason)
            resolved, engine = to_build(request, console=console)
            build.build(resolved, engine, console=console, mode=mode, force=force)
    return resolved, engine


def refuse_platform(resolved: Configuration, engine: Engine) -> None:
    """Refuse a platform that is not the engine's own, which bake builds for and Compose would not start.

    Raises:
        CressetError: DOCKER_DEFAULT_PLATFORM names another, or no daemon answers.
    """
    asked = resolved.model.platform
    if engine.dry_run or not hardware.processor(asked):
        return
    own = engine.platform()
    if hardware.processor(asked) != hardware.processor(own):
        raise CressetError(
            f"DOCKER_DEFAULT_PLATFORM is {quoted(asked)}, and images are built for the engine's own, {own}",
            "unset DOCKER_DEFAULT_PLATFORM, and take it out of .env; or use an engine of that platform",
        )
