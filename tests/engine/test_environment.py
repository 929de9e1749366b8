"""`.env`, the override file and the settings, as Compose reads them."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.engine.checkout import Checkout, run
from tests.engine.conftest import folder

# A host that knows neither an index of PyTorch's wheels nor, from pip, a wheelhouse.
OFFLINE = {"PYTORCH_INDEX_URL": "https://index.invalid/whl", "PIP_CONFIG_FILE": "/dev/null", "PIP_FIND_LINKS": ""}


@pytest.fixture
def bare() -> Iterator[Checkout]:
    """A fresh clone, without `.env`."""
    checkout = Checkout(path=folder())
    yield checkout
    run(["rm", "-r", str(checkout.path)])


def test_env_writes_a_private_file_once(bare: Checkout) -> None:
    bare.invoke("env")
    path = bare.path / ".env"
    assert path.stat().st_mode & 0o777 == 0o600
    first = path.read_text()
    assert "\nUID=" in first
    assert "\n#GPUS=all\n" in first
    assert "stays as it is" in bare.invoke("env").out
    assert path.read_text() == first


def test_env_update_adds_what_is_missing_and_changes_nothing(bare: Checkout) -> None:
    path = bare.path / ".env"
    path.write_text("UID=4711\nGPUS='2' # mine\n")
    bare.invoke("env", "--update")
    assert path.read_text().startswith("UID=4711\nGPUS='2' # mine\n")
    assert (bare.setting("UID"), bare.setting("GPUS")) == ("4711", "2")
    assert "\nCOMPOSE_PROJECT_NAME=" in path.read_text()
    again = path.read_text()
    bare.invoke("env", "--update")
    assert path.read_text() == again


def test_what_is_set_with_an_update_is_changed(bare: Checkout) -> None:
    bare.invoke("env")
    refused = bare.invoke("env", "--set", "GPUS=1", check=False)
    assert refused.code == 2
    assert refused.lines[-1].strip() == "edit it, or add --update to change it"
    bare.invoke("env", "--update", "--set", "GPUS=1")
    assert bare.setting("GPUS") == "1"
    bare.invoke("env", "--update", "--set", "GPUS=2")
    assert bare.setting("GPUS") == "2"


def test_an_update_by_root_leaves_the_file_to_its_owner(bare: Checkout) -> None:
    if os.getuid() != 0:
        pytest.skip("only root writes for others")
    bare.invoke("env")
    os.chown(bare.path / ".env", 4242, 4343)
    bare.invoke("env", "--update", "--set", "GPUS=1")
    now = (bare.path / ".env").stat()
    assert (now.st_uid, now.st_gid, now.st_mode & 0o777) == (4242, 4343, 0o600)


def test_a_wheelhouse_that_is_named_later_decides_after_all(bare: Checkout, tmp_path: Path) -> None:
    offline = replace(bare, extra=OFFLINE)
    warned = offline.invoke("env", "--service", "cpu").out
    assert "has no torch wheel" in " ".join(warned.split())
    python = bare.setting("PYTHON_VERSION").replace(".", "")
    wheel = f"torch-2.10.0+cpu-cp{python}-cp{python}-manylinux_2_28_{platform.machine()}.whl"
    (tmp_path / wheel).touch()
    offline.invoke("env", "--update", "--set", f"WHEELHOUSE={tmp_path}")
    assert bare.setting("PYTORCH_VERSION_TAG") == "v2.10.0"
    assert bare.setting("TORCHVISION_VERSION_TAG") == ""


def test_the_checkouts_own_wheelhouse_is_noticed(bare: Checkout) -> None:
    offline = replace(bare, extra=OFFLINE)
    wheel = f"torch-2.10.0+cpu-cp311-cp311-manylinux_2_28_{platform.machine()}.whl"
    (bare.path / "misc" / "wheelhouse" / wheel).touch()
    offline.invoke("env", "--service", "cpu", "--set", "PYTHON_VERSION=3.11")
    assert bare.setting("PYTORCH_VERSION_TAG") == "v2.10.0"


@pytest.mark.parametrize("name", ["HOST_ROOT", "WHEELHOUSE", "CA_BUNDLE"])
def test_a_path_that_is_not_there_is_said_with_its_setting(bare: Checkout, name: str) -> None:
    bare.invoke("env")
    refused = bare.invoke("up", "--set", f"{name}=/nowhere/at/all", check=False)
    assert refused.code == 2
    assert refused.lines[0].startswith(f"{name} (from --set): there is no ")


def test_a_host_without_a_gpu_gets_the_service_cpu(bare: Checkout, tmp_path: Path) -> None:
    bare.invoke("env", PATH=f"{tmp_path}:/usr/local/bin:/usr/bin:/bin")
    assert bare.setting("SERVICE") == "cpu"


def test_what_is_set_on_the_command_line_is_written(bare: Checkout) -> None:
    bare.invoke("env", "--service", "train", "--set", "GPUS=1")
    assert "\nSERVICE=train\n" in (bare.path / ".env").read_text()
    assert "\nGPUS=1\n" in (bare.path / ".env").read_text()


def test_without_an_index_the_newest_wheel_of_the_wheelhouse_decides(bare: Checkout, tmp_path: Path) -> None:
    for version in ("2.9.0", "2.10.0"):
        (tmp_path / f"torch-{version}+cpu-cp311-cp311-manylinux_2_28_x86_64.whl").touch()
        (tmp_path / f"torch-{version}+cpu-cp311-cp311-manylinux_2_28_aarch64.whl").touch()
    (tmp_path / "torch-2.14.1+cu130-cp311-cp311-manylinux_2_28_x86_64.whl").touch()
    nowhere = "PYTORCH_INDEX_URL=https://index.invalid/whl"
    out = bare.invoke(
        "env", "--service", "cpu", "--set", nowhere, "--set", "PYTHON_VERSION=3.11", WHEELHOUSE=str(tmp_path)
    ).out
    assert "no wheel index answers" in " ".join(out.split())
    assert bare.setting("PYTORCH_VERSION_TAG") == "v2.10.0"
    assert bare.setting("TORCHVISION_VERSION_TAG") == ""
    assert bare.setting("WHEELHOUSE") == str(tmp_path)


def test_a_version_that_is_not_to_be_had_is_refused_and_nothing_written(bare: Checkout) -> None:
    refused = bare.invoke(
        "env",
        "--set",
        "PYTORCH_INDEX_URL=https://index.invalid/whl",
        "--set",
        "PYTORCH_VERSION_TAG=v2.5.0",
        check=False,
    )
    assert refused.code == 2
    assert "torch v2.5.0" in refused.out
    assert not (bare.path / ".env").exists()


def test_every_source_is_named(bare: Checkout) -> None:
    bare.invoke("env", "--service", "cpu")
    bare.set(GPUS="1", IPC="host")
    rows = json.loads(bare.invoke("config", "--json", "--set", "NETWORK=host", SHM_SIZE="1gb", GPUS="3").out)
    assert all(set(row) == {"name", "value", "source", "help"} and row["help"] for row in rows)
    found = {row["name"]: (row["value"], row["source"]) for row in rows}
    assert found["NETWORK"] == ("host", "--set")
    assert found["SHM_SIZE"] == ("1gb", "shell")
    assert found["GPUS"] == ("3", "shell")
    assert found["IPC"] == ("host", ".env")
    assert found["USE_CUDA"] == ("0", "service")
    assert found["CUDNN_VERSION"] == ("", "default")
    assert "IPC" in bare.invoke("config").out


def test_a_preset_cannot_be_undone(bare: Checkout) -> None:
    bare.invoke("env", "--service", "cpu")
    bare.set(USE_CUDA="1")
    assert bare.setting("USE_CUDA") == "0"
    refused = bare.invoke("build-only", "--set", "USE_CUDA=1", "--dry-run", check=False)
    assert refused.code == 2
    assert "the service cpu fixes it" in refused.out


def test_over_writes_what_compose_accepts_and_adds_services(bare: Checkout) -> None:
    bare.invoke("env", "--service", "cpu")
    bare.invoke("over")
    mounts = json.loads(bare.compose("config", "--format", "json").out)["services"]["cpu"]["volumes"]
    assert "/mnt/home" in [mount["target"] for mount in mounts]
    assert "/opt/project" in [mount["target"] for mount in mounts]
    path = bare.path / "docker-compose.override.yaml"
    path.write_text(path.read_text() + "volumes:\n  data: # mine\n")
    bare.invoke("over", "--service", "train")
    content = yaml.safe_load(path.read_text())
    assert set(content["services"]) == {"cpu", "train"}
    assert "data: # mine" in path.read_text()
    assert "stays as it is" in bare.invoke("over", "--service", "train").out
    bare.compose("--profile", "*", "config", "--quiet")


def test_the_train_service_resolves_and_dry_runs(bare: Checkout) -> None:
    bare.invoke("env", "--service", "train")
    assert bare.setting("BUILD_IMAGE") == "nvidia/cuda:13.0.3-cudnn-devel-ubuntu24.04"
    printed = bare.invoke("build", "--dry-run").out
    assert '"train"' in printed
    section = json.loads(bare.compose("config", "--format", "json").out)["services"]["train"]
    (device,) = section["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"capabilities": ["gpu"], "device_ids": ["all"], "driver": "nvidia"}
    assert section["environment"]["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert section["environment"]["CUDA_MODULE_LOADING"] == "LAZY"


@pytest.mark.parametrize(
    "value", ["all", "0", "1", "0,2", "GPU-8a9b1c2d,1", "MIG-c7384736-a75d-5afc-978f-d2f1294409fd"]
)
def test_gpus_are_chosen_by_one_setting_for_hand_typed_compose_too(bare: Checkout, value: str) -> None:
    bare.invoke("env", "--service", "train", "--set", f"GPUS={value}")
    assert bare.setting("GPUS") == value
    section = json.loads(bare.compose("config", "--format", "json").out)["services"]["train"]
    assert [device["device_ids"] for device in section["deploy"]["resources"]["reservations"]["devices"]] == [[value]]


NVIDIA_SMI = """\
#!/bin/sh
case $* in
  *--query-gpu=*) echo '0, NVIDIA GeForce RTX 3090, 8.6, {driver}, 24576' ;;
  *) echo '| NVIDIA-SMI {driver}   Driver Version: {driver}   CUDA Version: {cuda}     |' ;;
