"""One number is enough: what goes with a release of PyTorch, and with this host."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cresset import hardware
from cresset.configuration import Request
from cresset.errors import CressetError
from cresset.hardware import Gpu
from cresset.versions import bases, choice, combination, wish
from cresset.versions.choice import Surroundings
from cresset.versions.combination import Verdict
from cresset.versions.wish import Wish
from tests.unit.a_configuration import ROOT, TABLES, gpu, settings

RELEASES = TABLES.rows["releases"]


def choose(asked: Wish, given: Mapping[str, str] | None = None, gpus: tuple[Gpu, ...] = ()) -> dict[str, str]:
    """Return what is chosen."""
    around = Surroundings(values=settings(given or {}), given=frozenset(given or ()), gpus=gpus)
    return {one.name: one.value for one in choice.choose(TABLES, asked, around)}


def judged(given: Mapping[str, str], status: str = "known bad") -> list[Verdict]:
    """Return what the tables have against settings."""
    values = settings(given)
    found = [*combination.judge(TABLES, values), *bases.judge(TABLES, values)]
    return [one for one in found if one.status == status]


def cudas(release: Mapping[str, list[str]]) -> list[str]:
    return [re.sub(r"cu(\d+)(\d)", r"\1.\2", label) for label in release["cuda"]]


@pytest.mark.parametrize("release", RELEASES, ids=lambda row: row["torch"])
def test_every_release_with_every_cuda_of_its_wheels_makes_a_whole(release: Mapping[str, list[str]]) -> None:
    for cuda in ["", *cudas(release)]:
        found = choose(Wish(torch=str(release["torch"]), cuda=cuda))
        assert judged(found) == []
        # What was chosen is known to be right, not merely not known to be wrong.
        assert judged(found, "unknown") == []
        assert found["CUDA_VERSION"].startswith(cuda)
        assert found["PYTORCH_VERSION_TAG"] == f"v{release['torch']}"


@pytest.mark.parametrize("release", RELEASES, ids=lambda row: row["torch"])
def test_every_release_is_compiled_with_something(release: Mapping[str, list[str]]) -> None:
    found = choose(Wish(torch=str(release["torch"]), cca="7.5"), {"BUILD_MODE": "include"})
    assert judged({"BUILD_MODE": "include", **found}) == []


@hypothesis_settings(max_examples=60, deadline=None)
@hypothesis_given(
    release=st.sampled_from([row["torch"] for row in RELEASES]),
    capability=st.sampled_from([row["cca"] for row in TABLES.rows["gpus"]]),
    driver=st.sampled_from(["450.80.02", "470.82.01", "535.104.05", "570.124.06", "580.65.06", "610.43.02"]),
    mode=st.sampled_from(["exclude", "include"]),
)
def test_whatever_the_host_nothing_is_chosen_that_is_known_to_fail(
    release: str, capability: str, driver: str, mode: str
) -> None:
    given = {"BUILD_MODE": mode}
    found = choose(Wish(torch=release), given, (gpu(capability, driver=driver),))
    # `invoke env` writes the host's own into CCA.
    assert [one for one in judged({**given, **found, "CCA": ""}) if one.check != "toolkit-arch"] == []
    usable = [cuda for cuda in cudas(TABLES.release(release) or {}) if hardware.serves(driver, cuda)]
    if mode == "exclude" and any(
        combination.covers(" ".join((TABLES.wheel_architectures(release, cuda) or {}).get("x86_64", ())), capability)
        for cuda in usable
    ):
        assert hardware.serves(driver, found["CUDA_VERSION"])


# The sets that earlier templates wrote down.
SEEDS = (
    (
        Wish(torch="1.9.1", python="3.9"),
        {"TORCHVISION_VERSION_TAG": "v0.10.1", "TORCHTEXT_VERSION_TAG": "v0.10.1", "TORCHAUDIO_VERSION_TAG": "v0.9.1"},
    ),
    (
        Wish(torch="1.9.1", cuda="10.2", python="3.9"),
        {"CUDA_VERSION": "10.2", "PYTHON_VERSION": "3.9", "TORCHVISION_VERSION_TAG": "v0.10.1"},
    ),
    (
        Wish(torch="1.13.0", cuda="11.7.1", python="3.10", cca="8.6"),
        {
            "TORCHVISION_VERSION_TAG": "v0.14.0",
            "LINUX_DISTRO": "ubuntu",
            "DISTRO_VERSION": "22.04",
            "CUDA_VERSION": "11.7.1",
            "CUDNN_VERSION": "8",
            "CCA": "8.6",
        },
    ),
    (
        Wish(torch="1.7.1", cuda="11.0"),
        {"TORCHVISION_VERSION_TAG": "v0.8.2", "TORCHAUDIO_VERSION_TAG": "v0.7.2", "CUDA_VERSION": "11.0.3"},
    ),
)


@pytest.mark.parametrize(("asked", "written"), SEEDS, ids=lambda value: getattr(value, "torch", ""))
def test_the_sets_of_earlier_templates_are_chosen(asked: Wish, written: dict[str, str]) -> None:
    found = choose(asked)
    assert {name: found[name] for name in written} == written
    assert judged(found) == []


@pytest.mark.parametrize(
    "written",
    [
        {
            "PYTORCH_VERSION_TAG": "v1.13.0",
            "TORCHVISION_VERSION_TAG": "v0.14.0",
            "TORCHAUDIO_VERSION_TAG": "",
            "DISTRO_VERSION": "22.04",
            "CUDA_VERSION": "11.7.1",
            "CUDNN_VERSION": "8",
            "PYTHON_VERSION": "3.10",
            "CCA": "8.6",
        },
        {
            "PYTORCH_VERSION_TAG": "v1.9.1",
            "TORCHVISION_VERSION_TAG": "v0.10.1",
            "TORCHTEXT_VERSION_TAG": "v0.10.1",
            "TORCHAUDIO_VERSION_TAG": "v0.9.1",
            "DISTRO_VERSION": "18.04",
            "CUDA_VERSION": "10.2",
            "CUDNN_VERSION": "8",
            "PYTHON_VERSION": "3.9",
            "CCA": "7.5",
        },
    ],
    ids=["1.13.0 on Ubuntu 22.04", "1.9.1 for CUDA 10.2"],
)
@pytest.mark.parametrize("mode", ["exclude", "include"])
def test_the_sets_of_earlier_templates_are_not_known_to_fail(written: dict[str, str], mode: str) -> None:
    assert judged({**written, "BUILD_MODE": mode}) == []


def test_the_newest_that_exists_is_taken_and_said_why() -> None:
    around = Surroundings(values=settings({}))
    found = {one.name: (one.value, one.reason) for one in choice.choose(TABLES, Wish(torch="2.6"), around)}
    assert found["PYTORCH_VERSION_TAG"] == ("v2.6.0", "--torch")
    assert found["TORCHVISION_VERSION_TAG"] == ("v0.21.0", "made for v2.6.0")
    assert found["TORCHTEXT_VERSION_TAG"] == ("", "none is known for v2.6.0")
    assert found["CUDA_VERSION"] == ("12.6.3", "the newest that has official wheels; it needs driver 525 or newer")
    assert found["DISTRO_VERSION"][0] == "24.04"
    assert found["PYTHON_VERSION"] == ("3.12", "the one that ubuntu24.04 has")


def test_the_page_says_which_cuda_is_the_default_and_which_is_chosen() -> None:
    said = (ROOT / "docs" / "versions.md").read_text()
    default, chosen = settings({}), choose(Wish(torch="2.14"))
    torch, cuda = default["PYTORCH_VERSION_TAG"].removeprefix("v"), default["CUDA_VERSION"]
    assert f"PyTorch {torch} for CUDA {combination.minor(cuda)}," in said
    assert f"there are wheels for, {combination.minor(chosen['CUDA_VERSION'])}." in said


def test_a_release_whose_wheels_lie_apart_has_to_be_named_in_full() -> None:
    assert choose(Wish(torch="1.8"))["PYTORCH_VERSION_TAG"] == "v1.8.1"
    assert choose(Wish(torch="1.8.2"))["PYTORCH_VERSION_TAG"] == "v1.8.2"


def test_a_minor_cuda_becomes_its_newest_patch_with_an_image() -> None:
    assert choose(Wish(torch="2.6", cuda="12.4"))["CUDA_VERSION"] == "12.4.1"
    assert choose(Wish(torch="2.4", cuda="12.1"))["DISTRO_VERSION"] == "22.04"
    assert choose(Wish(torch="2.5", cuda="11.8"))["CUDNN_VERSION"] == "8"


def test_the_driver_of_the_host_is_respected() -> None:
    found = choose(Wish(torch="2.14"), gpus=(gpu("8.6", driver="535.104.05"),))
    assert found["CUDA_VERSION"] == "12.6.3"


def test_the_gpus_of_the_host_are_respected() -> None:
    assert choose(Wish(torch="2.14"), gpus=(gpu("6.1"),))["CUDA_VERSION"] == "12.6.3"
    assert choose(Wish(torch="2.10"), gpus=(gpu("6.1"), gpu("8.6", index=1)))["CUDA_VERSION"] == "12.6.3"
    assert choose(Wish(torch="2.7"), gpus=(gpu("12.0"),))["CUDA_VERSION"] == "12.8.1"


def test_where_this_host_can_run_none_of_them_the_newest_is_taken() -> None:
    assert choose(Wish(torch="2.15"), gpus=(gpu("6.1", driver="470.82.01"),))["CUDA_VERSION"] == "13.2.1"


def test_compute_capabilities_by_hand_count_instead_of_the_hosts() -> None:
    assert choose(Wish(torch="2.14", cca="6.1"), gpus=(gpu("12.0"),))["CUDA_VERSION"] == "12.6.3"
    assert choose(Wish(torch="2.14", cca="12.0"), gpus=(gpu("6.1"),))["CUDA_VERSION"] == "13.2.1"


def test_compute_capabilities_of_env_count_unless_they_are_just_the_hosts() -> None:
    def with_env(asked: Wish, *gpus: Gpu, **given: str) -> str:
        values = settings({"CCA": "6.1", **given})
        around = Surroundings(values=values, given=frozenset(given), gpus=gpus)
        found = {one.name: one.value for one in choice.choose(TABLES, asked, around)}
        return {**values, **found}["CUDA_VERSION"]

    assert with_env(Wish(torch="2.14")) == with_env(Wish(torch="2.14"), gpu("12.0")) == "12.6.3"
    with pytest.raises(CressetError, match=r"serves 6\.1") as refused:
        with_env(Wish(torch="2.15"))
    assert "--cca (CCA is 6.1)" in refused.value.hint
    assert with_env(Wish(torch="2.15"), gpu("6.1")) == "13.2.1"
    with pytest.raises(CressetError, match=r"^CCA: the official wheel for CUDA 13\.0 has no code for 6\.1"):
        with_env(Wish(torch="2.14", cuda="13.0"))
    with pytest.raises(CressetError, match=r"^CCA: .* no code for 6\.1") as refused:
        with_env(Wish(torch="2.14"), CUDA_VERSION="13.0.3")
    assert "another CUDA_VERSION" in refused.value.hint


def test_an_old_gpu_with_a_new_release_has_to_be_compiled_for() -> None:
    with pytest.raises(CressetError, match=r"no CUDA that has official wheels serves 6\.1") as refused:
        choose(Wish(torch="2.15", cca="6.1"))
    assert "BUILD_MODE=include" in refused.value.hint
    assert choose(Wish(torch="2.15", cca="6.1"), {"BUILD_MODE": "include"})["CUDA_VERSION"] == "12.9.2"


def test_a_gpu_that_the_named_cuda_has_no_code_for_is_refused() -> None:
    for torch in ("2.9", "2.14"):
        with pytest.raises(
            CressetError, match=r"--cca: the official wheel for CUDA 13\.0 has no code for 6\.1"
        ) as refused:
            choose(Wish(torch=torch, cuda="13.0", cca="6.1"))
        assert "BUILD_MODE=include" in refused.value.hint
    with pytest.raises(CressetError, match=r"--cca: CUDA 13\.0\.\d can compile no code for 6\.1"):
        choose(Wish(torch="2.14", cuda="13.0", cca="6.1"), {"BUILD_MODE": "include"})
    assert choose(Wish(torch="2.14", cuda="12.6", cca="6.1"))["CUDA_VERSION"] == "12.6.3"


def test_what_the_tables_lack_is_no_claim() -> None:
    around = Surroundings(values=settings({}))
    found = {one.name: one.reason for one in choice.choose(TABLES, Wish(torch="1.9.1", cca="8.6"), around)}
    assert "as far as is known" in found["CUDA_VERSION"]
    found = {one.name: one.reason for one in choice.choose(TABLES, Wish(torch="2.14", cca="12.0"), around)}
    assert "as far as is known" not in found["CUDA_VERSION"]
    assert found["CUDA_VERSION"].endswith("; it needs driver 580 or newer")


@pytest.mark.parametrize(("torch", "capability"), [("2.6", "12.0"), ("2.4", "12.0"), ("2.6", "13.7"), ("2.4", "10.0")])
def test_a_wheel_of_unknown_code_has_none_that_its_cuda_cannot_compile(torch: str, capability: str) -> None:
    with pytest.raises(CressetError, match=f"no CUDA that has official wheels serves {capability}"):
        choose(Wish(torch=torch, cca=capability))


@pytest.mark.parametrize(
    ("torch", "cca", "driver"),
    [("2.8", "8.6", 525), ("2.8", "12.0", 570), ("2.8", "8.6 12.0+PTX", 570), ("2.14", "12.0", 580)],
)
def test_a_gpu_may_need_a_newer_driver_than_its_cuda(torch: str, cca: str, driver: int) -> None:
    around = Surroundings(values=settings({}))
    found = {one.name: one.reason for one in choice.choose(TABLES, Wish(torch=torch, cca=cca), around)}
    assert found["CUDA_VERSION"].endswith(f"it needs driver {driver} or newer")


@pytest.mark.parametrize(("torch", "cca"), [("2.8", "6.1"), ("2.11", "6.1"), ("2.11", "7.0")])
def test_a_cuda_whose_wheel_is_known_to_have_the_code_comes_first(torch: str, cca: str) -> None:
    around = Surroundings(values=settings({}))
    found = {one.name: one for one in choice.choose(TABLES, Wish(torch=torch, cca=cca), around)}["CUDA_VERSION"]
    assert found.value == "12.6.3"
    assert "as far as is known" not in found.reason
    assert choose(Wish(torch=torch), gpus=(gpu(cca),))["CUDA_VERSION"] == "12.6.3"
    # Where it can be compiled for, the wheels say nothing.
    assert choose(Wish(torch=torch, cca=cca), {"BUILD_MODE": "include"})["CUDA_VERSION"].startswith("12.")


def test_a_gpu_that_only_a_later_cuda_knows_is_served_by_none() -> None:
    with pytest.raises(CressetError, match=r"no CUDA that compiles PyTorch 1\.8\.1 serves 8\.9"):
        choose(Wish(torch="1.8.1", cca="8.9"), {"BUILD_MODE": "include"})
    with pytest.raises(CressetError, match=r"no CUDA that has official wheels serves 9\.0"):
        choose(Wish(torch="1.7.1", cca="9.0"))


def test_what_can_be_compiled_by_no_cuda_is_refused() -> None:
    with pytest.raises(CressetError, match=r"compiles PyTorch 2\.15\.0 serves 3\.5") as refused:
        choose(Wish(torch="2.15", cca="3.5"), {"BUILD_MODE": "include"})
    assert "invoke versions" in refused.value.hint


def test_why_a_cuda_compiles_is_said_as_it_was_chosen() -> None:
    def reason(torch: str, cca: str) -> str:
        around = Surroundings(values=settings({"BUILD_MODE": "include"}), given=frozenset({"BUILD_MODE"}))
        found = {one.name: one for one in choice.choose(TABLES, Wish(torch=torch, cca=cca), around)}["CUDA_VERSION"]
        return f"{found.value}: {found.reason}"

    # There are newer ones that compile it; what its own wheels were made with comes first.
    assert reason("2.9", "7.0").startswith(
        "12.8.1: the newest that has official wheels, compiles PyTorch 2.9.1, serves"
    )
    assert reason("2.15", "7.0").startswith("12.9.2: the newest that compiles PyTorch 2.15.0, serves 7.0")


def test_the_compiler_decides_the_distribution_of_a_source_build() -> None:
    found = choose(Wish(torch="2.14", cuda="12.6.3", cca="8.6"), {"BUILD_MODE": "include"})
    assert found["DISTRO_VERSION"] == "24.04"
    found = choose(Wish(torch="1.12", cuda="11.4.1", cca="8.6"), {"BUILD_MODE": "include"})
    assert found["DISTRO_VERSION"] == "20.04"


def test_what_is_given_by_hand_wins() -> None:
    given = {"DISTRO_VERSION": "22.04", "TORCHAUDIO_VERSION_TAG": ""}
    found = choose(Wish(torch="2.6"), given)
    assert found.keys().isdisjoint(given)
    assert found["PYTHON_VERSION"] == "3.10"
    assert choose(Wish(torch="2.12"), {"DISTRO_VERSION": "20.04"}, ())["CUDA_VERSION"] == "12.6.3"
    assert "CUDA_VERSION" not in choose(Wish(torch="2.6"), {"CUDA_VERSION": "11.8.0"})


def test_an_image_of_ones_own_stays() -> None:
    found = choose(Wish(torch="2.6"), {"BUILD_IMAGE": "registry.example.org/team/base:jammy"})
    assert found.keys().isdisjoint({"BUILD_IMAGE", "TRAIN_IMAGE", "DISTRO_VERSION", "CUDNN_VERSION"})
    assert found["PYTHON_VERSION"] == "3.10"


def test_a_source_build_takes_the_cuda_of_nvidias_image_that_is_named() -> None:
    image = "registry.example.org/nvidia/cuda:12.4.1-cudnn-devel-ubuntu22.04"
    given = {"BUILD_MODE": "include", "BUILD_IMAGE": image}
    assert choose(Wish(torch="2.9", cca="8.6"), given)["CUDA_VERSION"] == "12.4.1"
    assert judged({**given, **choose(Wish(torch="2.9", cca="8.6"), given)}) == []
    with pytest.raises(CressetError, match=r"--cca: CUDA 12\.4\.1 can compile no code for 12\.0") as refused:
        choose(Wish(torch="2.9", cca="12.0"), given)
    assert refused.value.hint == "choose another BUILD_IMAGE"
    # Wheels bring a CUDA of their own.
    assert choose(Wish(torch="2.9"), {"BUILD_IMAGE": image})["CUDA_VERSION"] == "13.0.3"
    # One that .env has is the person's as well.
    values = settings({"BUILD_MODE": "include", "BUILD_IMAGE": image.removeprefix("registry.example.org/")})
    found = choice.choose(TABLES, Wish(torch="2.9", cca="8.6"), Surroundings(values=values))
    assert {one.name: one.value for one in found}["CUDA_VERSION"] == "12.4.1"


def test_deleted_images_are_not_needed_for_wheels_and_come_back_for_others() -> None:
    old = choose(Wish(torch="1.9.1", cuda="10.2"))
    assert old["BUILD_IMAGE"] == old["TRAIN_IMAGE"] == "ubuntu:20.04"
    around = Surroundings(values=settings(old))
    new = {one.name: one.value for one in choice.choose(TABLES, Wish(torch="2.6"), around)}
    assert new["BUILD_IMAGE"] == "nvidia/cuda:12.6.3-cudnn-devel-ubuntu24.04"


def test_without_cuda_the_plain_base_decides() -> None:
    given = {"USE_CUDA": "0", "BUILD_IMAGE": "debian:bookworm-slim"}
    found = choose(Wish(torch="2.6"), given)
    assert found["PYTHON_VERSION"] == "3.11"
    assert found.keys().isdisjoint({"CUDA_VERSION", "DISTRO_VERSION"})
    assert choose(Wish(torch="1.8"), given)["PYTHON_VERSION"] == "3.9"


def test_a_release_that_is_not_in_the_tables_goes_on_alone() -> None:
    found = choose(Wish(torch="2.99"))
    assert found["PYTORCH_VERSION_TAG"] == "v2.99.0"
    assert found["TORCHVISION_VERSION_TAG"] == found["TORCHAUDIO_VERSION_TAG"] == ""
    assert found.keys().isdisjoint({"CUDA_VERSION", "PYTHON_VERSION"})


def test_a_python_or_a_capability_alone_changes_nothing_else() -> None:
    assert choose(Wish(python="3.13")) == {"PYTHON_VERSION": "3.13"}
    assert "PYTORCH_VERSION_TAG" not in choose(Wish(cca="8.6"))


@pytest.mark.parametrize(
    "torch", ["two", "2", "2.6.0.1", "2.6rc1", "main", "latest", "v", "2.6.0+cu124", "\uff12.\uff16", "9" * 5000 + ".1"]
)
def test_what_is_no_release_is_refused(torch: str) -> None:
    with pytest.raises(CressetError, match="is no release of PyTorch"):
        choose(Wish(torch=torch))


@pytest.mark.parametrize(
    "cuda", ["12", "12.7", "cu124", "12.4.1.0", "twelve", "13.9", "\u0661\u0662.\u0664", "9" * 5000 + ".1.1"]
)
def test_what_is_no_cuda_is_refused(cuda: str) -> None:
    with pytest.raises(CressetError, match="is no CUDA that the tables know"):
        choose(Wish(torch="2.6", cuda=cuda))


@pytest.mark.parametrize(
    ("torch", "why"),
    [
        ("1.4", "1.4.0 is not in the tables, whose oldest is 1.7.0"),
        ("2.6.7", "2.6.7 is not in the tables: 2.6.0 is followed by 2.7.0"),
    ],
)
def test_only_what_is_newer_than_the_tables_goes_on(torch: str, why: str) -> None:
    with pytest.raises(CressetError, match=re.escape(f"--torch: PyTorch {why}")) as refused:
        choose(Wish(torch=torch))
    assert "--set PYTORCH_VERSION_TAG=v" in refused.value.hint
    assert choose(Wish(torch="2.15.7"))["PYTORCH_VERSION_TAG"] == "v2.15.7"


def test_a_cuda_without_a_row_can_be_named_with_its_patch_number() -> None:
    with pytest.raises(CressetError) as refused:
        choose(Wish(torch="2.6", cuda="14.0"))
    assert "like 14.0.0" in refused.value.hint
    assert choose(Wish(torch="2.6", cuda="14.0.0"))["CUDA_VERSION"] == "14.0.0"


def test_a_distribution_without_an_image_is_named_as_what_to_change() -> None:
    with pytest.raises(CressetError) as refused:
        choose(Wish(torch="2.14"), {"DISTRO_VERSION": "26.10"})
    assert "DISTRO_VERSION" in refused.value.hint


def test_another_hosts_driver_is_what_counts() -> None:
    found = choose(Wish(torch="2.14", driver="535"))
    assert found["CUDA_VERSION"] == "12.6.3"
    assert choose(Wish(torch="2.14", driver="580.65.06"))["CUDA_VERSION"] == "13.2.1"
    # Of what --cca and the driver allow, the newest.
    assert choose(Wish(torch="2.10", driver="580", cca="6.1"))["CUDA_VERSION"] == "12.6.3"
    assert choose(Wish(driver="535"))["CUDA_VERSION"] == "12.6.3"
    assert wish.read(Request(), torch="", cuda="", python="", cca="", driver="535").names_gpu


def test_a_driver_that_runs_nothing_of_what_is_asked_for_is_refused() -> None:
    with pytest.raises(CressetError, match=r"--driver: CUDA 13\.0\.\d needs driver 580 or newer, not 535"):
        choose(Wish(torch="2.14", cuda="13.0", driver="535"))
    with pytest.raises(CressetError, match=r"--driver: CUDA 13\.0\.1 needs driver 580"):
        choose(Wish(torch="2.14", driver="535"), {"CUDA_VERSION": "13.0.1"})
    with pytest.raises(CressetError, match="no CUDA that has official wheels runs with driver 470"):
        choose(Wish(torch="2.14", driver="470.57.02"))


def test_a_driver_counts_the_same_wherever_it_is_named() -> None:
    # Before 11 each CUDA has an oldest driver of its own.
    with pytest.raises(CressetError, match="no CUDA that has official wheels runs with driver 418"):
        choose(Wish(torch="1.12", driver="418"))
    assert choose(Wish(torch="1.12", driver="440"))["CUDA_VERSION"] == "10.2"
    assert choose(Wish(torch="1.12"), gpus=(gpu("6.1", driver="440.33.01", cuda="10.2"),))["CUDA_VERSION"] == "10.2"
    with pytest.raises(CressetError, match=r"--driver: CUDA 10\.2 needs driver 440\.33\.01 or newer, not 440\.31"):
        choose(Wish(torch="1.12", cuda="10.2", driver="440.31"))


def test_a_gpu_that_the_named_driver_does_not_know_is_refused() -> None:
    with pytest.raises(CressetError, match=r"--driver: GPUs of 12\.0 need driver 570 or newer, not 550"):
        choose(Wish(torch="2.11", cca="12.0", driver="550"))
    assert choose(Wish(torch="2.11", cca="12.0", driver="570"))["CUDA_VERSION"] == "12.8.1"


@pytest.mark.parametrize(
    ("torch", "driver", "cuda", "chosen"),
    [
        ("2.8", "570.124.06", "12.8", "12.8.1"),
        ("2.14", "595.45.04", "13.0", "13.0.3"),
        ("2.14", "595.45.04", "", "13.2.1"),
        ("2.6", "530.30.02", "12.1", "11.8.0"),
        ("2.8", "535.104.05", "12.2", "12.9.2"),  # there are no wheels for what it speaks
    ],
)
def test_what_the_driver_speaks_comes_first(torch: str, driver: str, cuda: str, chosen: str) -> None:
    for asked in (Wish(torch=torch), Wish(torch=torch, cca="8.6")):
        found = choose(asked, gpus=(gpu("8.6", driver=driver, cuda=cuda),))
        assert found["CUDA_VERSION"] == chosen
    compiled = choose(Wish(torch="2.11"), {"BUILD_MODE": "include"}, (gpu("8.6", driver=driver, cuda="12.8"),))
    assert compiled["CUDA_VERSION"] == "12.8.1"


@pytest.mark.parametrize("driver", ["new", "5", "535.", "9" * 5000, "\u0665\u0663\u0665"])
def test_what_is_no_driver_is_refused(driver: str) -> None:
    with pytest.raises(CressetError, match=r"--driver: .* is no version of NVIDIA's driver"):
        wish.read(Request(), torch="", cuda="", python="", cca="", driver=driver)


def test_options_are_checked_as_settings_are() -> None:
    with pytest.raises(CressetError, match="--python"):
        wish.read(Request(), torch="", cuda="", python="2.7", cca="")
    with pytest.raises(CressetError, match="--cca"):
        wish.read(Request(), torch="", cuda="", python="", cca="8,6")
    with pytest.raises(CressetError, match="--cca"):
        wish.read(Request(), torch="", cuda="", python="", cca="9" * 5000 + ".0")
    with pytest.raises(CressetError, match="--set CUDA_VERSION is asked for by an option of its own"):
        wish.read(Request(overrides={"CUDA_VERSION": "12.4.1"}), torch="", cuda="12.4", python="", cca="")
    assert wish.read(Request(), torch="", cuda="", python="", cca="").settings == frozenset()
