"""What the engine holds and knows: the one door to docker's SDK."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from cresset.engine import Engine
from cresset.refusals import daemon_refusal

if TYPE_CHECKING:
    from docker import DockerClient

# Seconds: on a slow disk the engine needs minutes to add sizes up, or to remove an image of many gigabytes.
_PATIENCE = 600


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image of the engine: its names, its id, its size in bytes, and when its last step was executed."""

    name: str
    short_id: str
    size: int
    created: datetime


@dataclass(frozen=True, kw_only=True)
class UnnamedImage:
    """An image that no name leads to: its id, its service, its size in bytes and what of that other images share."""

    id: str
    service: str
    size: int
    shared: int


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container.

    Attributes:
        id: its id.
        name: its name.
        project: the Compose project it belongs to; empty for none.
        image: the id of its image.
        stopped: it neither runs nor is paused, or about to.
        status: the same in the engine's words, like `Exited (0) 2 hours ago`.
        size: what it wrote, in bytes.
    """

    id: str
    name: str
    project: str
    image: str
    stopped: bool
    status: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What takes up the disk: a project's unnamed images, everybody's containers, and unused build cache in bytes."""

    images: tuple[UnnamedImage, ...]
    containers: tuple[Container, ...]
    cache: int


def knows_gpus(engine: Engine) -> bool:
    """Return whether the engine can be asked for GPUs: by NVIDIA's runtime, or by CDI where devices are described.

    Raises:
        CressetError: no daemon answers.
    """
    engine.ready()
    with _connected() as client:
        known: Mapping[str, object] = client.info()
    return "nvidia" in (known.get("Runtimes") or {}) or bool(known.get("DiscoveredDevices"))  # type: ignore[operator]


def images(engine: Engine, project: str) -> list[Image]:
    """Return the images that were built for a Compose project, the newest first.

    Raises:
        CressetError: no daemon answers.
    """
    engine.ready()
    with _connected() as client:
        found = client.images.list(filters={"label": f"com.docker.compose.project={project}"})
    images = [
        Image(
            name=", ".join(image.tags) or "(no name)",
            short_id=image.short_id.removeprefix("sha256:"),
            size=image.attrs["Size"],
            # Nanoseconds, which Python does not read; the zone is always UTC.
            created=datetime.fromisoformat(f"{image.attrs['Created'][:19]}+00:00"),
        )
        for image in found
    ]
    return sorted(images, key=lambda image: image.created, reverse=True)


def named(engine: Engine, repository: str) -> list[tuple[list[str], Mapping[str, Any]]]:
    """Return the images whose names begin with a repository: those names, and what the engine says of the image.

    Raises:
        CressetError: no daemon answers.
    """
    engine.ready()
    with _connected() as client:
        found = client.images.list(name=repository)
    return [([tag for tag in image.tags if tag.startswith(f"{repository}:")], image.attrs) for image in found]


def usage(engine: Engine, project: str) -> Usage:
    """Return what takes up the disk, as the engine's `/system/df` has it.

    Raises:
        CressetError: no daemon answers.
    """
    engine.ready()
    filters = {"dangling": True, "label": f"com.docker.compose.project={project}"}
    with _connected() as client:
        unnamed = {image["Id"] for image in client.api.images(filters=filters)}
        return read_usage(client.df(), unnamed)


def remove_container(identifier: str) -> str:
    """Remove a stopped container, and return why it stays; empty where it does not.

    Raises:
        CressetError: no daemon answers any more.
    """
    with _connected() as client:
        return _refusal(lambda: client.api.remove_container(identifier))


def remove_names(names: Sequence[str]) -> str:
    """Remove an image's names, with the last one the image, and return why it stays; empty where it does not.

    Raises:
        CressetError: no daemon answers any more.
    """
    with _connected() as client:
        return next(filter(None, (_refusal(partial(client.images.remove, name)) for name in names)), "")


def remove_image(identifier: str) -> str:
    """Remove an image without a name that nothing uses, and return why it stays; empty where it does not.

    Raises:
        CressetError: no daemon answers any more.
    """
    with _connected() as client:
        return _refusal(lambda: _remove_unnamed(client, identifier))


def _client() -> DockerClient:
    """Return the SDK's client of the engine that the CLI uses."""
    # Here, because importing it takes longer than most of what a task does.
    from docker import DockerClient  # noqa: PLC0415
    from docker.context import ContextAPI  # noqa: PLC0415

    if "DOCKER_HOST" in os.environ:
        return DockerClient.from_env()
    context = ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT"))
    return DockerClient(base_url=context.Host, tls=context.TLSConfig)


@contextmanager
def _connected() -> Iterator[DockerClient]:
    """Give the SDK's client; a connection that fails is said as the CLI would."""
    from docker.errors import APIError, DockerException  # noqa: PLC0415 - as above

    try:
        with closing(_client()) as client:
            client.api.timeout = _PATIENCE
            yield client
    except (DockerException, OSError) as error:
        cause = error.__context__ if isinstance(error.__context__, APIError) else error
        said = f"Error response from daemon: {cause.explanation}" if isinstance(cause, APIError) else str(error)
        raise daemon_refusal(said) from None


def _refusal(remove: Callable[[], object]) -> str:
    """Remove something, and return why it or the engine does not; empty where it does, or somebody else did."""
    from docker.errors import APIError, NotFound  # noqa: PLC0415 - as above

    try:
        return str(remove() or "")
    except NotFound:
        return ""
    except APIError as error:
        return " ".join(str(error.explanation or error).split())


def _remove_unnamed(client: DockerClient, identifier: str) -> str:
    # A build whose steps are all cached names a former image again, and the engine, given an id, removes name and all.
    if names := client.images.get(identifier).tags:
        return f"it is {names[0]} again"
    client.images.remove(identifier)
    return ""


def read_usage(found: Mapping[str, Any], unnamed: Collection[str]) -> Usage:
    """Return what `/system/df` says, given the ids of the unnamed images that are asked for."""
    images = [
        UnnamedImage(
            id=image["Id"],
            service=(image["Labels"] or {}).get("com.docker.compose.service", ""),
            size=image["Size"],
            shared=max(image["SharedSize"], 0),  # -1 stands for unknown
        )
        for image in found["Images"] or ()
        if image["Id"] in unnamed
    ]
    containers = [
        Container(
            id=container["Id"],
            name=container["Names"][0].removeprefix("/") if container["Names"] else container["Id"][:12],
            project=(container["Labels"] or {}).get("com.docker.compose.project", ""),
            image=container["ImageID"],
            stopped=container["State"] in {"created", "exited", "dead"},
            status=container["Status"],
            size=container.get("SizeRw") or 0,
        )
        for container in found["Containers"] or ()
    ]
    # What an image holds too is no more the cache's to free than what a build is using.
    cache = sum(row["Size"] for row in found["BuildCache"] or () if not row["InUse"] and not row["Shared"])
    return Usage(images=tuple(images), containers=tuple(containers), cache=cache)
