"""The text of docker-compose.override.yaml: what only this host has. Pure."""

from __future__ import annotations

import yaml

from cresset.errors import CressetError

NAME = "docker-compose.override.yaml"

_HEAD = """\
# What only this host has: folders, ports, devices. Compose reads this file beside docker-compose.yaml; git ignores it.
# The host's CA bundle and package indexes reach builds and containers without it: they come from .env.
services:
"""

_SERVICE = """\
{service}:
  volumes:
    # The home of whoever starts the container.
    - type: bind
      source: ${{HOME}}
      target: /mnt/home
  # Other things that belong here, as examples:
  # ports: ["127.0.0.1:8080:80"]
  # tmpfs: [/scratch]
"""


def services(text: str) -> frozenset[str]:
    """Return the services that an override file's text configures.

    Raises:
        CressetError: it is no Compose file.
    """
    try:
        return frozenset((yaml.safe_load(text) or {}).get("services") or {})
    except (yaml.YAMLError, AttributeError, TypeError):
        raise CressetError(f"{NAME} is no Compose file", f"mend it, or move it away: mv {NAME} {NAME}.old") from None


def add_service(former: str | None, service: str) -> str:
    """Return an override file with a service in it, and everything else in it untouched.

    Raises:
        CressetError: its services are not written one below the other.
    """
    if former is None:
        return _HEAD + _block(service, indent=2)
    lines = former.splitlines(keepends=True)
    at = next((number for number, line in enumerate(lines) if line.rstrip() == "services:"), None)
    if at is None:
        if services(former):
            raise CressetError(f"{NAME} has its services on one line", f"add {service} to it by hand")
        return former.rstrip("\n") + "\nservices:\n" + _block(service, indent=2)
    lines[at] = "services:\n"
    neighbour = next((line for line in lines[at + 1 :] if line.strip() and not line.lstrip().startswith("#")), "")
    indent = len(neighbour) - len(neighbour.lstrip()) or 2
    return "".join([*lines[: at + 1], _block(service, indent=indent), *lines[at + 1 :]])


def _block(service: str, *, indent: int) -> str:
    lines = _SERVICE.format(service=service).splitlines(keepends=True)
    return "".join(" " * indent + line for line in lines)
