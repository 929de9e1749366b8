from __future__ import annotations

from pathlib import Path

import pytest

from cresset import configuration, dockerfile, forms, settings
from cresset.configuration import Value
from cresset.credentials import quoted
from cresset.errors import CressetError
from tests import bad_input


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CUDA_VERSION", "13.0.3"),
        ("CUDA_VERSION", "10.2"),
        ("CCA", "8.6"),
        ("CCA", "8.6+PTX"),
        ("CCA", "7.5 8.6+PTX"),
        ("CCA", "7.5;8.6"),
        ("CCA", "9.0a"),
        ("PYTORCH_VERSION_TAG", "release/2.14"),
        ("TORCH_BUILD_FLAGS", "USE_DISTRIBUTED=0 USE_KINETO=1"),
        ("PYTORCH_URL", "git://127.0.0.1:9418/torch.git"),
        ("CUDNN_VERSION", ""),
        ("CUDNN_VERSION", "8"),
        ("PYTHON_VERSION", "3.12"),
        ("PYTHON_VERSION", "3.12.4"),
        ("PYTHON_VERSION", "3.6"),
        ("PYTHON_VERSION", "3.15.0"),
        ("PYTORCH_VERSION_TAG", "v2.14.1"),
        ("PYTORCH_VERSION_TAG", "2.14.1"),
        ("PYTORCH_VERSION_TAG", "2.16.0.dev20261119"),
        ("TORCHTEXT_VERSION_TAG", ""),
        ("PYTORCH_INDEX_URL", "https://example.org/whl/cu130"),
        ("INDEX_URL", "https://me:secret@example.org/simple"),
        ("EXTRA_INDEX_URL", "https://a.example/simple http://b.example/simple"),
        ("IMAGE_NAME", "pytorch_source:train_alice"),
        ("IMAGE_NAME", "registry.example.org:5000/team/cresset:train-me"),
        ("IMAGE_NAME", "[::1]:5000/a__b/c--d.e:" + 128 * "X"),
        ("IMAGE_NAME", "Registry.example:80/" + 255 * "x"),
        ("COMPOSE_PROJECT_NAME", "cresset-me_2"),
        ("PLAIN_IMAGE", "debian:bookworm-slim"),
        ("UID", "0"),
        ("UID", "3000000001"),
        ("USR", "first.last"),
        ("TZ", "Etc/UTC"),
        ("TZ", "America/Argentina/Buenos_Aires"),
        ("PROJECT_ROOT", "/opt/project"),
        ("PROJECT_ROOT", "/work"),
        ("PROJECT_ROOT", "/data"),
        ("PROJECT_ROOT", "/home/me/x"),
        ("PROJECT_ROOT", "/srv/x"),
        ("PROJECT_ROOT", "/mnt/..x"),
        ("PROJECT_ROOT", "/library/devices"),
        ("SHM_SIZE", "8gb"),
        ("SHM_SIZE", "1K"),
        ("SHM_SIZE", "65536gb"),
        ("GPUS", "all"),
        ("GPUS", "0"),
        ("GPUS", "12"),
        ("GPUS", "0,2"),
        ("GPUS", "GPU-8a9b1c2d"),
        ("GPUS", "GPU-a4843f2b-8575-58e0-1a5b-b0196c4d1111,GPU-8a9b1c2d"),
        ("GPUS", "MIG-c7384736-a75d-5afc-978f-d2f1294409fd"),
        ("GPUS", "MIG-GPU-8a9b1c2d/1/0"),
        ("GPUS", "0:1,2"),
    ],
)
def test_good_input_stays_good(name: str, value: str) -> None:
    settings.find(name, "--set").check(value, "--set")


@pytest.mark.parametrize(("name", "value", "hint"), bad_input.VALUES)
def test_bad_input_is_refused_with_its_name_and_a_hint(name: str, value: str, hint: str) -> None:
    with pytest.raises(CressetError) as refusal:
        settings.find(name, ".env").check(value, ".env")
    assert str(refusal.value).startswith(f"{name} (from .env): {quoted(value)} is not ")
    assert "secret@" not in str(refusal.value)
    assert hint in refusal.value.hint


