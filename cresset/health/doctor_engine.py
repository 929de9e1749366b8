"""Doctor's checks of docker: the CLI, its plugins and configuration, the engine and what it has room for. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from rich.filesize import decimal

from cresset import disk, hardware, refusals
from cresset.credentials import quoted
from cresset.errors import CressetError
from cresset.health.findings import Facts, Finding, Project

# What a compiler takes of memory: misc/image/compile.sh.
_PER_JOB = {"1": 6 * 2**30, "0": 2 * 2**30}
# What a compiler cache of PyTorch needs to be of use; misc/image/compile.sh lets it grow to 50 GB.
_COMPILER_CACHE = 50_000_000_000
_WEEK = 7 * 24
# Instead of the default rules, one of which is for what was not used for two days. Older engines know this name alone,
# and newer ones take it for reservedSpace.
_OWN_POLICY = '"builder": {"gc": {"enabled": true, "policy": [{"keepStorage": "100GB", "all": true}]}}'
# The services that are there for GPUs.
_FOR_GPUS = {"train", "full"}
_SETUP = "run: bash misc/setup.sh"


def engine(facts: Facts) -> Iterator[Finding]:
    """Check engine and permission."""
    docker = facts.docker
    if not (docker.client or docker.complaint):
        yield Finding(check="engine", severity="error", message="docker is not installed", hint=_SETUP)
    elif not docker.version:
        refused = refusals.daemon_refusal(docker.complaint)
        check = "permission" if "permission denied" in docker.complaint.lower() else "engine"
        yield Finding(check=check, severity="error", message=str(refused), hint=refused.hint)
    else:
        yield _new_enough("engine", docker.version, f"Docker Engine {docker.version} answers")
        yield Finding(check="permission", severity="ok", message="this account may use it")


def plugins(facts: Facts) -> Iterator[Finding]:
    """Check compose and buildx."""
    docker = facts.docker
    for check, name, version in (("compose", "Compose V2", docker.compose), ("buildx", "Buildx", docker.buildx)):
        if version:
            yield _new_enough(check, version, f"{name} {version}")
        elif docker.client:
            hint = "run: bash misc/install_compose.sh"
            yield Finding(check=check, severity="error", message=f"docker has no {name} plugin", hint=hint)


def _new_enough(program: str, version: str, message: str) -> Finding:
    try:
        refusals.require(program, version)
    except CressetError as error:
        return Finding(check=program, severity="error", message=str(error), hint=error.hint)
    return Finding(check=program, severity="ok", message=message)


def gpu_runtime(facts: Facts, project: Project) -> Iterator[Finding]:
    """Check gpu-runtime: whether the engine gives a container the GPUs that its service reserves."""
    machine, name = facts.machine, project.service
    if machine.gpu_complaint == hardware.NO_ANSWER:
        yield Finding(
            check="gpu-runtime",
            severity="warning" if project.reserves_gpus or name in _FOR_GPUS else "info",
            message=f"{hardware.NO_ANSWER}: what GPUs this host has is not known",
            hint="run nvidia-smi; where it hangs, the driver is stuck: restart the host",
        )
    elif not project.reserves_gpus:
        if machine.gpus:
            message, hint = f"the service {name} uses no GPU, and this host has some", "with them: --service train"
            yield Finding(check="gpu-runtime", severity="info", message=message, hint=hint)
        elif name in _FOR_GPUS:
            message = f"USE_CUDA=0: the service {name} is without CUDA, and this host has no GPU"
            hint = "the same for the CPU alone: --service cpu; for a GPU elsewhere: --set USE_CUDA=1"
            yield Finding(check="gpu-runtime", severity="warning", message=message, hint=hint)
    elif facts.docker.version and facts.docker.knows_gpus:
        yield Finding(check="gpu-runtime", severity="ok", message="the engine gives containers GPUs")
    elif machine.gpus:
        yield Finding(
            check="gpu-runtime",
            severity="error",
            message=f"the engine gives containers no GPU, and the service {name} reserves some",
            hint="NVIDIA's toolkit: bash misc/setup.sh; or devices by hand: invoke over",
        )
    else:
        said = f": nvidia-smi says {machine.gpu_complaint}" if machine.gpu_complaint else ""
        yield Finding(
            check="gpu-runtime",
            severity="error",
            message=f"the service {name} reserves GPUs, and this host has none{said}: it will not start here",
            hint="choose --service cpu; or build here and run elsewhere: invoke build-only",
        )


def room(facts: Facts, project: Project) -> Iterator[Finding]:
    """Check disk: whether a first build has room."""
    docker = facts.docker
    if not docker.version:
        return
    place = disk.Disk(root=docker.root, free=docker.free)
    if place.free is None:
        message = f"the engine's disk ({docker.root}) is not this machine's to look at"
        yield Finding(check="disk", severity="info", message=message)
        return
    try:
        warning = disk.check(place, needed=disk.NEEDED[project.values["USE_CUDA"]], is_first=not project.is_built)
    except CressetError as error:
        yield Finding(check="disk", severity="error", message=str(error), hint=error.hint)
        return
    if warning:
        message, _, hint = warning.partition(". To ")
        yield Finding(check="disk", severity="warning", message=message, hint=hint)
    else:
        yield Finding(check="disk", severity="ok", message=f"{decimal(place.free)} are free at {docker.root}")


def memory(facts: Facts, project: Project) -> Iterator[Finding]:
    """Check memory: whether that many compilers fit."""
    docker, values = facts.docker, project.values
    if values["BUILD_MODE"] != "include" or not docker.memory:
        return
    per_job = _PER_JOB[values["USE_CUDA"]]
    fitting = docker.memory // per_job
    jobs = int(values["MAX_JOBS"] or min(fitting, docker.cores) or 1)
    room, need = f"{docker.memory / 2**30:.0f} GB", f"{per_job // 2**30} GB"
    if fitting < 1:
        message = f"the engine has {room}, and one compiler may take {need}"
        yield Finding(check="memory", severity="warning", message=message, hint="give it more, or compile elsewhere")
    elif jobs > fitting:
        message = f"MAX_JOBS={jobs} compilers of {need} each do not fit into the engine's {room}"
        hint = f"set MAX_JOBS={fitting}, or leave it out"
        yield Finding(check="memory", severity="warning", message=message, hint=hint)
    else:
        yield Finding(check="memory", severity="ok", message=f"{room} for {jobs} compilers at once")


def builder_gc(facts: Facts, project: Project) -> Iterator[Finding]:
    """Check builder-gc: whether the builder keeps a compiler cache."""
    limit, idle = facts.docker.cache_limit, facts.docker.idle_limit
    hint = f"in /etc/docker/daemon.json: {_OWN_POLICY}"
    if project.values["BUILD_MODE"] != "include" or not facts.docker.version:
        return
    if 0 < limit < _COMPILER_CACHE:
        yield Finding(
            check="builder-gc",
            severity="warning",
            message=f"the builder keeps {decimal(limit)} of cache; a compiler cache of PyTorch may take 50 GB of it",
            hint=hint,
        )
    elif idle and idle[0] < _WEEK and idle[1] < _COMPILER_CACHE:
        message = (
            f"beyond {decimal(idle[1])} the builder throws away a compiler cache that was unused for {idle[0]} hours"
        )
        yield Finding(check="builder-gc", severity="warning", message=message, hint=hint)
    else:
        kept = f"{decimal(limit)} of cache" if limit else "its cache without a limit"
        yield Finding(check="builder-gc", severity="ok", message=f"the builder keeps {kept}")


def docker_config(facts: Facts) -> Iterator[Finding]:
    """Check docker-config: docker's own folder and configuration."""
    machine, docker = facts.machine, facts.docker
    if machine.docker_folder:
        message, hint = machine.docker_folder
        yield Finding(check="docker-config", severity="error", message=message, hint=hint)
    if machine.docker_config:
        hint = "mend it, or move it away: mv ~/.docker/config.json ~/.docker/config.json.old"
        yield Finding(check="docker-config", severity="error", message=machine.docker_config, hint=hint)
    for helper in machine.helpers:
        yield Finding(
            check="docker-config",
            severity="warning",
            message=f"~/.docker/config.json names {helper} for passwords, which is not installed: pulling may fail",
            hint="install it, or take credsStore and credHelpers out of that file",
        )
    if not (machine.docker_folder or machine.docker_config or machine.helpers) and docker.client:
        yield Finding(check="docker-config", severity="ok", message="docker's own configuration can be used")


