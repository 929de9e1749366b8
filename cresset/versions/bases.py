"""What images are built on: which of NVIDIA's tags goes with a CUDA, which distribution will do. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from packaging.version import Version

from cresset.versions.combination import Verdict, either, is_confirmed, minor, unknown, verdict
from cresset.versions.compat import Tables, release_of

# NVIDIA's name of an image, at whatever registry.
_NVIDIA = re.compile(
    r"(?:.*/)?nvidia/cuda:(?P<cuda>\d+\.\d+(?:\.\d+)?)(?:-cudnn(?P<cudnn>\d*))?-(?P<flavor>base|runtime|devel)-(?P<system>.+)",
    re.ASCII,
)
_PULL = "docker pull tells whether it is to be had"
# Images with nothing but the distribution's own; another one that is named after it may hold anything besides.
_STOCK = re.compile(
    r"(?:docker\.io/)?(?:library/)?(?:debian|ubuntu|cresset-base|amazonlinux|(?:rockylinux/)?rockylinux):.+"
)
# The oldest python3 that uv makes environments of, and that a wheel of PyTorch is for.
_OLDEST_PYTHON = Version("3.6")


def row_of(tables: Tables, cuda: str) -> Mapping[str, Any] | None:
    """Return the row of NVIDIA's images of a CUDA, None where there is none."""
    return next((row for row in tables.rows["images"] if row["cuda"] == cuda), None)


def cudnn_token(tables: Tables, cuda: str) -> str:
    """Return CUDNN_VERSION for a CUDA: what follows 'cudnn' in the tags of its images."""
    row = row_of(tables, cuda)
    if row and systems(row):
        return str(row["token"]).removeprefix("cudnn")
    rules = [rule for rule in tables.rows["images.cudnn_tokens"] if Version(rule["cuda"]) <= Version(cuda)]
    return str(rules[-1]["token"]).removeprefix("cudnn") if rules else ""


def systems(row: Mapping[str, Any]) -> Sequence[str]:
    """Return the systems that a CUDA has images with cuDNN for, the newest Ubuntu first; others have to be named."""
    return sorted((name for name in row["systems"] if name.startswith("ubuntu")), reverse=True)


def judge(tables: Tables, values: Mapping[str, str], *, images: Collection[str] = ()) -> list[Verdict]:
    """Return what the tables say of the base images, their distribution and its compiler.

    Args:
        tables: what is known.
        values: the settings.
        images: the base images that count; those of building and training, if none is named.
    """
    found: list[Verdict] = []
    for image in sorted(images) or dict.fromkeys((values["BUILD_IMAGE"], values["TRAIN_IMAGE"])):
        found += _tag(tables, image)
        found += _distribution(tables, image, values)
    system = tables.distribution(values["BUILD_IMAGE"])
    compiler = judge_compiler(tables, system, values) if system else ()
    return [*found, *compiler, *_nvcc(tables, values)]


def cuda_of(image: str) -> str:
    """Return the CUDA that NVIDIA's name of an image tells, like 12.4.1; empty where it is another's."""
    parts = _NVIDIA.fullmatch(image)
    return parts["cuda"] if parts else ""


def _nvcc(tables: Tables, values: Mapping[str, str]) -> Iterator[Verdict]:
    """Yield whether the image has what CUDA is compiled with; of somebody's own image nothing is known."""
    image, cuda = values["BUILD_IMAGE"], values["CUDA_VERSION"]
    if values["BUILD_MODE"] != "include" or values["USE_CUDA"] != "1" or not _is_stock(image):
        return
    parts = _NVIDIA.fullmatch(image)
    leave = "leave BUILD_IMAGE to the settings"
    lack, hint = "", f"{leave}, or choose a tag with cudnn and devel in it"
    if not parts or parts["flavor"] != "devel":
        lack = "has no nvcc"
        is_derived = values["IMAGE_FLAVOR"] != "devel" and f"-{values['IMAGE_FLAVOR']}-" in image
        hint = "set IMAGE_FLAVOR=devel" if is_derived else hint
    elif parts["cudnn"] is None:
        lack = "has no cuDNN"
    elif minor(parts["cuda"]) != minor(cuda):
        lack, hint = f"has CUDA {parts['cuda']}, not {cuda}", f"set CUDA_VERSION={parts['cuda']}, or {leave}"
    yield verdict(
        "compiler",
        is_good=not lack,
        good=f"{image} has the nvcc of CUDA {cuda}",
        bad=f"{image} {lack}, which a source build takes from BUILD_IMAGE",
        hint=hint,
        source=tables.source("images"),
    )


