from __future__ import annotations

import json
from typing import Any

import pytest

from cresset import bake, compose

MODEL = compose.Model(
    project="demo",
    services={},
    secrets={"ca": {"file": "/etc/ca.crt"}, "odd": {"file": '/a,b"c'}, "index_url": {"environment": "INDEX_URL"}},
    settings={"INDEX_URL": "https://me:secret@example.org/simple"},
)
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
