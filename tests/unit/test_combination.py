"""What the tables say of a combination."""

from __future__ import annotations

from pathlib import Path

import pytest

from cresset import dockerfile
from cresset.versions import combination, compat
from cresset.versions.compat import Tables

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "cresset" / "data" / "compat.yaml").read_text()
TABLES = compat.read(TEXT)
DEFAULTS = dockerfile.global_values(dockerfile.parse((ROOT / "Dockerfile").read_text()), {})
OWN = """
releases:
  - {torch: 2.99.0, vision: 0.99.0, audio: 2.11.0, text: '', python: [3.11, 3.20], cuda: [cu140]}
"""


def judge(values: dict[str, str], tables: Tables = TABLES) -> dict[str, combination.Verdict]:
    """Return the verdicts by check; of several of one check, the worst."""
    found: dict[str, combination.Verdict] = {}
    rank = ["supported", "unknown", "known bad"]
    for verdict in combination.judge(tables, {**DEFAULTS, **values}):
        former = found.get(verdict.check, verdict)
        found[verdict.check] = max(former, verdict, key=lambda one: rank.index(one.status))
    return found


def test_the_defaults_are_supported() -> None:
    assert {verdict.status for verdict in judge({}).values()} == {"supported"}


@pytest.mark.parametrize(
    ("values", "check", "hint"),
    [
        ({"PYTHON_VERSION": "3.9"}, "torch-python", "3.10 to 3.14"),
        ({"PYTHON_VERSION": "3.15.1"}, "torch-python", "3.10 to 3.14"),
        ({"PYTORCH_VERSION_TAG": "v2.5.1", "PYTHON_VERSION": "3.14"}, "torch-python", "3.9 to 3.12"),
        ({"TORCHVISION_VERSION_TAG": "v0.20.1"}, "companions", "TORCHVISION_VERSION_TAG to v0.29.1"),
        ({"TORCHAUDIO_VERSION_TAG": "2.10.0"}, "companions", "TORCHAUDIO_VERSION_TAG to v2.11.0"),
        ({"TORCHTEXT_VERSION_TAG": "v0.18.0"}, "companions", "leave TORCHTEXT_VERSION_TAG empty"),
        ({"CUDA_VERSION": "12.4.1"}, "torch-cuda", "CUDA_VERSION of 12.6.3, 13.0.3 or 13.2.1,"),
        ({"BUILD_MODE": "include", "CUDA_VERSION": "11.8.0", "CCA": "8.6"}, "toolkit-torch", "12.6 or newer"),
        ({"BUILD_MODE": "include", "CCA": "7.0 8.6"}, "toolkit-arch", "take it out of CCA"),
        ({"BUILD_MODE": "include", "CCA": "5.0", "PYTORCH_VERSION_TAG": "main"}, "toolkit-arch", "out of CCA"),
        ({"BUILD_MODE": "include", "CCA": "5.0", "PYTORCH_VERSION_TAG": "v2.99.0"}, "toolkit-arch", "out of CCA"),
        ({"BUILD_MODE": "include", "CCA": "5.0", "PYTORCH_VERSION_TAG": "v2.14.0-rc1"}, "toolkit-arch", "out of CCA"),
        ({"PYTHON_VERSION": "3.9", "PYTORCH_VERSION_TAG": "v2.14.1+cu130"}, "torch-python", "3.10 to 3.14"),
        ({"PYTORCH_VERSION_TAG": "v2.14.1+cu126"}, "torch-cuda", "leave +cu126 out, or set CUDA_VERSION to 12.6.3"),
        ({"TORCHVISION_VERSION_TAG": "v0.29.1+cpu"}, "torch-cuda", "leave +cpu out"),
        ({"PYTORCH_VERSION_TAG": "v2.14.1+cu130", "USE_CUDA": "0"}, "torch-cuda", "leave +cu130 out"),
        ({"BUILD_MODE": "include", "CUDA_VERSION": "10.0", "CCA": "8.9"}, "toolkit-arch", "another CUDA_VERSION"),
        ({"BUILD_MODE": "include", "CUDA_VERSION": "9.2", "CCA": "7.5"}, "toolkit-arch", "another CUDA_VERSION"),
        (
            {"BUILD_MODE": "include", "CUDA_VERSION": "12.6.3", "CCA": "8.6 10.0+PTX"},
            "toolkit-arch",
            "take it out of CCA",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(f"{k}={v}" for k, v in value.items()),
)
def test_what_is_known_to_fail_is_refused_with_what_to_set(values: dict[str, str], check: str, hint: str) -> None:
    verdict = judge(values)[check]
    assert verdict.status == "known bad"
    assert hint in verdict.hint
    assert "cresset/data/compat.yaml" in verdict.source


@pytest.mark.parametrize(
    ("values", "check"),
    [
        ({"PYTORCH_VERSION_TAG": "v2.99.0"}, "torch"),
        ({"PYTORCH_VERSION_TAG": "main"}, "torch"),
        ({"PYTORCH_VERSION_TAG": "v2.5.1", "PYTHON_VERSION": "3.13"}, "torch-python"),
        ({"PYTORCH_VERSION_TAG": "v1.13.0", "PYTHON_VERSION": "3.11.4"}, "torch-python"),
        ({"PYTORCH_VERSION_TAG": "2.15.0.dev20261101"}, "torch"),
        ({"TORCHVISION_VERSION_TAG": "v0.99.0"}, "companions"),
        # The table's cell is unconfirmed: it may well exist.
        ({"PYTORCH_VERSION_TAG": "v1.9.1", "CUDA_VERSION": "11.3.1"}, "torch-cuda"),
        ({"BUILD_MODE": "include", "CUDA_VERSION": "14.0.0", "CCA": "8.6"}, "toolkit-arch"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(f"{k}={v}" for k, v in value.items()),
)
def test_what_the_tables_lack_is_unknown_and_not_refused(values: dict[str, str], check: str) -> None:
    assert judge(values)[check].status == "unknown"


@pytest.mark.parametrize(
    "values",
    [
        {"PYTORCH_VERSION_TAG": "v2.14.1+cu130"},
        {"PYTORCH_VERSION_TAG": "v2.14.1+cpu", "USE_CUDA": "0"},
        {"PYTORCH_VERSION_TAG": "v2.14.1+cu126", "PYTORCH_INDEX_URL": "https://example.org/whl"},
        {"PYTORCH_VERSION_TAG": "v2.14.1+mine"},
    ],
)
def test_a_label_that_is_that_of_the_settings_or_of_ones_own_wheels_is_well(values: dict[str, str]) -> None:
    assert {one.status for one in judge(values).values()} == {"supported"}


def test_a_companion_without_a_pin_serves_later_releases() -> None:
    later = {
        "PYTORCH_VERSION_TAG": "v2.15.0",
        "TORCHVISION_VERSION_TAG": "v0.29.1",
        "TORCHAUDIO_VERSION_TAG": "v2.11.0",
    }
    assert judge(later)["companions"].status == "supported"


@pytest.mark.parametrize(
    ("torch", "vision", "status"),
    [
        ("1.10.0", "0.11.0", "supported"),
        ("1.10.0", "0.11.1", "supported"),
        ("1.10.1", "0.11.0", "known bad"),
        ("1.7.0", "0.8.0", "supported"),
        ("1.7.1", "0.8.0", "known bad"),
    ],
)
def test_each_companion_that_pytorch_names_with_a_release_goes_with_it(torch: str, vision: str, status: str) -> None:
    tags = {"PYTORCH_VERSION_TAG": f"v{torch}", "TORCHVISION_VERSION_TAG": f"v{vision}", "TORCHAUDIO_VERSION_TAG": ""}
    assert judge(tags)["companions"].status == status


def test_without_cuda_no_toolkit_counts() -> None:
    assert judge({"USE_CUDA": "0", "CUDA_VERSION": "9.2.1"}).keys() == {"torch-python", "companions"}


def test_an_index_or_a_nightly_of_ones_own_has_its_own_wheels() -> None:
    assert "torch-cuda" not in judge({"CUDA_VERSION": "12.4.1", "PYTORCH_INDEX_URL": "https://example.org/whl"})
    assert "torch-cuda" not in judge({"CUDA_VERSION": "12.4.1", "PYTORCH_FETCH_NIGHTLY": "1"})


@pytest.mark.parametrize(
    ("compiled", "gpu", "runs"),
    [
        ("8.6", "8.6", True),
        ("8.6", "8.9", True),
        ("8.9", "8.6", False),
        ("9.0", "10.0", False),
        ("9.0+PTX", "10.0", True),
        ("7.5;8.0 8.6+PTX", "12.0", True),
        ("9.0a", "9.0", True),
        ("10.0a", "10.3", False),
    ],
)
def test_code_runs_on_the_same_major_and_no_lower_minor_and_ptx_on_what_is_newer(
    compiled: str, gpu: str, *, runs: bool
) -> None:
    assert combination.covers(compiled, gpu) == runs


@pytest.mark.parametrize(
    ("cuda", "gpu", "is_out"),
    [
        ("12.6.3", "12.0", True),
        ("12.8.1", "12.0", False),
        ("12.8.1", "12.1", False),  # code for 12.0 runs there
        ("12.8.1", "11.0", True),
        ("12.6.3", "5.2", False),
        ("12.6.3", "3.7", True),
        ("11.0.3", "8.6", False),
        ("11.7.1", "9.0", True),
        ("12.6.3", "9.0", False),
        ("13.0.3", "13.7", True),
        ("14.0.0", "13.7", False),  # nobody knows that CUDA
        ("10.1", "8.9", True),
        ("10.1", "7.5", False),
        ("9.2", "7.5", False),  # code for 7.0 runs there
        ("9.2", "9.0", True),
        ("10.0", "8.0", True),  # without a row, but older than the first that does
        ("10.0", "7.5", False),
        ("9.0", "7.5", False),
    ],
)
def test_what_no_code_of_a_cuda_can_run_on(cuda: str, gpu: str, *, is_out: bool) -> None:
    assert combination.is_beyond(TABLES, cuda, gpu) == is_out


@pytest.mark.parametrize(("words", "said"), [(["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c")])
def test_words_to_choose_from(words: list[str], said: str) -> None:
    assert combination.either(words) == said


def test_ones_own_rows_add() -> None:
    tables = compat.read(TEXT, OWN)
    values = {"PYTORCH_VERSION_TAG": "2.99.0", "TORCHVISION_VERSION_TAG": "0.99.0", "CUDA_VERSION": "14.0.1"}
    assert {verdict.status for verdict in judge(values, tables).values()} == {"supported"}
