"""Compiling by name: what the image family is, what runs again after an edit, and what goes without the engine."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import stand_in
from tests.engine.checkout import Checkout, run
from tests.engine.source_build import SourceBuild

_SHOW = "print(torch.__version__, torchvision.add(20, 22), torchaudio.add(1, 1))"
IMPORT = f"python -c 'import torch, torchvision, torchaudio; {_SHOW}'"
FROM_VISION_ON = {"clone-vision", "choose-pins", "build-vision", "dist-include", "make-env", "train-env"}
LAST = {"check-env", "train-user-include", "check-user", "train"}


@pytest.fixture
def edited(source_build: SourceBuild) -> Iterator[Checkout]:
    """Its checkout; settings and requirement files are put back afterwards."""
    checkout = source_build.checkout
    kept = {path: path.read_text() for path in [*(checkout.path / "reqs").glob("*.txt"), checkout.path / ".env"]}
    yield checkout
    for path, text in kept.items():
        path.write_text(text)


def test_all_makes_the_three_images(source_build: SourceBuild) -> None:
    assert {"build-base", "clone-torch", "build-torch", "build-vision", "train"} <= source_build.first.stages
    for member, stage in (("install", "install"), ("torch", "dist"), ("train", "train")):
        shown = run(["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", source_build.image(member)])
        assert json.loads(shown.out)["cresset.stage"] == stage


def test_a_second_all_runs_nothing_and_keeps_a_record_of_each_build(source_build: SourceBuild) -> None:
    builds = source_build.checkout.path / ".cresset" / "builds"
    before = {*builds.glob("*.jsonl")}
    assert source_build.do("all").steps == ()
    assert len({*builds.glob("*.jsonl")} - before) == 3


def test_the_container_of_a_train_image_imports_the_packages(source_build: SourceBuild) -> None:
    missing = source_build.do("up", f"--train-name={source_build.name}-nothing", check=False)
    assert missing.code == 2
    assert missing.lines[-2:] == [
        f"there is no image pytorch_source:{source_build.name}-nothing",
        f"  make it: invoke build-train --train-name {source_build.name}-nothing",
    ]
    source_build.do("up", f"--train-name={source_build.name}-train")
    try:
        assert source_build.checkout.inside(IMPORT).lines[-1] == f"{stand_in.TAG[1:]} 42 2"
    finally:
        source_build.do("down")


def test_who_where_and_requirements_run_no_build_stage(source_build: SourceBuild, edited: Checkout) -> None:
    word = uuid.uuid4().hex
    edited.set(UID="54321", GID="54321", TZ="Asia/Seoul")
    edited.edit("reqs/pip-train.requirements.txt", f"# {word}")
    edited.edit("reqs/apt-train.requirements.txt", f"# {word}")
    edited.edit("reqs/pip-build.requirements.txt", f"# {word}")
    done = source_build.do("all", f"--train-name={source_build.name}-other")
    assert done.build_stages <= {"pick-extensions"}
    assert {"train-base", "train-env", "train-user-include"} <= done.stages
    # The same, where BuildKit sees the stages: in one build of them all.
    assert source_build.do("build-only", BUILD_MODE="include").build_stages <= {"pick-extensions"}


def test_another_tag_of_a_companion_compiles_that_one(source_build: SourceBuild, edited: Checkout) -> None:
    edited.set(TORCHVISION_VERSION_TAG=stand_in.LATER_VISION_TAG)
    done = source_build.do("all", f"--train-name={source_build.name}-other", f"--torch-name={source_build.name}-later")
    assert done.stages == FROM_VISION_ON | LAST
    command = [
        "docker",
        "run",
        "--rm",
        source_build.image("other"),
        "python",
        "-c",
        "import torchvision.more as m, torchvision as v; print(v.__version__)",
    ]
    done = source_build.do(
        "build-train",
        f"--torch-name={source_build.name}-torch",
        f"--train-name={source_build.name}-other",
        TORCHVISION_VERSION_TAG="v0.28.99",
    )
    # What was asked for and what the torch image was made with; the image counts.
    assert any(line.split() == ["TORCHVISION_VERSION_TAG", "v0.28.99", "--set", "v0.28.0"] for line in done.lines), (
        done.out
    )
    assert run(command, check=False).code
    done = source_build.do("build-train", f"--train-name={source_build.name}-other")
    assert ["TORCHVISION_VERSION_TAG", "v0.28.99", ".env", "v0.28.0"] in [line.split() for line in done.lines], done.out


def test_hand_typed_compose_finds_what_was_compiled(source_build: SourceBuild, edited: Checkout) -> None:
    edited.set(BUILD_MODE="include")
    assert source_build.do("build-only").steps == ()
    done = edited.compose("--progress=plain", "build", edited.service)
    heads = {line.split("]")[0] for line in done.lines if "] RUN" in line or "] COPY" in line}
    numbers = {line.split()[0] for line in done.lines if line.endswith(" CACHED")}
    executed = {head.split(maxsplit=1)[1] for head in heads if head.split()[0] not in numbers}
    # A commit that was not looked up is another argument; what is compiled counts by its files.
    assert {stage.split()[-2] for stage in executed} <= {"clone-torch", "clone-vision", "clone-audio"}
    assert "build-torch 1/1" in " ".join(heads)


def test_wheels_install_on_this_host_without_docker(
    source_build: SourceBuild, edited: Checkout, tmp_path: Path
) -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    if edited.setting("PYTHON_VERSION") != python:
        pytest.skip(f"the wheels are not for this host's Python {python}")
    edited.set(BUILD_MODE="include")
    assert source_build.do("wheels", f"--dest={tmp_path / 'out'}").steps == ()
    assert source_build.do("build-only").steps == ()
    files = {path.name: path for path in (tmp_path / "out").iterdir()}
    assert {name.split("-")[0] for name in files} == {"torch", "torchvision", "torchaudio", "SHA256SUMS"}
    assert {path.stat().st_uid for path in files.values()} == {os.getuid()}
    run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path / "out")
    run([sys.executable, "-m", "venv", str(tmp_path / "venv")])
    wheels = [str(path) for name, path in files.items() if name.endswith(".whl")]
    run([str(tmp_path / "venv/bin/pip"), "install", "--quiet", "--no-index", *wheels])
    done = run(["sh", "-c", f". venv/bin/activate && cd venv && {IMPORT}"], cwd=tmp_path, PYTHONPATH="")
    assert done.lines[-1] == f"{stand_in.TAG[1:]} 42 2"
    # What the stand-in links comes along.
    assert [*tmp_path.glob("venv/lib/python*/site-packages/torch/libgomp.so.1")]
    # A wheel that somebody has removed is no failure of the others.
    with files["SHA256SUMS"].open("a") as sums:
        sums.write(f"{'0' * 64}  gone.whl\n")
    source_build.do("wheels", f"--dest={tmp_path / 'out'}")
    run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path / "out")


def test_clean_runs_every_step_keeps_the_compiler_cache_and_says_that_nothing_differs(
    source_build: SourceBuild,
) -> None:
    done = source_build.do("all", "--clean")
    assert {*source_build.first.steps} - {*done.steps} <= {
        step for step in source_build.first.steps if step.startswith(("scripts", "requirements", "dist-include"))
    }
    assert "taken from the store" not in done.out
    assert "What was compiled is kept: " in done.out
    found = "{0} of {0} compilations found (hit 100 %)".format
    assert done.compiled == {"torch": found(3), "torchvision": found(2), "torchaudio": found(2)}
    assert f"{source_build.image('torch')}: the same 3 packages and wheels as before." in done.out
    assert done.out.count(" packages and wheels as before.") == 3
    assert source_build.do("all").steps == ()


def test_an_image_of_somebody_elses_is_no_torch_image(source_build: SourceBuild, base: str) -> None:
    def refused(image: str) -> list[str]:
        done = source_build.do("build-train", f"--torch-name={image}", check=False)
        assert (done.code, done.steps) == (2, ())
        return done.lines[-2:]

    assert refused(base)[0] == f"{base} is no torch image: it has no label of this program"
    train = source_build.image("train")
    assert refused(train)[0] == f"{train} is no torch image: it is the stage train"
    name = source_build.image("cuda")
    label = run(
        [
            "docker",
            "image",
            "inspect",
            "--format",
            '{{index .Config.Labels "cresset.arguments"}}',
            source_build.image("torch"),
        ]
    )
    arguments = label.out.strip().replace("USE_CUDA='0'", "USE_CUDA='1'")
    container = run(["docker", "create", source_build.image("torch"), "none"]).out.strip()
    run(["docker", "commit", "--change", f"LABEL cresset.arguments={json.dumps(arguments)}", container, name])
    run(["docker", "rm", container])
    assert refused(name) == [
        f"{name} was made with USE_CUDA=1, but the service cpu fixes it",
        "  use another --service, or another torch image",
    ]


def test_of_several_configurations_one_that_fails_stops_none(source_build: SourceBuild, edited: Checkout) -> None:
    name = source_build.name
    common = "BUILD_MODE: include"
    rows = [
        f"{{name: {name}-same, {common}, TZ: Asia/Seoul}}",
        f"{{name: {name}-bare, {common}, TORCHVISION_VERSION_TAG: '', TORCHAUDIO_VERSION_TAG: ''}}",
        f"{{name: {name}-none, {common}, PYTORCH_VERSION_TAG: v2.13.77}}",
    ]
    (edited.path / "configurations.yaml").write_text("".join(f"- {row}\n" for row in rows))
    done = source_build.do("matrix", "configurations.yaml", check=False)
    (edited.path / "configurations.yaml").unlink()
    assert done.code == 2
    ends = {line.split()[0]: line.split()[2] for line in done.lines if line.startswith(name) and "cresset:" in line}
    assert ends == {f"{name}-same": "built", f"{name}-bare": "built", f"{name}-none": "failed"}, done.out
    assert "did you mean v2.13.0?" in done.out
    assert "1 of 3 configurations failed" in done.out
    # An empty companion is left out, and compiled is nothing.
    assert "build-torch" not in done.stages
    import_ = [
        "docker",
        "run",
        "--rm",
        f"cresset:{name}-bare",
        "python",
        "-c",
        "import torch, importlib.util as u; print(u.find_spec('torchvision'))",
    ]
    assert run(import_).lines[-1] == "None"
