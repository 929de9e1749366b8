"""What was compiled is kept as images: their names, what they say of themselves, which of them may go. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cresset.credentials import quoted
from cresset.errors import CressetError
from cresset.family import ARGUMENTS
from cresset.screen.live import duration

REPOSITORY = "cresset-store"
# The stage that is kept: every wheel, and nothing else.
STAGE = "dist"
# Which label says the seconds that the compile took.
SECONDS = "cresset.seconds"

_HOURS = {"h": 1, "d": 24, "w": 7 * 24}
_BYTES = {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


@dataclass(frozen=True, kw_only=True)
class Kept:
    """An image of the store.

    Attributes:
        id: its id.
        references: its names; several where different inputs came to one result.
        compiled: when the last step of it was executed.
        seconds: what that took with all that it is made of; None where nobody has measured it.
        size: in bytes, what it shares with other images and the build cache included.
        project: the Compose project of the checkout that compiled it.
        arguments: what it was made with.
    """

    id: str
    references: Sequence[str]
    compiled: datetime
    seconds: float | None = None
    size: int = 0
    project: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


def reference(name: str) -> str:
    """Return what the image is called whose stages are known by a name."""
    return f"{REPOSITORY}:{name}"


def read(references: Sequence[str], raw: Mapping[str, Any]) -> Kept:
    """Return an image of the store from what `docker image inspect` says of it."""
    labels = (raw.get("Config") or {}).get("Labels") or {}
    seconds = labels.get(SECONDS, "")
    try:
        words = shlex.split(labels.get(ARGUMENTS, ""))
    except ValueError:
        words = []
    return Kept(
        id=raw["Id"],
        references=tuple(references),
        # Nanoseconds, which Python does not read; the zone is always UTC.
        compiled=datetime.fromisoformat(f"{raw['Created'][:19]}+00:00"),
        seconds=float(seconds) if re.fullmatch(r"\d{1,9}", seconds) else None,
        size=raw.get("Size") or 0,
        project=labels.get("com.docker.compose.project", ""),
        arguments=dict(word.split("=", 1) for word in words if "=" in word),
    )


def about(kept: Kept) -> str:
    """Return what a person is told where it is taken."""
    return f"What is compiled is taken from the store: {_history(kept)}"


def as_data(kept: Kept) -> dict[str, object]:
    """Return the same for a script."""
    return {"image": kept.references[0], "compiled": kept.compiled.isoformat(), "seconds": kept.seconds}


def _history(kept: Kept) -> str:
    took = f", {duration(kept.seconds)}" if kept.seconds else ""
    return f"compiled on {kept.compiled.astimezone():%Y-%m-%d}{took}"


def what(kept: Kept) -> str:
    """Return what is in it, for a person: `PyTorch v2.14.1, TorchVision v0.29.1, Python 3.12, CUDA 13.0.3 for 8.6`."""
    values = kept.arguments
    names = {"PYTORCH": "PyTorch", "TORCHVISION": "TorchVision", "TORCHAUDIO": "TorchAudio", "TORCHTEXT": "TorchText"}
    parts = [f"{name} {tag}" for key, name in names.items() if (tag := values.get(f"{key}_VERSION_TAG"))]
    parts += [f"Python {values['PYTHON_VERSION']}"] if values.get("PYTHON_VERSION") else []
    if values.get("USE_CUDA") == "1":
        parts.append(f"CUDA {values.get('CUDA_VERSION', '')} for {values.get('CCA') or 'no GPU named'}")
    return ", ".join(parts) or "(no word of what is in it)"


def rows(kept: Kept) -> tuple[str, str]:
    """Return it as a person sees it in a list: what it is; when, for how long and by whom it was compiled."""
    return what(kept), _history(kept) + (f", by {kept.project}" if kept.project else "")


def choose(
    images: Sequence[Kept], *, now: datetime, older: timedelta | None = None, larger: float | None = None
) -> tuple[Kept, ...]:
    """Return what of the store may go, the oldest first.

    Args:
        images: all of it.
        now: the time.
        older: only what was compiled longer ago.
        larger: only what has more bytes.
    """
    found = [one for one in images if older is None or now - one.compiled > older]
    return tuple(sorted((one for one in found if larger is None or one.size > larger), key=lambda one: one.compiled))


def age(text: str) -> timedelta | None:
    """Return what `--older-than` says; None where it says nothing.

    Raises:
        CressetError: it is no age.
    """
    if not text:
        return None
    found = re.fullmatch(r"([0-9]{1,5})([hdw])", text)
    if not found:
        raise CressetError(f"--older-than: {quoted(text)} is no age", "write hours, days or weeks: 12h, 30d, 8w")
    return timedelta(hours=int(found[1]) * _HOURS[found[2]])


def size(text: str) -> float | None:
    """Return the bytes that `--larger-than` says; None where it says nothing.

    Raises:
        CressetError: it is no size.
    """
    if not text:
        return None
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]+)?) *([KMGT]?B)", text, re.IGNORECASE)
    if not found:
        raise CressetError(f"--larger-than: {quoted(text)} is no size", "write it like 500MB or 2GB")
    return float(found[1]) * _BYTES[found[2].upper()]
