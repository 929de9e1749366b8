"""What doctor looks at, asked for side by side: docker, the host, the person's files, the registry."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cresset import disk, env_entries, env_file, files, hardware, host, override_file, refusals
from cresset.configuration import Configuration
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.hardware import Gpu
from cresset.health.findings import Docker, Facts, Machine, Project
from cresset.versions import availability
from cresset.versions.compat import Tables

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
# Seconds for the registry, and for the index of wheels: a host without one is to be told the rest at once.
_PATIENCE = 1.2


def look(tables: Tables, read: Callable[[], tuple[Configuration | None, tuple[str, str]]]) -> Facts:
    """Return what there is to know; takes a second or so.

    Args:
        tables: what goes with what.
        read: returns the configuration; None where it cannot be read, with why and what to do about that.

    Raises:
        CressetError: what `read` raises.
    """
    with ThreadPoolExecutor() as pool:
        about = pool.submit(hardware.answer, "docker", "info", "--format", "{{json .}}")
        address = pool.submit(hardware.engine_address)
        builder = pool.submit(hardware.output, "docker", "buildx", "inspect")
        gpus = pool.submit(hardware.gpus)
        resolved, complaint = read()
        project = _project(resolved) if resolved else None
        docker = read_docker(*about.result(), address=address.result(), builder=builder.result())
        machine = _machine(*gpus.result(), resolved)
    return Facts(docker=docker, machine=machine, tables=tables, project=project, complaint=complaint)


def read_docker(about: str, complaint: str = "", *, address: str, builder: str) -> Docker:
    """Return what docker's answers amount to.

    Args:
        about: `docker info` as JSON; empty where there is no docker.
        complaint: what it says beside that: some clients have no place for the daemon's refusal in their JSON.
        address: of the engine.
        builder: what `docker buildx inspect` prints.
    """
    try:
        info: Mapping[str, Any] = json.loads(about)
    except ValueError:
        return Docker(complaint=complaint)
    client = info.get("ClientInfo") or {}
    plugins = {plugin["Name"]: str(plugin.get("Version", "")) for plugin in client.get("Plugins") or ()}
    root = info.get("DockerRootDir") or ""
    return Docker(
        client=client.get("Version") or "unknown",
        version=info.get("ServerVersion") or "",
        complaint=" ".join(info.get("ServerErrors") or ()) or complaint,
        compose=plugins.get("compose", "").lstrip("v"),
        buildx=plugins.get("buildx", "").lstrip("v"),
        context=client.get("Context") or "default",
        address=address,
        machine=info.get("Architecture") or "x86_64",
        memory=info.get("MemTotal") or 0,
        cores=info.get("NCPU") or 0,
        root=root,
        free=disk.free_at(info.get("Name") or "", root) if root else None,
        knows_gpus="nvidia" in (info.get("Runtimes") or {}) or bool(info.get("DiscoveredDevices")),
        rootless=any("rootless" in option for option in info.get("SecurityOptions") or ()),
        builder=read_builder(builder),
        cache_limit=read_cache_limit(builder),
        idle_limit=read_idle_limit(builder),
    )


def read_builder(text: str) -> tuple[str, str]:
    """Return the name and the driver of the builder that `docker buildx inspect` is about."""
    found = dict(re.findall(r"^(Name|Driver):\s+(\S+)", text, re.MULTILINE)[:2])
    return found.get("Name", "default"), found.get("Driver", "docker")


def read_cache_limit(text: str) -> int:
    """Return the bytes of a compiler cache that a builder's garbage collection keeps; 0 where no rule limits it."""
    return min((kept for hours, kept in _rules_for_mounts(text) if kept and not hours), default=0)


def read_idle_limit(text: str) -> tuple[int, int] | None:
    """Return after how many hours without use a builder throws a compiler cache away, and the bytes that it keeps."""
    return min(((hours, kept) for hours, kept in _rules_for_mounts(text) if hours), default=None)


def _rules_for_mounts(text: str) -> Iterator[tuple[int, int]]:
    """Yield of each rule that a compiler cache falls under its hours without use, and the bytes that it keeps.

    What a rule has reserved it keeps, however little may be used: github.com/moby/buildkit, cache/manager.go.
    """
    for rule in re.split(r"GC Policy rule#\d+:", text)[1:]:
        filters = re.search(r"Filters:[ \t]*(\S.*)", rule)
        if filters and not any(map(_takes_mounts, filters[1].split())):
            continue
        hours = re.search(r"Keep Duration:\s+(\d+)h", rule)
        sizes = re.findall(r"(?:Keep Bytes|Reserved Space|Max Used Space):\s+([\d.]+)\s*([kKMGTPE]?i?B)", rule)
        kept = [float(number) * _in_bytes(unit) for number, unit in sizes]
        yield int(hours[1]) if hours else 0, int(max(kept, default=0))


