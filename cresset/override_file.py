"""The text of docker-compose.override.yaml: what only this host has. Pure."""

from __future__ import annotations

import re

import yaml

from cresset.errors import CressetError

# The names that Compose knows; of several it takes the first.
NAMES = ("docker-compose.override.yaml", "docker-compose.override.yml")

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
        raise CressetError("the override file is no Compose file", "mend it, or move it away") from None


def add_service(former: str | None, service: str) -> str:
    """Return an override file with a service in it, and everything else in it untouched.

    Raises:
        CressetError: it is written in a way that this cannot add to.
    """
    if former is None:
        return _HEAD + _block(service, indent=2)
    before = services(former)
    lines = former.splitlines(keepends=True)
    at = next((number for number, line in enumerate(lines) if re.match(r"services:\s*(#.*)?$", line)), None)
    if at is None:
        text = former.rstrip("\n") + "\nservices:\n" + _block(service, indent=2)
    else:
        neighbour = next((line for line in lines[at + 1 :] if line.strip() and not line.lstrip().startswith("#")), "")
        indent = len(neighbour) - len(neighbour.lstrip()) or 2
        end = "" if lines[at].endswith("\n") else "\n"
        text = "".join([*lines[: at + 1], end, _block(service, indent=indent), *lines[at + 1 :]])
    if not _adds(text, former, service, before):
        raise CressetError(
            "the override file is written in a way that nothing can be added to", f"add {service} to it by hand"
        )
    return text


def _adds(text: str, former: str, service: str, before: frozenset[str]) -> bool:
    """Return whether the text is what was there before and the service."""
    try:
        now, then = yaml.safe_load(text), yaml.safe_load(former) or {}
    except yaml.YAMLError:
        return False
    # A key that is written twice would hide the first one.
    keys = [line.split(":")[0].strip("'\" ") for line in text.splitlines() if line[:1].strip(" #")]
    return (
        now.get("services", {}).keys() == before | {service}
        and {**now, "services": None} == {**then, "services": None}
        and keys.count("services") == 1
    )


def _block(service: str, *, indent: int) -> str:
    lines = _SERVICE.format(service=service).splitlines(keepends=True)
    return "".join(" " * indent + line for line in lines)
