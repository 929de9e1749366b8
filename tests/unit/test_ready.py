from __future__ import annotations

import pytest

from cresset import dockerfile, ready
from cresset.compose import Model, Service
from cresset.configuration import Configuration
from cresset.engine import Engine
from cresset.errors import CressetError


def refuse(asked: str, own: str, monkeypatch: pytest.MonkeyPatch, *, dry_run: bool = False) -> None:
    service = Service(name="cpu", image="x", build={})
    model = Model(project="x", services={"cpu": service}, secrets={}, settings={}, platform=asked)
    monkeypatch.setattr(Engine, "platform", lambda _: own)
    ready.refuse_platform(
        Configuration(service=service, model=model, recipe=dockerfile.parse("FROM x\n"), values={}),
        Engine(dry_run=dry_run),
    )


@pytest.mark.parametrize(
    ("asked", "own"),
    [
        ("", "linux/x86_64"),
        ("linux", "linux/aarch64"),
        ("linux/amd64", "linux/x86_64"),
        ("amd64", "linux/x86_64"),
        ("Linux/x86_64", "linux/x86_64"),
        ("linux/arm64/v8", "linux/aarch64"),
        ("linux/arm64", "linux/aarch64"),
    ],
)
def test_the_engines_own_platform_may_be_named(asked: str, own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(asked, own, monkeypatch)


@pytest.mark.parametrize(
    ("asked", "own"),
    [("linux/arm64", "linux/x86_64"), ("linux/amd64", "linux/aarch64"), ("windows/amd64", "linux/x86_64")],
)
def test_another_platform_is_refused_before_anything_is_built(
    asked: str, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(asked, own, monkeypatch, dry_run=True)
    with pytest.raises(CressetError, match="DOCKER_DEFAULT_PLATFORM is ") as refused:
        refuse(asked, own, monkeypatch)
    assert refused.value.hint.startswith("unset DOCKER_DEFAULT_PLATFORM")
