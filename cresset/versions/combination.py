"""What the tables say of a configuration: what is supported, what is known to fail, what nobody knows. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from packaging.version import Version

from cresset import hardware
from cresset.errors import CressetError
from cresset.versions import wheels
from cresset.versions.compat import Tables, label_of, release_of

Status = Literal["supported", "known bad", "unknown"]

# The companions: the column of `releases`, the package, the setting.
_COMPANIONS = (
    ("vision", "torchvision", "TORCHVISION_VERSION_TAG"),
    ("audio", "torchaudio", "TORCHAUDIO_VERSION_TAG"),
    ("text", "torchtext", "TORCHTEXT_VERSION_TAG"),
)
# Wheels without a pin on one torch: the first version that is so, and the first torch it runs with.
_UNPINNED = {"torchaudio": ("2.11.0", "2.11"), "torchvision": ("0.29.1", "2.14")}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the tables say of one point of a configuration.

    Attributes:
        check: the point: torch, torch-python, companions, torch-cuda, toolkit-arch or toolkit-torch.
        status: supported; known bad; or unknown, which is never a reason to refuse.
        message: a sentence.
        hint: what to set instead; empty where nothing is wrong.
        source: the table with its facts and where they are from.
    """

    check: str
    status: Status
    message: str
    hint: str = ""
    source: str = ""


def require(values: Mapping[str, str]) -> None:
    """Refuse settings that contradict each other, whatever any table says.

    Raises:
        CressetError: with what is missing or meant.
    """
    if values["BUILD_MODE"] == "include" and values["USE_CUDA"] == "1" and not values["CCA"]:
        raise CressetError(
            "BUILD_MODE=include with USE_CUDA=1 needs CCA, the compute capabilities to compile for",
            "yours: nvidia-smi --query-gpu=compute_cap --format=csv,noheader; then write it like CCA=8.6",
        )
    # What earlier templates took from conda, a package for each CUDA.
    if values["MAGMA_MODE"] == "source" and re.fullmatch(r"\d{2,3}", values["MAGMA_VERSION"]):
        raise CressetError(
            f"MAGMA_VERSION={values['MAGMA_VERSION']} is a CUDA's number, not a release of MAGMA",
            "leave it out, or write a release like v2.9.0: it is compiled for CUDA_VERSION anyway",
        )


def judge(tables: Tables, values: Mapping[str, str]) -> list[Verdict]:
    """Return what the tables say of the settings, point by point."""
    found = list(_of_release(tables, values))
    # What a toolkit compiles for is so whatever PyTorch it is.
    if values["USE_CUDA"] == "1" and values["BUILD_MODE"] == "include":
        found += _capabilities(tables, values)
    return found


def covers(compiled: str, wanted: str) -> bool:
    """Return whether code for a list of compute capabilities runs on a GPU of one.

    Code for X.y runs on X.z where z >= y, that for X.ya on X.y only; +PTX runs on whatever is newer
    (docs.nvidia.com/cuda/cuda-c-programming-guide, 'Application Compatibility').
    """
    want = number(wanted)
    for item in capabilities(compiled):
        have = number(item)
        same = have == want if "a" in item else have[0] == want[0] and have[1] <= want[1]
        if same or (item.endswith("+PTX") and have <= want):
            return True
    return False


def compiled_for(tables: Tables, values: Mapping[str, str], *, machine: str) -> tuple[str, bool]:
    """Return the compute capabilities that the configuration's PyTorch has code for, and whether that is confirmed.

    Args:
        tables: for the official wheels.
        values: the settings; with include it is CCA.
        machine: the processor, x86_64 or aarch64.

    Returns:
        As CCA is written; empty where nobody knows.
    """
    if values["BUILD_MODE"] == "include":
        return values["CCA"], True
    torch = release_of(values["PYTORCH_VERSION_TAG"])
    if not torch or values["PYTORCH_INDEX_URL"] or values["PYTORCH_FETCH_NIGHTLY"] == "1":
        return "", False
    row = tables.wheel_architectures(torch, values["CUDA_VERSION"]) or {}
    return " ".join(row.get(machine, ())), is_confirmed(row, machine)


def has_code(tables: Tables, cuda: str, compiled: str, capability: str) -> bool:
    """Return whether a PyTorch can have code for a GPU of a compute capability, as far as is known.

    Args:
        tables: for what the CUDA compiles for, which bounds what nobody knows.
        cuda: what it was compiled with.
        compiled: what it was compiled for, as CCA is written; empty where nobody knows.
        capability: the GPU's.
    """
    if not compiled:
        return not is_beyond(tables, cuda, capability)
    return covers(compiled, capability) and not is_dropped(tables, cuda, capability)


def is_dropped(tables: Tables, cuda: str, capability: str) -> bool:
    """Return whether a CUDA is known to compile no more for a compute capability."""
    toolkit = tables.toolkit(cuda)
    return bool(toolkit) and number(capability) < number(toolkit["cca"][0])  # type: ignore[index] # looked at


