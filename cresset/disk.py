"""The disk that the engine fills: where it is, and whether it has room for a build."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

from rich.filesize import decimal

from cresset import hardware
from cresset.engine import Engine
from cresset.errors import CressetError

# What the first build of an image takes in bytes, build cache included, by USE_CUDA. For the CPU it is measured on an
# empty engine (3.5 GB). For CUDA it is estimated the same way: NVIDIA's base, packed and unpacked (4 and 9 GB), the
# wheels (3 GB), and what is in them, in uv's cache, in the environment and in the image (6 GB each).
NEEDED = {"0": 4_000_000_000, "1": 35_000_000_000}
# With less than this not even a build that finds each step in the cache is sure to end well: it writes records too.
_LEAST = 200_000_000

_REMEDY = "make room: invoke prune, then docker builder prune; docker system df shows what takes it"


@dataclass(frozen=True, kw_only=True)
class Disk:
    """The engine's disk.

    Attributes:
        root: the folder that holds the engine's data, on the engine's machine.
        free: bytes; None where that is another machine than this one.
    """

    root: str
    free: int | None

    def has(self, needed: int) -> bool:
        """Return whether so many bytes are free, as far as can be seen from here."""
        return self.free is None or self.free >= needed


def look(engine: Engine) -> Disk:
    """Return the engine's disk.

    Raises:
        CressetError: no daemon answers.
    """
    machine, root = engine.place()
    return Disk(root=root, free=free_at(machine, root))


def check(disk: Disk, *, needed: int, is_first: bool) -> str:
    """Return a warning where the disk may be too small, otherwise nothing.

    Args:
        disk: the engine's.
        needed: what the first build of the image takes, in bytes.
        is_first: there is no such image yet. A later build may need next to nothing or as much again: nobody knows
            beforehand.

    Raises:
        CressetError: there is so little that no build could end well.
    """
    if disk.free is None or disk.has(needed):
        return ""
    place = f"on the disk that holds {disk.root}"
    if not disk.has(_LEAST):
        raise CressetError(f"only {decimal(disk.free)} are free {place}, where the engine keeps its data", _REMEDY)
    if not is_first:
        return ""
    return f"{decimal(disk.free)} are free {place}; the first build takes about {decimal(needed)}. To {_REMEDY}."


def free_at(machine: str, folder: str) -> int | None:
    """Return the free bytes of the disk that holds a folder of a machine; None where that is not this one."""
    return _free(folder) if machine == platform.node() else None


def _free(folder: str) -> int | None:
    """Return the free bytes of the disk that holds a folder, None where there is none or it belongs to another host."""
    # Two machines may have one name; how the engine is reached takes a moment to ask.
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    free = status.f_bavail * status.f_frsize
    scarce = free < max(NEEDED.values())
    return None if scarce and hardware.is_remote(hardware.engine_address()) else free
