"""Doctor's checks of the host and of the person's files: account, `.env`, mounts, certificates. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from urllib.parse import urlsplit

from cresset import forms, settings
from cresset.credentials import mask, quoted
from cresset.health.findings import Facts, Finding, Project, Remedy

_GIGABYTE = 2**30
# What docker itself reads from .env.
_DOCKERS_OWN = ("DOCKER_", "BUILDX_", "BUILDKIT_")
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}
_LOCAL = {"localhost", "127.0.0.1", "::1"}


def env_keys(facts: Facts) -> Iterator[Finding]:
    """Check env-keys: that `.env` is there, is private, and that what it names is read by somebody."""
    machine = facts.machine
    # Without Compose nobody has read it.
    message, hint = machine.unreadable or (facts.complaint if facts.docker.compose else ("", ""))
    if (message, hint) == machine.docker_folder:  # said where it belongs
        message = ""
    if machine.env_mode is None and not message:
        message = ".env is missing: nobody has said yet what this host needs"
        yield Finding(check="env-keys", severity="warning", message=message, hint="run: invoke env", remedy="env")
        return
    problems = list(_odd_names(facts))
    if message and not any(finding.severity == "error" for finding in problems):
        problems.append(Finding(check="env-keys", severity="error", message=message, hint=hint))
    if machine.env_mode and machine.env_mode & 0o077:
        message = f".env can be read by others (mode {machine.env_mode:o}), and may hold passwords"
        problems.append(
            Finding(check="env-keys", severity="info", message=message, hint="chmod 600 .env", remedy="mode")
        )
    yield from problems or [Finding(check="env-keys", severity="ok", message=".env names settings only, each once")]


def _odd_names(facts: Facts) -> Iterator[Finding]:
    names = facts.machine.env_names
    for name in dict.fromkeys(names):
        if name in settings.RENAMED:
            message, hint = f".env: {name} is an old name", f"write {settings.RENAMED[name]}"
            remedy: Remedy = "rename" if settings.RENAMED[name] in settings.NAMES else ""
            yield Finding(check="env-keys", severity="error", message=message, hint=hint, remedy=remedy)
        elif name in settings.NAMES or name in _PROXIES or name in settings.OF_COMPOSE:
            if names.count(name) > 1:
                message = f".env sets {name} more than once; the last one counts"
                yield Finding(check="env-keys", severity="warning", message=message, hint="remove the others")
        elif near := get_close_matches(name.upper(), settings.NAMES, n=1, cutoff=0.85):
            message = f".env: there is no setting {name!r}"
            yield Finding(check="env-keys", severity="error", message=message, hint=f"did you mean {near[0]}?")
        elif not name.startswith(_DOCKERS_OWN) and name not in facts.machine.override:
            message = f".env sets {name}, which nothing here reads"
            hint = "remove it, unless a program of yours reads .env; `invoke config` lists the settings"
            yield Finding(check="env-keys", severity="info", message=message, hint=hint)


def user(facts: Facts, project: Project) -> Iterator[Finding]:
    """Check user: that files made in the container are the person's outside."""
    machine, values = facts.machine, project.values
    if values["ADD_USER"] == "exclude":
        if facts.docker.rootless or machine.uid == 0:
            yield Finding(check="user", severity="ok", message="root inside is this account outside")
            return
        message = "ADD_USER=exclude: what the container writes into your folders belongs to root"
        yield Finding(check="user", severity="info", message=message, hint="set ADD_USER=include for an image of yours")
    elif facts.docker.rootless and machine.uid:
        message = "the engine is rootless: only root inside is you outside, another user's files are not yours"
        yield Finding(check="user", severity="warning", message=message, hint="set ADD_USER=exclude")
    elif (own := (str(machine.uid), str(machine.gid))) != (values["UID"], values["GID"]):
        is_default = project.sources.get("UID", "default") == "default"
        yield Finding(
            check="user",
            severity="warning",
            message=f"the container's user is {values['UID']}:{values['GID']}, and you are {':'.join(own)}: "
            "files will not be yours",
            hint="run: invoke env --update"
            if is_default
            else f"set UID={own[0]} and GID={own[1]}, or build for whom it is",
            remedy="env" if is_default else "",
        )
    else:
        yield Finding(check="user", severity="ok", message=f"inside as outside: {':'.join(own)}")


