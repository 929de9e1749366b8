"""What is foretold of a build is what the engine does, whatever was edited.

CRESSET_EDITS is how many edits are tried, CRESSET_SEED where they begin.
"""

from __future__ import annotations

import collections
import json
import os
import random
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cresset.errors import CressetError
from cresset.foresight import explain
from cresset.foresight.explain import Forecast
from tests.engine.checkout import Checkout, run
from tests.engine.edits import Project, image_of
from tests.engine.recipes import all_recipes
from tests.engine.second_engine import SecondEngine

RECIPES = all_recipes()
EDITS = int(os.environ.get("CRESSET_EDITS", "200"))
SEED = int(os.environ.get("CRESSET_SEED", "1"))


def wrong(forecast: Forecast, executed: dict[tuple[str, int], float]) -> list[str]:
    """Return what came otherwise than was foretold, and what was not foretold at all."""
    known = {(verdict.step.stage, verdict.step.i) for verdict in forecast.verdicts}
    return [*explain.judge(forecast, executed), *(f"{step} was not foretold" for step in executed.keys() - known)]


@pytest.fixture
def own_base(base: str, tmp_path: Path) -> Iterator[str]:
    """A base that no other test builds on: what one of them executed would be cached for the next."""
    name = f"cresset-test-base:{uuid.uuid4().hex[:8]}"
    (tmp_path / "unique").write_text(name)
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nCOPY unique /etc/cresset-test\n")
    run(["docker", "build", "--quiet", "--tag", name, str(tmp_path)])
    yield name
    run(["docker", "image", "rm", "--force", name], check=False)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_edits_at_random_are_foretold(name: str, own_base: str, tmp_path: Path) -> None:
    project = Project(
        recipe=RECIPES[name],
        folder=tmp_path / "project",
        base=image_of(own_base),
        nonce=uuid.uuid4().hex,
        chance=random.Random(f"{SEED} {name}"),  # noqa: S311 - to be repeated, not to be safe
    )
    executed, problem = project.build(project.foretell())
    assert not problem
    assert executed
    counts: collections.Counter[str] = collections.Counter()
    for number in range(-(-EDITS // len(RECIPES))):
        edit = project.edit()
        try:
            forecast = project.foretell()
        except CressetError:  # such a Dockerfile is refused by the engine, too
            project.undo()
            continue
        executed, problem = project.build(forecast)
        if problem:
            project.undo()
            continue
        counts.update(forecast.counts(), edits=1, executed=len(executed))
        assert wrong(forecast, executed) == [], f"edit {number} of {name}, seed {SEED}: {edit}\n{project.now.text}"
    print(json.dumps({"recipe": name, **counts}))


def test_what_may_be_executed_is_where_the_files_differ(own_base: str, tmp_path: Path) -> None:
    base, nonce = image_of(own_base), uuid.uuid4().hex
    for number, (command, runs) in enumerate(
        {"touch /out/wheel /out/other": True, "touch /out/./wheel": False}.items()
    ):
        project = Project(
            recipe=RECIPES["stages"],
            folder=tmp_path / str(number),
            base=base,
            nonce=f"{nonce} {number}",
            chance=random.Random(SEED),  # noqa: S311 - nothing is left to it here
        )
        project.build(project.foretell())
        project.now.text = project.now.text.replace("touch /out/wheel", command)
        project.write()
        forecast = project.foretell()
        executed, _ = project.build(forecast)
        possible = {verdict.step.label for verdict in forecast.verdicts if verdict.state == "MAYBE"}
        assert possible == {"run 3/5", "run 4/5", "run 5/5"}
        assert {("run", 3), ("run", 4), ("run", 5)} & executed.keys() == (
            {("run", i) for i in (3, 4, 5)} if runs else set()
        )


@pytest.fixture(scope="module")
def checkout(clone: Callable[[], Checkout]) -> Checkout:
    made = clone()
    made.invoke("build-only")
    return made


def explained(checkout: Checkout, *words: str, **environment: str) -> list[str]:
    """Return what `invoke explain` says where something would be built."""
    result = checkout.invoke("explain", *words, check=False, **environment)
    assert result.code == 10, result.out
    return result.lines


def test_after_a_build_there_is_nothing_to_do(checkout: Checkout) -> None:
    assert "nothing to do" in checkout.invoke("explain").out


def test_a_forgotten_argument_is_named_with_both_values(checkout: Checkout) -> None:
    lines = explained(checkout, "--set", "PYTORCH_VERSION_TAG=v2.12.0")
    assert "ARG PYTORCH_VERSION_TAG v2.13.0 → v2.12.0, first seen by RUN at line" in "\n".join(lines[:3])


def test_what_is_said_before_a_build_comes_and_is_counted(checkout: Checkout) -> None:
    name = "reqs/pip-train.requirements.txt"
    former = (checkout.path / name).read_text()
    nonce = uuid.uuid4().hex
    checkout.edit(name, f"packaging  # {nonce}")
    try:
        assert f"{name}: +packaging  # {nonce}" in explained(checkout)[1]
        foretold = json.loads(checkout.invoke("explain", "--json", check=False).out)
        said = checkout.invoke("build-only").out
        assert f"{name}: +packaging  # {nonce}" in said
        assert "Not as foretold" not in said
        rebuilt = {f"{one['stage']} {one['step']}" for one in foretold["steps"] if one["verdict"] == "REBUILD"}
        possible = rebuilt | {f"{one['stage']} {one['step']}" for one in foretold["steps"] if one["verdict"] == "MAYBE"}
        assert rebuilt <= set(checkout.executed()) <= possible
        drawn = checkout.invoke("graph", "--timeline", "--format=mermaid").out
        assert sorted(re.findall(r"^  (\S+ \d+/\d+) :", drawn, re.MULTILINE)) == checkout.executed()
        assert "nothing to do" in checkout.invoke("explain").out
        assert ": 0 wrong" in checkout.invoke("explain", "--audit").out
    finally:
        (checkout.path / name).write_text(former)
    assert "nothing to do" in checkout.invoke("explain").out  # as before, and still on record


def test_a_hand_typed_build_is_noticed(checkout: Checkout) -> None:
    name = "reqs/pip-train.requirements.txt"
    former = (checkout.path / name).read_text()
    checkout.edit(name, f"packaging  # {uuid.uuid4()}")
    try:
        checkout.compose("build")
        assert "likely cached" in explained(checkout)[1]
        assert "Not as foretold" not in checkout.invoke("build-only").out
        assert "nothing to do" in checkout.invoke("explain").out
    finally:
        (checkout.path / name).write_text(former)
        checkout.invoke("build-only")


def test_another_stage_can_be_asked_about(checkout: Checkout) -> None:
    assert "nothing to do" in checkout.invoke("explain", "--target", "dist").out
    assert "stage install: " in explained(checkout, "--target", "install")[0]
    assert checkout.invoke("explain", "--target", "none", check=False).code == 2


def test_a_build_is_drawn(checkout: Checkout) -> None:
    stages = checkout.invoke("graph").out
    assert "<title>train: cached; " in stages
    assert "built again" not in stages
    change = ("--set", "PYTORCH_VERSION_TAG=v2.12.0")
    foretold = json.loads(checkout.invoke("explain", "--json", *change, check=False).out)
    pending = {one["stage"] for one in foretold["steps"] if one["verdict"] != "CACHED"}
    text = checkout.invoke("graph", "--format=mermaid", *change).out
    drawn = {*re.findall(r'^  n\d+\["(\S+)<br/>(?:REBUILD|MAYBE), \d+ step', text, re.MULTILINE)}
    assert drawn == pending


def test_without_a_daemon_the_history_answers(checkout: Checkout) -> None:
    path = checkout.path / ".cresset" / "history.jsonl"
    former = path.read_text()
    address = "unix:///nonexistent/docker.sock"
    path.write_text(former.replace('"address":""', f'"address":"{address}"'))
    try:
        assert "nothing to do" in checkout.invoke("explain", DOCKER_HOST=address).out
    finally:
        path.write_text(former)


def test_what_an_interrupted_build_had_done_is_known(checkout: Checkout) -> None:
    """As after `kill -9`: the record of the build ends somewhere, and nothing was added to the history."""
    path = checkout.path / ".cresset" / "history.jsonl"
    records = sorted((checkout.path / ".cresset" / "builds").glob("*.jsonl"))
    former = path.read_text()
    path.unlink()
    for record in records:
        record.write_text(record.read_text().rpartition('{"result"')[0])
    assert "nothing to do" in checkout.invoke("explain").out
    path.write_text(former)


def test_the_history_of_one_builder_says_nothing_of_another(checkout: Checkout, second_engine: SecondEngine) -> None:
    lines = explained(checkout, DOCKER_HOST=second_engine.address)
    assert "no build by this builder is on record" in lines[0]
