"""One number is enough: a release of PyTorch, and the newest settings that go with it and with this host. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from packaging.version import Version

from cresset import forms, hardware
from cresset.configuration import Configuration
from cresset.credentials import quoted
from cresset.env_file import Choice
from cresset.errors import CressetError
from cresset.hardware import Gpu
from cresset.versions import bases, combination, wheels
from cresset.versions.combination import minor
from cresset.versions.compat import Tables, release_of
from cresset.versions.wish import Wish

# The base for official wheels of a CUDA that NVIDIA has deleted the images of.
_WITHOUT_TOOLKIT = "ubuntu:20.04"
_COMPANIONS = {"vision": "TORCHVISION", "audio": "TORCHAUDIO", "text": "TORCHTEXT"}
_PARTS = 3  # of a release


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a choice has to respect.

    Attributes:
        values: the settings without it.
        given: the names of those that were set by hand; they stay.
        gpus: the host's.
        machine: its processor, x86_64 or aarch64.
    """

    values: Mapping[str, str]
    given: frozenset[str] = frozenset()
    gpus: Sequence[Gpu] = ()
    machine: str = "x86_64"


def choose_for(
    resolved: Configuration, *, tables: Tables, wish: Wish, gpus: Sequence[Gpu], machine: str
) -> list[Choice]:
    """Return the settings that go with what is asked for, for a service on a host.

    Raises:
        CressetError: as `choose`; or the service has nothing of the kind.
    """
    name = resolved.service.name
    if not resolved.has_torch_by_tag:
        raise CressetError(f"the service {name} takes PyTorch from its base image", "choose another --service")
    if wish.cuda and resolved["USE_CUDA"] == "0":
        preset = resolved.values["USE_CUDA"].source == "service"
        hint = "add --service train" if preset else "say so: --set USE_CUDA=1, or leave --cuda out"
        raise CressetError(f"--cuda: the service {name} is without CUDA", hint)
    given = frozenset(value.name for value in resolved.values.values() if value.source in {"--set", "shell", "service"})
    return choose(tables, wish, Surroundings(values=resolved.as_dict(), given=given, gpus=gpus, machine=machine))


def choose(tables: Tables, wish: Wish, around: Surroundings) -> list[Choice]:
    """Return the settings that go with what is asked for, each with its reason.

    Raises:
        CressetError: what is asked for is no version, or nothing goes with all of it.
    """
    around = replace(around, given=around.given - wish.settings)
    tag = tag_of(tables, wish.torch) if wish.torch else around.values["PYTORCH_VERSION_TAG"]
    release = tables.release(release_of(tag))
    if wish.torch and release is None and not tables.is_newer(release_of(tag)):
        raise CressetError(
            f"--torch: {tables.place(release_of(tag))}",
            f"choose one of them: invoke versions; or by hand, unchecked: --set PYTORCH_VERSION_TAG={tag}",
        )
    found = list(_versions(tag, release)) if wish.torch else []
    if wish.cca:
        found.append(Choice(name="CCA", value=wish.cca, reason="--cca"))
    values = {**around.values, **_values(found, around)}
    base = values["BUILD_IMAGE"]
    if values["USE_CUDA"] == "1" and (wish.settings - {"PYTHON_VERSION"} or wish.driver):
        found += _toolkit(tables, wish, around, values, release)
        values |= _values(found, around)
        base = base if _is_own(around) else _base(values)
    if wish.python:
        found.append(Choice(name="PYTHON_VERSION", value=wish.python, reason="--python"))
    elif release and wish.torch:
        found.append(_python(release, tables.distribution(base)))
    return [choice for choice in found if choice.name not in around.given]


def _values(choices: Sequence[Choice], around: Surroundings) -> dict[str, str]:
    return {choice.name: choice.value for choice in choices if choice.name not in around.given}


