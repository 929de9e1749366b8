"""What stops a build or a start, and what goes past it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cresset import hardware
from cresset.bake import Product
from cresset.compose import Service
from cresset.configuration import Configuration, Value
from cresset.errors import CressetError
from cresset.hardware import Gpu
from cresset.versions import gate
from tests.unit.a_configuration import RECIPE, gpu, settings
from tests.unit.a_host import HOST

BAD = {"TORCHVISION_VERSION_TAG": "v0.20.1"}
SOURCE = {"BUILD_MODE": "include", "CCA": "8.6"}


@dataclass
class FakeEngine:
    """Knows a few images, and counts how often it is asked."""

    images: tuple[str, ...] = ()
    dry_run: bool = False
    asked: list[str] = field(default_factory=list)

    def labels(self, reference: str) -> dict[str, str] | None:
        self.asked.append(reference)
        return {} if reference in self.images else None


def configuration(given: dict[str, str], sources: dict[str, str] | None = None) -> Configuration:
    rows = {
        name: Value(name=name, value=value, source=(sources or {}).get(name, "default"), help="")
        for name, value in settings(given).items()
    }
    build = {"target": "train", "args": given}
    service = Service(name="train", image="cresset:train", build=build, reserves_gpus=True)
    return Configuration(service=service, model=None, recipe=RECIPE, values=rows)  # type: ignore[arg-type]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[Gpu]:
    """The host's GPUs, to be filled."""
    found: list[Gpu] = []
    monkeypatch.setattr(hardware, "gpus", lambda: (tuple(found), ""))
    monkeypatch.setattr(hardware, "engine_address", lambda: "unix:///var/run/docker.sock")
    return found


def build(
    given: dict[str, str],
    engine: FakeEngine | None = None,
    *,
    force: bool = False,
    quiet: bool = False,
    made: dict[str, str] | None = None,
) -> tuple[list[str], str]:
    """Return what was gone past, and what was said."""
    said, resolved = io.StringIO(), configuration(given)
    console = Console(file=said, width=1000)
    product = Product(name="x", target="train", arguments=made or {}, contexts={} if made is None else {"dist": "x"})
    asked: Any = engine or FakeEngine()
    forced = gate.before_build(resolved, asked, product, console=console, force=force, quiet=quiet)
    return forced, said.getvalue()


def start(given: dict[str, str], *, force: bool = False) -> str:
    said = io.StringIO()
    gate.before_start(configuration(given), console=Console(file=said, width=1000), force=force)
    return said.getvalue()


def test_where_all_is_well_nothing_is_said_and_nobody_asked() -> None:
    engine = FakeEngine()
    assert build({}, engine) == ([], "")
    assert engine.asked == []


def test_what_is_known_to_fail_is_refused_with_the_way_past_it() -> None:
    with pytest.raises(CressetError, match="do not go together") as refused:
        build(BAD)
    assert "set TORCHVISION_VERSION_TAG to v0.29.1 (releases in cresset/data/compat.yaml" in refused.value.hint
    assert refused.value.hint.endswith("--force")
    assert len(refused.value.hint) < 150  # so that the end of it is seen


def test_force_goes_past_all_of_it_and_says_what() -> None:
    forced, said = build({**BAD, "PYTHON_VERSION": "3.9"}, force=True)
    assert [line.split(":")[0] for line in forced] == ["torch-python", "companions"]
    assert said.count("Going on by --force: ") == 2


def test_what_cannot_be_meant_is_not_forced() -> None:
    with pytest.raises(CressetError, match="needs CCA"):
        build({"BUILD_MODE": "include"}, force=True)


def test_wheels_that_no_index_has_may_be_in_a_wheelhouse(tmp_path: Path) -> None:
    given = {"CUDA_VERSION": "12.4.1", "DISTRO_VERSION": "22.04", "WHEELHOUSE": str(tmp_path)}
    with pytest.raises(CressetError, match="there are no wheels"):
        build(given)
    # Another package, version, CUDA, Python or processor is none of them.
    for other in ("numpy-2.1.0", "torch-2.14.0+cu124", "torch-2.14.1+cu126"):
        (tmp_path / f"{other}-cp312-cp312-linux_x86_64.whl").touch()
    for other in ("cp311-cp311-linux_x86_64", "cp312-cp312-linux_armv7l"):
        (tmp_path / f"torch-2.14.1+cu124-{other}.whl").touch()
    with pytest.raises(CressetError, match="there are no wheels"):
        build(given)
    (tmp_path / "torch-2.14.1+cu124-cp312-cp312-linux_x86_64.whl").touch()
    assert build(given) == ([], "")