esac
"""


@pytest.fixture
def driver(bare: Checkout, tmp_path: Path) -> Callable[[str, str], Checkout]:
    """Make a clone on a host whose NVIDIA driver has a version."""

    def make(version: str, cuda: str) -> Checkout:
        program = tmp_path / "nvidia-smi"
        program.write_text(NVIDIA_SMI.format(driver=version, cuda=cuda))
        program.chmod(0o755)
        return replace(bare, extra={"PATH": f"{tmp_path}:{os.environ['PATH']}"})

    return make


def unfold(text: str) -> str:
    return " ".join(text.split())


def test_a_gpu_is_shown_and_chooses_the_service(driver: Callable[[str, str], Checkout]) -> None:
    host = driver("580.159.04", "13.0")
    first = host.invoke("env").lines[0]
    assert first == "GPU 0: NVIDIA GeForce RTX 3090, compute capability 8.6, driver 580.159.04 (CUDA up to 13.0)"
    assert host.setting("SERVICE") == "train"
    assert "\n#CUDA_VERSION=" in (host.path / ".env").read_text()


def test_an_older_driver_gets_a_cuda_that_it_runs(driver: Callable[[str, str], Checkout]) -> None:
    host = driver("550.163.01", "12.4")
    assert "needs driver 580 or newer, this host has 550.163.01" in unfold(host.invoke("env").out)
    assert host.setting("CUDA_VERSION") == "12.6.3"
    assert host.setting("BUILD_IMAGE") == "nvidia/cuda:12.6.3-cudnn-devel-ubuntu24.04"


@pytest.mark.parametrize("shell", [True, False], ids=["shell", "--set"])
def test_a_cuda_of_ones_own_wins(driver: Callable[[str, str], Checkout], *, shell: bool) -> None:
    host = driver("550.163.01", "12.4")
    if shell:
        out = host.invoke("env", CUDA_VERSION="13.0.2").out
    else:
        out = host.invoke("env", "--set", "CUDA_VERSION=13.0.2").out
    assert "Warning: CUDA 13.0.2 needs driver 580 or newer, and this host has 550.163.01" in unfold(out)
    assert host.setting("CUDA_VERSION") == "13.0.2"


def test_a_driver_that_is_too_old_is_said_and_nothing_is_chosen(driver: Callable[[str, str], Checkout]) -> None:
    host = driver("470.256.02", "11.4")
    assert "needs driver 580 or newer, and this host has 470.256.02" in unfold(host.invoke("env").out)
    assert "\n#CUDA_VERSION=" in (host.path / ".env").read_text()


def test_the_service_without_cuda_needs_no_driver(driver: Callable[[str, str], Checkout]) -> None:
    host = driver("470.256.02", "11.4")
    assert "needs driver" not in unfold(host.invoke("env", "--service", "cpu").out)


def test_a_driver_that_does_not_answer_is_said(bare: Checkout, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\necho "NVIDIA-SMI has failed because it couldn\'t communicate."\nexit 9\n')
    program.chmod(0o755)
    out = bare.invoke("env", PATH=f"{tmp_path}:{os.environ['PATH']}").out
    assert "nvidia-smi is there and says: NVIDIA-SMI has failed because it couldn't communicate." in unfold(out)
    assert bare.setting("SERVICE") == "cpu"


def test_a_remote_engine_is_one_line_and_nothing_in_env(bare: Checkout) -> None:
    out = unfold(bare.invoke("env", "--service", "cpu", DOCKER_HOST="tcp://gpu-box.invalid:2376").out)
    assert (
        "The engine is at tcp://gpu-box.invalid:2376: containers get HOST_ROOT and CA_BUNDLE from that machine" in out
    )
    assert "gpu-box" not in (bare.path / ".env").read_text()
    assert "The engine is at" not in bare.invoke("env", "--update").out


@pytest.mark.parametrize("task", ["up", "exec", "down", "start", "stop", "run", "logs", "over"])
def test_without_env_a_task_says_what_to_type(bare: Checkout, task: str) -> None:
    refused = bare.invoke(task, check=False)
    assert refused.code == 2
    assert refused.lines == [".env is missing: nobody has said yet what this host needs", "  run: invoke env"]


@pytest.mark.parametrize("task", ["start", "stop", "down", "base-image"])
def test_without_a_daemon_nothing_but_two_lines_is_said(bare: Checkout, task: str) -> None:
    bare.invoke("env")
    refused = bare.invoke(task, check=False, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert refused.code == 2
    assert refused.lines[0].startswith("no Docker daemon answers")
    assert len(refused.lines) == 2


@pytest.mark.parametrize("task", ["build", "up", "exec", "ls"])
def test_no_daemon_is_two_lines(bare: Checkout, task: str) -> None:
    bare.invoke("env")
    refused = bare.invoke(task, check=False, DOCKER_HOST="unix:///nowhere/docker.sock")
    if task != "ls":
        assert refused.code == 2
        assert "Traceback" not in refused.out
        assert "bash misc/setup.sh" in refused.lines[-1]
    else:
        assert refused.code != 0


def test_an_empty_env_is_none(bare: Checkout) -> None:
    (bare.path / ".env").touch()
    assert bare.invoke("exec", check=False).lines[-1].strip() == "run: invoke env"
    bare.invoke("env")
    assert bare.setting("UID") == str(os.getuid())


def test_the_override_file_that_compose_reads_is_the_one_that_is_added_to(bare: Checkout) -> None:
    bare.invoke("env", "--service", "cpu")
    (bare.path / "docker-compose.override.yml").write_text("services:\n  train:\n    tty: false\n")
    bare.invoke("over")
    assert not (bare.path / "docker-compose.override.yaml").exists()
    assert "/mnt/home" in bare.compose("config").out


def test_no_password_is_shown(bare: Checkout) -> None:
    url = "https://me:hush@index.invalid/simple"
    written = bare.invoke("env", "--set", f"INDEX_URL={url}").out
    assert "hush" not in written + bare.invoke("config").out
    assert "***@index.invalid" in written
    assert url in (bare.path / ".env").read_text()


def test_invokes_own_dry_run_is_ours_too(bare: Checkout) -> None:
    bare.invoke("env")
    assert "docker compose --profile '*' down" in bare.invoke("--dry", "down").out


@pytest.mark.parametrize("words", [("config",), ("config", "--json")])
def test_a_full_disk_behind_the_output_is_one_line(bare: Checkout, words: tuple[str, ...]) -> None:
    refused = run(
        ["sh", "-c", '"$@" > /dev/full', "sh", sys.executable, "-m", "invoke", *words], cwd=bare.path, check=False
    )
    assert (refused.code, len(refused.lines)) == (2, 1)
    assert refused.out.startswith("the output cannot be written: No space left on device")


@pytest.mark.parametrize("words", ["config", "versions", "graph", "config --json"])
def test_output_that_nobody_reads_is_no_failure(bare: Checkout, words: str) -> None:
    bare.invoke("env", "--service", "cpu")
    invoke = f"{shlex.quote(sys.executable)} -m invoke {words}"
    assert run(["bash", "-c", f"{invoke} | true; exit ${{PIPESTATUS[0]}}"], cwd=bare.path).out == ""
    assert run(["sh", "-c", f"{invoke} >&-"], cwd=bare.path).out == ""


def test_a_width_of_nothing_is_an_unknown_one(bare: Checkout) -> None:
    assert bare.invoke("config", COLUMNS="0").lines == bare.invoke("config", COLUMNS="80").lines


def test_a_terminal_that_lacks_a_character_gets_another(bare: Checkout) -> None:
    assert "COMMAND" in bare.invoke("config", "--set", "COMMAND=\u2192", PYTHONIOENCODING="ascii").out
