"""The text of docker-compose.override.yaml: what only this host has. Pure."""

from __future__ import annotations

import re
from typing import Any

import yaml

from cresset.devices import Devices
from cresset.errors import CressetError

# The names that Compose knows; of several it takes the first.
NAMES = ("docker-compose.override.yaml", "docker-compose.override.yml")

_HEAD = """\
# What only this host has: folders, ports, devices. Compose reads this file beside docker-compose.yaml; git ignores it.
# The host's CA bundle and package indexes reach builds and containers without it: they come from .env.
# An example begins with # and no blank: take away that one sign, and `invoke up`.
services:
"""

_SERVICE = """\
{service}:
  volumes:
    # The home of whoever starts the container.
    - type: bind
      source: ${{HOME}}
      target: /mnt/home
{driver}    # Windows of programs inside, on this host's X server; `environment` belongs to it. See docs/switches.md.
    #- {{ type: bind, source: /tmp/.X11-unix, target: /tmp/.X11-unix, read_only: true }}
    # ssh, where SSH=include: who may log in, and the container's own key; `command` and a port belong to it.
    #- {{ type: bind, source: "${{HOME}}/.ssh/authorized_keys", target: /etc/ssh/authorized_keys, read_only: true }}
    #- ./.cresset/ssh:/var/lib/serve-ssh
{environment}    # The X server's name, as the shell has it, and no shared memory with it: the container's is its own.
    #DISPLAY:
    #QT_X11_NO_MITSHM: 1
  #command: [serve-ssh, zsh]
  # The container's name for itself, in the prompt too; without this line it is a number.
  #hostname: {service}
  # Of this host's loopback alone: without 127.0.0.1 whoever reaches the host reaches the container.
  #ports:
    #- 127.0.0.1:8080:80
    #- 127.0.0.1:2222:2222
  # Files in memory.
  #tmpfs: [/scratch]
{devices}"""

_DRIVER = """\
    # The driver's libraries.
    - type: bind
      source: {driver}
      target: {driver}
      read_only: true
"""

_ENVIRONMENT = """\
  environment:
    LD_LIBRARY_PATH: {driver}/lib64:{driver}/lib
"""

_DEVICES = """\
  # This engine knows no GPUs (NVIDIA's container toolkit is not installed): their devices are passed one by one instead
  # of a reservation. With the toolkit, remove this, and the driver's libraries above.
  deploy: !reset null
  devices:
"""


class _Loader(yaml.SafeLoader):
    """Reads Compose's own tags, like !reset, as the values behind them."""


_Loader.add_multi_constructor("!", lambda loader, _, node: _plain(loader, node))


def _plain(loader: yaml.SafeLoader, node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


def _load(text: str) -> Any:  # noqa: ANN401 - YAML
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, with tags that it passes over


def services(text: str) -> frozenset[str]:
    """Return the services that an override file's text configures.

    Raises:
        CressetError: it is no Compose file.
    """
    try:
        return frozenset((_load(text) or {}).get("services") or {})
    except (yaml.YAMLError, AttributeError, TypeError):
        raise CressetError("the override file is no Compose file", "mend it, or move it away") from None


def add_service(former: str | None, service: str, *, devices: Devices | None = None) -> str:
    """Return an override file with a service in it, and everything else in it untouched.

    Args:
        former: the file as it is, None where there is none.
        service: the service to add.
        devices: what to pass to it instead of a reservation of GPUs, None where the engine knows them.

    Raises:
        CressetError: it is written in a way that this cannot add to.
    """
    if former is None:
        return _HEAD + _block(service, devices, indent=2)
    before = services(former)
    lines = former.splitlines(keepends=True)
    at = next((number for number, line in enumerate(lines) if re.match(r"services:\s*(#.*)?$", line)), None)
    if at is None:
        text = former.rstrip("\n") + "\nservices:\n" + _block(service, devices, indent=2)
    else:
        neighbour = next((line for line in lines[at + 1 :] if line.strip() and not line.lstrip().startswith("#")), "")
        indent = len(neighbour) - len(neighbour.lstrip()) or 2
        end = "" if lines[at].endswith("\n") else "\n"
        text = "".join([*lines[: at + 1], end, _block(service, devices, indent=indent), *lines[at + 1 :]])
    if not _adds(text, former, service, before):
        raise CressetError(
            "the override file is written in a way that nothing can be added to", f"add {service} to it by hand"
        )
    return text


def _adds(text: str, former: str, service: str, before: frozenset[str]) -> bool:
    """Return whether the text is what was there before and the service."""
    try:
        now, then = _load(text), _load(former) or {}
    except yaml.YAMLError:
        return False
    # A key that is written twice would hide the first one.
    keys = [line.split(":")[0].strip("'\" ") for line in text.splitlines() if line[:1].strip(" #")]
    return (
        now.get("services", {}).keys() == before | {service}
        and {**now, "services": None} == {**then, "services": None}
        and keys.count("services") == 1
    )


def _block(service: str, devices: Devices | None, *, indent: int) -> str:
    folder = devices.driver if devices else ""
    driver = _DRIVER.format(driver=folder) if folder else ""
    environment = _ENVIRONMENT.format(driver=folder) if folder else "  #environment:\n"
    passed = "".join([_DEVICES, *(f"    - {path}:{path}\n" for path in devices.paths)]) if devices else ""
    block = _SERVICE.format(service=service, driver=driver, environment=environment, devices=passed)
    lines = block.splitlines(keepends=True)
    return "".join(" " * indent + line for line in lines)
