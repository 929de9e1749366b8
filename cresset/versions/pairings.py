"""`invoke versions`: what goes with what, and what of it this host can run."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.version import Version
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cresset import hardware, host
from cresset.errors import CressetError
from cresset.hardware import Gpu
from cresset.versions import bases, choice, combination, knowledge, wheels, wish
from cresset.versions.compat import Tables


def show(*, console: Console, torch: str = "", driver: str = "") -> None:
    """Show the releases that the tables know, or what goes with one of them.

    Args:
        console: where to show it.
        torch: the one; empty for all.
        driver: of another host, which counts instead of this one's driver and GPUs.

    Raises:
        CressetError: there is no such release in the tables, or no such driver.
    """
    tables = knowledge.tables()
    release = _release(tables, torch) if torch else None
    whose = f"a host with driver {driver}" if wish.read_driver(driver) else "this host"
    gpus, complaint = ((_any_gpu(driver),), "") if driver else hardware.gpus()
    machine = host.wheel_machine(platform.machine())
    for gpu in () if driver else gpus:
        console.print(Text(str(gpu)), soft_wrap=True)
    for line in _runs_here(tables, gpus, complaint, machine, whose):
        console.print(Text(line), soft_wrap=True)
    if release:
        _show_release(tables, release, gpus, machine, whose, console=console)
        return
    head = ("PyTorch", "TorchVision", "TorchAudio", "TorchText", "Python", "official wheels for CUDA")
    table = Table(*head, *(["there" if driver else "here"] if gpus else []), box=None, pad_edge=False)
    for row in tables.rows["releases"]:
        table.add_row(*cells(tables, row, gpus, machine))
    console.print(table)
    console.print(Text("?: no source states it outright. More of one: invoke versions --torch 2.6."), soft_wrap=True)
    console.print(Text("To have it: invoke env --torch 2.6."))


def _any_gpu(driver: str) -> Gpu:
    """Return a GPU of which nothing is known but its driver."""
    return Gpu(index=0, name="", capability="", driver=driver, cuda="", memory=0)


def _runs_here(tables: Tables, gpus: Sequence[Gpu], complaint: str, machine: str, whose: str) -> Iterator[str]:
    """Yield what of official wheels a host can run."""
    if not gpus:
        yield f"No NVIDIA GPU answers here{f': {complaint}' if complaint else ''}."
        yield (
            "So this host runs the wheels for the CPU, which every release has (--service cpu). "
            "Those for a CUDA can be built here, for another host, and do not run."
        )
        return
    # Nothing is promised of a CUDA whose driver is not in the tables.
    rows = tables.rows["releases"]
    pairs = ((row["torch"], cuda) for row in rows for cuda in cudas(row) if combination.oldest_driver(tables, cuda))
    newest = next((pair for pair in pairs if is_for(tables, *pair, gpus, machine)), None)
    if newest:
        yield "{}{} runs official wheels up to PyTorch {} for CUDA {}.".format(whose[0].upper(), whose[1:], *newest)
    else:
        said = "is not known to run any official wheel for a CUDA: its driver or GPU is too old for them."
        yield f"{whose[0].upper()}{whose[1:]} {said}"


def cells(tables: Tables, release: Mapping[str, Any], gpus: Sequence[Gpu], machine: str) -> list[str]:
    """Return a release's line: its companions, Pythons, CUDAs; where there are GPUs, the CUDAs that they can use."""
    doubt = "?" if not combination.is_confirmed(release, "cuda") else ""
    found = cudas(release)
    runs = [cuda for cuda in found if is_for(tables, release["torch"], cuda, gpus, machine)]
    return [
        release["torch"],
        *(release.get(column) or "-" for column in ("vision", "audio", "text")),
        " to ".join(release["python"]),
        " ".join(found) + doubt,
        *([" ".join(runs) or "-"] if gpus else []),
    ]


def cudas(release: Mapping[str, Any]) -> list[str]:
    """Return the minor versions of CUDA that a release has official wheels for, the newest first."""
    found = map(wheels.cuda_of, release["cuda"])
    return sorted(found, key=Version, reverse=True)


def is_for(tables: Tables, torch: str, cuda: str, gpus: Sequence[Gpu], machine: str) -> bool:
    """Return whether this driver and at least one of these GPUs can run the official wheel, as far as is known."""
    compiled = " ".join((tables.wheel_architectures(torch, cuda) or {}).get(machine, ()))
    return any(
        combination.is_driven(tables, gpu.driver, cuda)
        and (not gpu.capability or combination.has_code(tables, cuda, compiled, gpu.capability))
        for gpu in gpus
    )


def _release(tables: Tables, torch: str) -> Mapping[str, Any]:
    tag = choice.tag_of(tables, torch)
    release = tables.release(tag.removeprefix("v"))
    if release is None:
        raise CressetError(
            tables.place(tag.removeprefix("v")),
            "`invoke versions` shows them all; add rows of your own in misc/compat.yaml",
        )
    return release


def _show_release(
    tables: Tables, release: Mapping[str, Any], gpus: Sequence[Gpu], machine: str, whose: str, *, console: Console
) -> None:
    for line in about(tables, release):
        console.print(Text(line), soft_wrap=True)
    for cuda in cudas(release):
        image, driver, compiled = wheel_cells(tables, release, cuda, machine)
        needs = f"driver {driver} or newer" if driver else "driver unknown"
        console.print(Text(f"CUDA {cuda}: {needs}; {image}"), soft_wrap=True)
        known = f"has code for {compiled}" if compiled else "is not in the tables with what it has code for"
        console.print(Text(f"  the wheel {known}"), soft_wrap=True)
        if gpus:
            runs = is_for(tables, release["torch"], cuda, gpus, machine)
            console.print(Text(f"  {whose} can{'' if runs else 'not'} run it"), soft_wrap=True)


def about(tables: Tables, release: Mapping[str, Any]) -> list[str]:
    """Return what goes with a release, and what compiling it takes, a line each."""
    named = (("TorchVision", "vision"), ("TorchAudio", "audio"), ("TorchText", "text"))
    companions = ", ".join(f"{name} {release[column]}" for name, column in named if release.get(column))
    needs = tables.requirements(release["torch"]) or {}
    newest = f" to {needs['cuda_max']}" if needs.get("cuda_max") else " or newer"
    gcc = f", gcc {needs['gcc']} or newer" if needs.get("gcc") else ""
    return [
        f"PyTorch {release['torch']} goes with {companions}, and Python {' to '.join(release['python'])}.",
        f"Compiling it takes CUDA {needs.get('cuda', '?')}{newest}{gcc}.",
    ]


def wheel_cells(tables: Tables, release: Mapping[str, Any], cuda: str, machine: str) -> tuple[str, str, str]:
    """Return of a release's official wheels for a CUDA the base image, the oldest driver, what they have code for."""
    patch = tables.newest_patch(cuda)
    row = bases.row_of(tables, patch)
    system = next(iter(bases.systems(row)), "") if row and not row.get("deleted") else ""
    tag = f"{patch}-cudnn{bases.cudnn_token(tables, patch)}-devel-{system}"
    image = f"nvidia/cuda:{tag}" if system else "NVIDIA has deleted its images"
    compiled = (tables.wheel_architectures(release["torch"], cuda) or {}).get(machine, ())
    return image, combination.oldest_driver(tables, cuda), " ".join(compiled)
