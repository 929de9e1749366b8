"""What a task acts on: the configuration of this checkout, and docker with its environment."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches

from cresset import bake, compose, configuration, dockerfile, env_entries, files, forms, override_file, settings
from cresset.compose import Service
from cresset.configuration import Configuration, Request
from cresset.credentials import mask, quoted
from cresset.dockerfile import Dockerfile
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.settings import Setting

COMPOSE_FILE = "docker-compose.yaml"
_LONGEST = 80  # characters of what Compose says of a line
# Not what is below the last ones: /usr/src and /var/lib may well hold a folder of sources or wheels.
_SYSTEM = re.compile(r"/|/(?:dev|proc|sys)(?:/.*)?|/(?:bin|boot|etc|home|lib[0-9]*|mnt|opt|run|sbin|tmp|usr|var)")


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
    if not files.has_utf8_path():
        raise CressetError("the path of this checkout is not UTF-8, and docker would take another for it", "rename it")
    compose_text = files.require(COMPOSE_FILE)
    everything = Engine(environment={**request.overrides, "COMPOSE_PROFILES": "*"})
    try:
        model = compose.read(everything.compose_config(dotenv=dotenv))
    except CressetError as error:
        _refuse_unreadable(str(error), env_text)
        _refuse_unfit_settings(str(error), everything, env_text)
        _refuse_misspelt_service(str(error), compose_text)
        raise
    configuration.require_whole(model)
    service = request.service or model.settings["SERVICE"]
    recipes = read_recipes(model.service(service))
    resolved = configuration.resolve(
        request=request,
        service=service,
        model=model,
        compose_text=compose_text,
        recipes=recipes,
        shell=os.environ,
        env_file=env_entries.names(env_text),
    )
    _refuse_unfit_proxies(resolved.service)
    _refuse_unfit_folders(resolved)
    return resolved, Engine(environment=configuration.environment(request, service), dry_run=request.dry_run)


def read_recipes(service: Service | None = None) -> dict[str, Dockerfile]:
    """Return the Dockerfiles by their names; a person's service may have one of its own."""
    texts = {name: files.require(name) for name in configuration.RECIPES}
    if service and (own := files.read(service.dockerfile)) is not None:
        texts[service.dockerfile] = own
    return {name: dockerfile.parse(text, name=name) for name, text in texts.items()}


def _refuse_unreadable(refusal: str, env_text: str) -> None:
    """Refuse an `.env` that Compose cannot read, with the line; that of an open quote is to it the last one."""
    if found := re.search(r"failed to read \S.*/\.env: (?:line (\d+): )?(.*)", refusal):
        line = str(env_entries.line_of_open_quote(env_text) or found[1] or "") if "quote" in found[2] else found[1]
        raise CressetError(
            f".env{f':{line}' if line else ''}: {mask(found[2])[:_LONGEST]}",
            "write NAME=VALUE in .env, and a value with blanks, quotes or a $ like NAME='VALUE'",
        )


def _refuse_unfit_settings(refusal: str, engine: Engine, env_text: str) -> None:
    """Refuse a value of the shell or of `.env` that Compose stumbles over, in words that name the setting."""
    read = engine.read_settings(settings.NAMES, env_text=env_text, shell={**os.environ, **engine.environment})
    if found := re.search(r'invalid project name "(.*)":', refusal):
        read["COMPOSE_PROJECT_NAME"] = found[1]
    for name, value in read.items():
        # An empty one leaves most settings at their defaults.
        if value:
            settings.NAMES[name].check(value, "shell" if name in os.environ else ".env")


def _refuse_unfit_proxies(service: Service) -> None:
    """Refuse an address that no proxy can have, before the first download of a build or a container fails over it."""
    for name in bake.PROXIES:
        if "no_" not in name.lower() and (value := service.arguments.get(name)):
            Setting(name=name, form=forms.PROXY).check(value, "shell" if name in os.environ else ".env")


def _refuse_unfit_folders(resolved: Configuration) -> None:
    """Refuse a folder for builds that is the whole host, or a part of it that has no end."""
    home = os.path.realpath(os.path.expanduser("~"))  # noqa: PTH111 - no error without a home
    for name in ("WHEELHOUSE", "SOURCES", "DEPLOY_PROJECT"):
        value = resolved.values[name]
        path = os.path.realpath(files.place(value.value))
        problem = f"{name} (from {value.source}): {quoted(value.value)}"
        hint = "name a folder that has nothing else in it"
        if _SYSTEM.fullmatch(path):
            raise CressetError(f"{problem} is a folder of the system, and builds read all of it", hint)
        if path == home:
            raise CressetError(f"{problem} is your home, and builds read all of it", hint)
        if name == "DEPLOY_PROJECT" and path == os.path.realpath(files.ROOT):
            raise CressetError(
                f"{problem} is this checkout, whose .dockerignore lets nothing into an image",
                "name a folder in it, like src",
            )


def _refuse_misspelt_service(refusal: str, compose_text: str) -> None:
    """Refuse a service of the override file that is none of docker-compose.yaml's: to Compose, a new and empty one."""
    found = re.search(r'service "(.*)" has neither an image nor a build context', refusal)
    # Only here is it sure that Compose could read the file.
    if found and (near := get_close_matches(found[1], compose.service_names(compose_text), n=1)):
        name = next((name for name in override_file.NAMES if files.is_here(name)), override_file.NAMES[0])
        raise CressetError(f"{name}: there is no service {quoted(found[1])}", f"did you mean {near[0]}?")


def require_paths(resolved: Configuration) -> None:
    """Refuse settings that name what is not there, which docker would refuse without their names.

    Raises:
        CressetError: with the setting and where it came from.
    """
    for name, what in (
        ("HOST_ROOT", "folder"),
        ("WHEELHOUSE", "folder"),
        ("SOURCES", "folder"),
        ("DEPLOY_PROJECT", "folder"),
        ("CA_BUNDLE", "file"),
    ):
        value = resolved.values[name]
        try:
            is_there = not value.value or files.kind(value.value) == what
        except CressetError as error:
            raise CressetError(f"{name} (from {value.source}): {error}", error.hint) from None
        if not is_there:
            raise CressetError(
                f"{name} (from {value.source}): there is no {what} {value.value}", "name another, or leave it out"
            )
