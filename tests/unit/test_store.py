"""What the store calls what was compiled: one name for one set of inputs, and what it says and lets go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cresset import dockerfile
from cresset.errors import CressetError
from cresset.foresight import explain, inputs, keys, store, verdicts
from cresset.foresight.inputs import Image, Inputs
from cresset.foresight.store import Kept
from cresset.foresight.tree import Entry, Tree, clean

ROOT = Path(__file__).resolve().parents[2]
RECIPE = dockerfile.parse((ROOT / "Dockerfile").read_text())
INCLUDE = {"BUILD_MODE": "include", "USE_CUDA": "0", "BUILD_IMAGE": "base", "TRAIN_IMAGE": "base"}
LAYERS = Image(reference="base", identity="layers")
SCRIPTS = ("network.sh", "compile.sh", "wheel.sh", "build-torch.sh", "build-companion.sh", "clone.sh", "make-env.sh")
REQUIREMENTS = ("pip-build.requirements.txt", "pip-train.requirements.txt", "apt-train.requirements.txt")
FILES = {**{f"misc/image/{name}": name for name in SCRIPTS}, **{f"reqs/{name}": name for name in REQUIREMENTS}}


class Disk:
    """A folder whose files are in memory."""

    def __init__(self, files: Mapping[str, str], *, mode: int = 0o644) -> None:
        folders = {name.rpartition("/")[0] for name in files} - {""}
        self._files: Tree = {
            **{name: Entry(kind="file", mode=mode, digest=text, origin=name) for name, text in files.items()},
            **{name: Entry(kind="folder", mode=0o755) for name in folders},
        }

    def find(self, pattern: str) -> Tree:
        head = clean(pattern).split("*")[0].rpartition("/")[0] if "*" in pattern else clean(pattern)
        return {path: entry for path, entry in self._files.items() if f"{path}/".startswith(f"{head}/") or not head}


def everything(
    files: Mapping[str, str] = FILES,
    *,
    sources: Mapping[str, str] | None = None,
    images: Mapping[str, Image] | None = None,
    machine: str = "x86_64",
    mode: int = 0o644,
    links: bool = False,
    **arguments: str,
) -> Inputs:
    return Inputs(
        recipe=RECIPE,
        target="dist",
        arguments={**INCLUDE, **arguments},
        context=Disk(files, mode=mode),
        contexts={"sources": Disk(sources or {})},
        images={"base": LAYERS} if images is None else images,
        platform=inputs.platform_of(machine),
        links=links,
    )


def name(files: Mapping[str, str] = FILES, **given: Any) -> str:
    _, found = keys.identify(everything(files, **given))
    assert found
    return found


@pytest.fixture(scope="module")
def usual() -> str:
    return name()


def edited(path: str) -> dict[str, str]:
    return {**FILES, path: "something else"}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"PYTORCH_VERSION_TAG": "v2.8.0"}, id="a tag"),
        pytest.param({"PYTORCH_COMMIT": "1" * 40}, id="a commit"),
        pytest.param({"TORCHVISION_VERSION_TAG": ""}, id="a companion less"),
        pytest.param({"CCA": "8.6"}, id="compute capabilities"),
        pytest.param({"PYTHON_VERSION": "3.11"}, id="Python"),
        pytest.param({"TORCH_BUILD_FLAGS": "USE_KINETO=0"}, id="build flags"),
        pytest.param({"MKL_MODE": "exclude"}, id="MKL"),
        pytest.param({"MAGMA_MODE": "source"}, id="MAGMA"),
        pytest.param({"CLEAN": "20260101T000000"}, id="--clean"),
        pytest.param({"BUILD_MODE": "exclude"}, id="official wheels"),
        pytest.param({"files": edited("misc/image/build-torch.sh")}, id="a script"),
        pytest.param({"files": edited("reqs/pip-build.requirements.txt")}, id="an extension"),
        pytest.param({"sources": {"torch/setup.py": "1"}}, id="a source tree"),
        pytest.param({"images": {"base": replace(LAYERS, identity="others")}}, id="the base image's layers"),
        pytest.param({"images": {"base": replace(LAYERS, environment=(("A", "1"),))}}, id="the base image's variables"),
        pytest.param({"images": {}}, id="a base image that is not here"),
        pytest.param({"images": {}, "BUILD_IMAGE": "base:2"}, id="another one"),
        pytest.param({"machine": "aarch64"}, id="the machine"),
    ],
)
def test_what_counts_makes_another_name(usual: str, other: dict[str, Any]) -> None:
    assert name(**other) != usual


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"UID": "12345", "USR": "alice", "TZ": "Asia/Seoul"}, id="who and where"),
        pytest.param({"SSH": "include", "PROJECT_ROOT": "/work"}, id="what the last stages do"),
        pytest.param({"TRAIN_IMAGE": "another"}, id="the image to work in"),
        pytest.param({"files": edited("reqs/pip-train.requirements.txt")}, id="a pip line"),
        pytest.param({"files": edited("reqs/apt-train.requirements.txt")}, id="an apt line"),
        pytest.param({"files": edited("misc/image/make-env.sh")}, id="a script of later stages"),
        pytest.param({"mode": 0o664}, id="a checkout with another umask"),
        pytest.param({"links": True}, id="the engine's store"),
    ],
)
def test_what_does_not_count_makes_none(usual: str, other: dict[str, Any]) -> None:
    assert name(**other) == usual


# The shape of the stages that compile, small enough to be looked at a hundred times.
SMALL = dockerfile.parse("""
ARG CLEAN=
ARG A=1
FROM scratch AS scripts
COPY --chmod=755 misc /
FROM base AS build-base
ARG CLEAN
RUN --mount=from=scripts,source=/one.sh,target=/one.sh --mount=type=secret,id=ca /one.sh
FROM build-base AS clone
ARG A
RUN --mount=from=scripts,source=/two.sh,target=/two.sh --mount=from=sources,target=/sources /two.sh
FROM build-base AS compile
ARG B
RUN --mount=from=clone,source=/tmp,target=/tmp --mount=type=cache,target=/cache --mount=type=secret,id=jobs make
FROM scratch AS dist
COPY --from=compile /tmp/dist /tmp/dist
ARG C
LABEL c=$C
FROM base AS train
ARG D
COPY misc/three.sh /
""")
_SOME = st.fixed_dictionaries(
    {},
    optional={name: st.sampled_from(["", "1", "2"]) for name in ("CLEAN", "A", "B", "C", "D", "one", "two", "three")},
)


def small(given_: Mapping[str, str]) -> Inputs:
    files = {f"misc/{name}.sh": given_.get(name, "") for name in ("one", "two", "three")}
    return Inputs(
        recipe=SMALL,
        target="dist",
        arguments={name: value for name, value in given_.items() if name.isupper()},
        context=Disk(files),
        contexts={"sources": Disk({})},
        images={"base": LAYERS},
    )


@given(_SOME, _SOME)
def test_two_names_are_one_where_every_step_and_the_labels_are_one_and_only_there(
    one: dict[str, str], other: dict[str, str]
) -> None:
    steps = [[step.key.fine for step in keys.compute(small(each))][1:] for each in (one, other)]  # all scripts are one
    names = [keys.identify(small(each))[1] for each in (one, other)]
    assert all(names)
    assert (names[0] == names[1]) == (steps[0] == steps[1] and one.get("C") == other.get("C"))


def test_what_comes_after_goes_by_the_same_names_whether_it_is_compiled_or_taken() -> None:
    given_ = everything()
    key, _ = keys.identify(given_)
    train = replace(given_, target="train")
    taken = replace(train, contexts={**train.contexts, "dist": Image(reference="cresset-store:1", made=key)})
    fine = {(step.stage, step.i): step.key for step in keys.compute(train)}
    steps = keys.compute(taken)
    assert {(step.stage, step.i): step.key for step in steps}.items() <= fine.items()
    assert not [step.stage for step in steps if step.stage.startswith("build-torch")]


RAW = {
    "Id": "sha256:1",
    "Created": "2026-11-20T21:17:15.123456789Z",
    "Size": 230_000_000,
    "Config": {
        "Labels": {
            "cresset.seconds": "7800",
            "cresset.arguments": "USE_CUDA='1' CUDA_VERSION='13.0.3' CCA='8.6 9.0' PYTHON_VERSION='3.12' "
            "PYTORCH_VERSION_TAG='v2.14.1' TORCHVISION_VERSION_TAG=''",
            "com.docker.compose.project": "cresset-alice",
        }
    },
}
KEPT = store.read(["cresset-store:1"], RAW)


def test_an_image_says_what_it_is_and_what_it_took() -> None:
    what, made = store.rows(KEPT)
    assert what == "PyTorch v2.14.1, Python 3.12, CUDA 13.0.3 for 8.6 9.0"
    assert made.startswith("compiled on 2026-11-2")
    assert made.endswith(", 2 h 10 min, by cresset-alice")


@pytest.mark.parametrize("labels", [None, {"cresset.arguments": "'", "cresset.seconds": "long"}], ids=["none", "odd"])
def test_an_image_with_other_labels_is_listed_too(labels: dict[str, str] | None) -> None:
    found = store.read(["cresset-store:1"], {**RAW, "Config": {"Labels": labels}})
    assert (found.seconds, store.what(found)) == (None, "(no word of what is in it)")


def test_a_forecast_says_that_it_is_taken() -> None:
    steps = keys.compute(everything())
    forecast = explain.foretell(steps, [])
    lines = verdicts.describe(forecast, "image", store.about(KEPT))
    assert lines[1].startswith("What is compiled is taken from the store: compiled on ")
    assert verdicts.describe(explain.foretell((), []), "image", store.about(KEPT))[0] == "image: nothing to do"


def test_what_a_compile_took_is_the_longest_way_through_its_stages() -> None:
    steps = keys.compute(everything())
    forecast = explain.foretell(steps, [])
    assert explain.took(forecast, {"build-torch", "build-vision"}, {}) is None
    executed = {("build-torch", 1): 100.0, ("build-vision", 1): 20.0, ("build-audio", 1): 900.0}
    assert explain.took(forecast, {"build-torch", "build-vision"}, executed) == pytest.approx(120.0)


NOW = datetime(2026, 12, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("older", "larger", "chosen"),
    [("", "", ["2", "1"]), ("30d", "", ["2"]), ("1w", "", ["2", "1"]), ("", "1GB", ["2"]), ("30d", "9GB", [])],
)
def test_age_and_size_choose_what_may_go(older: str, larger: str, chosen: list[str]) -> None:
    images = [
        replace(KEPT, id="1", compiled=NOW - timedelta(days=10)),
        Kept(id="2", references=["cresset-store:2"], compiled=NOW - timedelta(days=40), size=2_000_000_000),
    ]
    found = store.choose(images, now=NOW, older=store.age(older), larger=store.size(larger))
    assert [one.id for one in found] == chosen


@pytest.mark.parametrize("text", ["30", "d", "1.5d", "30 d", "-1d", "x"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(CressetError, match="is no age"):
        store.age(text)


@pytest.mark.parametrize("text", ["2", "GB", "2 gigabytes", "-1GB", "1e9B"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(CressetError, match="is no size"):
        store.size(text)
