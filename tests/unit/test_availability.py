"""What a host without the official index does about wheels, when it fetches them and when it compiles."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from cresset import host
from cresset.configuration import Configuration, Value
from cresset.errors import CressetError
from cresset.versions import availability
from tests.unit.a_host import HOST

DEFAULTS = {
    "BUILD_IMAGE": "debian:bookworm-slim",
    "BUILD_MODE": "exclude",
    "CA_BUNDLE": "",
    "CUDA_VERSION": "13.0.3",
    "PLAIN_IMAGE": "debian:bookworm-slim",
    "PYTHON_VERSION": "3.12",
    "PYTORCH_FETCH_NIGHTLY": "0",
    "PYTORCH_INDEX_URL": "",
    "PYTORCH_VERSION_TAG": "v2.14.1",
    "TORCHAUDIO_VERSION_TAG": "",
    "TORCHTEXT_VERSION_TAG": "",
    "TORCHVISION_VERSION_TAG": "",
    "USE_CUDA": "0",
    "WHEELHOUSE": "misc/wheelhouse",
}
WHEEL = "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"


def configuration(source: str = "default", **values: str) -> Configuration:
    """Return a configuration of the defaults and of these values, which are from one place."""
    rows = {name: Value(name=name, value=value, source="default", help="") for name, value in DEFAULTS.items()}
    rows |= {name: Value(name=name, value=value, source=source, help="") for name, value in values.items()}
    service = SimpleNamespace(name="cpu")
    return Configuration(service=service, model=None, recipe=None, values=rows)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _with_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every service take the PyTorch of the settings, and the host trust nothing of its own."""
    monkeypatch.setattr(Configuration, "has_torch_by_tag", True)
    monkeypatch.setattr(host, "own_certificates", lambda: "")


