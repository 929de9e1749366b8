"""What an image is compared with, without an image: settings on one side, what was found on the other."""

from __future__ import annotations

import importlib.util
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from cresset import dockerfile

ROOT = Path(__file__).resolve().parents[2]


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("check_image", ROOT / "misc/image/check-image.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check = _load()
NVIDIA = "nvidia/cuda:12.4.1-cudnn-devel-ubuntu24.04"
ASKED = {
    "BUILD_MODE": "exclude",
    "USE_CUDA": "1",
    "CUDA_VERSION": "12.4.1",
    "CUDNN_VERSION": "",
    "LINUX_DISTRO": "ubuntu",
    "DISTRO_VERSION": "24.04",
    "TRAIN_IMAGE": NVIDIA,
    "PYTHON_VERSION": "3.12",
    "PYTORCH_VERSION_TAG": "v2.6.0",
    "TORCHVISION_VERSION_TAG": "v0.21.0",
    "TORCHAUDIO_VERSION_TAG": "",
    "TORCHTEXT_VERSION_TAG": "",
    "PYTORCH_FETCH_NIGHTLY": "0",
    "CCA": "",
    "TORCH_BUILD_FLAGS": "",
    "COMPANION_BUILD_FLAGS": "",
}
FOUND = {
    "python": "3.12.3",
    "torch": "2.6.0+cu124",
    "torchvision": "0.21.0+cu124",
    "cuda": "12.4",
    "cudnn": "9.1.0",
    "nccl": "2.21.5",
    "commit": "1eba9b3aa3c43f86f4a2c807ac8e12c4a7767340",
    "architectures": ["sm_50", "sm_90", "compute_90"],
    "distribution": "ubuntu 24.04",
}
COMPILED = {"BUILD_MODE": "include", "CCA": "8.6 9.0+PTX"}


def compare(asked: dict[str, str], found: dict[str, Any]) -> list[str]:
    lines: list[str] = check.differences({**ASKED, **asked}, {**FOUND, **found})
    return lines


AS_ASKED = {
    "as asked": ({}, {}),
    "a tag without its v": ({"PYTORCH_VERSION_TAG": "2.6.0"}, {}),
    "a tag in short": ({"PYTORCH_VERSION_TAG": "v2.6"}, {}),
    "a label in the tag": (
        {"PYTORCH_VERSION_TAG": "2.6.0+cu118"},
        {"torch": "2.6.0+cu118", "cuda": "11.8"},
    ),
    "an old label": (
        {"PYTORCH_VERSION_TAG": "1.9.0+cu102", "CUDA_VERSION": "10.2"},
        {"torch": "1.9.0+cu102", "cuda": "10.2"},
    ),
    "Python with its patch": ({"PYTHON_VERSION": "3.12.3"}, {}),
    "a release candidate": ({"PYTORCH_VERSION_TAG": "v2.6.0-rc1"}, {"torch": "2.6.0rc1+cu124"}),
    "the newest nightly": (
        {"PYTORCH_FETCH_NIGHTLY": "1"},
        {"torch": "2.7.0.dev20250101+cu124", "torchvision": "0.22.0.dev20250101+cu124"},
    ),
    "without CUDA": ({"USE_CUDA": "0"}, {"torch": "2.6.0+cpu", "cuda": None}),
    "a wheel with CUDA for the CPU, as PyPI has it": ({"USE_CUDA": "0"}, {"torch": "2.6.0", "cuda": "12.4"}),
    "a companion that nobody asked for": ({}, {"torchaudio": "2.0.0"}),
    "a base image of one's own": ({"TRAIN_IMAGE": "debian:12"}, {"distribution": "debian 12"}),
    "a pinned base image": ({"TRAIN_IMAGE": f"{NVIDIA}@sha256:{'0' * 64}"}, {}),
    "no distribution to be known": ({}, {"distribution": ""}),
    "Rocky": (
        {"LINUX_DISTRO": "rockylinux", "DISTRO_VERSION": "9", "TRAIN_IMAGE": "nvidia/cuda:1-rockylinux9"},
        {"distribution": "rocky 9.4"},
    ),
    "compiled": (COMPILED, {"torch": "2.6.0", "architectures": ["sm_86", "sm_90", "compute_90"]}),
    "compiled for more": (COMPILED, {"torch": "2.6.0", "architectures": ["sm_75", "sm_86", "sm_90", "compute_90"]}),
    "compiled from a branch": (
        {**COMPILED, "PYTORCH_VERSION_TAG": "release/2.6", "CCA": "5.0"},
        {"torch": "2.6.0a0+git1eba9b3"},
    ),
    "compiled by one's own version and build number": (
        {**COMPILED, "CCA": "5.0", "TORCH_BUILD_FLAGS": "PYTORCH_BUILD_VERSION=2.6.0 PYTORCH_BUILD_NUMBER=2"},
        {"torch": "2.6.0.post2"},
    ),
    "compiled by one's own version and the first number": (
        {**COMPILED, "CCA": "5.0", "TORCH_BUILD_FLAGS": "PYTORCH_BUILD_VERSION=2.6.1 PYTORCH_BUILD_NUMBER=1"},
        {"torch": "2.6.1"},
    ),
    "compiled by one's own build number": (
        {**COMPILED, "CCA": "5.0", "TORCH_BUILD_FLAGS": "PYTORCH_BUILD_NUMBER=12"},
        {"torch": "2.6.0.post12"},
    ),
    "compiled from a branch by one's own build number": (
        {**COMPILED, "PYTORCH_VERSION_TAG": "main", "CCA": "5.0", "TORCH_BUILD_FLAGS": "PYTORCH_BUILD_NUMBER=2"},
        {"torch": "2.6.0a0+git1eba9b3"},
    ),
    "compiled by one's own version": (
        {**COMPILED, "CCA": "5.0", "TORCH_BUILD_FLAGS": "PYTORCH_BUILD_VERSION=9.9 USE_MPI=1"},
        {"torch": "9.9"},
    ),
    "compiled without CUDA by a flag": (
        {**COMPILED, "TORCH_BUILD_FLAGS": "USE_CUDA=0"},
        {"torch": "2.6.0", "cuda": None, "architectures": []},
    ),
    "compiled from a commit": (
        {**COMPILED, "CCA": "5.0", "PYTORCH_VERSION_TAG": "1eba9b3aa3c4"},
        {"torch": "2.6.0a0+git1eba9b3"},
    ),
    "compiled from a commit in capitals": (
        {**COMPILED, "CCA": "5.0", "PYTORCH_VERSION_TAG": "1EBA9B3AA3C43F86F4A2C807AC8E12C4A7767340"},
        {"torch": "2.6.0a0+git1eba9b3"},
    ),
    "a branch that looks like a commit": (
        {**COMPILED, "CCA": "5.0", "PYTORCH_VERSION_TAG": "20250101"},
        {"torch": "2.6.0a0"},
    ),
    "compiled for a family": ({**COMPILED, "TORCH_BUILD_FLAGS": "TORCH_CUDA_ARCH_LIST=8.0;Hopper"}, {"torch": "2.6.0"}),
    "CUDA with its patch": ({"CUDA_VERSION": "10.0"}, {"cuda": "10.0.130"}),
    "an index of one's own": ({"PYTORCH_INDEX_URL": "https://wheels.example.com/simple"}, {"cuda": "12.6"}),
    "cuDNN": ({**COMPILED, "CCA": "5.0", "CUDNN_VERSION": "9"}, {"torch": "2.6.0"}),
    "cuDNN of a wheel, which brings its own": ({"CUDNN_VERSION": "8"}, {}),
}


@pytest.mark.parametrize(("asked", "found"), AS_ASKED.values(), ids=AS_ASKED)
def test_what_is_as_it_was_asked_for_is_no_difference(asked: dict[str, str], found: dict[str, Any]) -> None:
    assert compare(asked, found) == []


OTHERWISE = {
    "torch": ({}, {"torch": "2.5.1+cu124"}, "torch is 2.5.1+cu124, asked for 2.6.0"),
    "the code of torch": ({}, {"inside": {"torch": "2.5.1"}}, "torch is 2.5.1, asked for 2.6.0"),
    "another build number": (
        {**COMPILED, "CCA": "5.0", "TORCH_BUILD_FLAGS": "PYTORCH_BUILD_NUMBER=2"},
        {"torch": "2.6.0"},
        "torch is 2.6.0, asked for 2.6.0.post2",
    ),
    "a nightly that was named": (
        {"PYTORCH_FETCH_NIGHTLY": "1", "PYTORCH_VERSION_TAG": "2.7.0.dev20250101", "TORCHVISION_VERSION_TAG": ""},
        {"torch": "2.7.0.dev20250102+cu124"},
        "torch is 2.7.0.dev20250102+cu124, asked for 2.7.0.dev20250101",
    ),
    "a label": (
        {"PYTORCH_VERSION_TAG": "2.6.0+cu124"},
        {"torch": "2.6.0"},
        "torch is 2.6.0, asked for 2.6.0+cu124",
    ),
    "a companion": ({}, {"torchvision": "0.20.1"}, "torchvision is 0.20.1, asked for 0.21.0"),
    "a companion that is not there": (
        {"TORCHAUDIO_VERSION_TAG": "v2.6.0"},
        {},
        "torchaudio is not there, asked for v2.6.0",
    ),
    "no import": (
        {},
        {"errors": {"torchvision": "cannot be imported: RuntimeError: operator torchvision::nms does not exist"}},
        "torchvision 0.21.0+cu124 cannot be imported: RuntimeError: operator torchvision::nms does not exist",
    ),
    "Python": ({"PYTHON_VERSION": "3.1"}, {}, "Python is 3.12.3, asked for 3.1"),
    "CUDA": ({}, {"cuda": "12.6"}, "the CUDA of torch is 12.6, asked for 12.4"),
    "no CUDA": ({}, {"cuda": None}, "the CUDA of torch is none, asked for 12.4"),
    "no CUDA from an index of one's own": (
        {"PYTORCH_INDEX_URL": "https://wheels.example.com/simple"},
        {"cuda": None},
        "the CUDA of torch is none, asked for 12.4",
    ),
    "CUDA of a label, from an index of one's own": (
        {"PYTORCH_INDEX_URL": "https://wheels.example.com/simple", "PYTORCH_VERSION_TAG": "2.6.0+cu124"},
        {"cuda": "12.6"},
        "the CUDA of torch is 12.6, asked for 12.4",
    ),
    "CUDA compiled for the CPU": (
        {**COMPILED, "USE_CUDA": "0"},
        {"torch": "2.6.0"},
        "the CUDA of torch is 12.4, asked for none",
    ),
    "CUDA for a label": (
        {"PYTORCH_VERSION_TAG": "2.6.0+cu124", "CUDA_VERSION": "12.6.3"},
        {"cuda": "12.6"},
        "the CUDA of torch is 12.6, asked for 12.4",
    ),
    "the release of the distribution": (
        {},
        {"distribution": "ubuntu 22.04"},
        "the distribution is ubuntu 22.04, asked for ubuntu 24.04",
    ),
    "the distribution": ({}, {"distribution": "debian 12"}, "the distribution is debian 12, asked for ubuntu 24.04"),
    "the distribution of deploy": (
        {"TRAIN_IMAGE": "", "DEPLOY_IMAGE": NVIDIA},
        {"distribution": "debian 12"},
        "the distribution is debian 12, asked for ubuntu 24.04",
    ),
    "capabilities": (
        COMPILED,
        {"torch": "2.6.0", "architectures": ["sm_86", "sm_90"]},
        "torch is compiled for sm_86 sm_90, asked for sm_86 sm_90 compute_90",
    ),
    "cuDNN": (
        {**COMPILED, "CCA": "5.0", "CUDNN_VERSION": "8"},
        {"torch": "2.6.0"},
        "the cuDNN of torch is 9.1.0, asked for 8",
    ),
    "a commit in the tag's place": (
        {**COMPILED, "CCA": "5.0", "PYTORCH_VERSION_TAG": "abcde" * 8},
        {"torch": "2.6.0a0"},
        f"the commit of torch is {FOUND['commit']}, asked for {'abcde' * 8}",
    ),
    "a library": (
        {},
        {"missing": {"torch": {"libcupti.so.12": "torch/lib/libtorch_cpu.so"}}},
        "torch needs libcupti.so.12, which is nowhere in the image (torch/lib/libtorch_cpu.so)",
    ),
}


@pytest.mark.parametrize(("asked", "found", "line"), OTHERWISE.values(), ids=OTHERWISE)
def test_what_is_otherwise_is_a_line_with_both_values(asked: dict[str, str], found: dict[str, Any], line: str) -> None:
    assert compare(asked, found) == [line]


def test_what_was_compared_is_kept_with_both_values_and_told_in_a_line() -> None:
    made = check.claims({**ASKED, **COMPILED, "CCA": "9.0"}, {**FOUND, "torch": "2.6.0", "torchvision": "0.20.1"})
    assert [tuple(claim) for claim in made] == [
        ("Python", "3.12", "3.12.3", ""),
        ("torch", "2.6.0", "2.6.0", ""),
        ("torchvision", "0.21.0", "0.20.1", "torchvision is 0.20.1, asked for 0.21.0"),
        ("CUDA", "12.4", "12.4", ""),
        ("compiled for", "sm_90", "sm_50 sm_90 compute_90", ""),
        ("distribution", "ubuntu 24.04", "ubuntu 24.04", ""),
        ("missing libraries", "none", "none", ""),
    ]
    assert check.verified(made) == (
        "Python 3.12.3, torch 2.6.0, CUDA 12.4, no library missing, compiled for sm_50 sm_90 compute_90, "
        "distribution ubuntu 24.04"
    )
    assert check.verified([check.Claim("CUDA", "none", "none", ""), check.Claim("uid", 0, 0, "")]) == "no CUDA, uid 0"
    made = check.account_claims(USER, ACCOUNT)
    assert check.verified(made) == "user nick"
    made = check.account_claims(USER, {**ACCOUNT, "user": "mick"})
    assert check.verified(made) == "uid 1234"


@pytest.mark.parametrize("no", ["OFF", "off", "NO", "False", "n", "0"])
def test_a_flag_says_no_in_the_ways_that_pytorch_knows(no: str) -> None:
    asked = {**COMPILED, "TORCH_BUILD_FLAGS": f"USE_CUDA={no}"}
    assert compare(asked, {"torch": "2.6.0", "cuda": None, "architectures": []}) == []


class Mute(Exception):  # noqa: N818 - as bad as they come
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ImportError("libx.so: no such file\nand more"), "ImportError: libx.so: no such file"),
        (ImportError("\n\n  at last"), "ImportError: at last"),
        (SystemExit(), "SystemExit"),
        (Exception(""), "Exception"),
        (Mute(), "Mute"),
    ],
)
def test_a_reason_is_one_line(error: BaseException, said: str) -> None:
    assert check.reason(error) == said


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (-11, "ends Python while it is imported (signal 11)"),
        (3, "ends Python while it is imported (exit code 3)"),
        (-14, "is still being imported after 120 seconds"),
    ],
)
def test_a_package_that_ends_python_is_named(monkeypatch: pytest.MonkeyPatch, code: int, says: str) -> None:
    def answer_once(argv: list[str]) -> int:
        assert argv[3:-1] == ["inside", "torch", "torchvision", "torchaudio"]
        Path(argv[-1]).write_text('{"inside": "2.6.0", "cuda": null}\n')
        return code

    monkeypatch.setattr(check.subprocess, "call", answer_once)
    found: dict[str, Any] = {"errors": {}, "inside": {}}
    check._look_inside(found, ["torch", "torchvision", "torchaudio"])
    assert found == {"errors": {"torchvision": says}, "inside": {"torch": "2.6.0"}, "cuda": None}
    assert compare({}, found | {"cuda": "12.4"}) == [f"torchvision 0.21.0+cu124 {says}"]


