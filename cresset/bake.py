"""A Compose service as a definition for `docker buildx bake`. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cresset.compose import Model, Service
from cresset.errors import CressetError

# BuildKit's own arguments, which are in no key; their addresses may hold a password.
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")

# What Compose labels images with.
_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"


# What Compose's `build` has and bake's definition takes, and its name there. Buildx 0.13 passes over what it does not
# know, `network` and `extra-hosts` among it, without a word.
_ALIKE = {
    "cache_from": "cache-from",
    "cache_to": "cache-to",
    "no_cache": "no-cache",
    "platforms": "platforms",
    "pull": "pull",
    "shm_size": "shm-size",
    "ssh": "ssh",
}
_TAKEN = {
    *_ALIKE,
    "additional_contexts",
    "args",
    "context",
    "dockerfile",
    "labels",
    "secrets",
    "tags",
    "target",
    "ulimits",
}


@dataclass(frozen=True, kw_only=True)
class Product:
    """What one build makes of a service.

    Attributes:
        name: what to call it, for a person.
        target: the stage.
        tags: the image's names.
        arguments: those that are not as the service has them.
        contexts: named contexts in addition.
        folder: where the stage's files go instead of an image; empty for an image.
        labels: the image's, besides Compose's own.
    """

    name: str
    target: str
    tags: Sequence[str] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def product_of(service: Service) -> Product:
    """Return what a build of the service itself makes."""
    return Product(
        name=service.image, target=service.build["target"], tags=[service.image, *service.build.get("tags", ())]
    )


def check(service: Service) -> None:
    """Check that a build does all that the service's `build` says, as `docker compose build` would.

    Raises:
        CressetError: something in it has no place in bake's definition.
    """
    odd = [name for name, value in service.build.items() if value and name not in _TAKEN and not name.startswith("x-")]
    if odd and (odd, service.build.get("network")) != (["network"], "default"):
        raise CressetError(
            f"the service {service.name} has build.{odd[0]}, which `invoke` cannot pass on to the builder",
            f"take it out of the override file, or run: docker compose --profile {service.name} build {service.name}",
        )


def former_owner(model: Model, service: Service, labels: Mapping[str, str]) -> str:
    """Return whose an image is that has the name of the service's, and what to do about that; or nothing.

    Args:
        model: the project.
        service: the service.
        labels: of the image.
    """
    project, made_for = labels.get(_PROJECT, ""), labels.get(_SERVICE, "")
    # A name that the person chose may be an image from anywhere; the default name is one for all of their checkouts.
    if project != model.project and not model.settings["IMAGE_NAME"]:
        return (
            f"that of another checkout ({project or 'unknown'}), which loses the name; "
            "IMAGE_NAME in .env gives this one another"
        )
    target = model.services[made_for].build.get("target") if made_for in model.services else None
    if target and target != service.build.get("target") and labels.get("cresset.stage") == target:
        return f"that of the service {made_for}, which loses the name: IMAGE_NAME in .env is one for all services"
    return ""


def define(model: Model, service: Service, product: Product, *, compose_version: str) -> str:
    """Return the bake definition of a product; of the service's own, what `docker compose build` would build.

    Args:
        model: the project, for its secrets and name.
        service: the service to build.
        product: what to make of it.
        compose_version: N.N.N; Compose labels its images with it, and `up` replaces the container of an image whose
            id differs (measured with Compose 2.26 and 2.40).
    """
    build = service.build
    target: dict[str, Any] = {
        "context": build["context"],
        "dockerfile": service.dockerfile,
        "target": product.target,
        "args": {**service.arguments, **product.arguments},
        "contexts": {**build.get("additional_contexts", {}), **product.contexts},
        "secret": [_secret(name["source"], model.secrets[name["source"]]) for name in build.get("secrets", ())],
        "tags": [*product.tags],
        "labels": {
            **build.get("labels", {}),
            _PROJECT: model.project,
            _SERVICE: service.name,
            "com.docker.compose.version": compose_version,
            **product.labels,
        },
        "output": [f"type=local,{_field(f'dest={product.folder}')}" if product.folder else "type=docker"],
        **{name: build[of_compose] for of_compose, name in _ALIKE.items() if build.get(of_compose)},
    }
    if limits := build.get("ulimits"):
        target["ulimits"] = [_limit(name, limit) for name, limit in limits.items()]
    definition = {"group": {"default": {"targets": [service.name]}}, "target": {service.name: target}}
    return json.dumps(_escape(definition), indent=2)


def recorded(service: Service, product: Product) -> dict[str, str]:
    """Return the arguments of a build that may be written down: those that decide what comes of it."""
    arguments = {**service.arguments, **product.arguments}
    return {name: value for name, value in arguments.items() if name not in PROXIES}


def secret_values(model: Model) -> dict[str, str]:
    """Return the variables that the definition's secrets read, those that are set, each with its value."""
    names = [secret["environment"] for secret in model.secrets.values() if "environment" in secret]
    return {name: value for name in names if (value := model.settings.get(name))}


def _secret(name: str, source: Mapping[str, Any]) -> str:
    return f"id={name}," + _field(
        f"env={source['environment']}" if "environment" in source else f"src={source['file']}"
    )


def _limit(name: str, limit: int | Mapping[str, int]) -> str:
    return f"{name}={limit}" if isinstance(limit, int) else f"{name}={limit['soft']}:{limit['hard']}"


def _field(text: str) -> str:
    """Return a field as CSV has it, where a comma, a quote or a line's end needs quotes around it."""
    return '"{}"'.format(text.replace('"', '""')) if re.search(r'[,"\n]', text) else text


def _escape(value: Any) -> Any:  # noqa: ANN401 - JSON
    # Bake expands ${...} and %{...} in its JSON; a single $ or % is left alone.
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, dict):
        return {key: _escape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escape(item) for item in value]
    return value