def tag_of(tables: Tables, torch: str) -> str:
    """Return the tag of a release: the one that is named, or the newest of a minor version.

    Raises:
        CressetError: it names none.
    """
    if not re.fullmatch(r"v?[0-9]{1,4}(\.[0-9]{1,4}){1,2}", torch):
        raise CressetError(
            f"--torch: {quoted(torch)} is no release of PyTorch",
            "write it like 2.6 or 2.6.0; a branch: --set PYTORCH_VERSION_TAG=main --set BUILD_MODE=include",
        )
    version = Version(torch)
    if len(version.release) == _PARTS:
        return f"v{version}"
    rows = [row["torch"] for row in tables.rows["releases"] if minor(row["torch"]) == version and not row.get("lts")]
    return f"v{max(rows, key=Version, default=f'{version}.0')}"


def _versions(tag: str, release: Mapping[str, Any] | None) -> Iterator[Choice]:
    yield Choice(name="PYTORCH_VERSION_TAG", value=tag, reason="--torch")
    for column, name in _COMPANIONS.items():
        version = release.get(column, "") if release else ""
        reason = f"made for {tag}" if version else f"none is known for {tag}"
        yield Choice(name=f"{name}_VERSION_TAG", value=f"v{version}" if version else "", reason=reason)


def _toolkit(
    tables: Tables, wish: Wish, around: Surroundings, values: Mapping[str, str], release: Mapping[str, Any] | None
) -> Iterator[Choice]:
    """Yield the CUDA and what names its image: the token of cuDNN, the distribution."""
    cuda, reason = _cuda(tables, wish, around, values, release)
    if wish.driver and not combination.is_driven(tables, wish.driver, cuda):
        need = f"CUDA {cuda} needs driver {combination.oldest_driver(tables, cuda)} or newer, not {wish.driver}"
        raise CressetError(f"--driver: {need}", "choose another CUDA, or leave it to the tables: invoke versions")
    if reason:
        yield Choice(name="CUDA_VERSION", value=cuda, reason=reason)
    if _is_own(around):
        return
    if values["BUILD_MODE"] == "exclude" and minor(cuda) < Version("11.0"):
        why = f"NVIDIA has deleted its images of CUDA {cuda}; the wheels bring its libraries along"
        yield from _images(_WITHOUT_TOOLKIT, why)
        return
    row = bases.row_of(tables, cuda)
    token = bases.cudnn_token(tables, cuda)
    values = {**values, "CUDA_VERSION": cuda, "CUDNN_VERSION": token}
    yield Choice(name="CUDNN_VERSION", value=token, reason=f"the tags of CUDA {cuda} have cudnn{token}")
    is_free = values["LINUX_DISTRO"] == "ubuntu" and not {"LINUX_DISTRO", "DISTRO_VERSION"} & around.given
    if row and bases.systems(row) and is_free:
        values |= {"LINUX_DISTRO": "ubuntu", "DISTRO_VERSION": _system(tables, row, values).removeprefix("ubuntu")}
        yield Choice(name="LINUX_DISTRO", value="ubuntu")
        reason = f"the newest that there is an image of CUDA {cuda} for"
        yield Choice(name="DISTRO_VERSION", value=values["DISTRO_VERSION"], reason=reason)
    if around.values["BUILD_IMAGE"] == _WITHOUT_TOOLKIT:  # of a choice before this one
        yield from _images(_base(values), "NVIDIA's of these versions")


def _images(name: str, reason: str) -> Iterator[Choice]:
    for setting in ("BUILD_IMAGE", "TRAIN_IMAGE"):
        yield Choice(name=setting, value=name, reason=reason)


def _is_own(around: Surroundings) -> bool:
    """Return whether the base image is the person's, whatever CUDA there is."""
    image = around.values["BUILD_IMAGE"]
    return "BUILD_IMAGE" in around.given or image not in {_WITHOUT_TOOLKIT, _base(around.values)}


