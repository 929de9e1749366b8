"""A file of configurations, and their builds side by side."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from cresset import matrix
from cresset.errors import CressetError
from cresset.matrix import Case
from cresset.screen.progress import Outcome

DONE = Outcome(exit_code=0, seconds=1.0, executed=(), cached=3, failed=None, error="", lines=())


def console() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=100), text


def test_a_configuration_is_a_name_and_settings_as_they_are_written() -> None:
    text = "- {name: Old, PYTORCH_VERSION_TAG: v2.6.0, PYTHON_VERSION: 3.10}"
    old, new = matrix.read(f"{text}\n- {{name: new, service: cpu, IMAGE_NAME: x:1}}\n", "file")
    # No number is read into 3.10.
    wanted = {"IMAGE_NAME": "cresset:old", "PYTORCH_VERSION_TAG": "v2.6.0", "PYTHON_VERSION": "3.10"}
    assert old == Case(name="Old", overrides=wanted)
    assert new == Case(name="new", service="cpu", overrides={"IMAGE_NAME": "x:1"})


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        (None, "file is not there", "name a file"),
        ("", "file is no list of configurations", "write it like"),
        ("{name: a}", "file is no list of configurations", "write it like"),
        ("[]", "file is no list of configurations", "write it like"),
        ("- [", "file is no YAML", "write it like"),
        ("- a", "file, configuration 1: it is no mapping of settings", "write it like"),
        ("- {name: a}\n- {name: b, CCA: [8.6]}", "file, configuration 2: it is no mapping", "write it like"),
        ("- {CCA: 8.6}", "file, configuration 1: its name '' is not", "letters"),
        ("- {name: a b}", "file, configuration 1: its name 'a b' is not", "letters"),
        ("- {name: a, CUDA_VERISON: 13.0.3}", "file, configuration 1: there is no setting", "mean CUDA_VERSION?"),
        ("- {name: a, TORCH_URL: x}", "file, configuration 1: TORCH_URL is an old name", "write PYTORCH_URL"),
        ("- {name: a, CCA: Ampere}", "CCA (from file, configuration 1): 'Ampere' is not", "write 8.6"),
        ("- {name: a}\n- {name: A}", "file: two configurations make the image cresset:a", "a name of its own"),
        ("- {name: a, IMAGE_NAME: 'x:1'}\n- {name: a}", "file: two configurations are called a", "a name of its own"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_before_anything_is_built(text: str | None, says: str, hint: str) -> None:
    with pytest.raises(CressetError) as refusal:
        matrix.read(text, "file")
    assert str(refusal.value).startswith(says)
    assert hint in refusal.value.hint


def test_one_that_fails_does_not_stop_the_others_and_all_are_in_the_order_of_the_file() -> None:
    cases = [Case(name=name, overrides={"IMAGE_NAME": f"cresset:{name}"}) for name in ("a", "b", "c")]

    def build(case: Case) -> Outcome | None:
        if case.name == "a":
            raise CressetError("no wheel", "choose another")
        return DONE if case.name == "b" else None

    shown, text = console()
    results = matrix.run(cases, build, console=shown, at_once=1)
    assert [(one.case.name, one.problem, one.outcome) for one in results] == [
        ("a", "no wheel: choose another", None),
        ("b", "", DONE),
        ("c", "", None),
    ]
    with pytest.raises(CressetError, match="1 of 3 configurations failed"):
        matrix.show(results, console=shown)
    lines = [" ".join(line.split()) for line in text.getvalue().splitlines()]
    assert lines[0] == "Building 3 configurations: a, b, c"
    assert any(line.startswith("b cresset:b built") for line in lines)
    assert any(line.startswith("a cresset:a failed") for line in lines)
    assert lines[-1] == "a: no wheel: choose another"


def test_they_are_built_side_by_side() -> None:
    # Each waits for the other.
    meeting = threading.Barrier(2, timeout=10)
    cases = [Case(name=name, overrides={"IMAGE_NAME": name}) for name in ("a", "b")]

    def build(_: Case) -> None:
        meeting.wait()

    results = matrix.run(cases, build, console=console()[0], at_once=2)
    matrix.show(results, console=console()[0])
    assert [one.problem for one in results] == ["", ""]


def test_no_fewer_than_none_are_built_at_a_time() -> None:
    with pytest.raises(CressetError, match="--at-once: -1 is no number of builds"):
        matrix.run([Case(name="a")], lambda _: None, console=console()[0], at_once=-1)
