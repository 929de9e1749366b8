"""What an engine without NVIDIA's container toolkit is given instead: the driver's devices and libraries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_DEV = Path("/dev")
# Where images that carry no driver expect it: github.com/NVIDIA/libnvidia-container, and Kubernetes' device plugins.
_DRIVER = Path("/usr/local/nvidia")


@dataclass(frozen=True, kw_only=True)
class Devices:
    """The NVIDIA devices of this host.

    Attributes:
        paths: one of each GPU, and those that all of them share; none where there is no GPU.
        driver: the folder with the driver's programs and libraries; empty where they are not in one place.
    """

    paths: tuple[str, ...]
    driver: str


def look() -> Devices:
    """Return what this host has."""
    gpus = sorted(_DEV.glob("nvidia[0-9]*"), key=lambda path: (len(path.name), path.name))
    shared = [_DEV / name for name in ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")]
    paths = (*gpus, *(path for path in shared if path.exists())) if gpus else ()
    return Devices(paths=tuple(map(str, paths)), driver=str(_DRIVER) if (_DRIVER / "lib64").is_dir() else "")