def _takes_mounts(words: str) -> bool:
    """Return whether a filter holds for a cache mount, as which a build has its compiler cache.

    What has commas between has to hold all at once. So the first default rule, with three types in one filter, held for
    nothing until BuildKit made three filters of it: github.com/moby/buildkit/pull/6856, and for the engine
    github.com/moby/moby/pull/52814.
    """
    kinds = re.findall(r"type(==?|!=)([^,]+)", words)
    return all((sign != "!=") == (kind == "exec.cachemount") for sign, kind in kinds)


def _in_bytes(unit: str) -> int:
    number: int = (1024 if "i" in unit else 1000) ** "bkmgtpe".index(unit[0].lower())
    return number


def _machine(gpus: Sequence[Gpu], complaint: str, resolved: Configuration | None) -> Machine:
    text, override, unreadable = "", "", None
    is_file = (files.ROOT / ".env").is_file()
    try:
        text = (files.read(".env") or "") if is_file else ""
        override = next(filter(None, map(files.read, override_file.NAMES)), "")
    except CressetError as error:
        unreadable = (str(error), error.hint)
    closed = (refusals.foreign_folder() if os.geteuid() else None) or refusals.unmade_folder()
    uid, gid = host.account()
    problem, helpers = read_config(hardware.read(str(hardware.docker_folder() / "config.json")))
    return Machine(
        system=hardware.system(),
        uid=uid,
        gid=gid,
        gpus=tuple(gpus),
        gpu_complaint=complaint,
        ca_bundle=host.own_certificates(),
        proxies={name: os.environ[name] for name in _PROXIES if os.environ.get(name)},
        docker_folder=(str(closed), closed.hint) if closed else None,
        docker_config=problem,
        helpers=tuple(name for name in helpers if shutil.which(name) is None),
        unreadable=unreadable,
        env_mode=(files.ROOT / ".env").stat().st_mode & 0o777 if is_file and (unreadable or text.strip()) else None,
        env_names=env_entries.listed(text),
        override=override,
        folders={path: _owner(path) for path in (resolved.service.made_folders if resolved else ())},
    )


def read_config(text: str) -> tuple[str, tuple[str, ...]]:
    """Return what is wrong with docker's config.json, and the programs for credentials that it names."""
    if not text.strip():
        return "", ()
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"~/.docker/config.json is no JSON: {error}", ()
    if not isinstance(config, dict):
        return "~/.docker/config.json is no JSON object", ()
    helpers, store = config.get("credHelpers") or {}, config.get("credsStore") or ""
    if not isinstance(store, str):
        return "~/.docker/config.json: credsStore is no text", ()
    if not isinstance(helpers, dict) or not all(isinstance(one, str) for one in helpers.values()):
        return "~/.docker/config.json: credHelpers is no object of texts", ()
    stores = [store, *helpers.values()]
    return "", tuple(dict.fromkeys(f"docker-credential-{store}" for store in stores if store))


def _owner(path: str) -> int | None:
    try:
        return Path(path).stat().st_uid
    except OSError:
        return None


def _project(resolved: Configuration) -> Project:
    engine = Engine()
    machine = host.wheel_machine(platform.machine())
    images = sorted(resolved.base_images)
    with ThreadPoolExecutor() as pool:
        here = {image: pool.submit(engine.inspect_images, [image]) for image in (*images, resolved.service.image)}
        lacks = pool.submit(availability.find_lacks, resolved, machine=machine, seconds=_PATIENCE)
        asked = {
            image: pool.submit(engine.ask_registry, image, seconds=_PATIENCE) for image in images if _is_public(image)
        }
    return Project(
        service=resolved.service.name,
        reserves_gpus=resolved.service.reserves_gpus,
        values=resolved.as_dict(),
        sources={name: value.source for name, value in resolved.values.items()},
        has_torch_by_tag=resolved.has_torch_by_tag,
        presence={
            image: "here" if here[image].result() else asked[image].result() if image in asked else ""
            for image in images
        },
        lacks=lacks.result(),
        has_wheels=availability.has_torch(
            str(files.ROOT / resolved["WHEELHOUSE"]),
            resolved,
            machine=machine,
            python=resolved["PYTHON_VERSION"],
        ),
        platform=resolved.model.platform,
        is_built=bool(here[resolved.service.image].result()),
    )


def _is_public(image: str) -> bool:
    return not image.startswith(env_file.MADE_HERE)
