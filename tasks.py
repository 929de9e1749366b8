"""The tasks: `invoke --list` shows them, `invoke --help TASK` explains one. The work is done in `cresset/`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task
from invoke.tasks import task as invoke_task
from rich.console import Console

from cresset import base_image as base_images
from cresset import build as builds
from cresset import container, environment, settings
from cresset.configuration import Configuration, Request
from cresset.engine import Engine
from cresset.errors import CressetError

HELP = {
    "command": "what to run instead of the setting COMMAND; a shell reads it where it needs one",
    "dry_run": "print the docker commands instead of running them",
    "follow": "go on until Ctrl-C",
    "images": "the images of this checkout instead, with size and age",
    "json": "for scripts: a list of objects name, value, source, help",
    "service": "a service of docker-compose.yaml; otherwise the setting SERVICE says which",
    "set_": "NAME=VALUE, a setting for this call; repeatable; `env` writes it",
    "suite": "the release to make, like bookworm; otherwise this host's own",
    "update": "add what an existing .env does not set; of what it sets, only what --set names is changed",
}

console = Console(highlight=False)


def task(body: Callable[..., None]) -> Task[Callable[..., None]]:
    """Make a task of a function: help for its options, two lines and an exit code for a CressetError."""

    @functools.wraps(body)
    def guarded(*args: object, **options: object) -> None:
        try:
            body(*args, **options)
        except CressetError as error:
            raise Exit("\n  ".join(filter(None, (str(error), error.hint))), code=error.code) from None
        except KeyboardInterrupt:
            raise Exit("\ninterrupted; what was built so far is in the cache", code=130) from None

    options = list(inspect.signature(body).parameters)[1:]
    described = {name.strip("_"): HELP[name] for name in options}
    described = {name.replace("_", "-"): text for name, text in described.items()}
    iterable = [name for name in options if name == "set_"]
    name = body.__name__.strip("_").replace("_", "-")
    made = invoke_task(name=name, iterable=iterable, help=described, auto_shortflags=False)
    return made(guarded)  # type: ignore[no-any-return]


def ask(service: str | None, set_: list[str] | None, dry_run: bool) -> Request:
    """Return what the command line asks for, checked."""
    return Request(service=service or "", overrides=settings.parse_assignments(set_ or []), dry_run=dry_run)


def build_image(request: Request) -> tuple[Configuration, Engine]:
    """Build the image; what is missing for it, `.env` and a plain base image, is made first."""
    environment.ensure_env(request, console=console)
    resolved, engine = environment.load(request, needs_env=not request.dry_run)
    environment.require_paths(resolved)
    if not request.dry_run:
        engine.ready()
    if base_images.ensure(resolved, engine, console=console):
        resolved, engine = environment.load(request)
    builds.build(resolved, engine, console=console)
    return resolved, engine


def ready_to_start(request: Request) -> tuple[Configuration, Engine]:
    """Return what a new container needs, its image among it: one that is not here is built."""
    resolved, engine = environment.load(request)
    environment.require_paths(resolved)
    if not request.dry_run and (reason := container.why_build(resolved, engine)):
        console.print(reason)
        return build_image(request)
    return resolved, engine


@task
def env(
    _: Context, service: str | None = None, set_: list[str] | None = None, dry_run: bool = False, update: bool = False
) -> None:
    """Write .env for this host: who you are, what it has, and every other setting as a comment."""
    environment.write_env(ask(service, set_, dry_run), console=console, update=update)


@task
def over(_: Context, service: str | None = None, set_: list[str] | None = None, dry_run: bool = False) -> None:
    """Write docker-compose.override.yaml, for what only this host has: folders, ports, devices."""
    environment.write_override(ask(service, set_, dry_run), console=console)


@task
def config(
    _: Context, service: str | None = None, set_: list[str] | None = None, dry_run: bool = False, json: bool = False
) -> None:
    """Show every setting: its value, where that comes from, what it means."""
    environment.show(ask(service, set_, dry_run), console=console, as_json=json)


@task
def base_image(
    _: Context,
    service: str | None = None,
    set_: list[str] | None = None,
    dry_run: bool = False,
    suite: str | None = None,
) -> None:
    """Make a plain base image from this host's package mirror, for hosts that reach no registry."""
    request = ask(service, set_, dry_run)
    environment.ensure_env(request, console=console)
    _resolved, engine = environment.load(request, needs_env=not dry_run)
    base_images.record(engine, console=console, suite=suite or "")


@task
def build(_: Context, service: str | None = None, set_: list[str] | None = None, dry_run: bool = False) -> None:
    """Build the image and start a fresh container of it."""
    container.up(*build_image(ask(service, set_, dry_run)))


@task
def build_only(_: Context, service: str | None = None, set_: list[str] | None = None, dry_run: bool = False) -> None:
    """Build the image and leave the container as it is."""
    build_image(ask(service, set_, dry_run))


@task
def up(_: Context, service: str | None = None, set_: list[str] | None = None, dry_run: bool = False) -> None:
    """Start a fresh container of the image; what was changed in the former one is gone."""
    container.up(*ready_to_start(ask(service, set_, dry_run)))


@task
def start(_: Context, service: str | None = None, set_: list[str] | None = None, dry_run: bool = False) -> None:
    """Start the stopped container as it was."""
    container.start(*environment.load(ask(service, set_, dry_run)))


@task
def stop(_: Context, service: str | None = None, set_: list[str] | None = None, dry_run: bool = False) -> None:
    """Stop the container and keep it."""
    container.stop(*environment.load(ask(service, set_, dry_run)))


@task
def exec_(
    _: Context,
    service: str | None = None,
    set_: list[str] | None = None,
    dry_run: bool = False,
    command: str | None = None,
) -> None:
    """Enter the running container, or run a command in it."""
    container.enter(*environment.load(ask(service, set_, dry_run)), command=command or "")


@task
def run(
    _: Context,
    service: str | None = None,
    set_: list[str] | None = None,
    dry_run: bool = False,
    command: str | None = None,
) -> None:
    """Run the shell or a command in a container of its own, for debugging; it is removed afterwards."""
    container.run(*ready_to_start(ask(service, set_, dry_run)), command=command or "")


@task
def down(_: Context, service: str | None = None, set_: list[str] | None = None, dry_run: bool = False) -> None:
    """Remove this checkout's containers; with --service, that one only."""
    container.down(*environment.load(ask(service, set_, dry_run)), only=service is not None)


@task
def ls(
    _: Context, service: str | None = None, set_: list[str] | None = None, dry_run: bool = False, images: bool = False
) -> None:
    """List all Compose projects of this host, stopped ones too, or the images of this checkout."""
    resolved, engine = environment.load(ask(service, set_, dry_run), needs_env=images)
    if images:
        container.list_images(resolved, engine, console=console)
    else:
        container.list_projects(engine)


@task
def logs(
    _: Context, service: str | None = None, set_: list[str] | None = None, dry_run: bool = False, follow: bool = False
) -> None:
    """Show what the container's main process wrote."""
    container.logs(*environment.load(ask(service, set_, dry_run)), follow=follow)


ns = Collection(env, over, config, base_image, build, build_only, up, start, stop, exec_, run, down, ls, logs)
