"""What is true of this host and checkout: the configuration, `.env`, the override file, the base image."""

from __future__ import annotations

import json
import os

from rich.console import Console
from rich.table import Table

from cresset import availability, compose, configuration, dockerfile, env_file, files, host, override_file, settings
from cresset.configuration import Configuration, Request
from cresset.engine import Engine
from cresset.env_file import Choice
from cresset.errors import CressetError

COMPOSE_FILE = "docker-compose.yaml"


def load(request: Request, *, needs_env: bool = True, dotenv: bool = True) -> tuple[Configuration, Engine]:
    """Return what a task acts on: the configuration, and docker with that configuration's environment.

    Args:
        request: the command line.
        needs_env: the task is about containers of this checkout, whose name is in `.env`.
        dotenv: let Compose read `.env`.

    Raises:
        CressetError: no `.env`, no Compose, or a value that cannot be.
    """
    env_text = (files.read(".env") or "") if dotenv else ""
    if needs_env and not env_text.strip():
        raise CressetError(".env is missing: nobody has said yet what this host needs", "run: invoke env")
    everything = Engine(environment={**request.overrides, "COMPOSE_PROFILES": "*"})
    model = compose.read(everything.compose_config(dotenv=dotenv))
    service = request.service or model.settings["SERVICE"]
    resolved = configuration.resolve(
        request=request,
        service=service,
        model=model,
        compose_text=files.require(COMPOSE_FILE),
        recipe=dockerfile.parse(files.require("Dockerfile")),
        shell=os.environ,
        env_file=compose.env_file_names(env_text),
    )
    return resolved, Engine(environment=resolved.environment, dry_run=request.dry_run)


def ensure_env(request: Request, *, console: Console) -> None:
    """Write `.env` where there is none, saying so."""
    if not (files.read(".env") or "").strip() and not request.dry_run:
        console.print("There is no .env yet: looking at this host.")
        write_env(request, console=console)


def write_env(request: Request, *, console: Console, update: bool = False) -> None:
    """Write `.env` for this host; an existing one is never overwritten, at most added to.

    Args:
        request: the command line; what it sets is written too.
        console: where the choices are shown.
        update: add what an existing file lacks.

    Raises:
        CressetError: an unknown service, a value that cannot be, a version that is not to be had.
    """
    former = files.read(".env")
    blank = not (former or "").strip()
    if not blank and not update:
        if request.overrides:
            raise CressetError(".env is there already and stays as it is", "edit it, or add --update to change it")
        console.print(".env is there already and stays as it is; --update adds what it lacks.")
        return
    facts = host.look()
    service = request.service or request.overrides.get("SERVICE") or _service(facts, former or "")
    asked = Request(service=service, overrides=request.overrides)
    resolved, _ = load(asked, needs_env=False)
    choices, unusable = env_file.host_choices(facts, service=service, path=str(files.ROOT))
    found, warning = availability.choose_wheels(resolved, facts)
    # What was said for this host by hand, on the command line or in the shell, holds from now on.
    values = resolved.values.values()
    said = {
        source: [
            Choice(name=value.name, value=value.value, reason=source) for value in values if value.source == source
        ]
        for source in ("--set", "shell")
    }
    unset, _ = load(Request(service=service), needs_env=False, dotenv=False)
    defaults = configuration.defaults(unset.model, unset.recipe)
    choices += found + said["shell"] + said["--set"]
    if blank:
        text = env_file.compose_text(choices, defaults)
    else:
        text = env_file.add_missing(former or "", choices, defaults)
        for choice in said["--set"]:
            text = env_file.record(text, choice)
    if request.dry_run:
        console.print(text, markup=False)
        return
    files.write(".env", text, former=former, mode=0o600)
    _show_changes(choices, former=former, text=text, console=console)
    if warning:
        console.print(f"Warning: {warning}", markup=False)
    for url in facts.hidden_indexes:
        console.print(f"Not used: {url}, because a build sees no folder of this host but the wheelhouse.", markup=False)
    for choice in unusable:
        console.print(f"Not used: {choice.name} = {settings.mask(choice.value)} ({choice.reason}).", markup=False)


def _service(facts: host.Host, env_text: str) -> str:
    if "SERVICE" in compose.env_file_names(env_text):
        return load(Request())[0].service.name
    return "train" if facts.has_gpu else "cpu"


def require_paths(resolved: Configuration) -> None:
    """Refuse settings that name what is not there, which docker would refuse without their names.

    Raises:
        CressetError: with the setting and where it came from.
    """
    for name, what in (("HOST_ROOT", "folder"), ("WHEELHOUSE", "folder"), ("CA_BUNDLE", "file")):
        value = resolved.values[name]
        if value.value and files.kind(value.value) != what:
            raise CressetError(
                f"{name} (from {value.source}): there is no {what} {value.value}", "name another, or leave it out"
            )


def _show_changes(choices: list[Choice], *, former: str | None, text: str, console: Console) -> None:
    if former == text:
        console.print(".env lacks nothing.")
        return
    console.print("Wrote .env:" if former is None else "Added to .env:")
    before = compose.env_file_names(former or "")
    table = Table.grid(padding=(0, 2))
    for _ in ("setting", "value", "reason"):
        table.add_column(overflow="fold")
    for choice in {choice.name: choice for choice in choices}.values():
        if choice.name not in before or choice.reason == "--set":
            table.add_row(f"  {choice.name}", settings.mask(choice.value) or "(none)", f"[dim]{choice.reason}[/dim]")
    console.print(table)


def write_override(request: Request, *, console: Console) -> None:
    """Write docker-compose.override.yaml, or add a service to it and leave the rest alone.

    Raises:
        CressetError: the file is no YAML that a service can be added to.
    """
    resolved, _ = load(request)
    service = resolved.service.name
    # Compose reads the first of them that there is.
    name = next((name for name in override_file.NAMES if files.read(name) is not None), override_file.NAMES[0])
    former = files.read(name)
    if former is not None and service in override_file.services(former):
        console.print(f"{name} has the service {service} already and stays as it is.")
        return
    text = override_file.add_service(former, service)
    if request.dry_run:
        console.print(text, markup=False)
        return
    files.write(name, text, former=former)
    console.print(f"{'Wrote' if former is None else f'Added {service} to'} {name}.")


def show(request: Request, *, console: Console, as_json: bool = False) -> None:
    """Print every setting with its value, where it came from and what it means."""
    resolved, _ = load(request, needs_env=False)
    if as_json:
        rows = [
            {"name": value.name, "value": value.value, "source": value.source, "help": value.meaning}
            for value in resolved.values.values()
        ]
        print(json.dumps(rows, indent=2))
        return
    for value in resolved.values.values():
        style = "dim" if value.source == "default" else "bold"
        console.print(f"{value.name} = {settings.mask(value.value) or '(empty)'}", style=style, markup=False, end="  ")
        console.print(f"({value.source})", markup=False)
        console.print(f"    {value.meaning}", markup=False)
