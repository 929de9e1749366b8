from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cresset import hardware, host
from cresset.hardware import Gpu

TARGETS = """\
http://mirror.example/debian-security/ bookworm-security
http://mirror.example/debian/ bookworm
http://other.example/debian/ bookworm
"""


@pytest.mark.parametrize(
    ("text", "suite", "want"),
    [
        (TARGETS, "bookworm", "http://mirror.example/debian"),
        (TARGETS, "trixie", ""),
        (TARGETS, "", ""),
        ("cdrom:[disc]/ bookworm\nfile:/srv/debian/ bookworm\n", "bookworm", ""),
        ("", "bookworm", ""),
    ],
    ids=["the first of the suite", "another suite", "no suite", "no web address", "no apt"],
)
def test_the_apt_mirror_is_the_main_archives(text: str, suite: str, want: str) -> None:
    assert host.parse_apt_targets(text, suite) == want


def test_pips_settings_come_from_files_and_the_environment_beats_them() -> None:
    text = """\
:env:.find-links='/from/environment'
global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'
global.find-links='/from/file'
global.index-url="https://c.example/simple"
install.trusted-host='c.example'
download.index-url='https://no.example'
"""
    assert host.parse_pip_config(text) == {
        "extra-index-url": "https://a.example/simple https://b.example/simple",
        "find-links": "/from/environment",
        "index-url": "https://c.example/simple",
        "trusted-host": "c.example",
    }


def summary(driver: str, cuda: str, program: str = "") -> str:
    """What nvidia-smi prints above its table; on WSL the program is of another version than Windows' driver."""
    line = "+-----------------------------------------------------------------------------------------+"
    named = f"| NVIDIA-SMI {program or driver:<22} Driver Version: {driver:<14} CUDA Version: {cuda:<8} |"
    return f"Fri Nov 20 13:12:41 2026       \n{line}\n{named}\n{line}\n"


def gpu(index: int, name: str, capability: str, driver: str, cuda: str, *, memory: int) -> Gpu:
    return Gpu(index=index, name=name, capability=capability, driver=driver, cuda=cuda, memory=memory)


# Recorded on one, without MIG.
H200 = gpu(0, "NVIDIA H200", "9.0", "580.159.04", "13.0", memory=143771)
FAILED = """\
NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver \
is installed and running.

"""
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.161\n"
OLD = 'Field "compute_cap" is not a valid field to query.\n\n'


@pytest.mark.parametrize(
    ("rows", "header", "want"),
    [
        ("0, NVIDIA H200, 9.0, 580.159.04, 143771\n", summary("580.159.04", "13.0"), (H200,)),
        (
            "0, NVIDIA GeForce RTX 3090, 8.6, 550.163.01, 24576\n1, NVIDIA H100 PCIe, 9.0, 550.163.01, 81559\n",
            summary("550.163.01", "12.4"),
            (
                gpu(0, "NVIDIA GeForce RTX 3090", "8.6", "550.163.01", "12.4", memory=24576),
                gpu(1, "NVIDIA H100 PCIe", "9.0", "550.163.01", "12.4", memory=81559),
            ),
        ),
        (
            "0, Tesla V100-SXM2-32GB, 450.248.02, 32510\n",
            summary("450.248.02", "11.0"),
            (gpu(0, "Tesla V100-SXM2-32GB", "", "450.248.02", "11.0", memory=32510),),
        ),
        (
            "0, NVIDIA GeForce RTX 4070 Laptop GPU, 8.9, 581.29, 8188\n",
            summary("581.29", "13.0", program="580.82.07"),
            (gpu(0, "NVIDIA GeForce RTX 4070 Laptop GPU", "8.9", "581.29", "13.0", memory=8188),),
        ),
        (
            "0, NVIDIA A100-SXM4-40GB, 8.0, 570.172.08, [Insufficient Permissions]\n",
            summary("570.172.08", "12.8"),
            (gpu(0, "NVIDIA A100-SXM4-40GB", "8.0", "570.172.08", "12.8", memory=0),),
        ),
        (
            "0, NVIDIA GB10, 12.1, 580.95.05, [N/A]\nUnable to determine the device handle for GPU1: Unknown Error\n",
            "",
            (gpu(0, "NVIDIA GB10", "12.1", "580.95.05", "", memory=0),),
        ),
        (FAILED, FAILED, ()),
        (MISMATCH, MISMATCH, ()),
        ("No devices were found\n", summary("580.95.05", "13.0"), ()),
        (OLD, summary("450.248.02", "11.0"), ()),
        ("", "", ()),
    ],
    ids=[
        "an H200",
        "two different GPUs",
        "an old driver asked without compute_cap",
        "WSL",
        "MIG without permission to see the whole",
        "shared memory, and a lost GPU",
        "the driver does not answer",
        "the driver was upgraded without a reboot",
        "no devices",
        "an old driver asked for compute_cap",
        "nothing",
    ],
)
def test_gpus_are_read_from_what_nvidia_smi_prints(rows: str, header: str, want: tuple[Gpu, ...]) -> None:
    assert hardware.parse_gpus(rows, summary=header) == want


HANGS = "never"