def context(facts: Facts) -> Iterator[Finding]:
    """Check context: which engine and which builder are meant."""
    docker = facts.docker
    name, kind = docker.builder
    if not docker.client:
        return
    if hardware.is_remote(docker.address):
        message = f"the engine is at {docker.address}: containers mount folders of that machine, not of this one"
        yield Finding(check="context", severity="warning", message=message, hint="`docker context ls` shows others")
    elif docker.version and kind != "docker":
        yield Finding(
            check="context",
            severity="warning",
            message=f"the builder {name} is of the driver {kind}: it sees no image of the engine",
            hint="choose the engine's own: docker buildx use default, or unset BUILDX_BUILDER",
        )
    else:
        yield Finding(check="context", severity="ok", message=f"docker's context is {docker.context}")


def platform(facts: Facts, project: Project) -> Iterator[Finding]:
    """Check context: whether containers are to be of the platform that images are built for."""
    asked = hardware.processor(project.platform)
    if facts.docker.version and asked and asked != hardware.processor(facts.docker.machine):
        yield Finding(
            check="context",
            severity="error",
            message=f"DOCKER_DEFAULT_PLATFORM is {quoted(project.platform)}, and the engine is {facts.docker.machine}",
            hint="unset DOCKER_DEFAULT_PLATFORM, and take it out of .env",
        )
