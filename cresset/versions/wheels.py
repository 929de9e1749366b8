"""What the name of a wheel says: which PyTorch, for which Python, processor and accelerator. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

# The official wheels, one index an accelerator: pytorch.org/get-started. misc/image/fetch-wheels.sh asks the same.
OFFICIAL_INDEX = "https://download.pytorch.org/whl"


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """One wheel.

    Attributes:
        name: of the package, normalised.
        version: with its local label, like 2.13.0+cpu.
        pythons: the versions of CPython it is for, like 3.11; empty where any will do.
        platforms: like manylinux_2_28_x86_64.
    """

    name: str
    version: Version
    pythons: tuple[str, ...]
    platforms: tuple[str, ...]

    def fits(self, *, python: str, machine: str, variant: str) -> bool:
        """Return whether it runs on a Python (3.11; empty for any), a processor and an accelerator (cpu, cu130)."""
        label = self.version.local or ""
        return (
            (not python or not self.pythons or python in self.pythons)
            and any(platform == "any" or platform.endswith(f"_{machine}") for platform in self.platforms)
            and label in {"", variant}
        )


@dataclass(frozen=True, kw_only=True)
class Lack:
    """A wheel that a build will not find.

    Attributes:
        message: which, and where it was looked for.
        is_sure: the index was asked and has none; otherwise it did not answer.
    """

    message: str
    is_sure: bool


def read(file_names: Iterable[str]) -> tuple[Wheel, ...]:
    """Return the wheels that the names name; what is no wheel's name is passed over."""
    return tuple(wheel for name in file_names if (wheel := _read(name)))


def newest(
    wheels: Iterable[Wheel], *, name: str, python: str, machine: str, variant: str, version: str = ""
) -> Wheel | None:
    """Return the newest wheel of a package that fits, of that version if one is given; None where there is none."""
    fitting = [
        wheel
        for wheel in wheels
        if wheel.name == name
        and wheel.fits(python=python, machine=machine, variant=variant)
        and (not version or wheel.version.public == Version(version).public)
    ]
    return max(fitting, key=lambda wheel: wheel.version, default=None)


def variant(*, use_cuda: str, cuda_version: str) -> str:
    """Return the label of the official wheels: cpu without CUDA, cu130 for CUDA 13.0.3."""
    return "cpu" if use_cuda == "0" else "cu" + "".join(cuda_version.split(".")[:2])


def cuda_of(label: str) -> str:
    """Return the minor version of CUDA that a label of the official wheels means: 13.0 for cu130."""
    return re.sub(r"cu(\d+)(\d)", r"\1.\2", label)


def listed(page: str) -> tuple[Wheel, ...]:
    """Return the wheels that an index page links to."""
    return read(name.replace("%2B", "+") for name in re.findall(r'[^"/>\s]+\.whl(?=["#<])', page))


def _read(file_name: str) -> Wheel | None:
    try:
        name, version, _, tags = parse_wheel_filename(file_name)
    except InvalidWheelFilename:
        return None
    pythons = {tag.interpreter for tag in tags}
    return Wheel(
        name=name,
        version=version,
        pythons=tuple(sorted(f"{tag[2]}.{tag[3:]}" for tag in pythons if re.fullmatch(r"cp3\d+", tag))),
        platforms=tuple(sorted({tag.platform for tag in tags})),
    )
