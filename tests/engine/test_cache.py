"""An edit executes the steps that read it and what stands on them, and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.checkout import Checkout, run

READS_REQUIREMENTS = {"requirements 1/1"}
FROM_USER_ON = {"train-user-include 1/1", "check-user 1/1", *(f"train {number}/4" for number in range(1, 5))}
FROM_PIP_ON = {"train-env 2/2", "check-env 1/1"} | FROM_USER_ON
FROM_APT_ON = {"pick-packages 1/1", "train-base 1/1", "train-env 1/2"} | FROM_PIP_ON


@pytest.fixture(scope="module")
def executed_once(clone: Callable[[], Checkout], unseen_base: str, light_wheels: Path) -> Checkout:
    """A checkout whose every step was executed: of one that was found cached, the content may have been pruned."""
    checkout = clone()
    checkout.set(PLAIN_IMAGE=unseen_base, WHEELHOUSE=str(light_wheels))
    checkout.invoke("build")
    return checkout


@pytest.fixture
def edited(executed_once: Checkout) -> Iterator[Checkout]:
    """That checkout; its requirement files and settings are put back afterwards."""
    checkout = executed_once
    kept = {path: path.read_text() for path in [*(checkout.path / "reqs").glob("*.txt"), checkout.path / ".env"]}
    yield checkout
    for path, text in kept.items():
        path.write_text(text)
    checkout.invoke("build-only")


def test_a_pip_line_runs_what_stands_on_it_and_downloads_one_package(edited: Checkout) -> None:
    edited.edit("reqs/pip-train.requirements.txt", f"einops  # {uuid.uuid4()}, or an earlier run's build would do")
    edited.invoke("build-only")
    assert set(edited.executed()) <= READS_REQUIREMENTS | FROM_PIP_ON
    assert "train-env 2/2" in edited.executed()
    log = edited.step_log()
    assert "+ einops==" in log
    # Everything is installed anew into the fresh layer, but only one package has to be fetched for it.
    assert "Downloading" not in log.replace("Downloading einops", "")
    edited.invoke("up")
    edited.inside("python -c 'import einops, torch'")


def test_an_apt_line_runs_no_step_of_the_environment(edited: Checkout) -> None:
    path = edited.path / "reqs" / "apt-train.requirements.txt"
    path.write_text("\ufeffgit\r\n" + path.read_text())  # the mark that Windows editors begin with
    edited.edit("reqs/apt-train.requirements.txt", f"  file   # what is {uuid.uuid4()}?\r\n\r\n# a comment\r")
    edited.invoke("build-only")
    assert set(edited.executed()) <= READS_REQUIREMENTS | FROM_APT_ON
    assert "train-base 1/1" in edited.executed()
    edited.invoke("up")
    edited.inside("file --version")


@pytest.mark.parametrize(
    "values",
    [{"UID": "54321", "GID": "54321"}, {"USR": "someone", "GRP": "else"}],
    ids=["number", "name"],
)
def test_who_runs_nothing_before_the_user(edited: Checkout, values: dict[str, str]) -> None:
    edited.set(**values)
    edited.invoke("build-only")
    assert set(edited.executed()) <= FROM_USER_ON
    run(["docker", "image", "rm", edited.image])


def test_the_time_zone_holds_inside_and_runs_the_last_stage_only(edited: Checkout) -> None:
    edited.set(TZ="Asia/Seoul")
    edited.invoke("build")
    assert {step.split()[0] for step in edited.executed()} <= {"train"}
    assert edited.inside("date +%Z").out.strip() == "KST"


def test_another_wheel_in_the_wheelhouse_runs_only_the_step_that_picks(edited: Checkout, tmp_path: Path) -> None:
    house = Path(edited.setting("WHEELHOUSE"))
    run(["cp", *map(str, house.glob("*.whl")), str(tmp_path)])
    (tmp_path / "other-1.0-py3-none-any.whl").write_text("not asked for")
    edited.set(WHEELHOUSE=str(tmp_path))
    edited.invoke("build-only")
    assert set(edited.executed()) <= {"pick-wheels 1/1"}


def test_a_large_user_number_costs_nothing(edited: Checkout) -> None:
    def size() -> int:
        return int(run(["docker", "image", "inspect", "--format", "{{.Size}}", edited.image]).out)

    edited.invoke("build-only")
    ordinary = size()
    edited.set(UID="3000000001", GID="3000000001", USR="large", GRP="large")
    edited.invoke("build")
    assert edited.inside("id --user").out.strip() == "3000000001"
    assert abs(size() - ordinary) < 1_000_000
    edited.invoke("down")
    run(["docker", "image", "rm", edited.image])


def test_root_instead_of_a_user(edited: Checkout) -> None:
    edited.set(ADD_USER="exclude")
    edited.invoke("build")
    assert "train-user-include 1/1" not in edited.executed()
    assert edited.inside("id --user").out.strip() == "0"
    edited.inside("python -c 'import torch'")