def _base(values: Mapping[str, str]) -> str:
    """Return the base image that settings lead to."""
    if values["BUILD_IMAGE"] == _WITHOUT_TOOLKIT and minor(values["CUDA_VERSION"]) < Version("11.0"):
        return _WITHOUT_TOOLKIT
    system = f"{values['LINUX_DISTRO']}{values['DISTRO_VERSION']}"
    tag = f"{values['CUDA_VERSION']}-cudnn{values['CUDNN_VERSION']}-{values['IMAGE_FLAVOR']}-{system}"
    return f"nvidia/cuda:{tag}"


def _system(tables: Tables, row: Mapping[str, Any], values: Mapping[str, str]) -> str:
    """Return the newest system with an image whose compiler and age will do; the newest, if none will."""

    def will_do(system: str) -> bool:
        image = f"ubuntu:{system.removeprefix('ubuntu')}"
        # Which of its own images has nvcc is no question of the system.
        wheel = {**values, "BUILD_MODE": "exclude", "BUILD_IMAGE": image, "TRAIN_IMAGE": image}
        row = tables.distribution(image)
        compiles = bases.judge_compiler(tables, row, {**values, "BUILD_IMAGE": image}) if row else ()
        return all(verdict.status == "supported" for verdict in (*bases.judge(tables, wheel), *compiles))

    found = bases.systems(row)
    return next(filter(will_do, found), found[0])


def _cuda(
    tables: Tables, wish: Wish, around: Surroundings, values: Mapping[str, str], release: Mapping[str, Any] | None
) -> tuple[str, str]:
    """Return the CUDA and why it is that; no reason where it stays what it is."""
    asked = _asked(wish, around, values)
    if wish.driver and (oldest := _driver_of(tables, asked)) > int(wish.driver.split(".")[0]):
        raise CressetError(
            f"--driver: GPUs of {asked} need driver {oldest} or newer, not {wish.driver}",
            f"choose another {'--cca' if wish.cca else f'--cca (CCA is {asked})'}, or a newer driver",
        )
    there = bases.cuda_of(values["BUILD_IMAGE"]) if values["BUILD_MODE"] == "include" and _is_own(around) else ""
    if wish.cuda or there or "CUDA_VERSION" in around.given:
        cuda, reason = (
            (values["CUDA_VERSION"], "") if "CUDA_VERSION" in around.given else (there, "that of BUILD_IMAGE")
        )
        if wish.cuda:
            cuda, reason = _named_cuda(tables, wish.cuda)
        if asked and not _serves(tables, around, values, cuda, asked):
            is_wheel = values["BUILD_MODE"] == "exclude"
            what = f"the official wheel for CUDA {minor(cuda)} has" if is_wheel else f"CUDA {cuda} can compile"
            other = "another --cuda" if wish.cuda else f"another {'BUILD_IMAGE' if reason else 'CUDA_VERSION'}"
            ways = f"{other} or --torch, or compile: --set BUILD_MODE=include" if is_wheel else other
            raise CressetError(f"{'--cca' if wish.cca else 'CCA'}: {what} no code for {asked}", f"choose {ways}")
        return cuda, reason and reason + _driver(tables, around, cuda, asked)
    if release is None:
        return values["CUDA_VERSION"], ""
    official = sorted(map(wheels.cuda_of, release["cuda"]), key=Version, reverse=True)
    candidates = _candidates(tables, values, official)
    what = "has official wheels" if values["BUILD_MODE"] == "exclude" else f"compiles PyTorch {release['torch']}"
    firm = list(_firm_limits(tables, asked, wish.driver, around, values))
    allowed = [cuda for cuda in candidates if all(is_met(cuda) for _, is_met in firm)]
    if not allowed:
        is_of_system = "DISTRO_VERSION" in around.given
        gpus = "--cca" if wish.cca or not asked else f"--cca (CCA is {asked})"
        ways = f"--torch, DISTRO_VERSION or {gpus}" if is_of_system else f"--torch or {gpus}"
        raise CressetError(
            f"no CUDA that {what} {' and '.join(words for words, _ in firm)}",
            f"choose another {ways}, or compile: --set BUILD_MODE=include"
            if values["BUILD_MODE"] == "exclude"
            else f"choose another {ways}: invoke versions",
        )
    # Whoever names compute capabilities means other GPUs than these, or these.
    soft = list(_host_limits(tables, around, values, is_for_others=bool(asked)))
    fitting = [cuda for cuda in allowed if all(is_met(cuda) for _, is_met in soft)]
    # Where this host can run none of them, the image may be for another one; doctor says so.
    limits = [*firm, *(soft if fitting else ())]
    pool = fitting or allowed
    for words, is_met in _preferences(tables, asked, around, values, is_for_here=bool(fitting)):
        better = [cuda for cuda in pool if is_met(cuda)]
        if better and better[0] != pool[0]:
            pool, limits = better, [*limits, (words, is_met)]
    cuda = pool[0]
    # What upstream builds with is compiled with before what is newer.
    is_tried = values["BUILD_MODE"] == "include" and ".".join(cuda.split(".")[:2]) in official
    whats = [*(["has official wheels"] if is_tried else []), what, *(words for words, _ in limits)]
    reason = f"the newest that {', '.join(whats)}"
    if values["BUILD_MODE"] == "exclude" and any(words.startswith("serves ") for words, _ in limits):
        compiled, _ = combination.compiled_for(tables, {**values, "CUDA_VERSION": cuda}, machine=around.machine)
        reason += "" if compiled else ", as far as is known: the tables lack what its wheel has code for"
    return cuda, reason + _driver(tables, around, cuda, asked)


