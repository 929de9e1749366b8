"""The containers of this checkout: up, down, into them, and what there is."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta, timezone

from rich import filesize
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cresset import bake, files, hardware, inventory
from cresset.configuration import Configuration
from cresset.engine import Engine
from cresset.errors import CressetError

_COMPOSE = ("docker", "compose")
_OVERRIDE = "docker-compose.override.yaml"
_GPU_WAYS = "`bash misc/setup.sh` installs NVIDIA's toolkit, `invoke over` passes devices"
# What to do about a container that does not start, by what the daemon noted; the first that fits.
_PROBLEMS = (
    (
        r"could not select device driver|nvidia-container-cli|unresolvable CDI devices",
        f"the engine gives containers no GPU: {_GPU_WAYS}; without a GPU: --service cpu, or USE_CUDA=0 in .env",
    ),
    (
        r"port is already allocated|address already in use",
        f"something else has the port: choose another under ports: in {_OVERRIDE}",
    ),
    (
        r"error gathering device information[^\"]*\"(?P<path>[^\"]+)",
        f"this host has no device {{path}}: edit devices: in {_OVERRIDE}",
    ),
    (
        r"error mounting \"(?P<path>[^\"]+)\".*not a directory",
        f"a file is mounted on a folder, or a folder on a file: see {{path}} under volumes: in {_OVERRIDE}",
    ),
    (r"executable file not found", f"the image has no such program: see command: in {_OVERRIDE}"),
)
# What to do about a container that is there but cannot be entered.
_WAYS_IN = {
    "paused": "let it go on: docker compose unpause {service}",
    "restarting": "its main process ends again and again: invoke logs --service {service}",
    "exited": "start it as it was: invoke start --service {service}; or a fresh one: invoke up --service {service}",
}


def up(resolved: Configuration, engine: Engine) -> None:
    """Make a fresh container from the image, in place of one that there may be."""
    _make_folders(resolved, engine)
    # Compose loses its way when two of it replace one container.
    with nullcontext() if engine.dry_run else files.turn("up"):
        project, name = resolved.model.project, resolved.service.name
        if not engine.dry_run:
            engine.remove_half_made(project, name)
        former = {} if engine.dry_run else engine.containers(project, name)
        for folder in sorted({folder for folder in former.values() if _is_anothers(folder)}):
            print(
                f"Warning: the container of the service {name} was that of {folder}, which loses it: "
                f"both are called {project}; another COMPOSE_PROJECT_NAME in .env keeps them apart.",
                flush=True,
            )
        argv = [*_COMPOSE, "up", "--detach", "--no-build", "--force-recreate", name]
        engine.run(argv, hint=lambda: remedy(engine.start_problem(project, name, besides=former)))


def why_build(resolved: Configuration, engine: Engine) -> str:
    """Return why a container cannot be started without a build; empty if it can."""
    image = resolved.service.image
    labels = engine.labels(image)
    if labels is None:
        return f"The image {image} is not here yet."
    return (
        f"The image {image} is not this one's." if bake.former_owner(resolved.model, resolved.service, labels) else ""
    )


def start(resolved: Configuration, engine: Engine) -> None:
    """Start the stopped container as it was."""
    project, name = resolved.model.project, resolved.service.name

    engine.ready()
    _require_container(resolved, engine)
    engine.run([*_COMPOSE, "start", name], hint=lambda: remedy(engine.start_problem(project, name)))


def stop(resolved: Configuration, engine: Engine) -> None:
    """Stop the container and keep it."""
    engine.ready()
    engine.run([*_COMPOSE, "stop", resolved.service.name])


def down(resolved: Configuration, engine: Engine, *, only: bool) -> None:
    """Remove the containers and networks of this checkout, or of one service only."""
    engine.ready()
    engine.run([*_COMPOSE, "--profile", "*", "down", *([resolved.service.name] if only else [])])


def enter(resolved: Configuration, engine: Engine, *, command: str | Sequence[str] = "") -> None:
    """Run the shell or a command in the running container, in this process's place.

    Args:
        resolved: the service.
        engine: docker.
        command: a line for the container's shell, or words as they are; the setting COMMAND otherwise.

    Raises:
        CressetError: the container does not run.
    """
    if not engine.dry_run:
        require_running(resolved, engine)
    words = arguments(command or resolved["COMMAND"]) if isinstance(command, str) else command
    engine.become([*_COMPOSE, "exec", *_no_terminal(), resolved.service.name, *words])


def attend(resolved: Configuration, engine: Engine, *, command: Sequence[str]) -> None:
    """Run a command in the running container that ends when its input does: with this process, whatever ends that.

    A signal would reach docker alone, which would go and leave the command behind.

    Raises:
        CressetError: the container does not run, or the command failed.
    """
    if not engine.dry_run:
        require_running(resolved, engine)
    engine.attend([*_COMPOSE, "exec", "--no-TTY", resolved.service.name, *command])


def require_running(resolved: Configuration, engine: Engine) -> str:
    """Return the name of the service's running container.

    Raises:
        CressetError: it does not run.
    """
    project, service = resolved.model.project, resolved.service.name
    if name := engine.running(project, service):
        return name
    raise _no_way_in(service, engine.states(project, service))


def run(resolved: Configuration, engine: Engine, *, command: str = "") -> None:
    """Run the shell or a command in a container of its own, which is removed afterwards."""
    _make_folders(resolved, engine)
    words = arguments(command or resolved["COMMAND"])
    engine.become([*_COMPOSE, "run", "--rm", *_no_terminal(), resolved.service.name, *words])


def logs(resolved: Configuration, engine: Engine, *, follow: bool) -> None:
    """Print what the container's main process wrote."""
    engine.ready()
    _require_container(resolved, engine)
    engine.become([*_COMPOSE, "logs", *(["--follow"] if follow else []), resolved.service.name])


