"""What is made of figures; that they can be measured is tests/engine/test_claims.py."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> Any:
    """The script, which imports a PyTorch that is not here."""
    spec = importlib.util.spec_from_file_location("bench_script", ROOT / "cresset/data/bench.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", types.ModuleType("torch"))
        spec.loader.exec_module(module)
    return module


def figure(mode: str, median: float, low: float, high: float) -> dict[str, Any]:
    return {
        "model": "VGG-19",
        "shape": "64 x 3",
        "mode": mode,
        "median_ms": median,
        "quartiles_ms": [low, high],
        "items_per_s": 64000 / median,
        "memory_gib": None,
    }


def report(*results: dict[str, Any], busy: float | None = 0) -> dict[str, Any]:
    where = {"torch": "2.11.0", "python": "3.12.3", "threads": 4, "processor": "a processor"}
    return {"environment": where, "busy_percent": busy, "results": list(results), "skipped": []}


def test_a_ratio_says_how_many_times_as_fast(script: Any) -> None:
    mine = figure("fp32", 50, 49, 51)
    assert script.ratio(mine, figure("fp32", 100, 99, 101), quick=False) == "2.00"
    assert script.ratio(mine, figure("fp32", 25, 24, 26), quick=False) == "0.50"
    assert script.ratio(mine, None, quick=False) == ""


def test_what_the_spread_covers_is_no_difference(script: Any) -> None:
    assert script.ratio(figure("fp32", 50, 45, 55), figure("fp32", 52, 48, 60), quick=False) == "~ 1.04"


def test_what_was_measured_quickly_is_none_to_count_on(script: Any) -> None:
    assert script.ratio(figure("fp32", 50, 49, 51), figure("fp32", 100, 99, 101), quick=True) == "~ 2.00"


def test_a_table_has_a_column_for_the_other_environment_only_where_there_is_one(script: Any) -> None:
    mine = report(figure("fp32", 50, 49, 51), figure("TF32", 10, 9, 11))
    there = report(figure("fp32", 100, 99, 101))
    assert script.rows(mine, None)[0][-1] == "GiB"
    assert [row[-1] for row in script.rows(mine, there)] == ["times as fast as there", "2.00", ""]
    assert "| VGG-19 | 64 x 3 | fp32 | 50.00 | 49.00 - 51.00 | 1280.0 |  | 2.00 |" in script.text(
        mine, there, markdown=True
    )


@pytest.mark.parametrize(
    ("busy", "says"), [(None, "cannot be asked"), (0, "idle (0 %)"), (9.9, "idle"), (10, "busy with other work (10 %)")]
)
def test_a_report_says_whether_the_device_had_other_work(script: Any, busy: float | None, says: str) -> None:
    assert says in script.text(report(busy=busy), None, markdown=False)


def test_without_convolutions_cudnn_has_nothing_to_choose(script: Any) -> None:
    transformer, network = (script.Case(name, "", 1, None) for name in ("Transformer", "VGG-19"))
    assert sum(script.concerns(mode, transformer) for mode in script.MODES) == 4
    assert all(script.concerns(mode, network) for mode in script.MODES)
