"""How docker's answers are read."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from cresset import disk, hardware
from cresset.health import probes
from cresset.health.findings import Docker

INFO: dict[str, Any] = {
    "ServerVersion": "26.1.5+dfsg1",
    "Name": "elsewhere",
    "Architecture": "x86_64",
    "DockerRootDir": "/var/lib/docker",
    "MemTotal": 25276510208,
    "NCPU": 2,
    "Runtimes": {"runc": {}, "io.containerd.runc.v2": {}},
    "SecurityOptions": ["name=seccomp,profile=builtin"],
    "ClientInfo": {
        "Version": "28.2.2",
        "Context": "default",
        "Plugins": [{"Name": "buildx", "Version": "v0.13.1"}, {"Name": "compose", "Version": "2.26.1-4"}],
    },
}
BUILDER = """Name:          mine
Driver:        docker-container

Nodes:
Name:                  mine0
Driver:        nothing
GC Policy rule#0:
 All:           false
 Filters:       type==source.local
 Keep Duration: 48h0m0s
 Keep Bytes:    488.3MiB
GC Policy rule#1:
 All:           true
 Keep Bytes:    9.313GiB
"""


def read(info: dict[str, Any], builder: str = "") -> Docker:
    return probes.read_docker(json.dumps(info), address="unix:///run/docker.sock", builder=builder)


def test_what_docker_says_of_itself_is_read() -> None:
    found = read(INFO)
    assert (found.client, found.version, found.compose, found.buildx) == (
        "28.2.2",
        "26.1.5+dfsg1",
        "2.26.1-4",
        "0.13.1",
    )
    assert (found.memory, found.cores, found.machine) == (25276510208, 2, "x86_64")
    assert (found.builder, found.cache_limit) == (("default", "docker"), 0)
    assert (found.knows_gpus, found.rootless, found.free) == (False, False, None)


def test_an_engine_of_this_machine_has_a_disk_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "free_at", lambda machine, folder: 42 if (machine, folder) == ("here", "/x") else None)
    assert read({**INFO, "Name": "here", "DockerRootDir": "/x"}).free == 42


@pytest.mark.parametrize("more", [{"Runtimes": {"nvidia": {}}}, {"DiscoveredDevices": [{"ID": "nvidia.com/gpu=0"}]}])
def test_an_engine_knows_gpus_by_a_runtime_or_by_devices(more: dict[str, Any]) -> None:
    assert read({**INFO, **more}).knows_gpus


def test_a_rootless_engine_says_so() -> None:
    assert read({**INFO, "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"]}).rootless


def test_an_engine_that_does_not_answer_says_why() -> None:
    errors = ["Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"]
    found = read({"ServerErrors": errors, "ClientInfo": INFO["ClientInfo"]})
    assert (found.client, found.version, found.complaint) == ("28.2.2", "", errors[0])
    assert found.compose == "2.26.1-4"


@pytest.mark.parametrize("about", ["", "docker: nothing"])
def test_where_there_is_no_docker_nothing_is_read(about: str) -> None:
    assert probes.read_docker(about, address="", builder="") == Docker()


def test_an_engine_that_stays_silent_is_not_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(argv: list[str], *, timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(argv, timeout)

    monkeypatch.setattr(subprocess, "run", wait)
    said = probes.read_docker(*hardware.answer("docker", "info"), address="", builder="")
    assert said == Docker(complaint=hardware.SILENCE)


def test_a_builder_says_its_driver_and_what_it_keeps() -> None:
    assert probes.read_builder(BUILDER) == ("mine", "docker-container")
    assert probes.read_cache_limit(BUILDER) == int(9.313 * 2**30)
    assert probes.read_cache_limit(BUILDER.replace("Keep Bytes:    9.313GiB", "Max Used Space: 20GB")) == 20 * 10**9
    assert probes.read_cache_limit("") == 0


# As buildx prints them: the defaults of an engine with defaultKeepStorage, then a policy of one's own.
DEFAULTS = """GC Policy rule#0:
 All:           false
 Filters:       type==source.local,type==exec.cachemount,type==source.git.checkout
 Keep Duration: 48h0m0s
 Keep Bytes:    13.82GiB
