from __future__ import annotations

from dataclasses import replace

import pytest

from cresset import env_file, settings
from cresset.configuration import Value
from cresset.env_file import Choice
from cresset.errors import CressetError
from cresset.hardware import Gpu
from cresset.versions import wheels
from tests.unit.a_configuration import TABLES
from tests.unit.a_host import HOST

VALUES = {
    name: Value(name=name, value=value, source="default", help=f"is {name.lower()}")
    for name, value in [("SERVICE", "train"), ("UID", "1000"), ("GPUS", "all"), ("IPC", "private")]
}


def test_host_choices_are_what_the_machine_decides_and_nothing_empty() -> None:
    usable, _ = env_file.host_choices(HOST, service="cpu", path="/code")
    chosen = {choice.name: choice.value for choice in usable}
    assert chosen == {
        "SERVICE": "cpu",
        "COMPOSE_PROFILES": "cpu",
        "COMPOSE_PROJECT_NAME": "cresset-nick-3004ce93",
        "UID": "1000",
        "GID": "100",
        "USR": "nick",
        "GRP": "domain-users",
        "TZ": "Asia/Seoul",
        "WHEELHOUSE": "/wheels",
        "DEB_NEW": "http://mirror.example/debian",
    }


def test_what_a_setting_cannot_be_is_not_chosen() -> None:
    odd = replace(HOST, index_url="ftp://x.example", extra_index_urls=("./here",), zone="Here/There")
    usable, unusable = env_file.host_choices(odd, service="cpu", path="/code")
    assert {choice.name for choice in unusable} == {"INDEX_URL", "EXTRA_INDEX_URL", "TZ"}
    assert not {choice.name for choice in usable} & {"INDEX_URL", "EXTRA_INDEX_URL", "TZ"}


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("alice", "alice"),
        ("CORP\\nick", "nick"),
        ("nick@corp.example", "nick"),
        ("domain users", "domain-users"),
        ("first.last", "first.last"),
        ("7of9", "of9"),
        ("사용자", "user"),
    ],
)
def test_safe_name(name: str, want: str) -> None:
    assert env_file.safe_name(name) == want


def test_the_project_is_one_for_a_checkout_and_person_and_no_clock_is_in_it() -> None:
    first = env_file.project_name("Alice.B", "/code")
    assert first == env_file.project_name("Alice.B", "/code")
    assert first.startswith("cresset-alice-b-")
    assert first != env_file.project_name("Alice.B", "/code2")


def test_the_file_sets_what_was_chosen_and_has_the_rest_as_comments() -> None:
    text = env_file.compose_text(
        [Choice(name="UID", value="7", reason="why"), Choice(name="SERVICE", value="a")], VALUES
    )
    assert [line for line in text.splitlines() if line and not line.startswith("# ")] == [
        "SERVICE=a",
        "UID=7",
        "#GPUS=all",
        "#IPC=private",
    ]
    assert "# UID is uid (why)" in text


def test_the_last_choice_of_a_name_counts() -> None:
    text = env_file.compose_text([Choice(name="UID", value="7"), Choice(name="UID", value="8")], VALUES)
    assert "\nUID=8\n" in text
    assert "UID=7" not in text


def test_an_update_adds_what_is_not_set_and_changes_nothing_that_is() -> None:
    former = "UID=5\nMINE='x y'\n# SERVICE is this\n#SERVICE=b\n#GPUS=2\n"
    text = env_file.add_missing(former, [Choice(name="UID", value="7"), Choice(name="SERVICE", value="a")], VALUES)
    assert [line for line in text.splitlines() if line and not line.startswith("# ")] == [
        "UID=5",
        "MINE='x y'",
        "SERVICE=a",
        "#GPUS=2",
        "#IPC=private",
    ]
    assert env_file.add_missing(text, [], VALUES) == text