def _driver(tables: Tables, around: Surroundings, cuda: str, asked: str) -> str:
    """Return what driver a CUDA and its GPUs take, to be added where it is for another host than this one."""
    gpus, oldest = _driver_of(tables, asked), combination.oldest_driver(tables, cuda)
    oldest = str(gpus) if gpus > int(oldest.split(".")[0] or 0) else oldest
    return f"; it needs driver {oldest} or newer" if oldest and not around.gpus else ""


def _driver_of(tables: Tables, capabilities: str) -> int:
    """Return the oldest driver that knows the GPUs of compute capabilities; 0 where no source says."""
    wanted = {item.removesuffix("+PTX") for item in combination.capabilities(capabilities)}
    return max(
        (int(row["driver"]) for row in tables.rows["gpus"] if row["cca"] in wanted and row.get("driver")), default=0
    )


def _named_cuda(tables: Tables, cuda: str) -> tuple[str, str]:
    if forms.CUDA.accepts(cuda):
        return cuda, "--cuda"
    is_minor = re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", cuda)
    found = tables.newest_patch(cuda) if is_minor else ""
    if not found or not forms.CUDA.accepts(found):
        raise CressetError(
            f"--cuda: {quoted(cuda)} is no CUDA that the tables know",
            f"write it with its patch number, like {cuda}.0: nothing is claimed of it"
            if is_minor
            else "write it like 12.4 or 12.4.1",
        )
    return found, f"the newest {cuda} with an image"


def _candidates(tables: Tables, values: Mapping[str, str], official: Sequence[str]) -> list[str]:
    """Return the CUDAs to choose from, the best first: those of the official wheels, the newest first, then others."""
    found = [tables.newest_patch(cuda) for cuda in official]
    if values["BUILD_MODE"] == "exclude":
        return found
    known = {tables.newest_patch(row["cuda"]) for row in tables.rows["images"] if bases.systems(row)}
    others = sorted(known - set(found), key=Version, reverse=True)
    return [
        cuda for cuda in [*found, *others] if not _is_bad(tables, {**values, "CUDA_VERSION": cuda}, "toolkit-torch")
    ]


_Limit = tuple[str, Callable[[str], bool]]