@pytest.fixture
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no server answer."""
    monkeypatch.setattr(host, "fetch", lambda *_, **__: None)
    monkeypatch.setattr(host, "answers", lambda *_, **__: False)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, _alone: None) -> list[str]:
    """The files of the wheelhouse, to be filled; no server answers."""
    files: list[str] = []
    monkeypatch.setattr(host, "wheels", lambda _: tuple(files))
    return files


def chosen(resolved: Configuration) -> tuple[dict[str, str], str]:
    choices, warning = availability.choose_wheels(resolved, HOST)
    return {choice.name: choice.value for choice in choices}, warning


def test_without_an_index_the_wheelhouse_decides(house: list[str]) -> None:
    house.append(WHEEL)
    values, warning = chosen(configuration())
    assert (values["PYTORCH_VERSION_TAG"], values["PYTHON_VERSION"]) == ("v2.13.0", "3.11")
    assert values["PLAIN_IMAGE"] == "cresset-base:bookworm"
    assert not warning


def test_without_an_index_and_a_wheel_it_is_said_what_builds_need(house: list[str]) -> None:
    assert not house
    values, warning = chosen(configuration())
    assert "PYTORCH_VERSION_TAG" not in values
    assert "--set WHEELHOUSE=DIR" in warning


def test_to_compile_no_wheel_is_needed_and_what_is_compiled_is_not_changed(house: list[str]) -> None:
    # One that is there is no reason to compile another version either.
    for files in ([], [WHEEL]):
        house[:] = files
        values, warning = chosen(configuration("--set", BUILD_MODE="include", PYTORCH_VERSION_TAG="v2.6.0"))
        assert values == {"PYTHON_VERSION": "3.11", "PLAIN_IMAGE": "cresset-base:bookworm"}
        assert not warning


def test_to_compile_with_a_python_of_ones_own_nothing_is_chosen(house: list[str]) -> None:
    assert not house
    assert chosen(configuration("--set", BUILD_MODE="include", PYTHON_VERSION="3.13")) == ({}, "")


def test_a_version_that_was_asked_for_and_is_not_there_is_refused_where_it_is_fetched(house: list[str]) -> None:
    house.append(WHEEL)
    with pytest.raises(CressetError, match=r"torch v2\.6\.0 for Python 3\.12"):
        chosen(configuration("--set", PYTORCH_VERSION_TAG="v2.6.0", PYTHON_VERSION="3.12"))


@pytest.mark.usefixtures("_alone")
def test_a_nightly_is_left_to_the_build() -> None:
    assert chosen(configuration("--set", PYTORCH_FETCH_NIGHTLY="1")) == ({}, "")


CHOSEN = {
    "PYTORCH_VERSION_TAG": "v2.13.0",
    "TORCHVISION_VERSION_TAG": "v0.28.0",
    "TORCHAUDIO_VERSION_TAG": "v2.11.0",
    "PYTHON_VERSION": "3.11",
}


def test_a_chosen_companion_that_is_not_to_be_had_is_left_out(house: list[str]) -> None:
    house.append(WHEEL)
    choices, warning = chosen(configuration(availability.CHOSEN, **CHOSEN))
    assert {name: choices[name] for name in ("TORCHVISION_VERSION_TAG", "TORCHAUDIO_VERSION_TAG")} == {
        "TORCHVISION_VERSION_TAG": "",
        "TORCHAUDIO_VERSION_TAG": "",
    }
    assert warning == ""


def test_a_chosen_release_that_nobody_can_be_asked_for_is_a_warning_and_stays_whole(house: list[str]) -> None:
    choices, warning = chosen(configuration(availability.CHOSEN, **CHOSEN))
    assert house == []
    assert "does not answer: whether it is to be had there is not known" in warning
    assert choices.keys().isdisjoint(CHOSEN.keys() - {"PYTHON_VERSION"})


def test_a_chosen_release_that_the_index_has_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "answers", lambda *_, **__: True)
    monkeypatch.setattr(host, "wheels", lambda _: ())
    monkeypatch.setattr(host, "fetch", lambda *_, **__: "")
    with pytest.raises(CressetError, match="has none either"):
        chosen(configuration(availability.CHOSEN, **CHOSEN))


def test_a_chosen_python_gives_way_to_that_of_a_base_that_is_made_here(house: list[str]) -> None:
    house.append(WHEEL)
    choices, _ = chosen(configuration(availability.CHOSEN, **{**CHOSEN, "PYTHON_VERSION": "3.13"}))
    assert choices["PYTHON_VERSION"] == "3.11"


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(("torch", "python"), [("v1.12.1", "3.10"), ("v2.15.0", "3.15"), ("v2.4.1", "3.12")])
def test_a_chosen_python_stays_where_that_of_the_base_does_not_go_with_the_pytorch(torch: str, python: str) -> None:
    base = "ubuntu:20.04" if torch == "v2.15.0" else "debian:trixie"
    given = {"PYTORCH_VERSION_TAG": torch, "PYTHON_VERSION": python, "PLAIN_IMAGE": base, "BUILD_IMAGE": base}
    for mode in ("exclude", "include"):
        choices, _ = chosen(configuration(availability.CHOSEN, **given, BUILD_MODE=mode))
        assert "PYTHON_VERSION" not in choices


def test_of_the_pythons_that_go_with_a_pytorch_one_that_there_is_a_wheel_for_is_taken(house: list[str]) -> None:
    given = {"PYTORCH_VERSION_TAG": "v2.1.2", "PYTHON_VERSION": "3.10", "PLAIN_IMAGE": "x:1", "BUILD_IMAGE": "x:noble"}
    house.append("torch-2.1.2+cpu-cp39-cp39-linux_x86_64.whl")
    choices, _ = chosen(configuration(availability.CHOSEN, **given))
    assert choices["PYTHON_VERSION"] == "3.9"
    # Also before that of the base, which no wheel is for.
    choices, _ = chosen(configuration(availability.CHOSEN, **{**given, "BUILD_IMAGE": "x:bookworm"}))
    assert choices["PYTHON_VERSION"] == "3.9"
    house.append("torch-2.1.2+cpu-cp311-cp311-linux_x86_64.whl")
    choices, _ = chosen(configuration(availability.CHOSEN, **{**given, "BUILD_IMAGE": "x:bookworm"}))
    assert choices["PYTHON_VERSION"] == "3.11"


def lacks(**values: str) -> list[tuple[str, bool]]:
    found = availability.find_lacks(configuration(**values), machine="x86_64", seconds=1)
    assert found is not None
    return [(lack.message, lack.is_sure) for lack in found]


def test_what_a_build_will_not_find_is_told_before_it(house: list[str]) -> None:
    house.append(WHEEL)
    assert lacks(PYTORCH_VERSION_TAG="v2.13.0", PYTHON_VERSION="3.11") == []
    ((message, is_sure),) = lacks(PYTORCH_VERSION_TAG="v2.6.0", PYTHON_VERSION="3.11")
    assert message.startswith("torch 2.6.0 for Python 3.11 (cpu, x86_64) is not in misc/wheelhouse, and https://")
    assert message.endswith("/whl/cpu/ does not answer")
    assert not is_sure


@pytest.mark.usefixtures("house")
def test_an_index_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(host, "fetch", lambda url, **_: asked.append(url))
    assert len(lacks(TORCHVISION_VERSION_TAG="v0.29.1", TORCHAUDIO_VERSION_TAG="v2.11.0")) == 3
    assert len(asked) == 1


@pytest.mark.usefixtures("house")
def test_an_index_that_has_none_is_sure_and_one_page_of_links_is_read_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[str] = []

    def page(url: str, **_: object) -> str:
        pages.append(url)
        return '<a href="cpu/torch-1.9.1%2Bcpu-cp39-cp39-linux_x86_64.whl">'

    monkeypatch.setattr(host, "fetch", page)
    assert lacks(PYTORCH_VERSION_TAG="v1.9.1", PYTHON_VERSION="3.9") == []
    ((message, is_sure),) = lacks(PYTORCH_VERSION_TAG="v1.8.2", PYTHON_VERSION="3.9")
    assert message.endswith("/whl/lts/1.8/torch_lts.html has none either")
    ((message, is_sure),) = lacks(PYTORCH_VERSION_TAG="v2.6.0", PYTHON_VERSION="3.9")
    assert is_sure
    assert message.endswith("/whl/cpu/ has none either")
    assert pages == [
        "https://download.pytorch.org/whl/torch_stable.html",
        "https://download.pytorch.org/whl/lts/1.8/torch_lts.html",
        "https://download.pytorch.org/whl/cpu/torch/",
    ]


@pytest.mark.parametrize("given", [{"BUILD_MODE": "include"}, {"PYTORCH_FETCH_NIGHTLY": "1"}])
def test_where_no_wheel_is_looked_for_by_version_none_is_lacking(given: dict[str, str]) -> None:
    assert availability.find_lacks(configuration(**given), machine="x86_64", seconds=1) is None