def oldest_driver(tables: Tables, cuda: str) -> str:
    """Return the oldest driver that runs a CUDA, before 11 the one that came with it; empty where that is not known."""
    return str(hardware.oldest_driver(cuda) or (tables.toolkit(cuda) or {}).get("driver", ""))


def is_driven(tables: Tables, driver: str, cuda: str) -> bool:
    """Return whether a driver runs a CUDA, as far as is known; 440 alone is any of that branch."""
    own, needed = (tuple(map(int, re.findall(r"\d+", text))) for text in (driver, oldest_driver(tables, cuda)))
    return own >= needed[: len(own)] or not hardware.is_readable(driver)


def is_beyond(tables: Tables, cuda: str, capability: str) -> bool:
    """Return whether a CUDA is known to compile nothing, PTX aside, that runs on a GPU of a compute capability."""
    toolkit = tables.toolkit(cuda)
    since = {row["cca"]: Version(row["cuda"]) for row in tables.rows["toolkits.added"] if "a" not in row["cca"]}
    if not toolkit:  # older than what a later one added, at least
        later = [first for one, first in since.items() if covers(one, capability)]
        older = [row["cca"] for row in tables.rows["gpus"] if row["cca"] not in since]
        return bool(later) and min(later) > minor(cuda) and not any(covers(one, capability) for one in older)
    low, high = toolkit["cca"]
    known = {low, high, *since, *(row["cca"] for row in tables.rows["gpus"])}
    return not any(
        number(low) <= number(one) <= number(high)
        and since.get(one, minor(cuda)) <= minor(cuda)
        and covers(one, capability)
        for one in known
    )


def _of_release(tables: Tables, values: Mapping[str, str]) -> Iterator[Verdict]:
    """Yield what the tables say of what goes with the PyTorch; that they do not know it, if so."""
    torch = release_of(values["PYTORCH_VERSION_TAG"])
    release = tables.release(torch)
    if not torch:
        tag = values["PYTORCH_VERSION_TAG"]
        is_short = re.fullmatch(r"v?([0-9]{1,4}\.[0-9]{1,4})", tag)
        hint = f"write it in full, like v{is_short[1]}.0" if is_short else ""
        yield unknown("torch", f"{tag} is no release, so no table says what goes with it", hint)
    elif not release:
        yield unknown("torch", tables.place(torch))
    else:
        yield _python(tables, release, values["PYTHON_VERSION"])
        yield from _companions(tables, release, values)
        yield from _labels(tables, values)
        if values["USE_CUDA"] == "1" and values["BUILD_MODE"] == "exclude":
            yield from _wheels(tables, release, values)
        elif values["USE_CUDA"] == "1":
            yield _toolkit(tables, torch, values["CUDA_VERSION"])


def _python(tables: Tables, release: Mapping[str, Any], python: str) -> Verdict:
    oldest, newest = release["python"]
    pair = f"PyTorch {release['torch']} and Python {python}"
    if minor(python) == minor(release.get("experimental", "0")):
        return unknown("torch-python", f"{pair} go together as an experiment: not every companion has such wheels")
    return verdict(
        "torch-python",
        is_good=Version(oldest) <= minor(python) <= Version(newest),
        good=f"{pair} go together",
        bad=f"{pair} do not go together",
        hint=f"set PYTHON_VERSION to one of {oldest} to {newest}, or choose another PYTORCH_VERSION_TAG",
        source=tables.source("releases"),
        is_known=is_confirmed(release, "python"),
    )


def _companions(tables: Tables, release: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Verdict]:
    torch = release["torch"]
    for column, package, setting in _COMPANIONS:
        version = release_of(values[setting])
        if not version:
            continue
        rows = tables.rows["releases"]
        partners = [row["torch"] for row in rows if version in {row.get(column), row.get("also", {}).get(column)}]
        if not partners:
            yield unknown("companions", f"{package} {version} is not in the tables")
            continue
        since, oldest = _UNPINNED.get(package, ("", ""))
        is_free = bool(since) and Version(version) >= Version(since) and Version(torch) >= Version(oldest)
        pair, right = f"{package} {version} and PyTorch {torch}", release[column]
        yield verdict(
            "companions",
            is_good=is_free or torch in partners,
            good=f"{pair} go together",
            bad=f"{pair} do not go together: it was made for {' and '.join(partners[:2])}",
            hint=f"set {setting} to v{right}" if right else f"there is none for it: leave {setting} empty",
            source=tables.source("releases"),
            is_known=is_confirmed(release, column),
        )