def judge_compiler(tables: Tables, system: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Verdict]:
    """Yield whether a distribution's gcc compiles that PyTorch and works with that CUDA, where anything is compiled."""
    if values["BUILD_MODE"] != "include":
        return
    gcc, what = Version(system["gcc"]), f"gcc {system['gcc']} of {system['system']}"
    is_known = _is_stock(values["BUILD_IMAGE"]) and is_confirmed(system, "gcc")
    release = release_of(values["PYTORCH_VERSION_TAG"])
    oldest = (tables.requirements(release) or {}).get("gcc", "0") if release else "0"
    toolkit = (tables.toolkit(values["CUDA_VERSION"]) if values["USE_CUDA"] == "1" else None) or {}
    newest = toolkit.get("gcc", "")
    if release:
        yield verdict(
            "compiler",
            is_good=gcc >= Version(oldest),
            good=f"{what} compiles PyTorch {release}",
            bad=f"{what} does not compile PyTorch {release}, which needs {oldest} or newer",
            hint="choose a newer DISTRO_VERSION, or a BUILD_IMAGE with a newer gcc",
            source=tables.source("build_requirements"),
            is_known=is_known,
        )
    if newest:
        yield verdict(
            "compiler",
            is_good=gcc.major <= Version(newest).major,
            good=f"CUDA {values['CUDA_VERSION']} takes {what}",
            bad=f"CUDA {values['CUDA_VERSION']} does not take {what}: {newest} is the newest that it does",
            hint="choose an older DISTRO_VERSION or a newer CUDA_VERSION, or a BUILD_IMAGE with an older gcc",
            source=tables.source("toolkits"),
            is_known=is_known and is_confirmed(toolkit, "gcc"),
        )


def _is_stock(image: str) -> bool:
    return bool(_STOCK.fullmatch(image) or _NVIDIA.fullmatch(image))


def _tag(tables: Tables, image: str) -> Iterator[Verdict]:
    parts = _NVIDIA.fullmatch(image)
    if not parts or parts["cudnn"] is None:  # what is without cuDNN is another table
        return
    cuda, system = parts["cuda"], parts["system"]
    row = row_of(tables, cuda)
    if row is None or _is_newer(tables, system):
        yield unknown("base-image", f"{image} is not in the tables", _PULL)
    elif not _is_system(tables, system) and (versions := _versions(tables, cuda, system)):
        yield verdict(
            "base-image",
            is_good=False,
            good="",
            bad=f"{image} never was: there is no {system}",
            hint=f"set DISTRO_VERSION as well, to {either(versions)}",
            source=tables.source("images"),
        )
    elif system not in row["systems"]:
        there = f"with cuDNN, CUDA {cuda} is there for {', '.join(systems(row)) or 'no system'}"
        # The newest rows have only what somebody was seen to use.
        if system.startswith("ubuntu") and is_confirmed(row, "systems"):
            yield verdict(
                "base-image",
                is_good=False,
                good="",
                bad=f"{image} never was: {there}",
                hint=_other_tag(tables, row),
                source=tables.source("images"),
            )
        else:
            yield unknown("base-image", f"{image} is not in the tables: {there}", _PULL)
    elif row.get("deleted"):
        yield unknown("base-image", f"{image}: NVIDIA has deleted its images of CUDA {cuda}", "a mirror may have it")
    else:
        token = cudnn_token(tables, cuda)
        yield verdict(
            "base-image",
            is_good=parts["cudnn"] == token,
            good=f"{image} is in the tables",
            bad=f"{image} never was: the tags of CUDA {cuda} have cudnn{token}",
            hint=f"set CUDNN_VERSION={token}",
            source=tables.source("images"),
        )


