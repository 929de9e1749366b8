"""Doctor's checks of the versions: the tables' verdicts, and this host's GPUs and driver against them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from packaging.version import Version

from cresset import hardware
from cresset.errors import CressetError
from cresset.hardware import Gpu
from cresset.health.findings import Facts, Finding, Project, Severity
from cresset.versions import bases, combination
from cresset.versions.combination import Verdict
from cresset.versions.compat import release_of
from cresset.versions.wheels import cuda_of

# The names that the verdicts of the tables have here.
_NAMES = {"toolkit-torch": "torch-cuda"}
_SEVERITIES: dict[str, Severity] = {"supported": "ok", "unknown": "warning", "known bad": "error"}


def versions(facts: Facts, project: Project) -> Iterator[Finding]:
    """Check torch-cuda, torch-python, companions, toolkit-arch, compiler, distribution; base-image by the tables."""
    values = project.values
    if not project.has_torch_by_tag:
        return
    try:
        combination.require(values)
    except CressetError as error:
        yield Finding(check="toolkit-arch", severity="error", message=str(error), hint=error.hint)
    for verdict in (
        *combination.judge(facts.tables, values),
        *bases.judge(facts.tables, values, images=project.presence),
    ):
        if verdict.check == "base-image":
            yield from _base_image(project, verdict)
        else:
            yield _finding(verdict, project)


def _finding(verdict: Verdict, project: Project) -> Finding:
    severity = _SEVERITIES[verdict.status]
    if verdict.check == "torch-cuda" and severity == "error" and project.has_wheels:
        severity = "warning"  # a wheelhouse may hold what no index has
    name = _NAMES.get(verdict.check, verdict.check)
    if name == "torch":
        name = "torch-cuda" if project.values["USE_CUDA"] == "1" else "torch-python"
    hint = verdict.hint or ("" if severity == "ok" else "if you know better: rows of your own in misc/compat.yaml")
    return Finding(check=name, severity=severity, message=verdict.message, hint=hint)


def _base_image(project: Project, verdict: Verdict) -> Iterator[Finding]:
    """Yield what the tables say of a base image, unless the engine or the registry said it already."""
    if not any(name in verdict.message and place for name, place in project.presence.items()):
        yield _finding(verdict, project)


def wheels(_: Facts, project: Project) -> Iterator[Finding]:
    """Check wheels: whether a build finds those that it fetches."""
    hint = "choose what is there: invoke env --update --torch VERSION; or name a folder that has it: WHEELHOUSE=DIR"
    for lack in project.lacks or ():
        yield Finding(check="wheels", severity="error" if lack.is_sure else "warning", message=lack.message, hint=hint)
    if project.lacks is not None and not project.lacks:
        yield Finding(check="wheels", severity="ok", message="the wheels of PyTorch are to be had")


def base_images(facts: Facts, project: Project) -> Iterator[Finding]:
    """Check base-image: what the engine and the registry say of it."""
    for image, place in project.presence.items():
        if place == "gone":
            hint = "choose another: invoke versions; a host that has it: docker save, docker load"
            message = f"the registry has no {image}"
            yield Finding(check="base-image", severity="error", message=message, hint=hint)
        elif place:
            where = "is here" if place == "here" else "is to be had"
            yield Finding(check="base-image", severity="ok", message=f"{image} {where}")
        elif image.startswith("nvidia/cuda:"):
            continue
        elif not facts.docker.version:
            message = f"whether {image} is here is not known without an engine"
            yield Finding(check="base-image", severity="info", message=message)
        else:
            message = f"{image} is not here, and its registry does not answer"
            hint = "a plain one is made from this host's package mirror: invoke base-image"
            yield Finding(check="base-image", severity="info", message=message, hint=hint)


def driver(facts: Facts, project: Project) -> Iterator[Finding]:
    """Check driver: this host's against the CUDA of the image."""
    gpus, cuda = facts.machine.gpus, project.values["CUDA_VERSION"]
    if not gpus or project.values["USE_CUDA"] == "0" or not project.has_torch_by_tag:
        return
    version = gpus[0].driver
    if not hardware.is_readable(version):
        said = f"nvidia-smi says {version}" if version else "nvidia-smi says nothing of it"
        message, hint = (
            f"the driver's version cannot be read: {said}",
            "run nvidia-smi; a card that is lost needs a reset",
        )
        yield Finding(check="driver", severity="warning", message=message, hint=hint)
        return
    if not combination.is_driven(facts.tables, version, cuda):
        oldest = combination.oldest_driver(facts.tables, cuda)
        need = f"CUDA {cuda} needs driver {oldest} or newer, and this host has {version}"
        hint = "upgrade the driver, or choose a CUDA_VERSION that it can run: invoke versions"
        yield Finding(check="driver", severity="error", message=need, hint=hint)
        return
    if gpus[0].cuda and Version(gpus[0].cuda) < combination.minor(cuda):
        # By the rule of minor versions it would run; what an image asks for (NVIDIA_REQUIRE_CUDA) can be stricter.
        yield Finding(
            check="driver",
            severity="warning",
            message=f"driver {version} speaks CUDA {gpus[0].cuda}: NVIDIA's image of {cuda} may refuse to start",
            hint="where it says 'unsatisfied condition: cuda>=': a newer driver, or an older CUDA_VERSION",
        )
        return
    yield Finding(check="driver", severity="ok", message=f"driver {version} runs CUDA {cuda}")


