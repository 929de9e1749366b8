from __future__ import annotations

import io
import socket

import pytest
from rich.console import Console

from cresset import dockerfile, jupyter
from cresset.compose import Model, Service
from cresset.configuration import Configuration
from cresset.engine import Engine
from cresset.errors import CressetError


def resolved(target: str) -> Configuration:
    service = Service(name="cpu", image="x", build={"target": target})
    model = Model(project="x", services={"cpu": service}, secrets={}, settings={})
    return Configuration(service=service, model=model, recipe=dockerfile.parse("FROM x\n"), values={})


@pytest.mark.parametrize(
    ("target", "said", "want"),
    [
        ("train", "none", "add the line jupyterlab to reqs/pip-train.requirements.txt, then: invoke build"),
        ("build-base", "none", "install it there: invoke exec --command 'pip install jupyterlab'"),
        ("train", "", "see what it said; try it inside: invoke exec --command 'jupyter lab'"),
    ],
    ids=["a requirement file", "none", "another failure"],
)
def test_without_jupyterlab_there_is_a_way(target: str, said: str, want: str) -> None:
    assert jupyter._refusal(resolved(target), said).hint == want


def test_a_port_that_there_is_not_is_no_port_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(port: int) -> None:
        jupyter.serve(resolved("train"), Engine(dry_run=True), port=port, console=Console(file=io.StringIO()))

    with pytest.raises(CressetError, match="--port 65536: there is no such port"):
        serve(65536)
    serve(65535)

    def refuse(_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(CressetError, match="--port 80: it is taken, or not for this account"):
        jupyter._listen(80)


def test_a_dry_run_prints_what_can_be_typed(capsys: pytest.CaptureFixture[str]) -> None:
    jupyter.serve(resolved("train"), Engine(dry_run=True), port=0, console=Console())
    assert capsys.readouterr().out.startswith("docker compose exec --no-TTY --env JUPYTER_TOKEN cpu python3 -c ")