def test_a_label_in_the_tag_is_what_the_wheelhouse_has_to_have(tmp_path: Path) -> None:
    given = {"PYTORCH_VERSION_TAG": "v2.14.1+cu126", "WHEELHOUSE": str(tmp_path)}
    wheel = tmp_path / "torch-2.14.1+cu130-cp312-cp312-linux_x86_64.whl"
    wheel.touch()
    with pytest.raises(CressetError, match="is a wheel for cu126, and the settings are for cu130"):
        build(given)
    wheel.rename(tmp_path / "torch-2.14.1+cu126-cp312-cp312-linux_x86_64.whl")
    assert build(given) == ([], "")


def test_a_base_image_that_never_was_is_refused_unless_it_is_here() -> None:
    given = {"CUDNN_VERSION": "9"}
    image = "nvidia/cuda:13.0.3-cudnn9-devel-ubuntu24.04"
    with pytest.raises(CressetError, match="never was"):
        build(given)
    assert build(given, FakeEngine(images=(image,))) == ([], "")
    with pytest.raises(CressetError, match="never was"):
        build(given, FakeEngine(images=(image,), dry_run=True))


def test_for_an_image_that_has_its_wheels_nothing_is_compiled(gpus: list[Gpu]) -> None:
    gpus.append(gpu("9.0"))
    given = {**SOURCE, "CCA": "6.1", "DISTRO_VERSION": "22.04", "PYTHON_VERSION": "3.9"}
    assert build(given, made={"PYTHON_VERSION": "3.12"}) == ([], "")
    with pytest.raises(CressetError, match="do not go together"):
        build(given, made={})
    with pytest.raises(CressetError, match="has neither apt nor dnf"):
        build({**SOURCE, "TRAIN_IMAGE": "alpine:3.20"}, made={})


def test_a_release_newer_than_the_tables_is_a_warning() -> None:
    forced, said = build({"PYTORCH_VERSION_TAG": "v2.99.0"})
    assert forced == []
    assert said.startswith("Warning: PyTorch 2.99.0 is not in the tables")
    assert build({"PYTORCH_VERSION_TAG": "v2.99.0"}, quiet=True) == ([], "")
    assert build({"PYTORCH_VERSION_TAG": "main", **SOURCE}) == ([], "")


def test_a_python_that_a_release_has_wheels_for_as_an_experiment_is_a_warning() -> None:
    companions = {"TORCHVISION_VERSION_TAG": "", "TORCHAUDIO_VERSION_TAG": ""}
    image = {"CUDA_VERSION": "12.4.1", "DISTRO_VERSION": "22.04"}
    forced, said = build({"PYTORCH_VERSION_TAG": "v2.5.1", "PYTHON_VERSION": "3.13", **companions, **image})
    assert forced == []
    assert said.startswith("Warning: PyTorch 2.5.1 and Python 3.13 go together as an experiment")


def test_a_compile_for_other_gpus_than_the_hosts_is_a_warning(gpus: list[Gpu]) -> None:
    gpus.append(gpu("9.0"))
    forced, said = build(SOURCE)
    assert (forced, said.count("Warning: ")) == ([], 1)
    assert "9.0" in said
    gpus[0] = gpu("8.9")
    assert build(SOURCE) == ([], "")


def test_a_container_that_no_gpu_here_can_serve_is_not_started(gpus: list[Gpu]) -> None:
    gpus.append(gpu("9.0"))
    with pytest.raises(CressetError, match=r"GPU 0 .* CCA is for 8\.6") as refused:
        start(SOURCE)
    assert "--force" in refused.value.hint
    assert start(SOURCE, force=True).startswith("Going on by --force: GPU 0")
    gpus.append(gpu("8.6", index=1))
    assert start(SOURCE).startswith("Warning: GPU 0")


def test_an_engine_elsewhere_has_other_gpus(gpus: list[Gpu], monkeypatch: pytest.MonkeyPatch) -> None:
    gpus.append(gpu("9.0"))
    monkeypatch.setattr(hardware, "engine_address", lambda: "ssh://far")
    assert start(SOURCE) == ""


def test_a_host_without_a_gpu_is_left_to_docker(gpus: list[Gpu]) -> None:
    assert gpus == []
    assert start(SOURCE) == ""


