from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import NoReturn

import pytest
from docker.errors import APIError, DockerException

from cresset import hardware, inventory, processes, project, refusals
from cresset.engine import Engine
from cresset.errors import CressetError

DOWN = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
TOO_NEW = "Error response from daemon: client version 1.99 is too new. Maximum supported API version is 1.45\n"
NO_PLUGIN = "docker: unknown command: docker compose\n\nRun 'docker --help' for more information\n"


@pytest.fixture(params=[True, False], ids=["another's", "one's own"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "buildx").mkdir()
    (tmp_path / "cli-plugins").symlink_to("/usr")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + request.param)
    return tmp_path


@pytest.mark.parametrize(
    ("refuse", "text", "otherwise"),
    [
        (refusals.compose_refusal, "{warning}" + NO_PLUGIN, "no Compose V2"),
        (refusals.compose_refusal, "mkdir {folder}/buildx/instances: permission denied\n", "docker compose: mkdir"),
        (
            refusals.daemon_refusal,
            "[Errno 13] Permission denied: '{folder}/config.json'",
            "may not use the Docker daemon",
        ),
    ],
    ids=["the plugin is hidden by it", "buildx cannot write there", "the SDK cannot read there"],
)
def test_a_folder_of_dockers_that_is_anothers_is_named(
    folder: Path, request: pytest.FixtureRequest, refuse: object, text: str, otherwise: str
) -> None:
    warning = f"WARNING: Error loading config file: open {folder}/config.json: permission denied\n"
    error = refuse(text.format(warning=warning, folder=folder))  # type: ignore[operator]
    if "another's" in request.node.name:
        assert str(error) == f"{folder} is another account's, or something in it, as after `sudo docker`"
        assert error.hint == f'make it yours: sudo chown -R "$USER": {folder}'
    else:
        assert otherwise in str(error)


@pytest.mark.parametrize(
    ("variable", "below", "hint"),
    [
        ("DOCKER_CONFIG", "file", "unset DOCKER_CONFIG, or name a folder of yours: export DOCKER_CONFIG=DIR"),
        ("BUILDX_CONFIG", "file/buildx", "unset BUILDX_CONFIG, or name a folder of yours: export BUILDX_CONFIG=DIR"),
        ("HOME", "file", "name a folder of yours: export DOCKER_CONFIG=DIR"),
        (
            "HOME",
            "",
            'make your home yours: sudo chown "$USER": ~; or name a folder of yours: export DOCKER_CONFIG=DIR',
        ),
        ("HOME", "missing", "name a folder of yours: export DOCKER_CONFIG=DIR"),
    ],
)
def test_a_place_where_docker_can_keep_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, below: str, hint: str
) -> None:
    for name in ("DOCKER_CONFIG", "BUILDX_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setenv(variable, str(tmp_path / below))
    refused = refusals.unmade_folder()
    assert refused is not None
    assert str(refused).startswith("docker cannot keep its notes in ")
    assert refused.hint == hint


def test_a_place_where_docker_keeps_something_or_can_is_none_to_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BUILDX_CONFIG", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "missing" / "too"))
    assert refusals.unmade_folder() is None
    (tmp_path / "buildx").mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert refusals.unmade_folder() is None


def test_its_warning_does_not_hide_why_docker_refuses(folder: Path) -> None:
    warning = f"WARNING: Error loading config file: open {folder}/config.json: permission denied\n"
    assert "no Docker daemon answers" in str(refusals.daemon_refusal(warning + DOWN))
    assert "docker compose: yaml: line 3" in str(refusals.compose_refusal(warning + "yaml: line 3: odd\n"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_being_told_to_end_is_an_error_with_the_code_of_a_shell(number: signal.Signals) -> None:
    former = signal.signal(number, signal.SIG_DFL)  # under nohup one of them is ignored
    try:
        with pytest.raises(CressetError, match=f"ended by {number.name}") as ended, processes.told_to_end():
            signal.raise_signal(number)
        assert ended.value.code == 128 + number
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, former)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with processes.told_to_end():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)


def test_a_build_in_a_thread_leaves_signals_alone() -> None:
    def enter() -> object:
        with processes.told_to_end():
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor() as pool:
        assert pool.submit(enter).result() is signal.SIG_DFL


def test_a_warning_of_compose_has_nowhere_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.CompletedProcess([], 0, stdout="{}", stderr="WARN")
    monkeypatch.setattr(Engine, "_wait", lambda *_: done)
    monkeypatch.setattr(sys, "stderr", None)
    assert Engine().compose_config() == "{}"


def test_a_broken_override_file_is_named() -> None:
    said = "yaml: line 1: did not find expected node content\n"
    named = refusals.compose_refusal(said, override="docker-compose.override.yml")
    assert named.hint == "edit or remove docker-compose.override.yml"
    assert "its override" in refusals.compose_refusal(said).hint


def test_no_words_are_no_answer() -> None:
    assert str(refusals.daemon_refusal("")) == "no Docker daemon answers: no answer"


@pytest.mark.parametrize(
    ("text", "setting", "message", "hint"),
    [
        (hardware.SILENCE, {}, "the Docker daemon does not answer", "restart it: sudo systemctl restart docker"),
        (hardware.SILENCE, {"DOCKER_HOST": "x"}, "the Docker daemon does not answer", "unset DOCKER_HOST"),
        (DOWN, {}, f"no Docker daemon answers: {DOWN}", "start it: bash misc/setup.sh"),
        (
            DOWN,
            {"DOCKER_HOST": "x"},
            f"no Docker daemon answers: {DOWN}",
            "unset DOCKER_HOST; this machine's own: bash misc/setup.sh",
        ),
        (
            DOWN,
            {"context": "far"},
            f"no Docker daemon answers: {DOWN}",
            "docker context use default; this machine's own: bash misc/setup.sh",
        ),
        (
            TOO_NEW,
            {"DOCKER_API_VERSION": "1.99"},
            "the Docker daemon refuses: client version 1.99 is too new. Maximum supported API version is 1.45",
            "unset DOCKER_API_VERSION",
        ),
        (
            TOO_NEW,
            {},
            "the Docker daemon refuses: client version 1.99 is too new. Maximum supported API version is 1.45",
            "CLI and engine are too far apart, `docker version` shows both: upgrade the older one",
        ),
        (
            "WARNING: odd\nError response from daemon: one thing\nboom\n",
            {},
            "the Docker daemon refuses: one thing boom",
            "see its log: sudo journalctl --unit docker",
        ),
        (
            "Error response from daemon: boom",
            {"DOCKER_HOST": "x"},
            "the Docker daemon refuses: boom",
            "see its log: sudo journalctl --unit docker; or unset DOCKER_HOST",
        ),
    ],
)
def test_a_daemon_is_silent_or_absent_or_refuses(  # noqa: PLR0917 - the columns of the table
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, setting: dict[str, str], message: str, hint: str
) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_API_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(f'{{"currentContext": "{setting.pop("context", "default")}"}}')
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    refused = refusals.daemon_refusal(text)
    assert (str(refused), refused.hint) == (message, hint)


def test_a_refusal_through_the_sdk_is_the_daemons_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask() -> NoReturn:
        raise APIError("500 Server Error for http+docker://localhost/version", explanation="one thing\nboom")

    def connect() -> NoReturn:
        try:
            ask()
        except APIError as error:
            raise DockerException(f'Error while fetching server API version: {error} ("one thing\nboom")') from error

    monkeypatch.setattr(inventory, "_client", connect)
    with pytest.raises(CressetError) as refused:
        inventory.remove_container("x")
    assert str(refused.value) == "the Docker daemon refuses: one thing boom"


class Silent:
    """A docker that is asked and stays silent."""

    args: tuple[str, ...] = ()
    killed = False

    def communicate(self, timeout: float | None) -> tuple[str, str]:
        assert timeout is not None
        raise subprocess.TimeoutExpired("docker", timeout)

    def kill(self) -> None:
        self.killed = True

    def wait(self) -> int:
        assert self.killed
        return -9


def test_a_daemon_that_stays_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "_start", lambda *_: nullcontext(Silent()))
    for ask in (Engine().ready, Engine().place, lambda: Engine().states("x", "cpu"), lambda: Engine().labels("x")):
        with pytest.raises(CressetError, match="the Docker daemon does not answer"):
            ask()
    assert Engine().identity() == ("", "")
    assert Engine().inspect_images(["x", "y"]) == {}