def _asked(wish: Wish, around: Surroundings, values: Mapping[str, str]) -> str:
    """Return the compute capabilities that a person asked for, now or in `.env`; what is just this host's is not."""
    own = " ".join(_capabilities(around))
    is_asked = "CCA" in around.given or values["BUILD_MODE"] == "include" or values["CCA"] != own
    return wish.cca or (values["CCA"] if is_asked else "")


def _capabilities(around: Surroundings) -> list[str]:
    return sorted({gpu.capability for gpu in around.gpus if gpu.capability}, key=Version)


def _firm_limits(
    tables: Tables, asked: str, driver: str, around: Surroundings, values: Mapping[str, str]
) -> Iterator[_Limit]:
    """Yield what a person asked for, each in words and as a test of a CUDA."""
    if asked:
        yield f"serves {asked}", lambda cuda: _serves(tables, around, values, cuda, asked)
    if driver:
        yield f"runs with driver {driver}", lambda cuda: combination.is_driven(tables, driver, cuda)
    if "DISTRO_VERSION" in around.given:
        system = values["LINUX_DISTRO"] + values["DISTRO_VERSION"]
        yield f"has an image for {system}", lambda cuda: system in (bases.row_of(tables, cuda) or {}).get("systems", ())


def _host_limits(
    tables: Tables, around: Surroundings, values: Mapping[str, str], *, is_for_others: bool
) -> Iterator[_Limit]:
    """Yield what this host can run, each in words and as a test of a CUDA."""
    if around.gpus and hardware.is_readable(around.gpus[0].driver):
        driver = around.gpus[0].driver  # one host has one driver
        yield f"driver {driver} runs", lambda cuda: combination.is_driven(tables, driver, cuda)
    own = " ".join(_capabilities(around))
    if own and not is_for_others:
        yield f"serves this host's {own}", lambda cuda: _serves(tables, around, values, cuda, own)


def _preferences(
    tables: Tables, asked: str, around: Surroundings, values: Mapping[str, str], *, is_for_here: bool
) -> Iterator[_Limit]:
    """Yield what comes first among what is allowed, each in words and as a test of a CUDA."""
    if is_for_here and around.gpus and (newest := around.gpus[0].cuda):
        # By the rule of minor versions newer ones run, but NVIDIA's images may refuse to start with them.
        yield f"driver {around.gpus[0].driver} speaks", lambda cuda: minor(cuda) <= Version(newest)
    own = " ".join(_capabilities(around)) if is_for_here else ""
    if values["BUILD_MODE"] == "exclude" and (asked or own):

        def is_known(cuda: str) -> bool:
            return bool(combination.compiled_for(tables, {**values, "CUDA_VERSION": cuda}, machine=around.machine)[0])

        yield f"is known to have code for {asked or own}", is_known


def _serves(tables: Tables, around: Surroundings, values: Mapping[str, str], cuda: str, wanted: str) -> bool:
    """Return whether a PyTorch for a CUDA can have code for compute capabilities, as far as is known."""
    values = {**values, "CUDA_VERSION": cuda, "CCA": wanted}
    if values["BUILD_MODE"] == "include":
        return not _is_bad(tables, values, "toolkit-arch")
    compiled, _ = combination.compiled_for(tables, values, machine=around.machine)
    bare = [item.removesuffix("+PTX") for item in combination.capabilities(wanted)]
    return all(combination.has_code(tables, cuda, compiled, item) for item in bare)


def _is_bad(tables: Tables, values: Mapping[str, str], check: str) -> bool:
    judged = combination.judge(tables, values)
    return any(verdict.check == check and verdict.status == "known bad" for verdict in judged)


def _python(release: Mapping[str, Any], system: Mapping[str, Any] | None) -> Choice:
    oldest, newest = release["python"]
    if system and Version(oldest) <= Version(system["python"]) <= Version(newest):
        reason = f"the one that {system['system']} has"
        return Choice(name="PYTHON_VERSION", value=system["python"], reason=reason)
    return Choice(name="PYTHON_VERSION", value=newest, reason=f"the newest for PyTorch {release['torch']}")