def shm(facts: Facts, project: Project) -> Iterator[Finding]:
    """Check shm: whether the workers of a DataLoader have shared memory."""
    values, memory = project.values, facts.docker.memory
    if values["IPC"] == "host":
        if facts.machine.system == "WSL":
            message = "IPC=host is another virtual machine's on WSL with Docker Desktop"
            yield Finding(check="shm", severity="warning", message=message, hint="set IPC=private, and SHM_SIZE")
        else:
            yield Finding(check="shm", severity="ok", message="the host's shared memory")
        return
    size = size_of(values["SHM_SIZE"])
    if size < _GIGABYTE:
        message = f"SHM_SIZE={values['SHM_SIZE']}: workers of a DataLoader die of a bus error when it is full"
        yield Finding(check="shm", severity="warning", message=message, hint="set SHM_SIZE=8gb")
    elif memory and size > memory:
        message = f"SHM_SIZE={values['SHM_SIZE']} is more than the engine's {memory / _GIGABYTE:.0f} GB of memory"
        hint = f"set SHM_SIZE={memory // 2 // 2**20}mb"
        yield Finding(check="shm", severity="warning", message=message, hint=hint)
    else:
        yield Finding(check="shm", severity="ok", message=f"{values['SHM_SIZE']} of shared memory")


def size_of(text: str) -> int:
    """Return the bytes of a size as SHM_SIZE is written."""
    found = re.fullmatch(r"(\d+)([kmg])b?", text.lower())
    return int(found[1]) * 1024 ** ("kmg".index(found[2]) + 1) if found else 0


def mounts(facts: Facts, _: Project) -> Iterator[Finding]:
    """Check vscode-server: that no folder that a container mounts is missing, or root's though it is to be written."""
    problems = []
    for path, owner in facts.machine.folders.items():
        if owner is None:
            message = f"{path} is mounted and not there yet: hand-typed docker would make it as root"
            problems.append(
                Finding(
                    check="vscode-server",
                    severity="warning",
                    message=message,
                    hint="`invoke up` makes it yours",
                    remedy="folders",
                )
            )
        elif owner == 0 and facts.machine.uid != 0 and _is_a_home(path):
            message, hint = f"{path} belongs to root, and you cannot write it", f'sudo chown -R "$USER": {path}'
            problems.append(Finding(check="vscode-server", severity="warning", message=message, hint=hint))
    ok = Finding(check="vscode-server", severity="ok", message="it is kept in a volume of the account's")
    yield from problems or [ok]


def _is_a_home(path: str) -> bool:
    return "/.vscode-server" in path or path.startswith(("/home/", "/Users/"))


def proxy_ca(facts: Facts, project: Project) -> Iterator[Finding]:
    """Check proxy-ca: that builds and containers trust what the host trusts, and reach its proxy."""
    machine, problems = facts.machine, []
    if machine.ca_bundle and not project.values["CA_BUNDLE"]:
        problems.append(
            Finding(
                check="proxy-ca",
                severity="warning",
                message=f"this host trusts certificates that images lack ({machine.ca_bundle}), and CA_BUNDLE is empty",
                hint="run: invoke env --update",
                remedy="env",
            )
        )
    for name, value in machine.proxies.items():
        host = host_of(value)
        if not host:
            message = f"{name}={quoted(value)} is no address of a proxy"
            problems.append(Finding(check="proxy-ca", severity="warning", message=message, hint=forms.PROXY.hint))
        elif host in _LOCAL and project.values["NETWORK"] != "host":
            message = f"{name}={mask(value)} is this machine, which a build or a container cannot reach by that name"
            hint = "name an address of this machine that others reach, like that of docker0"
            problems.append(Finding(check="proxy-ca", severity="warning", message=message, hint=hint))
    trusted = (
        f"{project.values['CA_BUNDLE']} is trusted inside" if project.values["CA_BUNDLE"] else "nothing of its own"
    )
    yield from problems or [Finding(check="proxy-ca", severity="ok", message=trusted)]


def host_of(proxy: str) -> str:
    """Return the host in a proxy's address, whose scheme may be missing; empty where there is none."""
    try:
        return urlsplit(proxy if "://" in proxy else f"//{proxy}").hostname or ""
    except ValueError:  # a bracket of IPv6 that is left open
        return ""