def architectures(facts: Facts, project: Project, *, starts: bool = False) -> Iterator[Finding]:
    """Check gpu-arch and wheel-arch: whether the PyTorch of the image has code for this host's GPUs.

    Args:
        facts: with the GPUs.
        project: with the settings.
        starts: a container is to start here, so that it is an error if not one GPU can be used.
    """
    values = project.values
    if values["USE_CUDA"] == "0" or not project.has_torch_by_tag:
        return
    gpus = [gpu for gpu in visible(facts.machine.gpus, values["GPUS"]) if gpu.capability]
    is_wheel = values["BUILD_MODE"] == "exclude"
    check = "wheel-arch" if is_wheel else "gpu-arch"
    compiled, is_known = combination.compiled_for(facts.tables, values, machine=facts.docker.machine)
    cuda = values["CUDA_VERSION"]
    what = f"the official wheel for CUDA {cuda}" if is_wheel else "CCA"
    has = _range(facts, cuda, compiled)
    lacking = [gpu for gpu in gpus if not combination.has_code(facts.tables, cuda, compiled, gpu.capability)]
    for gpu in lacking:
        is_sure = bool(compiled and is_known) or combination.is_dropped(facts.tables, cuda, gpu.capability)
        is_hopeless = len(lacking) == len(gpus) and (starts or is_wheel) and is_sure
        severity: Severity = "error" if is_hopeless else "warning"
        yield Finding(
            check=check,
            severity=severity,
            message=f"GPU {gpu.index} ({gpu.name}, {gpu.capability}): {what} is for {has}",
            hint="let the tables choose: invoke env --update --torch VERSION; or compile: --set BUILD_MODE=include"
            if is_wheel
            else f"add {gpu.capability} to CCA, unless the image is for other GPUs",
        )
    wanted = [item.removesuffix("+PTX") for item in combination.capabilities(values["CCA"])] if is_wheel else []
    here = [gpu.capability for gpu in gpus if gpu not in lacking]
    old, other = _left_behind(facts, values, [*here, *wanted]) if is_wheel and not compiled else ([], "")
    if old:
        lost = " ".join(sorted(set(old)))
        yield Finding(
            check=check,
            severity="warning",
            message=f"{what} is not in the tables, and that for CUDA {other} has no more code for {lost}",
            hint="let the tables choose: invoke env --update --torch VERSION --cca CCA; or compile",
        )
    named = [one for one in wanted if one not in {gpu.capability for gpu in gpus}]
    unserved = [one for one in named if not combination.has_code(facts.tables, cuda, compiled, one)]
    if unserved:
        yield Finding(
            check=check,
            severity="warning",
            message=f"CCA names {' '.join(unserved)}, and {what} is for {has}",
            hint="let the tables choose: invoke env --update --torch VERSION --cca CCA; or compile",
        )
    if gpus and not lacking and not old:
        own = sorted({gpu.capability for gpu in gpus}, key=combination.number)
        by_ptx = [one for one in own if compiled and not combination.covers(compiled.replace("+PTX", ""), one)]
        state = f"has code for this host's {', '.join(own)}"
        state += f", for {', '.join(by_ptx)} by PTX, which the driver translates" if by_ptx else ""
        newest = max(combination.number(row["cca"]) for row in facts.tables.rows["gpus"])
        is_known = bool(compiled) and not any(combination.number(one) > newest for one in by_ptx)
        yield Finding(
            check=check,
            severity="ok" if is_known else "info",
            message=f"{what} {state if compiled else 'is not in the tables'}",
        )


def _left_behind(facts: Facts, values: Mapping[str, str], wanted: Sequence[str]) -> tuple[list[str], str]:
    """Return the compute capabilities that the wheel for an older CUDA has no more code for, and which CUDA that is."""
    torch, cuda = release_of(values["PYTORCH_VERSION_TAG"]), combination.minor(values["CUDA_VERSION"])
    release = facts.tables.release(torch)
    if not release or values["PYTORCH_INDEX_URL"] or values["PYTORCH_FETCH_NIGHTLY"] == "1":
        return [], ""
    older = sorted((one for one in map(cuda_of, release["cuda"]) if Version(one) < cuda), key=Version, reverse=True)
    for other in older:
        row = facts.tables.wheel_architectures(torch, other) or {}
        known = [combination.number(item) for item in row.get(facts.docker.machine, ())]
        if found := [one for one in wanted if known and combination.number(one) < min(known)]:
            return found, other
    return [], ""


def _range(facts: Facts, cuda: str, compiled: str) -> str:
    """Return what a PyTorch has code for, or what its CUDA compiles for where that is not known."""
    toolkit = facts.tables.toolkit(cuda)
    within = f"no other than CUDA {cuda} compiles for, {' to '.join(toolkit['cca'])}" if toolkit else "others"
    return compiled or within


def visible(gpus: Sequence[Gpu], chosen: str) -> list[Gpu]:
    """Return the GPUs that the setting GPUS lets a container see; all of them where it names none by number."""
    numbers = {word.split(":")[0] for word in chosen.split(",")}
    return [gpu for gpu in gpus if str(gpu.index) in numbers] or list(gpus)