def test_a_package_is_asked_when_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "well_made.py").write_text("__version__ = '1.0'\n")
    (tmp_path / "ill_made.py").write_text("raise SystemExit\n")
    assert check.ask_inside("well_made") == {"inside": "1.0"}
    assert check.ask_inside("ill_made") == {"errors": "cannot be imported: SystemExit"}


def test_what_cannot_be_asked_is_not_held_against_the_image() -> None:
    for name in ("cuda", "cudnn", "commit", "architectures", "distribution"):
        found = {key: value for key, value in FOUND.items() if key != name}
        assert check.differences({**ASKED, **COMPILED, "CUDNN_VERSION": "9", "CCA": "9.0"}, found) == []


USER = {"ADD_USER": "include", "UID": "1234", "GID": "99", "USR": "nick", "GRP": "users"}
ACCOUNT = {"uid": 1234, "gid": 99, "user": "nick", "group": "dialout", "home": "/home/nick", "owns_home": True}
ROOT_ACCOUNT = {"uid": 0, "gid": 0, "user": "root", "group": "root", "home": "/root", "owns_home": True}


@pytest.mark.parametrize(
    ("asked", "found", "lines"),
    [
        ({}, {}, []),
        ({"USR": "root"}, {"user": "user"}, []),
        ({"ADD_USER": "exclude"}, ROOT_ACCOUNT, []),
        ({"UID": "0"}, ROOT_ACCOUNT, []),
        ({}, {"uid": 0}, ["the account's uid is 0, asked for 1234"]),
        ({}, {"gid": 0}, ["the account's gid is 0, asked for 99"]),
        ({}, {"user": "ubuntu"}, ["the account's user is ubuntu, asked for nick"]),
        ({"ADD_USER": "exclude"}, {}, ["the account's uid is 1234, asked for 0"]),
        ({}, {"owns_home": False}, ["the account's home /home/nick is not its own"]),
    ],
)
def test_the_account_is_the_one_that_was_asked_for(
    asked: dict[str, str], found: dict[str, Any], lines: list[str]
) -> None:
    assert check.account_differences({**USER, **asked}, {**ACCOUNT, **found}) == lines


