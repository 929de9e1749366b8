"""What to tell a person whom docker refuses: by what it said, in one line, with what to type next."""

from __future__ import annotations

import os
import re
import shlex
from importlib import resources
from pathlib import Path

from cresset import hardware
from cresset.errors import CressetError


def unusable(program: str, error: OSError) -> CressetError:
    """Return what to tell a person whose docker cannot be run at all."""
    reason = "is not installed" if isinstance(error, FileNotFoundError) else f"cannot be run: {error.strerror}"
    return CressetError(f"{program} {reason}", "run: bash misc/setup.sh")


def _is_foreign(place: Path) -> bool:
    """Return whether something in a folder is another account's."""
    found = ((Path(top), folders + names) for top, folders, names in os.walk(place))
    paths = [place, *(top / name for top, names in found for name in names)]
    return any(os.path.lexists(path) and path.lstat().st_uid != os.geteuid() for path in paths)


def refused_folder(text: str) -> CressetError | None:
    """Return what to tell a person whom docker's folder is closed to, as `sudo docker` leaves it; None otherwise."""
    if f"{hardware.docker_folder()}" not in text or "permission denied" not in text.lower():
        return None
    return foreign_folder()


def foreign_folder() -> CressetError | None:
    """Return what to tell a person whose docker folder, or something in it, is another account's; None otherwise."""
    if not _is_foreign(hardware.docker_folder()):
        return None
    whole = shlex.quote(str(hardware.docker_folder())) if "DOCKER_CONFIG" in os.environ else "~/.docker"
    return CressetError(
        f"{whole} is another account's, or something in it, as after `sudo docker`",
        f'make it yours: sudo chown -R "$USER": {whole}',
    )


def unmade_folder() -> CressetError | None:
    """Return what to tell a person for whom buildx cannot make the folder of its notes; None where it can or has."""
    folder = hardware.notes_folder()
    above = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), Path("/"))
    is_folder = os.path.isdir(above)  # noqa: PTH112 - no error where this account may not look
    if is_folder and (above == folder or os.access(above, os.W_OK | os.X_OK)):
        return None
    hint = "name a folder of yours: export DOCKER_CONFIG=DIR"
    if given := next((name for name in ("BUILDX_CONFIG", "DOCKER_CONFIG") if os.environ.get(name)), ""):
        hint = f"unset {given}, or name a folder of yours: export {given}=DIR"
    elif is_folder and str(above) == os.path.expanduser("~") != "/":  # noqa: PTH111 - no error without a home
        hint = f'make your home yours: sudo chown "$USER": ~; or {hint}'
    reason = "closed to you" if is_folder else "no folder"
    return CressetError(f"docker cannot keep its notes in {shlex.quote(str(folder))}: {above} is {reason}", hint)


def daemon_refusal(text: str) -> CressetError:
    """Return what to tell a person to whom docker says that its daemon does not answer, or refuses."""
    if text == hardware.SILENCE:
        return CressetError(
            "the Docker daemon does not answer", f"{_elsewhere() or 'restart it: sudo systemctl restart docker'}"
        )
    if refused := refused_folder(last_line(text)):
        return refused
    if answered := re.search(r"Error response from daemon: (?P<reason>.+)", text, re.DOTALL):
        return _refused_by_daemon(" ".join(answered["reason"].split()))
    text = last_line(text)
    if "permission denied" in text.lower():
        return CressetError(
            "this account may not use the Docker daemon", "run: bash misc/setup.sh (it offers the group docker)"
        )
    start = "start it: bash misc/setup.sh"
    elsewhere = _elsewhere()
    return CressetError(
        f"no Docker daemon answers: {text}",
        f"{elsewhere}; this machine's own: bash misc/setup.sh" if elsewhere else start,
    )


def _refused_by_daemon(reason: str) -> CressetError:
    """Return what to tell a person whom the daemon answers, and refuses."""
    reason = reason.removesuffix(" errors pretty printing info")
    if "client version" not in reason:
        hint = "see its log: sudo journalctl --unit docker"
    elif os.environ.get("DOCKER_API_VERSION"):
        hint = "unset DOCKER_API_VERSION"
    else:
        hint = "CLI and engine are too far apart, `docker version` shows both: upgrade the older one"
    elsewhere = _elsewhere()
    return CressetError(f"the Docker daemon refuses: {reason}", f"{hint}; or {elsewhere}" if elsewhere else hint)


def compose_refusal(text: str, *, override: str = "") -> CressetError:
    """Return what to tell a person whose files, or whose lack of a plugin, Compose refuses."""
    absent = ("is not a docker command", "unknown command", "unknown shorthand flag", "unknown flag")
    is_absent = any(words in text for words in absent)
    # The warning that docker cannot read its configuration says nothing of why Compose refuses, if it is there.
    if refused := refused_folder(text if is_absent else last_line(text)):
        return refused
    if is_absent:
        return CressetError("docker has no Compose V2 plugin", "run: bash misc/install_compose.sh")
    reason = last_line(text)
    if "unable to resolve docker endpoint" in reason:
        return CressetError(
            f"docker: {reason}", f"`docker context ls` shows what there is; {_elsewhere() or 'docker context use NAME'}"
        )
    hint = f"edit or remove {override}" if override else "see docker-compose.yaml, its override and .env"
    return CressetError(f"docker compose: {reason}", hint)


def last_line(text: str) -> str:
    """Return the line in which docker says what is wrong, with the indented ones that it is the head of."""
    lines = text.rstrip().splitlines()
    first = max((at for at, line in enumerate(lines) if not line[:1].isspace()), default=0)
    return " ".join(map(str.strip, lines[first:])) or "no answer"


def _elsewhere() -> str:
    """Return how to get back to this machine's own daemon; empty where that is the one asked."""
    if named := [name for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY") if os.environ.get(name)]:
        return f"unset {' and '.join(named)}"
    found = re.search(r'"currentContext": *"([^"]+)"', hardware.read(str(hardware.docker_folder() / "config.json")))
    return "docker context use default" if found and found[1] != "default" else ""


def numbers(version: str) -> list[int]:
    """Return the numbers of a version."""
    return [int(number) for number in re.findall(r"\d+", version)]


def require(program: str, version: str) -> None:
    """Refuse a program that is too old.

    Raises:
        CressetError: with both versions.
    """
    lines = resources.files("cresset.data").joinpath("minimum-versions").read_text().splitlines()
    minimum = dict(line.split() for line in lines if line and not line.startswith("#"))[program]
    if numbers(version) < numbers(minimum):
        raise CressetError(
            f"{program} {version} is too old: {minimum} or newer is needed",
            "upgrade it: https://docs.docker.com/engine/install/",
        )
