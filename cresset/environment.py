"""What is true of this host and checkout: the configuration, `.env`, the override file, the base image."""

from __future__ import annotations

import json
import os

from rich.console import Console
from rich.table import Table

from cresset import availability, compose, configuration, dockerfile, env_file, files, host, override_file
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
    if needs_env and not env_text:
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
    if files.read(".env") is None and not request.dry_run:
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
    if former is not None and not update:
        console.print(".env is there already and stays as it is; --update adds what it lacks.", highlight=False)
        return
    facts = host.look()
    service = request.service or request.overrides.get("SERVICE") or ("train" if facts.has_gpu else "cpu")
    asked = Request(service=service, overrides=request.overrides)
    resolved, _ = load(asked, needs_env=False, dotenv=False)
    choices = env_file.host_choices(facts, service=service, path=str(files.ROOT))
    reason = "an NVIDIA GPU answers" if facts.has_gpu else "no NVIDIA GPU answers"
    choices[0] = Choice(name="SERVICE", value=service, reason="" if request.service else reason)
    found, warning = availability.choose_wheels(resolved, facts)
    choices += found
    # What was said for this host by hand, on the command line or in the shell, holds from now on.
    said = (value for value in resolved.values.values() if value.source in {"--set", "shell"})
    choices += [Choice(name=value.name, value=value.value, reason=f"from {value.source}") for value in said]
    defaults = configuration.defaults(resolved.model, resolved.recipe)
    text = (
        env_file.compose_text(choices, defaults) if former is None else env_file.add_missing(former, choices, defaults)
    )
    if request.dry_run:
        console.print(text, markup=False, highlight=False)
        return
    files.write(".env", text, mode=0o600)
    _show_choices(choices, former=former, text=text, console=console)
    if warning:
        console.print(f"Warning: {warning}", markup=False)
    for url in facts.hidden_indexes:
        console.print(f"Not used: {url}, because a build sees no folder of this host but the wheelhouse.", markup=False)


def _show_choices(choices: list[Choice], *, former: str | None, text: str, console: Console) -> None:
    if former == text:
        console.print(".env lacks nothing.")
        return
    console.print("Wrote .env:" if former is None else "Added to .env what it lacked.", highlight=False)
    if former is None:
        table = Table.grid(padding=(0, 2))
        for _ in ("setting", "value", "reason"):
            table.add_column(overflow="fold")
        for choice in {choice.name: choice for choice in choices}.values():
            table.add_row(f"  {choice.name}", choice.value or "(none)", f"[dim]{choice.reason}[/dim]")
        console.print(table)


def write_override(request: Request, *, console: Console) -> None:
    """Write docker-compose.override.yaml, or add a service to it and leave the rest alone.

    Raises:
        CressetError: the file is no YAML that a service can be added to.
    """
    resolved, _ = load(request)
    service = resolved.service.name
    former = files.read(override_file.NAME)
    if former is not None and service in override_file.services(former):
        console.print(f"{override_file.NAME} has the service {service} already and stays as it is.", highlight=False)
        return
    text = override_file.add_service(former, service)
    if request.dry_run:
        console.print(text, markup=False, highlight=False)
        return
    files.write(override_file.NAME, text)
    console.print(f"{'Wrote' if former is None else 'Added ' + service + ' to'} {override_file.NAME}.", highlight=False)


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
    table = Table(box=None, pad_edge=False)
    for title in ("setting", "value", "from", "meaning"):
        table.add_column(title, overflow="fold")
    for value in resolved.values.values():
        style = "dim" if value.source == "default" else ""
        table.add_row(value.name, value.value, value.source, value.meaning, style=style)
    console.print(table)
