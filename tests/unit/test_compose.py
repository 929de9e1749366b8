from __future__ import annotations

import json

import pytest

from cresset import compose, configuration, settings
from cresset.errors import CressetError

ANSWER = {
    "name": "demo",
    "secrets": {"ca": {"name": "demo_ca", "file": "/dev/null"}},
    "services": {
        "cpu": {
            "image": "cresset:cpu",
            "build": {"context": "/x", "target": "train", "args": {"TZ": None, "USE_CUDA": "0", "GRP": "a$$b"}},
            "volumes": [{"type": "bind", "source": "/x", "target": "/opt/project"}],
        }
    },
    "x-cresset": {"SERVICE": "cpu", "GPUS": "all", "INDEX_URL": None},
}


def test_the_model_is_what_compose_says() -> None:
    model = compose.read(json.dumps(ANSWER))
    assert model.project == "demo"
    assert model.settings == {"SERVICE": "cpu", "GPUS": "all", "INDEX_URL": ""}
    assert model.service("cpu").image == "cresset:cpu"


def test_the_platform_is_what_the_shell_or_env_says() -> None:
    assert compose.read(json.dumps(ANSWER)).platform == ""
    assert compose.read(json.dumps({**ANSWER, "x-docker": {"platform": "linux/arm64"}})).platform == "linux/arm64"


@pytest.mark.parametrize("found", [{}, {"x-cresset": 3}], ids=["nothing of this checkout", "overwritten"])
def test_the_files_of_another_project_are_refused(found: dict[str, object]) -> None:
    with pytest.raises(CressetError, match="without this checkout's docker-compose"):
        compose.read(json.dumps({"name": "other", **found}))


@pytest.mark.parametrize("text", ["", "{", "[]", "Segmentation fault"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(CressetError, match="config` prints is no JSON"):
        compose.read(text)


def test_a_model_that_lacks_what_every_task_reads_is_refused() -> None:
    whole = {row.name: "" for row in settings.SETTINGS}
    configuration.require_whole(compose.read(json.dumps({**ANSWER, "x-cresset": whole})))
    with pytest.raises(CressetError, match=r"docker-compose\.yaml lacks COMMAND in x-cresset"):
        configuration.require_whole(compose.read(json.dumps(ANSWER)))
    with pytest.raises(CressetError, match=r"docker-compose\.yaml lacks services"):
        configuration.require_whole(compose.read(json.dumps({"name": "demo", "x-cresset": whole})))


def test_an_argument_without_a_value_is_left_to_the_dockerfile_and_doubled_dollars_are_halved() -> None:
    assert compose.read(json.dumps(ANSWER)).service("cpu").arguments == {"USE_CUDA": "0", "GRP": "a$b"}


def test_an_unknown_service_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CressetError) as refusal:
        compose.read(json.dumps(ANSWER)).service("gpu")
    assert refusal.value.hint == "the services are cpu"


def test_only_what_docker_would_make_is_a_folder_to_make() -> None:
    answer = json.loads(json.dumps(ANSWER))
    answer["services"]["cpu"]["volumes"] += [
        {"type": "bind", "source": "/data", "target": "/data", "bind": {"create_host_path": True}},
        {"type": "bind", "source": "/there", "target": "/there", "bind": {}},
        {"type": "volume", "source": "named", "target": "/named", "volume": {}},
    ]
    service = compose.read(json.dumps(answer)).service("cpu")
    assert service.made_folders == ("/data",)
    assert "/there" in service.needed_paths
    assert "/data" not in service.needed_paths


def test_presets_are_the_arguments_that_no_setting_reaches() -> None:
    text = """
    x-args: &args {TZ: , PROJECT_ROOT: "${PROJECT_ROOT:-/opt}"}
    services:
      cpu: {build: {args: {<<: *args, USE_CUDA: "0", BUILD_IMAGE: "${PLAIN_IMAGE:-debian}"}}}
      train: {build: {args: *args}}
    """
    assert compose.presets(text, "cpu") == {"USE_CUDA", "BUILD_IMAGE"}
    assert compose.presets(text, "train") == frozenset()


@pytest.mark.parametrize(
    "text", ["", "x-cresset: {}", "services: {cpu: }", "services: {cpu: {build: .}}", "services: {cpu: {build: }}"]
)
def test_a_service_without_arguments_has_no_presets(text: str) -> None:
    assert compose.presets(text, "cpu") == frozenset()


def test_a_service_may_fix_settings_that_are_no_arguments() -> None:
    text = "services: {deploy: {x-cresset: {COMMAND: sh}}, cpu: {image: a}}"
    assert compose.own_settings(text, "deploy") == {"COMMAND": "sh"}
    assert compose.own_settings(text, "cpu") == {}


def test_a_service_that_asks_for_gpus_is_known() -> None:
    device = {"capabilities": ["gpu"], "driver": "nvidia", "count": -1}
    answer = json.loads(json.dumps(ANSWER))
    assert not compose.read(json.dumps(answer)).service("cpu").reserves_gpus
    answer["services"]["cpu"]["deploy"] = {"resources": {"reservations": {"devices": [device]}}}
    assert compose.read(json.dumps(answer)).service("cpu").reserves_gpus
