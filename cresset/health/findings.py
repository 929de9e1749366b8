"""What doctor looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cresset.hardware import Gpu
from cresset.versions.compat import Tables
from cresset.versions.wheels import Lack

Severity = Literal["ok", "info", "warning", "error"]
# What `--fix` can do: write or complete .env, write a name anew, close .env to others, make missing folders.
Remedy = Literal["", "env", "rename", "mode", "folders"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        check: its name.
        severity: ok; info, which needs nothing; warning, which may; error, with which a build or a start will fail.
        message: one line.
        hint: one line of what to do; empty where nothing is wrong.
        remedy: what `--fix` does about it; empty where that is not safe.
    """

    check: str
    severity: Severity
    message: str
    hint: str = ""
    remedy: Remedy = ""


@dataclass(frozen=True, kw_only=True)
class Docker:
    """What docker says of itself and of its engine.

    Attributes:
        client: version of the CLI; empty where there is none, or none that could be asked.
        version: of the engine; empty where none answers.
        complaint: what docker says where none answers.
        compose: version of Compose; empty where the plugin is missing.
        buildx: version of Buildx; empty where the plugin is missing.
        context: the context in use.
        address: where the engine is, like unix:///var/run/docker.sock.
        machine: the engine's processor, x86_64 or aarch64.
        memory: of the engine's machine, in bytes; 0 where unknown.
        cores: of the engine's machine; 0 where unknown.
        root: the folder that holds the engine's data.
        free: bytes free there; None where that is another machine or unknown.
        knows_gpus: it has NVIDIA's runtime, or devices by CDI.
        rootless: it runs without root.
        builder: the builder in use, and its driver.
        cache_limit: bytes beyond which the builder throws its cache away; 0 for no limit.
        idle_limit: hours without use after which it throws a compiler cache away, and bytes that it keeps of it even
            then; None for never.
    """

    client: str = ""
    version: str = ""
    complaint: str = ""
    compose: str = ""
    buildx: str = ""
    context: str = "default"
    address: str = ""
    machine: str = "x86_64"
    memory: int = 0
    cores: int = 0
    root: str = ""
    free: int | None = None
    knows_gpus: bool = False
    rootless: bool = False
    builder: tuple[str, str] = ("default", "docker")
    cache_limit: int = 0
    idle_limit: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What doctor knows of the host and of the person's files there.

    Attributes:
        system: Linux, WSL or macOS.
        uid: number of the person's account.
        gid: number of its group.
        gpus: those that an NVIDIA driver knows.
        gpu_complaint: what nvidia-smi says where it is there and knows none.
        ca_bundle: certificates that the host trusts and an image does not; empty where it has none of its own.
        proxies: HTTP_PROXY and its kin, as the shell has them.
        docker_folder: that docker's own folder is closed to this account, and what to do; None where it is not.
        docker_config: what is wrong with config.json: a sentence; empty where nothing is.
        helpers: programs for credentials that config.json names and that are not installed.
        unreadable: why .env or the override file is no text, and what to do about that; None where they are.
        env_mode: file mode of .env; None where there is none.
        env_names: the names in .env, those that occur twice twice.
        override: text of the override file; empty where there is none.
        folders: what a container mounts of the host: path to the number of its owner; None where it is missing.
    """

    system: str = "Linux"
    uid: int = 1000
    gid: int = 1000
    gpus: tuple[Gpu, ...] = ()
    gpu_complaint: str = ""
    ca_bundle: str = ""
    proxies: Mapping[str, str] = field(default_factory=dict)
    docker_folder: tuple[str, str] | None = None
    docker_config: str = ""
    helpers: tuple[str, ...] = ()
    unreadable: tuple[str, str] | None = None
    env_mode: int | None = 0o600
    env_names: tuple[str, ...] = ()
    override: str = ""
    folders: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Project:
    """The chosen configuration.

    Attributes:
        service: its name.
        reserves_gpus: it asks the engine for GPUs.
        values: every setting.
        sources: where each value came from.
        has_torch_by_tag: its PyTorch is the one of the settings, not one that the base image brings along.
        presence: of each base image: here, there (the registry has it), gone (it has not), or empty for no answer.
        is_built: its image is there.
        has_wheels: its wheelhouse has a wheel of its PyTorch.
        lacks: the wheels that its build will not find; None where it looks for none by version.
        platform: DOCKER_DEFAULT_PLATFORM; empty where it is not set.
    """

    service: str
    reserves_gpus: bool
    values: Mapping[str, str]
    sources: Mapping[str, str] = field(default_factory=dict)
    has_torch_by_tag: bool = True
    presence: Mapping[str, str] = field(default_factory=dict)
    is_built: bool = False
    has_wheels: bool = False
    lacks: Sequence[Lack] | None = None
    platform: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that doctor looks at.

    Attributes:
        docker: docker and its engine.
        machine: the host.
        tables: what goes with what.
        project: the configuration; None where it cannot be read.
        complaint: why it cannot be read, and what to do about that.
    """

    docker: Docker
    machine: Machine
    tables: Tables
    project: Project | None
    complaint: tuple[str, str] = ("", "")
