"""The table for people, and what of it a host can run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cresset import hardware
from cresset.errors import CressetError
from cresset.hardware import Gpu
from cresset.versions import pairings
from tests.unit.a_configuration import TABLES, gpu


def shown(monkeypatch: pytest.MonkeyPatch, *gpus: Gpu, torch: str = "", complaint: str = "", driver: str = "") -> str:
    monkeypatch.setattr(hardware, "gpus", lambda: (gpus, complaint))
    printed = io.StringIO()
    pairings.show(console=Console(file=printed, width=200), torch=torch, driver=driver)
    return printed.getvalue()


def test_every_release_has_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, complaint="it says so")
    for row in TABLES.rows["releases"]:
        assert f"\n{row['torch']} " in text
    assert "No NVIDIA GPU answers here: it says so." in text
    assert "2.6.0    0.21.0       2.6.0       -          3.9 to 3.13   12.6 12.4 11.8" in text
    head = text.splitlines()[2]
    assert head.startswith("PyTorch ")
    assert "here" not in head


def test_what_this_host_can_run_is_in_the_last_column(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, gpu("6.1", driver="535.104.05"))
    lines = {line.split()[0]: line for line in text.splitlines() if line[:1].isdigit()}
    assert lines["2.14.1"].split()[-4:] == ["13.2", "13.0", "12.6", "12.6"]
    assert lines["2.15.0"].split()[-1] == "-"


@pytest.mark.parametrize("torch", ["", "2.6"])
def test_a_host_without_a_gpu_is_told_what_it_runs_all_the_same(monkeypatch: pytest.MonkeyPatch, torch: str) -> None:
    line = shown(monkeypatch, torch=torch).splitlines()[1]
    assert line.startswith("So this host runs the wheels for the CPU, which every release has (--service cpu). ")
    assert line.endswith("can be built here, for another host, and do not run.")


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (("8.6", "580.65.06"), "This host runs official wheels up to PyTorch 2.15.0 for CUDA 13.2."),
        (("8.6", "535.104.05"), "This host runs official wheels up to PyTorch 2.14.1 for CUDA 12.6."),
        (("6.1", "470.57.02"), "This host runs official wheels up to PyTorch 2.7.1 for CUDA 11.8."),
        (("3.5", "390.12"), "This host is not known to run any official wheel for a CUDA: "),
    ],
)
def test_a_host_with_a_gpu_is_told_the_newest_that_it_runs(
    monkeypatch: pytest.MonkeyPatch, found: tuple[str, str], says: str
) -> None:
    capability, driver = found
    assert shown(monkeypatch, gpu(capability, driver=driver)).splitlines()[1].startswith(says)


def test_another_host_is_judged_by_its_driver_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, gpu("12.0", driver="610.43.02"), driver="535").splitlines()
    assert lines[0] == "A host with driver 535 runs official wheels up to PyTorch 2.14.1 for CUDA 12.6."
    assert lines[1].split()[-1] == "there"
    text = shown(monkeypatch, torch="2.14", driver="535")
    assert text.count("a host with driver 535 cannot run it") == 2
    assert text.count("a host with driver 535 can run it") == 1
    with pytest.raises(CressetError, match="--driver"):
        shown(monkeypatch, driver="new")


@pytest.mark.parametrize(
    ("torch", "cuda", "capability", "driver", "runs"),
    [
        ("2.14.1", "13.0", "8.6", "580.65.06", True),
        ("2.14.1", "13.0", "8.6", "570.124.06", False),
        ("2.14.1", "13.0", "6.1", "580.65.06", False),
        ("2.14.1", "12.6", "6.1", "580.65.06", True),
        ("2.7.0", "12.6", "12.0", "580.65.06", False),
        # Nobody says what it was compiled for, but no CUDA 13 compiles for that.
        ("2.15.0", "13.0", "6.1", "580.65.06", False),
        ("2.15.0", "13.0", "8.6", "580.65.06", True),
        ("2.6.0", "12.6", "12.0", "580.65.06", False),
        # A driver that is too old to say what its GPU is.
        ("2.7.0", "11.8", "", "450.80.02", True),
        # Before CUDA 11 every minor version has its own oldest driver.
        ("1.9.1", "10.2", "6.1", "440.33.01", True),
        ("1.9.1", "10.2", "6.1", "440.31", False),
    ],
)
def test_a_wheel_runs_where_driver_and_gpu_allow_it(
    torch: str, cuda: str, capability: str, driver: str, *, runs: bool
) -> None:
    assert pairings.is_for(TABLES, torch, cuda, (gpu(capability, driver=driver),), "x86_64") == runs


def test_one_release_is_shown_with_its_images(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, gpu("8.6"), torch="2.6")
    assert "PyTorch 2.6.0 goes with TorchVision 0.21.0, TorchAudio 2.6.0, and Python 3.9 to 3.13." in text
    assert "CUDA 12.4: driver 525 or newer; nvidia/cuda:12.4.1-cudnn-devel-ubuntu22.04" in text
    assert "the wheel has code for 3.7 5.0 6.0 7.0 7.5 8.0 8.6 9.0" in text
    assert text.count("this host can run it") == 3


def test_an_old_release_is_shown_without_images_that_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, torch="1.9.1")
    assert "CUDA 10.2: driver 440.33.01 or newer; NVIDIA has deleted its images" in text
    assert "TorchText 0.10.1" in text
    assert "Compiling it takes CUDA 9.2 to 11.4." in text


def test_a_release_that_is_not_in_the_tables_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CressetError, match=r"PyTorch 2\.99\.0 is not in the tables, whose newest is 2\.15\.0"):
        shown(monkeypatch, torch="2.99")
