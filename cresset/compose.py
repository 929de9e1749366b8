"""What `docker compose config --format json` answers, as a model; Compose is the only reader of `.env`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from cresset.credentials import quoted
from cresset.errors import CressetError


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service, resolved.

    Attributes:
        name: its name in docker-compose.yaml.
        image: the reference of the image it builds and runs.
        build: Compose's `build` section; empty where it builds nothing.
        reserves_gpus: it asks the engine for GPUs.
        made_folders: what it mounts of the host and docker makes, as root, where it is missing.
        needed_paths: what it mounts of the host and docker refuses to make.
    """

    name: str
    image: str
    build: Mapping[str, Any]
    reserves_gpus: bool = False
    made_folders: tuple[str, ...] = ()
    needed_paths: tuple[str, ...] = ()

    @property
    def arguments(self) -> Mapping[str, str]:
        """The build arguments that are set; the Dockerfile's defaults hold for the others."""
        return {name: value for name, value in self.build.get("args", {}).items() if value is not None}

    @property
    def dockerfile(self) -> str:
        """The Dockerfile that it is built from, relative to what it is built in."""
        return str(self.build.get("dockerfile", "Dockerfile"))


@dataclass(frozen=True, kw_only=True)
class Model:
    """A project, resolved.

    Attributes:
        project: COMPOSE_PROJECT_NAME, or what Compose makes of the folder's name.
        services: those of the active profiles.
        secrets: Compose's top-level `secrets`.
        settings: what the top-level key `x-cresset` resolves to.
        platform: DOCKER_DEFAULT_PLATFORM, of the shell or `.env`; empty where neither has it.
    """

    project: str
    services: Mapping[str, Service]
    secrets: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, str]
    platform: str = ""

    def service(self, name: str) -> Service:
        """Return the service of that name.

        Raises:
            CressetError: there is none; the hint lists those there are.
        """
        if name not in self.services:
            raise CressetError(
                f"there is no service {quoted(name)}", f"the services are {', '.join(sorted(self.services))}"
            )
        return self.services[name]


def read(text: str) -> Model:
    """Return the model of the JSON that `docker compose config` prints, where each `$` is written `$$`.

    Raises:
        CressetError: it is no JSON, or about another file than this checkout's.
    """
    try:
        raw = json.loads(text.replace("$$", "$"))
    except ValueError:
        raw = None
    if not isinstance(raw, dict):
        raise CressetError(
            "what `docker compose config` prints is no JSON", "see it: docker compose config --format json"
        )
    if not isinstance(raw.get("x-cresset"), dict):
        raise CressetError(
            "docker compose reads files without this checkout's docker-compose.yaml",
            "COMPOSE_FILE, in the shell or in .env, has to name it too, or to be left out",
        )
    return Model(
        project=raw.get("name", ""),
        services={name: _read_service(name, section) for name, section in (raw.get("services") or {}).items()},
        secrets=raw.get("secrets") or {},
        settings={name: str(value or "") for name, value in raw["x-cresset"].items()},
        platform=str((raw.get("x-docker") or {}).get("platform") or ""),
    )


def _read_service(name: str, section: Mapping[str, Any]) -> Service:
    return Service(
        name=name,
        image=section.get("image", ""),
        build=section.get("build", {}),
        reserves_gpus=any("gpu" in device.get("capabilities", ()) for device in _reserved(section)),
        made_folders=_mounted(section, made=True),
        needed_paths=_mounted(section, made=False),
    )


def _mounted(section: Mapping[str, Any], *, made: bool) -> tuple[str, ...]:
    """Return what a service mounts of the host: what docker makes where it is missing, or the rest."""
    return tuple(
        volume["source"]
        for volume in section.get("volumes") or ()
        if volume["type"] == "bind" and bool((volume.get("bind") or {}).get("create_host_path")) == made
    )


def _reserved(section: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    resources = (section.get("deploy") or {}).get("resources") or {}
    devices: Sequence[Mapping[str, Any]] = (resources.get("reservations") or {}).get("devices") or ()
    return devices


def presets(text: str, service: str) -> frozenset[str]:
    """Return the arguments that a service of a compose file's text fixes, so that no setting reaches them."""
    arguments = _find(text, "services", service, "build", "args")
    return frozenset(name for name, value in arguments.items() if value is not None and f"${{{name}" not in str(value))


def service_names(text: str) -> tuple[str, ...]:
    """Return the names of the services in a compose file's text."""
    return tuple(_find(text, "services"))


def own_settings(text: str, service: str) -> dict[str, str]:
    """Return the settings that are no arguments and that a service of a compose file's text fixes, in its x-cresset."""
    # Compose leaves it out of its JSON.
    return {name: str(value) for name, value in _find(text, "services", service, "x-cresset").items()}


@cache
def _parse(text: str) -> Any:  # noqa: ANN401 - YAML
    # Every task asks, more than once: the parser of libyaml takes a tenth of the time.
    return yaml.load(text, yaml.CSafeLoader)


def _find(text: str, *path: str) -> Mapping[str, object]:
    found = _parse(text)
    for key in path:
        # A service of the person's own may be written in short, as `build: .` is.
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