GC Policy rule#1:
 All:           false
 Keep Duration: 1440h0m0s
 Keep Bytes:    100GiB
GC Policy rule#2:
 All:        false
 Keep Bytes: 100GiB
GC Policy rule#3:
 All:        true
 Keep Bytes: 100GiB
"""
BLANK = "    "  # a policy without a filter has an empty one
OWN = f"""GC Policy rule#0:
 All:        true
 Filters:{BLANK}
 Keep Bytes: 100GiB
"""
OF_MOUNTS = f"""GC Policy rule#0:
 All:           false
 Filters:       type==exec.cachemount
 Keep Duration: 48h0m0.177951181s
 Keep Bytes:    512MiB
GC Policy rule#1:
 All:        true
 Filters:{BLANK}
 Keep Bytes: 2TiB
"""
NEW_NAMES = DEFAULTS.replace("Keep Bytes:    13.82GiB", "Max Used Space: 488.3MiB").replace(
    "Keep Bytes", "Reserved Space"
)


@pytest.mark.parametrize(
    ("text", "limit", "idle"),
    [
        ("", 0, None),
        (DEFAULTS, 100 * 2**30, (1440, 100 * 2**30)),
        (DEFAULTS.replace(",type", " type"), 100 * 2**30, (48, int(13.82 * 2**30))),
        (OWN, 100 * 2**30, None),
        (OF_MOUNTS, 2 * 2**40, (48, 512 * 2**20)),
        (OF_MOUNTS.replace("type==", "type!="), 2 * 2**40, None),
        (OF_MOUNTS.replace("type==exec.cachemount", "type==regular"), 2 * 2**40, None),
        (NEW_NAMES, 100 * 2**30, (1440, 100 * 2**30)),
        (NEW_NAMES.replace(",type", " type"), 100 * 2**30, (48, int(488.3 * 2**20))),
        (OWN + " Max Used Space: 1.5TB\n Min Free Space: 20GiB\n", 1500 * 10**9, None),
        (OWN.replace("100GiB", "93GiB").replace("Keep Bytes", "Reserved Space"), 93 * 2**30, None),
    ],
)
def test_what_a_builder_keeps_of_a_compiler_cache(text: str, limit: int, idle: tuple[int, int] | None) -> None:
    assert (probes.read_cache_limit(text), probes.read_idle_limit(text)) == (limit, idle)


@pytest.mark.parametrize(
    ("text", "problem", "helpers"),
    [
        ("", "", ()),
        ("{}", "", ()),
        ('{"credsStore": "pass", "credHelpers": {"x": "ecr-login", "y": "pass"}}', "", ("pass", "ecr-login")),
        ("{", "no JSON", ()),
        ("[]", "no JSON object", ()),
        ('{"credHelpers": ["x"]}', "credHelpers is no object of texts", ()),
        ('{"credHelpers": "x"}', "credHelpers is no object of texts", ()),
        ('{"credHelpers": {"x": 1}}', "credHelpers is no object of texts", ()),
        ('{"credsStore": ["x"]}', "credsStore is no text", ()),
        ('{"credsStore": null, "credHelpers": null}', "", ()),
        (100_000 * "[", "no JSON", ()),
    ],
)
def test_dockers_configuration_is_read(text: str, problem: str, helpers: tuple[str, ...]) -> None:
    found, named = probes.read_config(text)
    assert problem in found if problem else found == ""
    assert named == tuple(f"docker-credential-{name}" for name in helpers)


def test_a_refusal_beside_the_answer_is_the_engines_complaint() -> None:
    said = "permission denied while trying to connect to the Docker daemon socket\n"
    client = '{"ClientInfo": {"Version": "28.2.2"}}'
    found = probes.read_docker(client, said, address="", builder="")
    assert (found.version, found.complaint) == ("", said)
    named = probes.read_docker('{"ServerErrors": ["no route"]}', said, address="", builder="")
    assert named.complaint == "no route"