def library(*needed: str, runpath: str = "") -> bytes:
    """Return the least of a shared library: its header, one segment and a dynamic section."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in (*needed, runpath))
    at, entries = 1, []
    for tag, name in [*((1, name) for name in needed), *([(29, runpath)] if runpath else [])]:
        entries.append((tag, at))
        at += len(name) + 1
    begin, address = 64 + 2 * 56, 0x1000
    dynamic = [*entries, (5, address + begin), (0, 0)]
    table = struct.pack("<" + "qQ" * len(dynamic), *(number for entry in dynamic for number in entry))
    end = begin + len(strings)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, address, address, end + len(table), end + len(table), 4096)
    where = struct.pack("<IIQQQQQQ", 2, 4, end, address + end, address + end, len(table), len(table), 8)
    return header + load + where + strings + table


def test_a_library_says_what_it_needs_and_where_it_looks(tmp_path: Path) -> None:
    path = tmp_path / "libtorch.so"
    path.write_bytes(library("libc10.so", "libcupti.so.12", runpath="$ORIGIN/../nvidia:/usr/local/cuda/lib64"))
    assert check.read_library(str(path)) == (
        ["libc10.so", "libcupti.so.12"],
        [f"{tmp_path}/../nvidia", "/usr/local/cuda/lib64"],
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x7fELF",
        b"\x7fELF\x01\x01" + bytes(90),
        b"INPUT(libx.so.1)",
        library()[:90],
        library()[:40] + b"\xff" * 90,
    ],
)
def test_what_is_no_library_needs_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "libx.so"
    path.write_bytes(content)
    assert check.read_library(str(path)) == ([], [])


def test_a_pipe_is_no_library(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.so")
    assert check.read_library(str(tmp_path / "x.so")) == ([], [])


def test_only_what_is_nowhere_is_missing_and_others_packages_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "venv" / "site-packages"
    for name, needed in {
        "torch/lib/libtorch.so": ("libc10.so", "libcuda.so.1", "libnowhere.so.1", "libthere.so"),
        "torch/lib/libc10.so": (),
        "cv2/cv2.abi3.so": ("libGL.so.1", "libavcodec.so.58"),
        "torch-2.6.0.dist-info/RECORD": (),
    }.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(library(*needed, runpath=str(tmp_path)))
    (site / "torch-2.6.0.dist-info/RECORD").write_bytes(
        b"torch/lib/\xff.so,,\ntorch/lib/libtorch.so,,\ntorch/lib/libc10.so,,\n"
    )
    (tmp_path / "constraints.txt").write_text("torch==2.6.0\n")
    (tmp_path / "libthere.so").touch()
    monkeypatch.setattr(check, "_site_packages", lambda: str(site))
    monkeypatch.setattr(check, "_system_libraries", set)
    monkeypatch.setattr(check.sys, "prefix", str(tmp_path / "venv"))
    assert check._missing_libraries() == (
        {"torch": {"libnowhere.so.1": "torch/lib/libtorch.so"}},
        {"cv2": {"libGL.so.1": "cv2/cv2.abi3.so"}},
    )


def test_cudnn_is_told_in_both_of_its_ways() -> None:
    assert [check._dotted(number) for number in (7605, 8907, 91002, None)] == ["7.6.5", "8.9.7", "9.10.2", None]


@pytest.mark.parametrize(
    ("recipe", "stage", "kind"),
    [
        ("Dockerfile", "check-env", "environment"),
        ("Dockerfile", "check-deploy", "environment"),
        ("Dockerfile", "check-user", "account"),
        ("Dockerfile", "check-simple", "account"),
        ("ngc.Dockerfile", "check-ngc", "account"),
    ],
)
def test_the_stages_say_what_is_asked_for(recipe: str, stage: str, kind: str) -> None:
    (found,) = (one for one in dockerfile.parse((ROOT / recipe).read_text()).stages if one.name == stage)
    named = [argument.name for argument in found.arguments]
    bases = {"TRAIN_IMAGE", "DEPLOY_IMAGE"} - set(named) if kind == "environment" else set()
    assert named == [name for name in check.ASKED[kind] if name not in bases]
    assert len(bases) == (kind == "environment")
