"""What docs/adopt.md says is done as it is written there; where it names a checkout, it is one of these tests."""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.checkout import ROOT, Checkout, Result, lend_environment, run
from tests.engine.conftest import folder

PAGE = (ROOT / "docs/adopt.md").read_text()
# What a host has to be told of besides, where it reaches no registry and no index.
HOSTS = ("PLAIN_IMAGE", "WHEELHOUSE", "CA_BUNDLE", "DEB_NEW", "PYTHON_VERSION", "INDEX_URL", "PYTORCH_VERSION_TAG")
NEXT_STAGE = "\n\n\n"
COMPANIONS = ("TORCHVISION_VERSION_TAG", "TORCHAUDIO_VERSION_TAG", "TORCHTEXT_VERSION_TAG")


def blocks(title: str, kind: str = "sh") -> list[str]:
    """Return the blocks of one kind in a section of the page."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{kind}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder with a clone `cresset` and a project `my-project`, and what its host is to be seen to have."""

    path: Path
    environment: dict[str, str]

    def run(self, text: str, *, at: str = ".") -> Result:
        # The tasks are at hand as after `source .venv/bin/activate`; what setup would install is there.
        tasks = f"PATH={Path(sys.executable).parent}:$PATH\n"
        return run(["bash", "-euc", tasks + text], cwd=self.path / at, check=True, **self.environment)

    def checkout(self, name: str) -> Checkout:
        return Checkout(path=self.path / name, extra=self.environment)


@pytest.fixture(scope="module")
def host(built: Checkout) -> dict[str, str]:
    rows = json.loads(built.invoke("config", "--json").out)
    return {row["name"]: row["value"] for row in rows if row["name"] in {*HOSTS, *COMPANIONS}}


@pytest.fixture
def place(host: dict[str, str], tmp_path: Path) -> Iterator[Place]:
    clone = folder()
    clone.rename(tmp_path / "cresset")
    lend_environment(tmp_path / "cresset")
    (tmp_path / "my-project").mkdir()
    (tmp_path / "my-project/mine.py").write_text("print('mine')\n")
    name = f"cresset-test-{uuid.uuid4().hex[:8]}"
    own = {"IMAGE_NAME": f"cresset:{name}", "COMPOSE_PROJECT_NAME": name, "SERVICE": "cpu", "COMPOSE_PROFILES": "cpu"}
    yield Place(path=tmp_path, environment={**host, **own, "CRESSET": str(tmp_path / "cresset")})
    run(["docker", "compose", "--project-name", name, "down", "--volumes"], cwd=tmp_path / "cresset", check=False)
    run(["docker", "image", "rm", "--force", own["IMAGE_NAME"]], check=False)
    run(["docker", "image", "prune", "--force", "--filter", f"label=com.docker.compose.project={name}"], check=False)


def test_a_project_that_stays_where_it_is(place: Place) -> None:
    (block,) = blocks("Leave the project where it is")
    assert place.run(block).lines[-1] == "mine.py"


def test_inside_the_project(place: Place) -> None:
    (block,) = blocks("Put it into the project")
    commit = "git init -q && git add --all && git -c user.name=a -c user.email=a@b commit -qm 1"
    place.run(commit, at="cresset")
    # Setup would make another environment for another clone, which takes its time: it is lent this one in between.
    before, after = block.split("cd docker\n")
    place.run(before)
    lend_environment(place.path / "my-project/docker")
    place.run(after, at="my-project/docker")
    checkout = place.checkout("my-project/docker")
    assert checkout.inside("python mine.py; ls").lines == ["mine", "docker", "mine.py"]
    # From any folder, as a module and as a program.
    program = place.path / "my-project/mine-too"
    program.write_text("#!/usr/bin/env python\nimport mine\n")
    program.chmod(0o755)
    assert checkout.inside("cd / && python -m mine && mine-too").lines == ["mine", "mine"]


def test_the_recipe_alone(place: Place) -> None:
    copy, start = blocks("Take the recipe alone")
    place.run(copy)
    assert sorted(path.name for path in (place.path / "my-project").iterdir()) == sorted(
        [".dockerignore", "Dockerfile", "docker-compose.yaml", "mine.py", "misc", "reqs"]
    )
    assert place.run(start).lines[-1].startswith(place.environment["PYTORCH_VERSION_TAG"].removeprefix("v"))
    env = (place.path / "my-project/.env").read_text()
    assert f"UID={run(['id', '-u']).out}" in env


def test_a_layer_with_a_private_package(place: Place) -> None:
    clone = place.path / "cresset"
    let_in, rest = blocks("Add a build layer")
    (step,) = blocks("Add a build layer", "dockerfile")
    (clone / "private").mkdir()
    project = '[project]\nname = "sauce"\nversion = "1"\n[tool.setuptools]\npy-modules = ["sauce"]\n'
    (clone / "private/pyproject.toml").write_text(project)
    (clone / "private/sauce.py").write_text("secret = 'first'\n")
    recipe = (clone / "Dockerfile").read_text()
    before, after = recipe.split(" AS train-env\n")
    longer = after.replace(NEXT_STAGE, "\n" + step + NEXT_STAGE, 1)
    (clone / "Dockerfile").write_text(f"{before} AS train-env\n{longer}")
    checkout = place.checkout("cresset")
    checkout.invoke("env")
    place.run(let_in, at="cresset")
    place.run(rest, at="cresset")
    shown = "cd / && python -c 'import sauce; print(sauce.secret)'"
    assert checkout.inside(shown).out == "first\n"
    # No earlier run of this test has built that.
    (clone / "private/sauce.py").write_text(f"secret = 'second'  # {uuid.uuid4()}\n")
    checkout.invoke("build")
    assert checkout.inside(shown).out == "second\n"
    executed = checkout.executed()
    assert "train-env 3/3" in executed
    assert not [name for name in executed if name.startswith(("make-env", "train-base", "train-env 1", "train-env 2"))]
    checkout.inside("! ls /run/private")
    checkout.inside("pip uninstall --yes --quiet sauce")