@pytest.mark.parametrize("kept", ["", processes.BUILT], ids=["a question", "a build"])
def test_only_a_build_keeps_something_when_it_is_ended(kept: str) -> None:
    former = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(CressetError) as ended, processes.told_to_end(kept=kept):
            signal.raise_signal(signal.SIGTERM)
        assert ended.value.hint == kept
    finally:
        signal.signal(signal.SIGTERM, former)


def answering(monkeypatch: pytest.MonkeyPatch, out: str, err: str) -> Engine:
    info = subprocess.CompletedProcess([], 0, stdout=out, stderr=err)
    version = subprocess.CompletedProcess([], 0, stdout="2.26.1\n", stderr="")
    monkeypatch.setattr(Engine, "_capture_all", lambda *_: [info, version])
    return Engine()


def test_a_client_that_ends_well_without_a_daemon_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "errors pretty printing info\nERROR: permission denied while trying to connect to the Docker daemon socket\n"
    engine = answering(monkeypatch, "\t\t\t\t\n", said)
    with pytest.raises(CressetError, match="this account may not use the Docker daemon"):
        engine.ready()
    assert engine.identity() == ("", "")
    with pytest.raises(CressetError, match="no Docker daemon answers: Cannot connect"):
        answering(monkeypatch, "\t\t\t\t\n", DOWN).place()


def test_an_engine_whose_names_are_empty_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = answering(monkeypatch, "26.1.5\t\t/var/lib/docker\tid\toverlay2\n", "WARNING: No swap limit support\n")
    engine.ready()
    assert engine.place() == ("", "/var/lib/docker")
    assert engine.identity() == ("id", "overlay2")


def test_an_account_without_a_home_has_no_folder_of_dockers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert not hardware.docker_folder().is_absolute()
    assert refusals.foreign_folder() is None


def test_a_reason_has_its_head() -> None:
    said = "WARN[0000] x\nCircular reference:\n  cpu in /a.yaml\n  extends cpu in /a.yaml\n"
    refused = refusals.compose_refusal(said)
    assert str(refused) == "docker compose: Circular reference: cpu in /a.yaml extends cpu in /a.yaml"
    assert refusals.last_line("  a blank begins it") == "a blank begins it"


def test_a_misspelt_service_of_the_override_file_is_named() -> None:
    said = 'docker compose: service "cpuu" has neither an image nor a build context specified: invalid compose project'
    known = "services:\n  cpu: {build: .}\n  train:\n"
    with pytest.raises(CressetError, match=r"override\.yaml: there is no service 'cpuu'") as refused:
        project._refuse_misspelt_service(said, known)
    assert refused.value.hint == "did you mean cpu?"
    project._refuse_misspelt_service(said.replace("cpuu", "database"), known)
    project._refuse_misspelt_service("docker compose: yaml: line 3", "\t: no YAML")
