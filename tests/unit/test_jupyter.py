from __future__ import annotations

import pytest

from cresset import dockerfile, jupyter
from cresset.compose import Model, Service
from cresset.configuration import Configuration


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
    service = Service(name="cpu", image="x", build={"target": target})
    model = Model(project="x", services={"cpu": service}, secrets={}, settings={})
    resolved = Configuration(service=service, model=model, recipe=dockerfile.parse("FROM x\n"), values={})
    assert jupyter._refusal(resolved, said).hint == want