def test_a_choice_is_checked_too(tmp_path: Path) -> None:
    assert gate.after_choice(configuration({}), HOST) == []
    with pytest.raises(CressetError, match="do not go together"):
        gate.after_choice(configuration(BAD), HOST)
    (warning,) = gate.after_choice(configuration({"PYTORCH_VERSION_TAG": "v2.99.0"}), HOST)
    assert "nothing says what goes with it" in warning
    # A wheelhouse may hold what no index has.
    wheel = tmp_path / "torch-2.14.1+cu124-cp312-cp312-linux_x86_64.whl"
    wheel.touch()
    host = replace(HOST, wheelhouse=str(tmp_path))
    other = {"CUDA_VERSION": "12.4.1", "DISTRO_VERSION": "22.04"}
    assert gate.after_choice(configuration(other), host) == []
    assert gate.doubts(configuration(other), host, named=()) == []
    wheel.rename(tmp_path / "torch-2.13.0+cu124-cp312-cp312-linux_x86_64.whl")
    with pytest.raises(CressetError, match=r"there are no wheels of PyTorch 2\.14\.1 for cu124"):
        gate.after_choice(configuration(other), host)
    # What no source states outright is not refused.
    doubtful = {
        "PYTORCH_VERSION_TAG": "v1.9.1",
        "CUDA_VERSION": "11.3.1",
        "PYTHON_VERSION": "3.9",
        "CUDNN_VERSION": "8",
    }
    companions = {"TORCHVISION_VERSION_TAG": "", "TORCHAUDIO_VERSION_TAG": "", "DISTRO_VERSION": "20.04"}
    assert gate.after_choice(configuration({**doubtful, **companions}), host) == [
        "there are no wheels of PyTorch 1.9.1 for cu113, as far as is known"
    ]


def test_a_python_that_nobody_named_is_the_last_thing_to_blame() -> None:
    given = {"PYTORCH_VERSION_TAG": "v2.6.0", "CUDA_VERSION": "10.2", "PYTHON_VERSION": "3.8"}
    given |= {"BUILD_IMAGE": "ubuntu:20.04", "TRAIN_IMAGE": "ubuntu:20.04"}
    given |= {"TORCHVISION_VERSION_TAG": "", "TORCHAUDIO_VERSION_TAG": ""}
    with pytest.raises(CressetError, match=r"there are no wheels of PyTorch 2\.6\.0 for cu102"):
        gate.after_choice(configuration(given, {"PYTHON_VERSION": "tables"}), HOST)
    with pytest.raises(CressetError, match=r"PyTorch 2\.6\.0 and Python 3\.8 do not go together"):
        gate.after_choice(configuration(given, {"PYTHON_VERSION": "--set"}), HOST)


def test_what_is_set_one_by_one_is_judged_too() -> None:
    assert gate.doubts(configuration({"CCA": "8.6"}), HOST, named={"CCA"}) == []
    (said,) = gate.doubts(configuration({"CCA": "6.1", "CUDA_VERSION": "13.0.3"}), HOST, named=())
    assert said.startswith("CCA names 6.1, and the official wheel for CUDA 13.0.3 is for 7.5")
    (said,) = gate.doubts(configuration(BAD), HOST, named=())
    assert said.endswith(": set TORCHVISION_VERSION_TAG to v0.29.1")
    # On a host without a GPU the service is cpu, whatever CUDA is named.
    idle = {"USE_CUDA": "0", "BUILD_IMAGE": "debian:bookworm-slim", "TRAIN_IMAGE": "debian:bookworm-slim", "CCA": "6.1"}
    first, second = gate.doubts(configuration(idle), HOST, named={"CCA", "CUDA_VERSION", "TZ"})
    assert "CCA and CUDA_VERSION say nothing" in first
    assert second.startswith("CCA names 6.1")
    assert gate.doubts(configuration(idle), HOST, named={"TZ"}) == []


@pytest.mark.parametrize(
    ("target", "has_torch", "images"),
    [
        ("train", True, {"build:1", "train:1"}),
        ("deploy", True, {"build:1", "deploy:1"}),
        ("devel", False, {"build:1"}),
        ("simple", False, {"simple:1"}),
    ],
)
def test_what_is_asked_of_the_tables_is_what_the_service_is_built_from(
    target: str, *, has_torch: bool, images: set[str]
) -> None:
    given = {f"{name.upper()}_IMAGE": f"{name}:1" for name in ("build", "train", "deploy", "simple")}
    resolved = configuration(given)
    chosen = replace(resolved, service=replace(resolved.service, build={"target": target, "args": given}))
    assert chosen.has_torch_by_tag == has_torch
    assert chosen.base_images == images