def list_projects(engine: Engine) -> None:
    """List all Compose projects of this host, stopped ones too."""
    engine.ready()
    engine.become([*_COMPOSE, "ls", "--all"])


def list_images(resolved: Configuration, engine: Engine, *, console: Console) -> None:
    """List the images that were built for this checkout."""
    table = Table("image", "id", "size", "age", box=None, pad_edge=False)
    for image in inventory.images(engine, resolved.model.project):
        age = age_of(datetime.now(timezone.utc) - image.created)
        table.add_row(Text(image.name), image.short_id, filesize.decimal(image.size), age)
    console.print(table)


def age_of(time: timedelta) -> str:
    """Return a time in the largest unit that it has two of, like `5 days`."""
    seconds = int(time.total_seconds())
    units = (("days", 86400), ("hours", 3600), ("minutes", 60))
    unit, length = next(((name, length) for name, length in units if seconds >= 2 * length), ("seconds", 1))
    return f"{seconds // length} {unit}"


def arguments(command: str) -> list[str]:
    """Return a command line as arguments: a lone program as it is, anything else for the container's shell to read."""
    return [command] if re.fullmatch(r"[\w./-]+", command) else ["sh", "-c", command]


def remedy(problem: str) -> str:
    """Return what to do about a container that does not start, by what the daemon noted; empty if that is not known."""
    for pattern, advice in _PROBLEMS:
        if match := re.search(pattern, problem):
            return advice.format_map(match.groupdict())
    return ""


def _is_anothers(folder: str) -> bool:
    """Return whether a container that was made for a folder is another checkout's; without a folder it may be ours."""
    return bool(folder) and os.path.realpath(folder) != os.path.realpath(files.ROOT)


def _require_container(resolved: Configuration, engine: Engine) -> None:
    """Refuse a service without a container, of which Compose says nothing, successfully."""
    name = resolved.service.name
    if not engine.dry_run and not engine.states(resolved.model.project, name):
        raise _no_way_in(name, [])


def _no_way_in(service: str, states: Sequence[str]) -> CressetError:
    state = next((state for state in _WAYS_IN if state in states), "")
    if state in {"paused", "restarting"}:
        message = f"the container of the service {service} is {state}"
    else:
        message = f"no container of the service {service} runs"
    return CressetError(
        message, _WAYS_IN.get(state, "start one: invoke up --service {service}").format(service=service)
    )


def _make_folders(resolved: Configuration, engine: Engine) -> None:
    """Make as this person what docker would make as root: the folders of the host that are mounted and missing.

    Raises:
        CressetError: one cannot be made, or nobody can tell whether it has to be.
    """
    service = resolved.service
    # On macOS the engine makes them as this person, and knows some that are not there.
    if engine.dry_run or hardware.system() == "macOS":
        return
    if not (service.made_folders or service.needed_paths) or hardware.is_remote(hardware.engine_address()):
        return
    for path in service.needed_paths:
        if files.is_missing(path):
            raise CressetError(
                f"a volume of the service {service.name}: there is no {path} on this host",
                f"make it, or take its line out of {_OVERRIDE}",
            )
    for path in service.made_folders:
        try:
            is_there = files.kind(path)
        except CressetError as error:
            hint = "if it is there, mount it in the long form, with `type: bind`, for which nothing is made"
            raise CressetError(f"a volume of the service {service.name}: {error}", hint) from None
        try:
            is_new = not is_there and files.make_folder(path)
        except CressetError as error:
            raise CressetError(f"a volume of the service {service.name}: {error}", error.hint) from None
        if is_new:
            print(f"Made the folder {path}, which the service {service.name} mounts.", flush=True)


def _no_terminal() -> list[str]:
    return [] if sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty() else ["--no-TTY"]
