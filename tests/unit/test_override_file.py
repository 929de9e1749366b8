from __future__ import annotations

import re

import pytest
import yaml

from cresset import override_file
from cresset.devices import Devices
from cresset.errors import CressetError

HOME = [{"type": "bind", "source": "${HOME}", "target": "/mnt/home"}]


@pytest.mark.parametrize(
    "former",
    [
        "services:\n  train:\n    ports: [1:1]\n",
        "services:\n    train:\n        ports: [1:1]\n",
        "# mine\nservices: \n# here\n  train:\n    ports: [1:1]\nvolumes:\n  data:",
        "volumes: {data: }\n",
        "services:\n",
        "",
        "services: # mine\n  train: {}\n",
        "services:\r\n  train: {}\r\n",
        "x-a: 1\nservices:",
    ],
    ids=[
        "one service",
        "four blanks",
        "another key after it",
        "no services",
        "empty services",
        "empty file",
        "a comment",
        "Windows",
        "no line end",
    ],
)
def test_a_service_is_added_and_the_rest_untouched(former: str) -> None:
    text = override_file.add_service(former, "cpu")
    added = yaml.safe_load(text)
    assert added["services"].pop("cpu")["volumes"] == HOME
    before = yaml.safe_load(former) or {}
    assert added == {**before, "services": before.get("services") or {}}
    assert all(line in text for line in former.splitlines() if line.startswith("#"))


@pytest.mark.parametrize(
    "found", [None, Devices(paths=("/dev/nvidia0",), driver="/usr/local/nvidia")], ids=["a toolkit", "none"]
)
def test_its_examples_are_in_force_without_their_sign(found: Devices | None) -> None:
    text = override_file.add_service(None, "train", devices=found)
    assert (
        set(yaml.safe_load(text.replace("!reset ", ""))["services"]["train"]) & {"ports", "tmpfs", "command"} == set()
    )
    examples = re.sub(r"^( *)#(?=[^# \n])", r"\1", text.replace("!reset ", ""), flags=re.MULTILINE)
    train = yaml.safe_load(examples)["services"]["train"]
    assert {volume["target"] for volume in train["volumes"] if isinstance(volume, dict)} >= {
        "/mnt/home",
        "/tmp/.X11-unix",
    }
    assert train["environment"].keys() >= {"DISPLAY", "QT_X11_NO_MITSHM"}
    assert all(port.startswith("127.0.0.1:") for port in train["ports"])
    assert train["command"] == ["serve-ssh", "zsh"]
    assert train["tmpfs"] == ["/scratch"]


def test_a_new_file_has_the_home() -> None:
    assert yaml.safe_load(override_file.add_service(None, "cpu"))["services"]["cpu"]["volumes"] == HOME


@pytest.mark.parametrize(
    "former",
    [
        "services: {train: {}}\n",
        "services: {}\n",
        '"services":\n  train: {}\n',
        "{x-a: 1}\n",
        "x-a: 1\n...\n",
        "services: [",
        "- a\n- b\n",
    ],
)
def test_what_cannot_be_added_to_is_said(former: str) -> None:
    with pytest.raises(CressetError):
        override_file.add_service(former, "cpu")


def test_without_the_toolkit_the_devices_are_passed_and_the_reservation_is_taken_back() -> None:
    found = Devices(paths=("/dev/nvidia0", "/dev/nvidiactl"), driver="/usr/local/nvidia")
    text = override_file.add_service(None, "train", devices=found)
    assert "deploy: !reset null" in text
    train = yaml.safe_load(text.replace("!reset ", ""))["services"]["train"]
    assert train["deploy"] is None
    assert train["devices"] == ["/dev/nvidia0:/dev/nvidia0", "/dev/nvidiactl:/dev/nvidiactl"]
    assert train["environment"] == {"LD_LIBRARY_PATH": "/usr/local/nvidia/lib64:/usr/local/nvidia/lib"}
    assert train["volumes"][1]["target"] == "/usr/local/nvidia"
    assert override_file.services(text) == {"train"}
    assert override_file.services(override_file.add_service(text, "cpu")) == {"train", "cpu"}
