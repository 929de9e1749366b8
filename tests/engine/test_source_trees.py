"""Where sources come from: branches, commits, folders of one's own, hosts that are away or break off; what compiles."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import stand_in
from tests.engine.bad_servers import Forge, forge
from tests.engine.checkout import Checkout, run
from tests.engine.source_build import SourceBuild

ALONE = {"TORCHVISION_VERSION_TAG": "", "TORCHAUDIO_VERSION_TAG": ""}
CLONES = {"clone-torch", "clone-vision", "clone-audio", "clone-text"}


@pytest.fixture
def edited(source_build: SourceBuild) -> Iterator[Checkout]:
    """Its checkout; settings are put back afterwards."""
    env = source_build.checkout.path / ".env"
    kept = env.read_text()
    yield source_build.checkout
    env.write_text(kept)


@pytest.fixture
def served(source_build: SourceBuild) -> Iterator[Forge]:
    with forge(source_build.sources / "mirror") as server:
        yield server


def test_a_branch_compiles_when_it_has_moved_and_only_what_has_changed(
    source_build: SourceBuild, edited: Checkout
) -> None:
    edited.set(PYTORCH_VERSION_TAG="topic", **ALONE)
    torch, name = source_build.repository("pytorch"), f"{source_build.name}-branch"
    kept = stand_in.git(torch, "rev-parse", "HEAD")

    def build() -> tuple[set[str], dict[str, str]]:
        done = source_build.do("build-torch", f"--torch-name={name}")
        return done.stages, done.compiled

    # Its C++ files are two, and CMake compiles one to look at the compiler.
    stand_in.git(torch, "checkout", "--quiet", "-b", "topic")
    with (torch / "torch/second.cpp").open("a") as file:
        file.write("int third() { return 3; }\n")
    stand_in.commit(torch)
    stages, compiled = build()
    assert {"clone-torch", "build-torch"} <= stages
    assert compiled == {"torch": "2 of 3 compilations found (hit 66 %)"}
    assert build() == (set(), {})
    stand_in.write(torch, {"torch/more.py": "more = 1\n"})
    moved = stand_in.commit(torch)
    stages, compiled = build()
    assert {"clone-torch", "build-torch"} <= stages
    assert compiled == {"torch": "3 of 3 compilations found (hit 100 %)"}
    shown = [
        "docker",
        "image",
        "inspect",
        "--format",
        '{{index .Config.Labels "cresset.arguments"}}',
        f"pytorch_source:{name}",
    ]
    assert f"PYTORCH_COMMIT='{moved}'" in run(shown).out
    stand_in.git(torch, "checkout", "--quiet", "main")
    assert stand_in.git(torch, "rev-parse", "HEAD") == kept


def test_what_cannot_be_meant_is_refused_before_the_build(source_build: SourceBuild) -> None:
    commit = stand_in.git(source_build.repository("pytorch"), "rev-parse", f"{stand_in.TAG}^{{commit}}")

    def refused(**settings: str) -> tuple[str, str]:
        done = source_build.do("build-torch", check=False, **settings)
        assert (done.code, done.steps) == (2, ())
        return done.lines[-2], done.lines[-1].strip()

    message, hint = refused(PYTORCH_VERSION_TAG="v2.31.0")
    assert message.endswith("has no tag or branch 'v2.31.0'")
    assert hint == f"did you mean {stand_in.TAG}?"
    message, hint = refused(PYTORCH_COMMIT="0" * 40)
    assert message.endswith(f"is commit {commit}, not {'0' * 40}")
    assert hint == "correct PYTORCH_COMMIT"


def test_a_clone_that_breaks_off_goes_on_and_compiles_nothing_again(
    source_build: SourceBuild, served: Forge, edited: Checkout
) -> None:
    # The folder of sources as it is now, so that another address is all that is new.
    source_build.do("build-torch")
    edited.set(PYTORCH_URL=f"{served.address}/pytorch/pytorch.git")
    done = source_build.do("build-torch")
    assert served.sent.count("pytorch.git") == 2
    assert "cresset: trying again in 2 s: git fetch" in done.log
    assert done.stages == {"clone-torch"}


def test_hosts_that_are_away_stop_no_build_of_what_is_known(source_build: SourceBuild, edited: Checkout) -> None:
    mirror = source_build.sources / "mirror"
    with forge(mirror) as server:
        urls = {
            name: f"{server.address}/pytorch/{tree}.git"
            for name, tree in (("PYTORCH", "pytorch"), ("TORCHVISION", "vision"))
        }
        edited.set(**{f"{name}_URL": url for name, url in urls.items()})
        source_build.do("build-torch")
    done = source_build.do("build-torch")
    assert done.steps == ()
    for name, url in urls.items():
        assert f"Warning: {url} does not answer" in done.out, name


def test_another_folder_of_sources_with_the_same_ones_compiles_nothing(
    source_build: SourceBuild, edited: Checkout, tmp_path: Path
) -> None:
    shutil.copytree(source_build.sources / "mirror", tmp_path / "mirror", symlinks=True)
    (tmp_path / "more").mkdir()
    edited.set(SOURCES=str(tmp_path))
    done = source_build.do("build-torch")
    assert CLONES - {"clone-text"} <= done.stages <= CLONES


def test_a_tree_of_ones_own_is_compiled_as_it_is(source_build: SourceBuild, edited: Checkout, tmp_path: Path) -> None:
    shutil.copytree(source_build.sources / "mirror", tmp_path / "mirror", symlinks=True)
    git = stand_in.git
    git(
        tmp_path,
        "-c",
        f"url.{tmp_path}/mirror/.insteadOf=https://github.com/",
        "clone",
        "--quiet",
        "--branch",
        stand_in.TAG,
        "--recurse-submodules",
        str(tmp_path / "mirror/pytorch/pytorch.git"),
        "torch",
    )
    edited.set(SOURCES=str(tmp_path), **ALONE)
    name = f"{source_build.name}-own"
    # The same commit is the same tree, wherever it is from.
    assert "build-torch" not in source_build.do("build-torch", f"--torch-name={name}").stages
    done = source_build.do("build-torch", f"--torch-name={name}", PYTORCH_COMMIT="0" * 40, check=False)
    assert "in the folder of sources, not at" in done.out
    assert "build-torch" not in done.stages
    with (tmp_path / "torch/torch/__init__.py").open("a") as file:
        file.write("patched = True\n")
    done = source_build.do("build-torch", f"--torch-name={name}")
    assert "build-torch" in done.stages
    source_build.do("build-train", f"--torch-name={name}", f"--train-name={name}-train")
    command = [
        "docker",
        "run",
        "--rm",
        f"pytorch_source:{name}-train",
        "python",
        "-c",
        "import torch; print(torch.patched)",
    ]
    assert run(command).lines[-1] == "True"
