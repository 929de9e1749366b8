"""The text of `.env`: what was chosen for this host, then every other setting as a comment. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.version import Version

from cresset import env_entries, settings
from cresset.configuration import Value
from cresset.credentials import quoted
from cresset.errors import CressetError
from cresset.hardware import Gpu
from cresset.host import Host
from cresset.versions import combination, wheels
from cresset.versions.compat import Tables

# The distributions' own python3, by what names them in an image reference (packages.debian.org, packages.ubuntu.com).
PYTHON_OF = {
    "bullseye": "3.9",
    "bookworm": "3.11",
    "trixie": "3.13",
    "focal": "3.8",
    "jammy": "3.10",
    "noble": "3.12",
    "debian:11": "3.9",
    "debian:12": "3.11",
    "debian:13": "3.13",
    "ubuntu:20.04": "3.8",
    "ubuntu:22.04": "3.10",
    "ubuntu:24.04": "3.12",
}


# The newest CUDA for drivers of before CUDA 13 that official wheels exist for, and the newest compute capability that
# these hold code for (download.pytorch.org/whl/cu126, github.com/pytorch/pytorch/blob/main/RELEASE.md).
FORMER_CUDA = "12.6.3"
_FORMER_CAPABILITY = (9, 0)

# With less memory than this, an engine has no room for the default shared memory beside a training.
_ROOMY = 8 * 2**30

# Base images that are made on the host have names that say so.
MADE_HERE = "cresset-base:"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A setting that this host decides.

    Attributes:
        name: the setting.
        value: its value.
        reason: why, in a few words; empty where the name says it.
    """

    name: str
    value: str
    reason: str = ""


_REASONS = {("train", True): "an NVIDIA GPU answers", ("cpu", False): "no NVIDIA GPU answers"}


def python_of(image: str) -> str:
    """Return the version of the distribution's own Python in an image, by its name; empty where that is unknown."""
    return next((python for name, python in PYTHON_OF.items() if name in image), "")


def safe_name(name: str) -> str:
    """Return an account's name as a container takes it: no domain, no blanks."""
    bare = name.rsplit("\\", 1)[-1].split("@", 1)[0]
    return re.sub(r"^[^A-Za-z_]+|[^A-Za-z0-9_.-]+", "-", bare).strip("-")[:32] or "user"


def project_name(user: str, path: str) -> str:
    """Return the Compose project of a checkout: the same one at each call, another one for each path and person."""
    person = re.sub(r"[^a-z0-9_-]", "-", user.lower())
    return f"cresset-{person}-{hashlib.sha256(path.encode()).hexdigest()[:8]}"


def host_choices(host: Host, *, service: str, path: str) -> tuple[list[Choice], list[Choice]]:
    """Return what follows from the machine and the person alone: what can be set, and what its setting cannot be."""
    user = safe_name(host.user)
    found = [
        Choice(
            name="SERVICE",
            value=service,
            reason=_REASONS.get((service, host.has_gpu), ""),
        ),
        Choice(name="COMPOSE_PROFILES", value=service),
        Choice(name="COMPOSE_PROJECT_NAME", value=project_name(user, path)),
        Choice(name="UID", value=str(host.uid)),
        Choice(name="GID", value=str(host.gid)),
        Choice(name="USR", value=user),
        Choice(name="GRP", value=safe_name(host.group)),
        Choice(name="TZ", value=host.zone, reason="the host's"),
        Choice(name="CA_BUNDLE", value=host.ca_bundle, reason="certificates of this host that images lack"),
        Choice(name="INDEX_URL", value=host.index_url, reason="pip's configuration"),
        Choice(name="EXTRA_INDEX_URL", value=" ".join(host.extra_index_urls), reason="pip's configuration"),
        Choice(name="TRUSTED_HOST", value=host.trusted_hosts, reason="pip's configuration"),
        Choice(name="WHEELHOUSE", value=host.wheelhouse, reason="pip's find-links"),
        Choice(name="DEB_NEW", value=host.apt_mirror, reason="apt's sources"),
    ]
    said = [choice for choice in found if choice.value]
    usable = [choice for choice in said if settings.NAMES[choice.name].form.accepts(choice.value)]
    return usable, [choice for choice in said if choice not in usable]


def capability_choices(gpus: Sequence[Gpu]) -> list[Choice]:
    """Return what to compile for, where this host has GPUs: their compute capabilities, the oldest first."""
    found = sorted({gpu.capability for gpu in gpus if gpu.capability}, key=Version)
    return [Choice(name="CCA", value=" ".join(found), reason="the GPUs of this host")] if found else []


def system_choices(host: Host, *, shm_size: str) -> list[Choice]:
    """Return what follows from WSL, and from an engine in a small virtual machine.

    Args:
        host: the machine.
        shm_size: what SHM_SIZE is without a choice.
    """
    is_wsl, memory = host.system == "WSL", host.engine_memory
    choices = [Choice(name="IPC", value="private", reason="WSL has no host IPC")] if is_wsl else []
    if 0 < memory < _ROOMY:
        reason = f"half of the engine's {memory / 2**30:.1f} GB"
        return [*choices, Choice(name="SHM_SIZE", value=f"{memory // 2**21}mb", reason=reason)]
    return [*choices, Choice(name="SHM_SIZE", value=shm_size, reason="WSL has no host IPC")] if is_wsl else []


def choose_use_cuda(host: Host, *, service: str, wanted: Value) -> list[Choice]:
    """Return that the other services are without CUDA too where no GPU answers.

    Args:
        host: the machine.
        service: the one in use; train and full, asked for without a GPU, are for GPUs elsewhere.
        wanted: the setting USE_CUDA.
    """
    if host.has_gpu or service in {"train", "full"} or wanted.source not in {"default", "service"}:
        return []
    return [Choice(name="USE_CUDA", value="0", reason=_REASONS["cpu", False])]