@pytest.mark.parametrize(
    "mistake", [one for one in bad_input.MISTAKES if one.says.startswith("--set: ")], ids=lambda one: one.name
)
def test_what_is_no_assignment_is_refused(mistake: bad_input.Mistake) -> None:
    with pytest.raises(CressetError) as refusal:
        settings.parse_assignments([mistake.words[-1].removeprefix("--set")])
    assert str(refusal.value).startswith(mistake.says)
    assert mistake.hint in refusal.value.hint


def test_the_last_assignment_wins_and_a_value_may_hold_an_equals_sign() -> None:
    given = settings.parse_assignments(["GPUS=1", "GPUS=all", "COMMAND=env A=1 zsh"])
    assert given == {"GPUS": "all", "COMMAND": "env A=1 zsh"}


@pytest.mark.parametrize("name", ["GPUSS", "cuda_version", "CUDA-VERSION", "SERVICEE"])
def test_a_name_that_is_almost_a_setting_is_refused(name: str) -> None:
    with pytest.raises(CressetError, match="there is no setting"):
        settings.refuse_misspelt(name, ".env")


def test_a_name_of_the_persons_own_is_not_taken_for_a_setting() -> None:
    settings.refuse_misspelt("DATA_FOLDER", ".env")


@pytest.mark.parametrize(("name", "hint"), bad_input.OLD_NAMES)
def test_an_old_name_is_told_the_new_one(name: str, hint: str) -> None:
    with pytest.raises(CressetError, match=f".env: {name} is an old name") as refusal:
        settings.refuse_misspelt(name, ".env")
    assert refusal.value.hint == f"write {hint}"


def test_every_old_name_has_a_new_one_that_there_is() -> None:
    assert {new.split("=")[0] for new in settings.RENAMED.values()} <= set(settings.NAMES)
    assert not set(settings.RENAMED) & set(settings.NAMES)


@pytest.mark.parametrize("name", ["CC", "CCC"])
def test_on_the_command_line_the_seeds_name_of_the_capability_is_understood(name: str) -> None:
    assert settings.parse_assignments([f"{name}=8.6"]) == {"CCA": "8.6"}


@pytest.mark.parametrize("name", sorted(settings.OF_COMPOSE))
def test_what_compose_itself_reads_is_no_misspelt_setting(name: str) -> None:
    settings.refuse_misspelt(name, ".env")


@pytest.mark.parametrize("name", ["BUILD_IMAGE", "TRAIN_IMAGE", "DEPLOY_IMAGE", "SIMPLE_IMAGE", "NGC_IMAGE"])
def test_a_base_image_is_no_stage(name: str) -> None:
    root = Path(__file__).resolve().parents[2]
    recipes = {file: dockerfile.parse((root / file).read_text()) for file in configuration.RECIPES}

    def check(value: str) -> None:
        values = {
            "CLEAN": Value(name="CLEAN", value="train", source=".env", help=""),
            name: Value(name=name, value=value, source=".env", help=""),
        }
        configuration.refuse_stages(values, recipes)

    for good in ("train:latest", "localhost/train", "debian"):
        check(good)
    for stage in ("scratch", "train", "wheelhouse", "ngc-base"):
        with pytest.raises(CressetError, match=rf"^{name} \(from .env\): '{stage}' is "):
            check(stage)


def test_an_empty_variable_that_may_not_be_empty_counts_as_none() -> None:
    shell = {"TZ": "", "SIMPLE_IMAGE": "", "IMAGE_NAME": "", "USE_CUDA": "1", "PATH": ""}
    settings.drop_empty(shell)
    assert shell == {"IMAGE_NAME": "", "USE_CUDA": "1", "PATH": ""}


@pytest.mark.parametrize(
    "value",
    ["http://me:pw@proxy.example:3128/", "proxy.example:3128", "https://[::1]:8080", "socks5h://10.0.0.1", "proxy"],
)
def test_an_address_of_a_proxy_is_taken(value: str) -> None:
    assert forms.PROXY.accepts(value)


@pytest.mark.parametrize("value", ["not a url", "ftp://proxy.example", "http://", "http:///x", "://x", " "])
def test_what_no_proxy_can_be_is_refused(value: str) -> None:
    assert not forms.PROXY.accepts(value)
