"""What is made of figures; that they can be measured is tests/engine/test_claims.py."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import statistics
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from cresset import bench
from cresset.errors import CressetError

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


def old_torch(calls: list[str]) -> dict[str, Any]:
    """PyTorch 1.6 as far as it is asked here."""

    class Layer:
        def __init__(self, width: int, heads: int, inner: int) -> None:
            calls.append(f"layer {width} {heads} {inner}")

    class Encoder:
        def __init__(self, layer: Layer, layers: int) -> None:
            calls.append(f"{type(layer).__name__} x {layers}")

    backends = types.SimpleNamespace(cudnn=types.SimpleNamespace(), cuda=types.SimpleNamespace())
    network = types.SimpleNamespace(TransformerEncoderLayer=Layer, TransformerEncoder=Encoder)
    return {"nn": network, "backends": backends, "randn": lambda *shape: shape, "randn_like": lambda data: data}


def test_an_old_pytorch_is_measured_as_far_as_it_goes(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name, value in old_torch(calls).items():
        monkeypatch.setattr(script.torch, name, value, raising=False)
    _, data, _ = script.transformer(width=64, layers=2, batch=3, length=8).make()
    assert (data, calls) == ((8, 3, 64), ["layer 64 1 256", "Layer x 2"])
    with script.computing(script.Mode(name="fp32", benchmark=True), "cuda") as precision, precision, precision:
        assert script.torch.backends.cudnn.benchmark
    for mode, says in (("TF32", "PyTorch 1.7"), ("AMP bf16", "PyTorch 1.10")):
        (asked,) = (one for one in script.MODES if one.name == mode)
        with pytest.raises(RuntimeError, match=says), script.computing(asked, "cuda"):
            pass


def test_a_new_pytorch_gets_all_options(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def encoder(layer: object, layers: int, *, enable_nested_tensor: bool) -> Any:
        return (layer, layers, enable_nested_tensor)

    def layer(width: int, heads: int, inner: int, *, batch_first: bool) -> Any:
        return (width, heads, inner, batch_first)

    new = {**old_torch([]), "nn": types.SimpleNamespace(TransformerEncoderLayer=layer, TransformerEncoder=encoder)}
    new["autocast"] = lambda kind, dtype: contextlib.nullcontext((kind, dtype))
    new["bfloat16"] = "bf16"
    for name, value in new.items():
        monkeypatch.setattr(script.torch, name, value, raising=False)
    model, data, _ = script.transformer(width=64, layers=2, batch=3, length=8).make()
    assert (model, data) == (((64, 1, 256, True), 2, False), (3, 8, 64))
    with script.computing(script.Mode(name="", bf16=True), "cpu") as precision, precision as entered:
        assert entered == ("cpu", "bf16")


@pytest.mark.parametrize("times", [[3.0, 1.0], [5.0, 1.0, 2.0], [4.0, 9.0, 1.0, 7.0], list(map(float, range(50)))])
def test_quartiles_need_no_new_python(script: Any, times: list[float]) -> None:
    assert [script.quartile(times, number) for number in (1, 2, 3)] == pytest.approx(statistics.quantiles(times, n=4))


def test_the_script_is_of_the_oldest_python_that_it_names() -> None:
    text = (ROOT / "cresset/data/bench.py").read_text()
    ast.parse(text, feature_version=(3, 7))
    assert "Python 3.7" in text
    assert "version_info < (3, 7)" in bench._START


def test_where_nothing_could_be_measured_that_is_a_failure(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(script, "device_of", lambda name: name)
    for results in ((), (figure("fp32", 50, 49, 51),)):
        monkeypatch.setattr(script, "run", lambda *_, results=results, **__: report(*results))
        ends = contextlib.nullcontext() if results else pytest.raises(SystemExit, match="nothing could be measured")
        with ends:
            without_cuda(script, monkeypatch, "--json")
        assert json.loads(capsys.readouterr().out)["results"] == list(results)


def without_cuda(script: Any, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    cuda = types.SimpleNamespace(is_available=lambda: False)
    monkeypatch.setattr(script.torch, "cuda", cuda, raising=False)
    monkeypatch.setattr(script.sys, "argv", ["bench.py", *words])
    script.main()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--against", "/nope"), "--against /nope: No such file or directory"),
        (("--read", "/"), "--read /: that is no file"),
        (("--against", "/dev/zero"), "--against /dev/zero: that is no file"),
        (("--device", "banana"), "--device banana: it is cpu, or cuda:0 for the first GPU"),
        (("--device", "cuda:0"), "--device cuda:0: PyTorch sees no GPU here"),
    ],
)
def test_what_cannot_be_measured_or_read_is_one_line(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any, words: tuple[str, ...], says: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        without_cuda(script, monkeypatch, *words)
    assert capsys.readouterr().err == says + "\n"


NO_FIGURES = {
    "no JSON": "{",
    "an endless list": "[" * 100_000,
    "a list": "[]",
    "a number": "1",
    "nothing in it": '{"environment": {}, "results": []}',
    "no word on other work": json.dumps({**report(), "busy_percent": "much"}),
    "another environment": json.dumps({**report(), "environment": {"torch": "2.6.0"}}),
    "results of another kind": json.dumps({**report(), "results": {"a": 1}}),
    "a result of another kind": json.dumps(report({})),
    "three quartiles": json.dumps(report({**figure("fp32", 2, 1, 3), "quartiles_ms": [1, 2, 3]})),
    "one quartile in words": json.dumps(report({**figure("fp32", 2, 1, 3), "quartiles_ms": [1, "2"]})),
    "a median of nothing": json.dumps(report({**figure("fp32", 2, 1, 3), "median_ms": 0})),
    "a median that is no number": json.dumps(report({**figure("fp32", 2, 1, 3), "median_ms": float("nan")})),
    "a mode that is a list": json.dumps(report({**figure("fp32", 2, 1, 3), "mode": []})),
}


@pytest.mark.parametrize("content", NO_FIGURES.values(), ids=NO_FIGURES)
def test_what_are_no_figures_is_refused_before_anything_is_measured(tmp_path: Path, content: str) -> None:
    (tmp_path / "there.json").write_text(content)
    with pytest.raises(CressetError, match="these are no figures") as refused:
        bench._comparable(str(tmp_path / "there.json"))
    assert refused.value.hint == "a file of them is what `invoke bench --json` prints"


@pytest.mark.parametrize("content", [b"\x00\xff\xfe\x80", b"\xff\xfe{\x00", b"\x7fELF\x02\x01\x01\x00"])
def test_a_binary_file_is_not_told_how_to_become_a_text(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "there.json").write_bytes(content)
    with pytest.raises(CressetError, match="these are no figures") as refused:
        bench._comparable(str(tmp_path / "there.json"))
    assert "iconv" not in refused.value.hint


def test_where_nothing_is_shared_that_is_said(script: Any) -> None:
    mine, there = report(figure("fp32", 50, 49, 51)), report({**figure("fp32", 50, 49, 51), "shape": "2 x 3"})
    assert "Nothing to compare" in script.text(mine, there, markdown=False)
    assert "--quick" not in script.text(mine, there, markdown=False)
    assert "--quick" in script.text(mine, {**there, "quick": True}, markdown=False)
    assert "Nothing to compare" not in script.text(mine, mine, markdown=False)
    assert "Nothing to compare" not in script.text(mine, None, markdown=False)


@pytest.mark.parametrize("lacking", ["skipped", "items_per_s", "memory_gib"])
def test_what_lacks_what_a_table_shows_is_refused(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path, lacking: str
) -> None:
    whole = report(figure("fp32", 50, 49, 51))
    (tmp_path / "whole.json").write_text(json.dumps(whole))
    without_cuda(script, monkeypatch, "--read", str(tmp_path / "whole.json"))
    assert "50.00" in capsys.readouterr().out
    rows = [{name: value for name, value in one.items() if name != lacking} for one in whole.pop("results")]
    kept = {**{name: value for name, value in whole.items() if name != lacking}, "results": rows}
    (tmp_path / "less.json").write_text(json.dumps(kept))
    with pytest.raises(SystemExit, match="2"):
        without_cuda(script, monkeypatch, "--read", str(tmp_path / "less.json"))
    assert capsys.readouterr().err.endswith("less.json: these are no figures\n")


@pytest.mark.parametrize(("name", "says"), [("nope", "there is no such file"), ("/dev/zero", "that is no file")])
def test_what_is_no_file_is_said(tmp_path: Path, name: str, says: str) -> None:
    for one in (tmp_path / name, *([tmp_path] if name != "nope" else [])):
        with pytest.raises(CressetError, match=says):
            bench._comparable(str(one))


def test_only_what_is_compared_is_sent(script: Any, tmp_path: Path) -> None:
    there = report(*(figure(f"fp32 {number}", 50, 49, 51) for number in range(900)))
    (tmp_path / "there.json").write_text(json.dumps({**there, "note": "x" * 200_000}))
    sent = json.loads(bench._comparable(str(tmp_path / "there.json")))
    assert script.can_compare(sent)
    assert script.rows(report(figure("fp32 7", 25, 24, 26)), sent)[1][-1] == "2.00"
    (tmp_path / "there.json").write_text(json.dumps(report(*there["results"] * 3)))
    with pytest.raises(CressetError, match="kB of figures, and 128 fit"):
        bench._comparable(str(tmp_path / "there.json"))


def test_what_was_measured_is_shown_even_if_it_cannot_be_compared(script: Any, capsys: Any) -> None:
    shown = script.shown_text(report(figure("fp32", 50, 49, 51)), {"environment": {}}, markdown=False)
    assert "50.00" in shown
    assert "it could not be compared: KeyError" in capsys.readouterr().err


def test_there_is_one_output() -> None:
    nothing: Any = None
    with pytest.raises(CressetError, match="--json and --markdown"):
        bench.measure(nothing, nothing, as_json=True, markdown=True, quick=False, against="")
