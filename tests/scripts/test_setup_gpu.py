"""misc/gpu.sh, as misc/setup.sh uses it: what is said, asked and run on a host with NVIDIA GPUs, and what never is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.scripts.stubs import Machine, prepare

PROPRIETARY = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Wed Feb 14 21:37:21 UTC 2024"
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@U22)"
REPOSITORY = "https://nvidia.github.io/libnvidia-container"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = prepare(tmp_path)
    machine.stub("docker", 'case $1 in ps) ;; info) echo \'{"Runtimes":{"runc":{}}}\' ;; esac')
    (tmp_path / "checkout/Dockerfile").write_text("# CUDA_VERSION is\nARG CUDA_VERSION=13.0.3\n\nARG CUDA_VERSION\n")
    return machine


def have_devices(machine: Machine, *devices: str) -> None:
    """Plug in devices, each written VENDOR:CLASS."""
    for number, device in enumerate(devices):
        folder = machine.root / f"sys/bus/pci/devices/0000:{number:02}:00.0"
        folder.mkdir(parents=True)
        vendor, kind = device.split(":")
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "class").write_text(f"{kind}\n")


def have_driver(machine: Machine, text: str = OPEN) -> None:
    """Load a driver."""
    file = machine.root / "proc/driver/nvidia/version"
    file.parent.mkdir(parents=True)
    file.write_text(f"{text}\nGCC version:  gcc version 12.3.0\n")


def heard(machine: Machine, *scenes: str, task: str = "ensure_gpu") -> list[str]:
    """Return what is said in each scene: one shell for all of them, for speed."""
    turns = "\n".join(f"({scene}\n{task}); echo end >&2" for scene in scenes)
    done = machine.run(f"STATE=ready; YES=1; am_root() {{ true; }}\n{turns}")
    *said, last = done.stderr.split("end\n")
    assert (done.returncode, done.stdout, last) == (0, "", "")
    return said


# -- GPU and driver


def test_a_gpu_without_a_driver_is_one_line_and_no_command(machine: Machine) -> None:
    have_devices(machine, "0x8086:0x060000", "0x10de:0x040300", "0x10de:0x030200")
    rows = {
        "": "package nvidia-driver of Debian's non-free, or a driver from https://www.nvidia.com/drivers\n",
        "echo ID=ubuntu >$OS_RELEASE": "'sudo ubuntu-drivers install', or a driver from https://www.nvidia.com/drivers\n",
        "echo ID=fedora >$OS_RELEASE": "install a driver from https://www.nvidia.com/drivers\n",
        "has() { [[ $1 == nvidia-smi ]]; }; nvidia-smi() { false; }": "does not answer",
        "on_wsl() { true; }": "it is Windows's",
    }
    said = heard(machine, *rows)
    assert [want in line for want, line in zip(rows.values(), said, strict=True)] == [True] * len(rows)
    assert [line.count("\n") for line in said] == [1] * len(rows)
    assert {call.split()[0] for call in machine.calls} == {"docker"}


def test_where_the_engine_or_the_driver_is_somebody_else_s_nothing_is_said(machine: Machine) -> None:
    have_devices(machine, "0x10de:0x030000")
    elsewhere = ("export DOCKER_HOST=ssh://box", "docker() { [[ $1 == context ]] && echo ssh://box; }")
    scenes = (
        *elsewhere,
        *(f"{scene}\ndriver_version() {{ echo 470.1; }}" for scene in elsewhere),
        *(f"{scene}\non_wsl() {{ true; }}" for scene in elsewhere),
        "on_wsl() { true; }; WSL_DRIVER=$BASH",
        "on_wsl() { true; }; is_environment_ready() { true; }",
    )
    assert heard(machine, *scenes) == [""] * len(scenes)
    assert machine.calls == []


def test_without_a_gpu_nothing_is_said_or_started(machine: Machine) -> None:
    have_devices(machine, "0x8086:0x030000", "0x1002:0x030000", "0x10de:0x040300")
    done = machine.run("STATE=ready; ensure_gpu; echo went on")
    assert (done.stdout, done.stderr, machine.calls) == ("went on\n", "", [])


def test_the_driver_s_version_is_read_from_the_kernel_else_from_nvidia_smi(machine: Machine) -> None:
    machine.stub("nvidia-smi", "echo 550.54.15; echo 550.54.15")
    text = 'for text; do DRIVER=$HOME/version; echo "$text" >"$DRIVER"; driver_version; done; rm "$DRIVER"; '
    done = machine.run(f"{text}driver_version", PROPRIETARY, OPEN, "unreadable")
    assert done.stdout.split("\n") == ["535.161.08", "580.65.06", "", "550.54.15", ""]
    assert len(machine.calls) == 1


def test_a_driver_too_old_for_the_cuda_that_is_wanted(machine: Machine) -> None:
    rows = [
        ("580.65.06", "", ""),
        ("590.1", "", ""),
        ("535.161.08", "", "535.161.08 13 580 12.x"),
        ("470.256.02", "", "470.256.02 13 580 11.x"),
        ("390.157", "", "390.157 13 580"),
        ("535.161.08", "CUDA_VERSION=12.9.1", ""),
        ("470.256.02", "CUDA_VERSION='12.9.1'", "470.256.02 12 525 11.x"),
        ("535.161.08", "# CUDA_VERSION=12.9.1", "535.161.08 13 580 12.x"),
        ("470.256.02", "CUDA_VERSION=99.0", ""),
        ("", "", ""),
    ]
    words = [word for driver, setting, _ in rows for word in (driver, setting)]
    done = machine.run(
        'while (($#)); do echo "$2" >"$ROOT/.env"; warn_about_driver "$1"; echo "end" >&2; shift 2; done\n'
        "CUDA_VERSION=12.9.1 warn_about_driver 535.161.08",
        *words,
    )
    parts = [re.findall(r"(?:is|CUDA|needs|CUDA_VERSION=) ?(\d[\d.x]*)", part) for part in done.stderr.split("end\n")]
    assert [" ".join(part) for part in parts] == [*(want for _, _, want in rows), ""]


# -- the NVIDIA Container Toolkit


def test_nothing_is_said_where_the_toolkit_is(machine: Machine) -> None:
    have_driver(machine)
    machine.stub("apt-get")
    machine.stub("curl")
    machine.stub("docker", '[ "$1" != info ] || echo "$INFO"')
    scenes = (
        "nvidia-ctk() { :; }",
        "nvidia-container-runtime() { :; }",
        """export INFO='{"Runtimes":{"nvidia":{"path":"x"}}}'""",
        """export INFO='{"DiscoveredDevices":[{"Source":"cdi","ID":"nvidia.com/gpu=0"}]}'""",
    )
    assert heard(machine, *scenes) == [""] * len(scenes)
    assert {call.split()[0] for call in machine.calls} == {"docker"}


def test_where_it_cannot_be_installed_that_is_one_line_and_no_command(machine: Machine) -> None:
    have_driver(machine)
    machine.stub("apt-get")
    machine.stub("curl", "exit 6")
    offline, fedora, absent = heard(machine, "", "has() { false; }", "STATE=absent")
    assert offline == (
        "setup.sh: the NVIDIA Container Toolkit is missing, and https://nvidia.github.io does not answer; "
        "containers can still be given the GPUs by hand: invoke over\n"
    )
    assert "setup knows Debian and Ubuntu only: see https://docs.nvidia.com/" in fedora
    assert (fedora.count("\n"), absent) == (1, "")
    assert {call.split()[0] for call in machine.calls} == {"docker", "curl"}


@pytest.mark.parametrize("known", ["", f"{REPOSITORY}/stable/deb/amd64"], ids=["new", "known to apt"])
def test_the_source_is_added_once_and_an_administrator_gets_the_whole_list(machine: Machine, known: str) -> None:
    have_driver(machine)
    machine.stub("curl")
    machine.stub("apt-get", f"echo '{known}'")
    done = machine.run("STATE=ready; YES=1; ensure_gpu")
    shown = [line.strip() for line in done.stderr.splitlines() if line.startswith("    ")]
    assert shown[-4:] == [
        "apt-get update",
        "apt-get install --yes --no-upgrade --no-install-recommends nvidia-container-toolkit",
        "nvidia-ctk runtime configure --runtime=docker",
        "# then, when containers may stop: systemctl restart docker",
    ]
    source = [f"URIs: {REPOSITORY}/stable/deb/$(ARCH)", "Suites: /"]
    assert [line for line in shown if line.startswith(("URIs", "Suites"))] == ([] if known else source)
    assert not [call for call in machine.calls if "install" in call]


def test_only_nvidia_s_key_is_trusted(machine: Machine) -> None:
    machine.stub("gpg", r'printf "$KEYS"')
    ours = r"pub:-\nfpr:::::::::C95B321B61E88C1809C4F759DDCAE044F796ECB0:\nsub:-\nfpr:::::::::AAAA:\n"
    another = r"pub:-\nfpr:::::::::AAAA:\n"
    text = machine.run("toolkit_source_text").stdout
    check = f"key=file; {text[text.index('gpg --show-keys') : text.index('install -D')]}"
    codes = [
        machine.execute("bash", "-euc", check, KEYS=keys).returncode
        for keys in (ours, another, ours + another, another + ours, "")
    ]
    assert codes == [0, 1, 1, 1, 1]


# -- the restart

# A terminal's `read` shows its question, which without one it does not.
TERMINAL = """on_terminal() { true; }
read() { if [[ $2 == -p ]]; then echo "$3" >&2; builtin read -r "$4"; else builtin read "$@"; fi; }
"""


def have_engine(machine: Machine, start: str) -> None:
    """Run an engine with as many containers as RUNNING prints; it knows GPUs once a start says so."""
    machine.stub(
        "docker", f"case $1 in ps) eval $RUNNING ;; info) cat {machine.root}/info ;; version) echo 26.1.5 ;; esac"
    )
    machine.stub("systemctl", f"{start} >{machine.root}/info")
    machine.stub("journalctl", "echo no such runtime")


def test_an_engine_is_restarted_only_when_that_was_agreed(machine: Machine) -> None:
    have_engine(machine, "echo '\"nvidia\":'")
    none, two, at_terminal = ":", "echo a; echo b", f"YES=0; {TERMINAL}"
    rows = [
        ("no containers, nobody to ask", "YES=0", "", none, True),
        ("containers, nobody to ask", "YES=0", "", two, False),
        ("containers, --yes", "", "", two, False),
        ("containers, --yes at a terminal", TERMINAL, "y", two, False),
        ("containers that cannot be counted", "", "", "exit 1", False),
        ("no containers, just enter", at_terminal, "", none, True),
        ("no containers, no", at_terminal, "n", none, False),
        ("containers, just enter", at_terminal, "", two, False),
        ("containers, yes", at_terminal, "y", two, True),
        ("an engine that somebody started by hand", "has_systemd() { false; }", "", none, False),
    ]
    scenes = [
        f"{scene}\nsleep() {{ :; }}; export RUNNING='{running}'; exec <<<'{answer}'"
        for _, scene, answer, running, _ in rows
    ]
    said = heard(machine, *scenes, task="restart_engine")
    for (name, scene, _, running, restarted), text in zip(rows, said, strict=True):
        assert ("restarting Docker: systemctl restart docker\n" in text) is restarted, name
        assert ("when they may stop:\n" in text) is not restarted, name
        assert ("Containers that run: 2. Restart Docker" in text) is (scene == at_terminal and running == two), name
    assert machine.calls.count("systemctl <restart> <docker>") == sum(restarted for *_, restarted in rows)


@pytest.mark.parametrize(
    ("start", "last"),
    [
        ("echo '\"nvidia\":'", "restarting Docker: systemctl restart docker\n"),
        ("true", "its last words:\n    no such runtime\n"),
        ("exit 1", "its last words:\n    no such runtime\n"),
    ],
    ids=["all is well", "the engine starts without the runtime", "the engine does not start"],
)
def test_it_is_installed_once(machine: Machine, start: str, last: str) -> None:
    have_driver(machine)
    have_engine(machine, start)
    (machine.root / "info").touch()
    machine.stub("curl")
    machine.stub("nvidia-ctk")
    bin_folder = machine.root / "bin"
    (bin_folder / "nvidia-ctk").rename(machine.root / "packaged")
    machine.stub(
        "apt-get",
        f"case $1 in indextargets) echo {REPOSITORY}/stable/deb/amd64 ;; "
        f"install) cp {machine.root}/packaged {bin_folder}/nvidia-ctk ;; esac",
    )
    first, second = heard(machine, "sleep() { :; }; export RUNNING=:", "")
    assert first.endswith(last)
    assert second == ""
    assert machine.calls.count("nvidia-ctk <runtime> <configure> <--runtime=docker>") == 1
