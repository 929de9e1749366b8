from __future__ import annotations

import json
from typing import Any

import pytest

from cresset import bake, compose
from cresset.errors import CressetError

MODEL = compose.Model(
    project="demo",
    services={},
    secrets={"ca": {"file": "/etc/ca.crt"}, "odd": {"file": '/a,b"c'}, "index_url": {"environment": "INDEX_URL"}},
    settings={"INDEX_URL": "https://me:secret@example.org/simple"},
)
TARGET = {"context", "dockerfile", "target", "args", "contexts", "secret", "tags", "labels", "output"}
BUILD = {
    "context": "/x",
    "dockerfile": "Dockerfile",
    "target": "train",
    "args": {"TZ": None, "GRP": "a${b}%{c}$d"},
    "additional_contexts": {"wheelhouse": "/wheels"},
    "secrets": [{"source": "ca"}, {"source": "odd"}, {"source": "index_url"}],
}


@pytest.fixture
def target() -> Any:
    service = compose.Service(name="cpu", image="cresset:cpu-me", build=BUILD)
    return json.loads(bake.define(MODEL, service, bake.product_of(service), compose_version="2.26.1"))["target"]["cpu"]


def test_a_target_is_what_compose_would_build(target: Any) -> None:
    assert target["context"] == "/x"
    assert target["target"] == "train"
    assert target["contexts"] == {"wheelhouse": "/wheels"}
    assert target["tags"] == ["cresset:cpu-me"]


def test_it_has_composes_labels_so_that_up_keeps_the_container(target: Any) -> None:
    assert target["labels"] == {
        "com.docker.compose.project": "demo",
        "com.docker.compose.service": "cpu",
        "com.docker.compose.version": "2.26.1",
    }


def test_an_unset_argument_is_not_passed_and_nothing_is_expanded_by_bake(target: Any) -> None:
    assert target["args"] == {"GRP": "a$${b}%%{c}$d"}


def test_secrets_are_files_and_variables_quoted_as_csv(target: Any) -> None:
    assert target["secret"] == ["id=ca,src=/etc/ca.crt", 'id=odd,"src=/a,b""c"', "id=index_url,env=INDEX_URL"]


def test_no_secrets_value_is_in_the_definition(target: Any) -> None:
    assert "secret@" not in json.dumps(target)
    assert bake.secret_values(MODEL) == {"INDEX_URL": "https://me:secret@example.org/simple"}


def test_what_a_person_adds_to_the_build_is_passed_on() -> None:
    added = {
        "shm_size": "268435456",
        "no_cache": True,
        "pull": True,
        "platforms": ["linux/amd64"],
        "cache_from": ["type=local,src=/cache"],
        "cache_to": ["type=local,dest=/cache"],
        "ssh": ["default"],
        "ulimits": {"nofile": {"soft": 10, "hard": 20}, "nproc": 30},
        "tags": ["mine:1"],
        "labels": {"a": "b"},
        "network": "default",
        "privileged": False,
        "x-mine": 1,
    }
    service = compose.Service(name="cpu", image="cresset:cpu-me", build={**BUILD, **added})
    bake.check(service)
    product = bake.product_of(service)
    target = json.loads(bake.define(MODEL, service, product, compose_version="2.26.1"))["target"]["cpu"]
    assert target["tags"] == ["cresset:cpu-me", "mine:1"]
    assert target["labels"]["a"] == "b"
    assert {name: target[name] for name in target if name not in TARGET} == {
        "shm-size": "268435456",
        "no-cache": True,
        "pull": True,
        "platforms": ["linux/amd64"],
        "cache-from": ["type=local,src=/cache"],
        "cache-to": ["type=local,dest=/cache"],
        "ssh": ["default"],
        "ulimits": ["nofile=10:20", "nproc=30"],
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("network", "host"),
        ("extra_hosts", {"mirror": ["10.0.0.1"]}),
        ("dockerfile_inline", "FROM scratch"),
        ("privileged", True),
        ("entitlements", ["network.host"]),
    ],
)
def test_what_cannot_be_passed_on_is_refused(name: str, value: object) -> None:
    service = compose.Service(name="cpu", image="cresset:cpu-me", build={**BUILD, "shm_size": "1", name: value})
    with pytest.raises(CressetError, match=rf"build\.{name}, ") as caught:
        bake.check(service)
    assert caught.value.hint.endswith("docker compose --profile cpu build cpu")
