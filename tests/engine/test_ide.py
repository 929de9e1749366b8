"""An IDE enters the container that `invoke exec` enters, and what it installs there is the account's own."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cresset import dockerfile
from tests.engine.checkout import ROOT, Checkout, lend_environment, run
from tests.engine.conftest import folder

FILES = sorted(ROOT.glob(".devcontainer/**/devcontainer.json"))


def name(path: Path) -> str:
    return "the default" if path.parent.name == ".devcontainer" else path.parent.name


@pytest.fixture(scope="module")
def model() -> dict[str, Any]:
    """What Compose makes of the repository's own file, without anybody's settings."""
    argv = ["docker", "compose", "--env-file", "/dev/null", "--profile", "*", "config", "--format", "json"]
    whole: dict[str, Any] = json.loads(run(argv, COMPOSE_PROJECT_NAME="cresset").out)
    return whole


def test_the_default_is_the_default_service(model: dict[str, Any]) -> None:
    assert (
        json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())["service"] == model["x-cresset"]["SERVICE"]
    )


def test_each_service_has_one_but_that_which_sees_nothing_of_the_host(model: dict[str, Any]) -> None:
    assert {name(path) for path in FILES} - {"the default"} | {"train"} == set(model["services"]) - {"deploy"}


@pytest.mark.parametrize("path", FILES, ids=name)
def test_it_is_the_service_as_compose_has_it(path: Path, model: dict[str, Any]) -> None:
    said = json.loads(path.read_text())
    service = model["services"][said["service"]]
    assert name(path) in {"the default", said["service"]}
    assert said["name"] == f"Cresset: {said['service']}"
    assert (path.parent / said["dockerComposeFile"]).resolve() == ROOT / "docker-compose.yaml"
    assert said["runServices"] == [said["service"]]
    assert said["workspaceFolder"] == service["working_dir"]
    assert said["workspaceFolder"] in [volume["target"] for volume in service["volumes"]]
    assert said["initializeCommand"] == ["bash", ".devcontainer/start.sh", said["service"]]
    assert (said["overrideCommand"], said["shutdownAction"]) == (False, "none")
    # The image's account has the host's numbers already; a name could only be that of one person.
    assert said["updateRemoteUserUID"] is False
    assert "remoteUser" not in said
    recipe = dockerfile.parse((ROOT / service["build"].get("dockerfile", "Dockerfile")).read_text(), name="recipe")
    (stage,) = (stage for stage in recipe.stages if stage.name == service["build"]["target"])
    environment = next(instruction.text for instruction in stage.instructions if instruction.keyword == "ENV")
    python = said["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert f"VIRTUAL_ENV={python.removesuffix('/bin/python')}" in environment.split()
    assert python in (ROOT / "docs/ide.md").read_text()


def test_one_for_a_service_of_ones_own_is_made_as_the_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs/ide.md").read_text()
    commands = re.findall(r"^    ((?:mkdir|sed) .*\n)", page, re.MULTILINE)
    shutil.copytree(ROOT / ".devcontainer", tmp_path / ".devcontainer")
    run(["sh", "-euc", "".join(commands)], cwd=tmp_path)
    made, like = (
        json.loads((tmp_path / f".devcontainer/{name}/devcontainer.json").read_text()) for name in ("board", "cpu")
    )
    assert made == {
        **like,
        "name": "Cresset: board",
        "service": "board",
        "runServices": ["board"],
        "initializeCommand": ["bash", ".devcontainer/start.sh", "board"],
    }


@pytest.fixture(scope="module")
def fresh(base: str, built: Checkout) -> Iterator[Checkout]:
    """A clone in which nobody has done anything yet; what is passed to it is what a host would be seen to have."""
    assert built.image
    own = {"PLAIN_IMAGE": base, "IMAGE_NAME": f"cresset:test-{uuid.uuid4().hex[:8]}", "SERVICE": "cpu"}
    account = {"UID": "4321", "GID": "4321", "USR": "nick", "GRP": "nick", "ADD_USER": "include"}
    checkout = Checkout(path=folder(), extra={**own, **account})
    lend_environment(checkout.path)
    yield checkout
    checkout.remove()


def start(checkout: Checkout, service: str = "cpu", *, check: bool = True) -> str:
    """Do what an IDE does on the host before it enters."""
    done = run(["bash", ".devcontainer/start.sh", service], cwd=checkout.path, check=check, **checkout.extra)
    assert check or done.code == 2
    return done.out


def test_a_fresh_clone_gets_its_env_and_its_container(fresh: Checkout) -> None:
    assert "Wrote .env" in start(fresh)
    assert fresh.container()


def test_a_container_that_is_there_is_kept(fresh: Checkout) -> None:
    before = fresh.container()
    fresh.inside("touch /tmp/mine")
    start(fresh)
    fresh.invoke("stop")
    start(fresh)
    assert fresh.container() == before
    fresh.inside("ls /tmp/mine")


def test_the_dev_container_of_another_service_is_not_built_by_mistake(fresh: Checkout) -> None:
    refused = start(fresh, "train", check=False)
    assert "this is the dev container of the service train, and .env says SERVICE=cpu" in refused
    assert "invoke env --update --set SERVICE=train" in refused


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "start.sh: no service is given"),
        ([""], "start.sh: no service is given"),
        (["nope"], "start.sh: there is no service nope; the services are cpu, "),
    ],
)
def test_no_service_or_an_unknown_one_is_one_line(fresh: Checkout, words: list[str], says: str) -> None:
    refused = run(["bash", ".devcontainer/start.sh", *words], cwd=fresh.path, check=False, **fresh.extra)
    assert refused.code == 2
    assert refused.lines[-1].startswith(says)
    assert "SERVICE=" not in refused.out


def test_it_follows_the_service_that_env_names(fresh: Checkout) -> None:
    (command,) = re.findall(r"^    (invoke env --update .*)\n", (ROOT / "docs/ide.md").read_text(), re.MULTILINE)
    image = f"cresset:test-{uuid.uuid4().hex[:8]}"
    own = {key: value for key, value in fresh.extra.items() if key != "SERVICE"}
    other = replace(fresh, service="simple", extra={**own, "IMAGE_NAME": image})
    kept = (fresh.path / ".env").read_text()
    before = fresh.container()
    try:
        other.invoke(*command.split()[1:])
        start(other, "simple")
        assert other.container()
        assert other.inside("command -v python; id -u").lines == ["/opt/simple/bin/python", "4321"]
        assert fresh.container() == before
    finally:
        other.invoke("down", "--service", "simple")
        (fresh.path / ".env").write_text(kept)
        run(["docker", "image", "rm", "--force", image], check=False)


def test_the_tool_of_vs_code_enters_that_container_as_its_account(fresh: Checkout) -> None:
    tool = shutil.which("devcontainer")
    if tool is None:
        pytest.skip("there is no devcontainer here (npm install --global @devcontainers/cli)")
    config = [f"--workspace-folder={fresh.path}", "--config=.devcontainer/cpu/devcontainer.json"]
    came = json.loads(run([tool, "up", *config], cwd=fresh.path, check=True, **fresh.extra).lines[-1])
    assert came["outcome"] == "success"
    assert came["containerId"].startswith(fresh.container())
    assert came["remoteWorkspaceFolder"] == fresh.setting("PROJECT_ROOT")
    entered = [tool, "exec", *config, f"--container-id={came['containerId']}", "bash", "-c"]
    shown = run([*entered, "id -u; pwd; command -v python"], cwd=fresh.path, check=True, **fresh.extra).lines[-3:]
    assert shown == ["4321", fresh.setting("PROJECT_ROOT"), "/opt/venv/bin/python"]


def test_two_projects_at_once_do_not_share_what_an_ide_installs(fresh: Checkout) -> None:
    # One account, one image, two projects.
    other = replace(fresh, extra={**fresh.extra, "COMPOSE_PROJECT_NAME": f"cresset-test-{uuid.uuid4().hex[:8]}"})
    try:
        other.invoke("up")
        for checkout, word in ((fresh, "one"), (other, "two")):
            checkout.inside(f"mkdir -p ~/.vscode-server/bin && echo {word} > ~/.vscode-server/bin/word")
        shown = "cat ~/.vscode-server/bin/word; stat --dereference --format %u ~/.vscode-server"
        assert fresh.inside(shown).lines == ["one", "4321"]
        assert other.inside(shown).lines == ["two", "4321"]
    finally:
        other.compose("down", "--volumes")


def test_pythons_path_is_the_one_that_the_page_names(built: Checkout) -> None:
    path = "/opt/venv/bin/python"
    assert path in (ROOT / "docs/ide.md").read_text()
    assert built.inside(f"{path} -c 'import sys; print(sys.prefix)'").out.strip() == "/opt/venv"