def choose_cuda(gpus: Sequence[Gpu], wanted: Value, tables: Tables) -> tuple[list[Choice], str]:
    """Return an older CUDA where the driver cannot run the default one, and a warning where it cannot run what holds.

    Args:
        gpus: the host's.
        wanted: the setting CUDA_VERSION.
        tables: what drivers run.
    """
    driver = gpus[0].driver if gpus else ""  # one host has one driver
    if not driver or combination.is_driven(tables, driver, wanted.value):
        return [], ""
    need = f"CUDA {wanted.value} needs driver {combination.oldest_driver(tables, wanted.value)} or newer"
    has_code = all(_capability(gpu) <= _FORMER_CAPABILITY for gpu in gpus)
    if wanted.source == "default" and combination.is_driven(tables, driver, FORMER_CUDA) and has_code:
        return [Choice(name="CUDA_VERSION", value=FORMER_CUDA, reason=f"{need}, this host has {driver}")], ""
    return [], f"{need}, and this host has {driver}: upgrade the driver, or choose a CUDA_VERSION that it can run"


def _capability(gpu: Gpu) -> tuple[int, ...]:
    return tuple(map(int, gpu.capability.split("."))) if gpu.capability else (0, 0)


def wheelhouse_choices(wheel: wheels.Wheel, *, python: str, reason: str) -> list[Choice]:
    """Return the settings that take PyTorch from one wheel and leave its companions out."""
    pythons = [] if python else list(wheel.pythons[-1:])
    return [
        Choice(name="PYTORCH_VERSION_TAG", value=f"v{wheel.version.public}", reason=reason),
        *[Choice(name="PYTHON_VERSION", value=version, reason="that wheel's") for version in pythons],
        *[
            Choice(name=f"{name}_VERSION_TAG", value="", reason="no index answers")
            for name in ("TORCHVISION", "TORCHAUDIO", "TORCHTEXT")
        ],
    ]


def compose_text(choices: Iterable[Choice], values: Mapping[str, Value]) -> str:
    """Return a whole `.env`.

    Args:
        choices: what is set; the last one of a name counts.
        values: every setting with its default and meaning, in the order of the file.
    """
    chosen = {choice.name: choice for choice in choices}
    lines = [
        "# The settings of this host and person, written by `invoke env`. Docker Compose reads them;",
        "# what the shell or `--set NAME=VALUE` says comes before them. `invoke config` shows what holds.",
        "",
    ]
    for value in values.values():
        if choice := chosen.get(value.name):
            lines += [f"# {_comment(value)}" + (f" ({choice.reason})" if choice.reason else ""), _line(choice), ""]
    lines += ["# Everything else, with its default.", ""]
    for value in values.values():
        if value.name not in chosen:
            lines += [*_commented(value), ""]
    return "\n".join(lines)


def add_missing(text: str, choices: Iterable[Choice], values: Mapping[str, Value]) -> str:
    """Return an `.env` with what it does not set: the choices in place of their comments, the rest as comments."""
    is_set = env_entries.names(text)
    for choice in {choice.name: choice for choice in choices}.values():
        if choice.name not in is_set:
            text = record(text, choice)
    named = {entry.name for entry in env_entries.read(text)}
    lines = [line for name, value in values.items() if name not in named for line in (*_commented(value), "")]
    return text.rstrip("\n") + "\n\n" + "\n".join(lines) if lines else text


def record(text: str, choice: Choice) -> str:
    """Return an `.env` with a setting changed where it is set (the last time), else commented, else at the end."""
    line = _line(choice)
    found = [entry for entry in env_entries.read(text) if entry.name == choice.name]
    if found:
        place = max(found, key=lambda entry: (not entry.is_comment, entry.start))
        rest = text[place.end :]
        # Behind a closing quote, a line may go on with the next setting.
        is_alone = not rest.partition("\n")[0].strip()
        return text[: place.start] + line + ("" if is_alone else "\n") + rest
    comment = f"# {choice.reason}\n" if choice.reason else ""
    return text.rstrip("\n") + f"\n\n{comment}{line}\n"


def refuse_unread(choices: Iterable[Choice], read: Mapping[str, str]) -> None:
    """Refuse to write an `.env` of which Compose makes something else than was chosen.

    Args:
        choices: what the file is to say.
        read: what Compose makes of it, by name.

    Raises:
        CressetError: with the first setting that it would read otherwise.
    """
    for choice in choices:
        # Those of Compose itself have a value whatever the file says.
        if not choice.name.startswith("COMPOSE_") and choice.value != (found := read.get(choice.name, "")):
            raise CressetError(
                f".env: Compose would read {choice.name} as {quoted(found)}, so nothing was written",
                f"write it into .env by hand, in a line of its own: {_line(choice)}",
            )


def quote(value: str) -> str:
    """Return a value as Compose reads it back unchanged."""
    if re.fullmatch(r"[A-Za-z0-9_./:@%+,=-]*", value):
        return value
    # A backslash before the closing quote would hide it.
    if "'" not in value and not value.endswith("\\"):
        return f"'{value}'"
    return '"{}"'.format(re.sub(r'([\\"$])', r"\\\1", value))


def _comment(value: Value) -> str:
    return f"{value.name} {value.help}"


def _line(choice: Choice) -> str:
    if "\n" in choice.value:
        raise CressetError(
            f"{choice.name}: a value of more than one line is not written to .env", "write it in one line"
        )
    return f"{choice.name}={quote(choice.value)}"


def _commented(value: Value) -> list[str]:
    return [f"# {_comment(value)}", f"#{value.name}={quote(value.value)}"]