@pytest.mark.parametrize(
    ("former", "want"),
    [
        ("A=1\nPLAIN_IMAGE=x # mine\nB=2\n", "A=1\nPLAIN_IMAGE=made:1\nB=2\n"),
        ("PLAIN_IMAGE=x\nB=2\nexport PLAIN_IMAGE=y\n", "PLAIN_IMAGE=x\nB=2\nPLAIN_IMAGE=made:1\n"),
        ("PLAIN_IMAGE: x\n", "PLAIN_IMAGE=made:1\n"),
        ("#PLAIN_IMAGE=debian\nB=2\n", "PLAIN_IMAGE=made:1\nB=2\n"),
        ("B=2\n", "B=2\n\n# why\nPLAIN_IMAGE=made:1\n"),
        ("\xa0PLAIN_IMAGE=x\r\nB=2\n", "\xa0PLAIN_IMAGE=made:1\r\nB=2\n"),
        ("A='\nPLAIN_IMAGE=x\n'\n", "A='\nPLAIN_IMAGE=x\n'\n\n# why\nPLAIN_IMAGE=made:1\n"),
        ("PLAIN_IMAGE='a\nb' # mine\nB=2\n", "PLAIN_IMAGE=made:1\nB=2\n"),
        ("A='1' PLAIN_IMAGE='x' B=2\n", "A='1' PLAIN_IMAGE=made:1\n B=2\n"),
    ],
    ids=[
        "in its place",
        "the last of two, which counts",
        "a colon",
        "in its comment's place",
        "at the end",
        "behind a blank that is none of ASCII",
        "not within the quotes of another",
        "over several lines",
        "between two others",
    ],
)
def test_a_choice_is_recorded(former: str, want: str) -> None:
    assert env_file.record(former, Choice(name="PLAIN_IMAGE", value="made:1", reason="why")) == want


def test_what_compose_would_read_otherwise_is_not_written() -> None:
    choices = [Choice(name="TZ", value="Europe/Berlin"), Choice(name="COMPOSE_PROFILES", value="cpu")]
    env_file.refuse_unread(choices, {"TZ": "Europe/Berlin"})
    with pytest.raises(CressetError, match="Compose would read TZ as 'Asia/Seoul'") as refusal:
        env_file.refuse_unread(choices, {"TZ": "Asia/Seoul"})
    assert refusal.value.hint.endswith(": TZ=Europe/Berlin")


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("a/b:c", "a/b:c"),
        ("two words", "'two words'"),
        ("it's $5", '"it\'s \\$5"'),
        ("a#b", "'a#b'"),
        ("", ""),
        ("a\\", '"a\\\\"'),
        ("'`", '"\'`"'),
    ],
)
def test_values_are_quoted_as_compose_reads_them(value: str, want: str) -> None:
    assert env_file.quote(value) == want


def test_one_wheel_decides_torch_and_python_and_leaves_the_companions_out() -> None:
    (wheel,) = wheels.read(["torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"])
    chosen = {c.name: c.value for c in env_file.wheelhouse_choices(wheel, python="", reason="")}
    assert chosen == {
        "PYTORCH_VERSION_TAG": "v2.13.0",
        "PYTHON_VERSION": "3.11",
        "TORCHVISION_VERSION_TAG": "",
        "TORCHAUDIO_VERSION_TAG": "",
        "TORCHTEXT_VERSION_TAG": "",
    }


GB = 2**30


@pytest.mark.parametrize(
    ("system", "memory", "want"),
    [
        ("Linux", 0, {}),
        ("macOS", 0, {}),
        ("macOS", 16 * GB, {}),
        ("macOS", 8 * GB, {}),
        ("macOS", 4113000000, {"SHM_SIZE": ("1961mb", "half of the engine's 3.8 GB")}),
        ("WSL", 0, {"IPC": ("private", "WSL has no host IPC"), "SHM_SIZE": ("8gb", "WSL has no host IPC")}),
        ("WSL", 16 * GB, {"IPC": ("private", "WSL has no host IPC"), "SHM_SIZE": ("8gb", "WSL has no host IPC")}),
        (
            "WSL",
            6 * GB,
            {"IPC": ("private", "WSL has no host IPC"), "SHM_SIZE": ("3072mb", "half of the engine's 6.0 GB")},
        ),
    ],
)
def test_what_the_system_decides(system: str, memory: int, want: dict[str, tuple[str, str]]) -> None:
    machine = replace(HOST, system=system, engine_memory=memory)
    choices = env_file.system_choices(machine, shm_size="8gb")
    assert {choice.name: (choice.value, choice.reason) for choice in choices} == want
    assert all(settings.NAMES[choice.name].form.accepts(choice.value) for choice in choices)