def _labels(tables: Tables, values: Mapping[str, str]) -> Iterator[Verdict]:
    """Yield the tags whose label is of other wheels than those of the index that they are looked for in."""
    if values["BUILD_MODE"] == "include" or values["PYTORCH_INDEX_URL"] or values["PYTORCH_FETCH_NIGHTLY"] == "1":
        return
    variant = wheels.variant(use_cuda=values["USE_CUDA"], cuda_version=values["CUDA_VERSION"])
    for setting in ("PYTORCH_VERSION_TAG", *(setting for _, _, setting in _COMPANIONS)):
        label = label_of(values[setting])
        if label in {"", variant}:
            continue
        is_cuda = label != "cpu" and values["USE_CUDA"] == "1"
        other = f", or set CUDA_VERSION to {tables.newest_patch(wheels.cuda_of(label))}" if is_cuda else ""
        yield verdict(
            "torch-cuda",
            is_good=False,
            good="",
            bad=f"{setting}={values[setting]} is a wheel for {label}, and the settings are for {variant}",
            hint=f"leave +{label} out{other}",
            source=tables.source("indexes"),
        )


def _wheels(tables: Tables, release: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Verdict]:
    if values["PYTORCH_INDEX_URL"] or values["PYTORCH_FETCH_NIGHTLY"] == "1":
        return
    variant = wheels.variant(use_cuda=values["USE_CUDA"], cuda_version=values["CUDA_VERSION"])
    there = [tables.newest_patch(wheels.cuda_of(label)) for label in release["cuda"]]
    what = f"wheels of PyTorch {release['torch']} for {variant}"
    yield verdict(
        "torch-cuda",
        is_good=variant in release["cuda"],
        good=f"there are {what}",
        bad=f"there are no {what}",
        hint=f"choose a CUDA_VERSION of {either(there)}, or compile it: --set BUILD_MODE=include",
        source=tables.source("releases"),
        is_known=is_confirmed(release, "cuda"),
    )


def _toolkit(tables: Tables, torch: str, cuda: str) -> Verdict:
    needs = tables.requirements(torch) or {}
    oldest, newest = needs.get("cuda", "0"), needs.get("cuda_max", "")
    return verdict(
        "toolkit-torch",
        is_good=Version(oldest) <= minor(cuda) and (not newest or minor(cuda) <= Version(newest)),
        good=f"PyTorch {torch} compiles with CUDA {cuda}",
        bad=f"PyTorch {torch} does not compile with CUDA {cuda}",
        hint=f"set CUDA_VERSION to {oldest} {f'to {newest}' if newest else 'or newer'}",
        source=tables.source("build_requirements"),
    )


def _capabilities(tables: Tables, values: Mapping[str, str]) -> Iterator[Verdict]:
    cuda = values["CUDA_VERSION"]
    toolkit = tables.toolkit(cuda)
    first = {row["cca"]: row["cuda"] for row in tables.rows["toolkits.added"]}
    for item in capabilities(values["CCA"]):
        bare = item.removesuffix("+PTX")
        is_early = minor(cuda) < Version(first.get(bare, "0"))
        if not toolkit and not is_early:
            yield unknown("toolkit-arch", f"CUDA {cuda} is not in the tables")
            continue
        low, high = toolkit["cca"] if toolkit else ("", "")
        why = f"CUDA {first[bare]} is the first that does" if is_early else f"it does for {low} to {high}"
        yield verdict(
            "toolkit-arch",
            is_good=not is_early and number(low) <= number(bare) <= number(high),
            good=f"CUDA {cuda} compiles for {bare}",
            bad=f"CUDA {cuda} does not compile for {bare} (CCA): {why}",
            hint="choose another CUDA_VERSION, or take it out of CCA",
            source=tables.source("toolkits"),
        )


def verdict(
    check: str, *, is_good: bool, good: str, bad: str, hint: str, source: str, is_known: bool = True
) -> Verdict:
    """Return a verdict, which is that nothing is known where what speaks against it is unconfirmed."""
    if is_good:
        return Verdict(check=check, status="supported", message=good, source=source)
    if not is_known:
        return unknown(check, f"{bad}, as far as is known")
    return Verdict(check=check, status="known bad", message=bad, hint=hint, source=source)


def unknown(check: str, message: str, hint: str = "") -> Verdict:
    """Return the verdict that nothing is known."""
    return Verdict(check=check, status="unknown", message=message, hint=hint)


def either(words: Sequence[str]) -> str:
    """Return words as a choice: `a, b or c`."""
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def is_confirmed(row: Mapping[str, Any], cell: str) -> bool:
    """Return whether a source states a cell of a row outright."""
    return cell not in row.get("unconfirmed", ())


def capabilities(text: str) -> list[str]:
    """Return the compute capabilities of a list as CCA is written."""
    return re.split(r"[\s;]+", text.strip()) if text.strip() else []


@lru_cache
def minor(version: str) -> Version:
    """Return a version without its patch number."""
    return Version(".".join(version.split(".")[:2]))


def number(capability: str) -> tuple[int, int]:
    """Return the two numbers of a compute capability."""
    major, minor = re.match(r"(\d+)\.(\d+)", capability).groups()  # type: ignore[union-attr] # CCA is checked
    return int(major), int(minor)