@pytest.fixture
def nvidia_smi(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What nvidia-smi prints, by the words that it is asked with."""
    answers: dict[str, str] = {}
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "nvidia-smi")

    def ask(*argv: str, until: float) -> str:
        assert until
        answer = answers.get(" ".join(argv[1:2]), "")
        if answer == HANGS:
            raise TimeoutError
        return answer

    monkeypatch.setattr(hardware, "ask", ask)
    return answers


def test_an_old_driver_is_asked_again_for_what_it_knows(nvidia_smi: dict[str, str]) -> None:
    nvidia_smi["--query-gpu=index,name,compute_cap,driver_version,memory.total"] = OLD
    nvidia_smi["--query-gpu=index,name,driver_version,memory.total"] = "0, Tesla V100-SXM2-32GB, 450.248.02, 32510\n"
    nvidia_smi[""] = summary("450.248.02", "11.0")
    (found,), complaint = hardware.gpus()
    assert str(found) == "GPU 0: Tesla V100-SXM2-32GB, driver 450.248.02 (CUDA up to 11.0)"
    assert complaint == ""


def test_what_nvidia_smi_says_instead_of_gpus_is_kept(nvidia_smi: dict[str, str]) -> None:
    nvidia_smi["--query-gpu=index,name,compute_cap,driver_version,memory.total"] = FAILED
    nvidia_smi[""] = FAILED
    assert hardware.gpus() == ((), FAILED.strip())


def test_a_silent_nvidia_smi_is_no_gpu(nvidia_smi: dict[str, str]) -> None:
    assert nvidia_smi == {}
    assert hardware.gpus() == ((), "nothing")


def test_an_nvidia_smi_that_hangs_is_asked_once_and_says_nothing_of_gpus(nvidia_smi: dict[str, str]) -> None:
    nvidia_smi["--query-gpu=index,name,compute_cap,driver_version,memory.total"] = HANGS
    nvidia_smi["--query-gpu=index,name,driver_version,memory.total"] = "0, Tesla V100-SXM2-32GB, 450.248.02, 32510\n"
    assert hardware.gpus() == ((), hardware.NO_ANSWER)


def test_gpus_are_known_without_the_newest_cuda(nvidia_smi: dict[str, str]) -> None:
    nvidia_smi["--query-gpu=index,name,compute_cap,driver_version,memory.total"] = "0, X, 9.0, 580.65.06, 100\n"
    nvidia_smi[""] = HANGS
    (found,), complaint = hardware.gpus()
    assert (found.capability, found.cuda, complaint) == ("9.0", "", "")


@pytest.mark.parametrize("number", ["\u0661\u0663.\u0660", "\uff11\uff13.\uff10", "9" * 5000 + ".0"])
def test_only_ascii_digits_are_a_cuda(number: str) -> None:
    (found,) = hardware.parse_gpus("0, X, 9.0, 580.65.06, 100", summary=f"CUDA Version: {number} ")
    assert found.cuda == ""


def test_a_gpu_is_one_line() -> None:
    assert str(H200) == "GPU 0: NVIDIA H200, compute capability 9.0, driver 580.159.04 (CUDA up to 13.0)"


@pytest.mark.parametrize(
    ("kernel", "release", "want"),
    [
        ("Linux", "6.8.0-48-generic\n", "Linux"),
        ("Linux", "5.15.167.4-microsoft-standard-WSL2\n", "WSL"),
        ("Linux", "4.4.0-19041-Microsoft\n", "WSL"),
        ("Darwin", "", "macOS"),
    ],
    ids=["Linux", "WSL 2", "WSL 1", "macOS"],
)
def test_the_kind_of_system(kernel: str, release: str, want: str) -> None:
    assert hardware.name_system(kernel, release) == want


@pytest.mark.parametrize(
    ("driver", "cuda", "want"),
    [
        ("580.65.06", "13.0.3", True),
        ("579.99", "13.0.3", False),
        ("525.60.13", "12.6.3", True),
        ("470.256.02", "12.6.3", False),
        ("450.36.06", "11.8.0", True),
        ("390.157", "11.8.0", False),
        ("390.157", "10.2", True),
        ("590.48.01", "14.0.0", True),
        ("[Unknown Error]", "13.0.3", True),
        ("[N/A]", "13.0.3", True),
        ("", "13.0.3", True),
    ],
)
def test_a_driver_serves_a_cuda_of_its_major_version(driver: str, cuda: str, *, want: bool) -> None:
    assert hardware.serves(driver, cuda) is want


@pytest.mark.parametrize(
    ("address", "want"),
    [
        ("unix:///var/run/docker.sock", False),
        ("npipe:////./pipe/docker_engine", False),
        ("", False),
        ("ssh://me@gpu-box", True),
        ("tcp://10.0.0.7:2376", True),
    ],
)
def test_an_engine_may_be_remote(address: str, *, want: bool) -> None:
    assert hardware.is_remote(address) is want


@pytest.mark.parametrize(("machine", "want"), [("x86_64", "x86_64"), ("arm64", "aarch64"), ("aarch64", "aarch64")])
def test_a_processor_is_called_as_wheels_call_it(machine: str, want: str) -> None:
    assert host.wheel_machine(machine) == want


def test_no_ca_bundle_of_linux_is_taken_on_macos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = tmp_path / "ca-certificates.crt"
    bundle.touch()
    monkeypatch.setattr(host, "_BUNDLES", (str(bundle),))
    monkeypatch.setattr(host, "_ADDITIONS", (str(tmp_path),))
    assert host._ca_bundle({}, "", "Linux") == str(bundle)
    assert host._ca_bundle({}, "", "macOS") == ""
    assert host._ca_bundle({"SSL_CERT_FILE": str(bundle)}, "", "macOS") == str(bundle)


def test_a_folder_that_cannot_be_looked_into_has_no_wheels() -> None:
    assert host.wheels("/" + 300 * "x") == ()


def test_only_a_builder_that_buildx_has_made_finds_none_of_the_engines_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("BUILDX_BUILDER", raising=False)
    assert host.builds_in_engine()
    (tmp_path / "buildx/instances").mkdir(parents=True)
    (tmp_path / "buildx/instances/mine").write_text("{}")
    assert host.builds_in_engine()
    (tmp_path / "buildx/current").write_text('{"Name": "mine"}')
    assert not host.builds_in_engine()