def gpus(driver: str, *capabilities: str) -> list[Gpu]:
    return [
        Gpu(index=index, name="NVIDIA Some", capability=capability, driver=driver, cuda="", memory=0)
        for index, capability in enumerate(capabilities)
    ]


@pytest.mark.parametrize(
    ("machine", "service", "source", "want"),
    [
        ((), "cpu", "service", ["0"]),
        ((), "deploy", "default", ["0"]),
        ((), "deploy", ".env", []),
        ((), "deploy", "--set", []),
        ((), "train", "default", []),
        ((), "full", "default", []),
        ("580.65.06", "deploy", "default", []),
        ("580.65.06", "cpu", "service", []),
    ],
)
def test_without_a_gpu_the_services_are_without_cuda(machine: str, service: str, source: str, want: list[str]) -> None:
    host = replace(HOST, gpus=tuple(gpus(machine, "9.0")) if machine else ())
    value = Value(name="USE_CUDA", value="1", source=source, help="is CUDA")
    assert [choice.value for choice in env_file.choose_use_cuda(host, service=service, wanted=value)] == want


def wanted(value: str, source: str = "default") -> Value:
    return Value(name="CUDA_VERSION", value=value, source=source, help="is the CUDA")


@pytest.mark.parametrize(
    ("machine", "value"),
    [
        ([], wanted("13.0.3")),
        (gpus("580.65.06", "9.0"), wanted("13.0.3")),
        (gpus("595.71.05", "7.5", "12.0"), wanted("13.0.3")),
        (gpus("535.183.01", "8.6"), wanted("12.9.1", ".env")),
        (gpus("470.256.02", "8.6"), wanted("11.8.0", "--set")),
        (gpus("440.33.01", "6.1"), wanted("10.2", "shell")),
    ],
    ids=["no GPU", "the oldest for 13", "a newer one", "12 in .env", "11 by --set", "10.2"],
)
def test_a_driver_that_serves_the_cuda_changes_nothing(machine: list[Gpu], value: Value) -> None:
    assert env_file.choose_cuda(machine, value, TABLES) == ([], "")


@pytest.mark.parametrize(
    ("driver", "capabilities"),
    [("525.60.13", ("8.6",)), ("579.99", ("7.0", "9.0")), ("550.163.01", ("", "8.9"))],
)
def test_an_older_driver_gets_an_older_cuda_and_the_reason(driver: str, capabilities: tuple[str, ...]) -> None:
    (choice,), warning = env_file.choose_cuda(gpus(driver, *capabilities), wanted("13.0.3"), TABLES)
    assert (choice.name, choice.value) == ("CUDA_VERSION", "12.6.3")
    assert choice.reason == f"CUDA 13.0.3 needs driver 580 or newer, this host has {driver}"
    assert warning == ""


@pytest.mark.parametrize(
    ("machine", "value", "numbers"),
    [
        (gpus("470.256.02", "8.6"), wanted("13.0.3"), ("580", "470.256.02")),
        (gpus("550.163.01", "8.6"), wanted("13.0.3", "--set"), ("580", "550.163.01")),
        (gpus("550.163.01", "8.6"), wanted("13.0.3", "shell"), ("580", "550.163.01")),
        (gpus("570.172.08", "12.0"), wanted("13.0.3"), ("580", "570.172.08")),
        (gpus("470.256.02", "8.6"), wanted("12.6.3", ".env"), ("525", "470.256.02")),
        (gpus("390.157", "6.1"), wanted("10.2", "shell"), ("440.33.01", "390.157")),
    ],
    ids=["too old for 12", "13 by --set", "13 in the shell", "a GPU too new for the older CUDA", "12 in .env", "10.2"],
)
def test_where_no_choice_is_sound_both_numbers_are_said(
    machine: list[Gpu], value: Value, numbers: tuple[str, str]
) -> None:
    choices, warning = env_file.choose_cuda(machine, value, TABLES)
    assert choices == []
    assert all(number in warning for number in numbers)


def test_the_older_cuda_names_a_base_image_and_wheels_as_they_are_called() -> None:
    assert settings.NAMES["CUDA_VERSION"].form.accepts(env_file.FORMER_CUDA)
    assert wheels.variant(use_cuda="1", cuda_version=env_file.FORMER_CUDA) == "cu126"