def _is_system(tables: Tables, system: str) -> bool:
    return any(row["system"] == system for row in tables.rows["images.systems"])


def _versions(tables: Tables, cuda: str, system: str) -> list[str]:
    """Return the versions of a distribution that the newest CUDA up to one has images with cuDNN for."""
    pattern = re.compile(rf"{re.escape(re.sub(r'[0-9.]+$', '', system))}([0-9.]+)")
    rows = sorted(tables.rows["images"], key=lambda row: Version(row["cuda"]), reverse=True)
    known = (row for row in rows if Version(row["cuda"]) <= Version(cuda))
    found = ([parts[1] for name in row["systems"] if (parts := pattern.fullmatch(name))] for row in known)
    return sorted(next(filter(None, found), []), key=Version)


def _is_newer(tables: Tables, system: str) -> bool:
    """Return whether an Ubuntu is newer than every one that the tables know an image for."""
    known = {name for row in tables.rows["images"] for name in row["systems"]}
    return bool(re.fullmatch(r"ubuntu[0-9]{2}\.[0-9]{2}", system)) and system > max(
        name for name in known if name.startswith("ubuntu")
    )


def _other_tag(tables: Tables, row: Mapping[str, Any]) -> str:
    if found := systems(row):
        return f"set DISTRO_VERSION={found[0].removeprefix('ubuntu')}"
    better = tables.newest_patch(row["cuda"])
    if row_of(tables, better):
        return f"set CUDA_VERSION={better} and CUDNN_VERSION={cudnn_token(tables, better)}"
    return "choose another CUDA_VERSION: invoke versions"


def _distribution(tables: Tables, image: str, values: Mapping[str, str]) -> Iterator[Verdict]:
    if not tables.has_packages(image):
        yield verdict(
            "distribution",
            is_good=False,
            good="",
            bad=f"{image} has neither apt nor dnf, which a build installs packages with",
            hint="choose a base of Ubuntu, Debian or the RHEL family, like LINUX_DISTRO=ubuntu",
            source=tables.source("distributions"),
        )
    elif row := tables.distribution(image):
        yield from _age(tables, row, values, is_stock=_is_stock(image))


def _age(tables: Tables, row: Mapping[str, Any], values: Mapping[str, str], *, is_stock: bool) -> Iterator[Verdict]:
    system, python, glibc = row["system"], Version(row["python"]), row["glibc"]
    release = release_of(values["PYTORCH_VERSION_TAG"])
    if release and values["BUILD_MODE"] == "exclude":
        needed = tables.wheel_glibc(release)
        yield verdict(
            "distribution",
            is_good=Version(glibc) >= Version(needed),
            good=f"the wheels of PyTorch {release} run on {system}",
            bad=f"the wheels of PyTorch {release} need glibc {needed}, and {system} has {glibc}",
            hint="choose a newer DISTRO_VERSION, or compile it: --set BUILD_MODE=include",
            source=tables.source("wheel_platforms"),
            is_known=is_stock and is_confirmed(row, "glibc"),
        )
    yield verdict(
        "distribution",
        is_good=python >= _OLDEST_PYTHON,
        good=f"{system} has a Python that installs uv",
        bad=f"{system} is too old: its Python {python} installs nothing that is needed",
        hint="choose a newer DISTRO_VERSION",
        source=tables.source("distributions"),
        is_known=is_stock and is_confirmed(row, "python"),
    )
