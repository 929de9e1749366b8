from __future__ import annotations

import pytest

from cresset.versions import wheels

HOUSE = wheels.read(
    (
        "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
        "torch-2.12.1+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
        "torch-2.14.1+cpu-cp312-cp312-manylinux_2_28_x86_64.whl",
        "torch-2.14.1+cu130-cp311-cp311-manylinux_2_28_x86_64.whl",
        "torch-2.14.1+cpu-cp311-cp311-manylinux_2_28_aarch64.whl",
        "torchvision-0.28.0-py3-none-any.whl",
        "torch-2.13.0.zip",
        "not a wheel.whl",
    )
)


@pytest.mark.parametrize(
    ("python", "variant", "version", "want"),
    [
        ("3.11", "cpu", "", "2.13.0+cpu"),
        ("3.12", "cpu", "", "2.14.1+cpu"),
        ("", "cpu", "", "2.14.1+cpu"),
        ("3.11", "cu130", "", "2.14.1+cu130"),
        ("3.11", "cpu", "2.12.1", "2.12.1+cpu"),
        ("3.11", "cpu", "2.14.1", None),
        ("3.10", "cpu", "", None),
    ],
    ids=["newest", "another Python", "any Python", "CUDA", "one version", "only for other Pythons", "none"],
)
def test_the_newest_that_fits(python: str, variant: str, version: str, want: str | None) -> None:
    found = wheels.newest(HOUSE, name="torch", python=python, machine="x86_64", variant=variant, version=version)
    assert (str(found.version) if found else None) == want


def test_a_pure_wheel_fits_everywhere() -> None:
    assert wheels.newest(HOUSE, name="torchvision", python="3.14", machine="riscv64", variant="cpu")


def test_variant_is_the_label_of_the_official_wheels() -> None:
    assert wheels.variant(use_cuda="1", cuda_version="13.0.3") == "cu130"
    assert wheels.variant(use_cuda="1", cuda_version="10.2") == "cu102"
    assert wheels.variant(use_cuda="0", cuda_version="13.0.3") == "cpu"


def test_a_label_says_its_cuda() -> None:
    assert [wheels.cuda_of(label) for label in ("cu130", "cu92", "cu118")] == ["13.0", "9.2", "11.8"]


def test_an_index_page_lists_its_wheels() -> None:
    page = """<a href="/whl/cpu/torch-2.13.0%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl#sha256=0123">torch</a>
              <a href="https://example.org/torch-2.14.1-cp312-cp312-manylinux_2_28_x86_64.whl">x</a>"""
    assert [str(wheel.version) for wheel in wheels.listed(page)] == ["2.13.0+cpu", "2.14.1"]
