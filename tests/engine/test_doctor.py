"""Doctor, the choice of versions, and what goes past a refusal, as a person types them."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cresset import hardware
from cresset.engine import Engine
from cresset.health import doctor
from tests.engine.checkout import Checkout, run
from tests.engine.conftest import folder
from tests.engine.test_environment import NVIDIA_SMI, OFFLINE


@pytest.fixture
def bare() -> Iterator[Checkout]:
    """A fresh clone, without `.env`."""
    checkout = Checkout(path=folder())
    yield checkout
    run(["rm", "-r", str(checkout.path)])


def findings(checkout: Checkout, *words: str, **environment: str) -> dict[str, str]:
    """Return the worst severity of each check."""
    rank = ["ok", "info", "warning", "error"]
    done = checkout.invoke("doctor", "--json", *words, check=False, **environment)
    found: dict[str, str] = {}
    text = done.out[: done.out.rindex("}") + 1]
    for one in json.loads(text)["findings"]:
        assert list(one) == ["check", "severity", "message", "hint"]
        found[one["check"]] = max(found.get(one["check"], "ok"), one["severity"], key=rank.index)
    assert set(found) <= set(doctor.NAMES)
    assert done.code == (2 if "error" in found.values() else 0), done.out
    return found


def settings(checkout: Checkout) -> dict[str, str]:
    """Return every setting's value."""
    return {row["name"]: row["value"] for row in json.loads(checkout.invoke("config", "--json").out)}


def test_doctor_has_no_complaint_where_all_is_well(bare: Checkout, base: str) -> None:
    bare.invoke("env", "--service", "cpu", PLAIN_IMAGE=base)
    found = findings(bare, "--service", "cpu")
    # The disk is what it is.
    assert {check for check, severity in found.items() if severity in {"warning", "error"}} <= {"disk"}
    assert found["base-image"] == found["user"] == found["env-keys"] == "ok"


def test_doctor_says_that_train_needs_a_gpu(bare: Checkout) -> None:
    if hardware.gpus()[0]:
        pytest.skip("this host has a GPU")
    bare.invoke("env")
    assert findings(bare, "--service", "train")["gpu-runtime"] == "warning"  # it is without CUDA there
    done = bare.invoke("doctor", "--service", "train", "--set", "USE_CUDA=1", check=False)
    assert done.code == 2
    assert done.lines[-1] == "doctor found 1 error: gpu-runtime"
    assert "the service train reserves GPUs, and this host has none" in done.out


def test_doctor_looks_at_the_rest_where_no_engine_answers(bare: Checkout) -> None:
    bare.invoke("env", "--service", "cpu")
    found = findings(bare, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert [check for check, severity in found.items() if severity == "error"] == ["engine"]
    assert found["compose"] == found["torch-python"] == "ok"


def test_doctor_mends_what_is_safe(bare: Checkout) -> None:
    path = bare.path / ".env"
    path.write_text("CC=8.6\nSERVICE=cpu\n# mine\nHTTP_PROXY=http://proxy.example:1\n")
    path.chmod(0o644)
    assert findings(bare)["env-keys"] == "error"
    mended = bare.invoke("doctor", "--fix").out
    assert "Mended: CC is called CCA in .env." in mended
    assert path.read_text().startswith("CCA=8.6\nSERVICE=cpu\n# mine\nHTTP_PROXY=http://proxy.example:1\n")
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    assert "Mended" not in bare.invoke("doctor", "--fix").out
    assert path.read_text() == before


def test_doctor_writes_an_env_where_there_is_none(bare: Checkout) -> None:
    assert findings(bare, "--service", "cpu")["env-keys"] == "warning"
    shown = bare.invoke("doctor", "--service", "cpu", "--fix", "--dry-run").out
    assert "Would mend: .env is missing" in shown
    assert not (bare.path / ".env").exists()
    bare.invoke("doctor", "--service", "cpu", "--fix")
    assert (bare.path / ".env").exists()


def test_doctor_judges_what_is_wrong_with_a_value_of_env(bare: Checkout) -> None:
    (bare.path / ".env").write_text("SERVICE=cpu\nTZ=Mars/Base\n")
    done = bare.invoke("doctor", check=False)
    assert "TZ (from .env): 'Mars/Base' is not a time zone" in done.out
    assert done.lines[-1] == "doctor found 1 error: env-keys"


@pytest.mark.parametrize("words", ["--set=FOO=1", "--set=TZ=Mars", "--set=", "--service=", "--service=cup"])
def test_doctor_tells_a_script_the_rest_beside_a_mistake_of_the_command_line(bare: Checkout, words: str) -> None:
    found = findings(bare, words)
    assert [check for check, severity in found.items() if severity == "error"] == ["env-keys"]
    assert found["engine"] == found["compose"] == "ok"


def test_doctor_looks_at_the_rest_where_env_is_no_text(bare: Checkout) -> None:
    (bare.path / ".env").write_bytes(b"SERVICE=cpu\nGRP=\xe9\n")
    assert findings(bare)["env-keys"] == "error"
    done = bare.invoke("doctor", "--fix", check=False)
    assert ".env:2 is not UTF-8" in done.out
    assert "ok      compose" in done.out


def test_one_number_makes_a_whole_set(bare: Checkout) -> None:
    offline = replace(bare, extra=OFFLINE)
    said = offline.invoke("env", "--torch", "2.6", "--cuda", "12.4").out
    assert "does not answer: whether it is to be had there is not known" in " ".join(said.split())
    found = settings(bare)
    chosen = ("SERVICE", "PYTORCH_VERSION_TAG", "TORCHVISION_VERSION_TAG", "TORCHAUDIO_VERSION_TAG", "PYTHON_VERSION")
    assert [found[name] for name in chosen] == ["train", "v2.6.0", "v0.21.0", "v2.6.0", "3.10"]
    assert found["BUILD_IMAGE"] == "nvidia/cuda:12.4.1-cudnn-devel-ubuntu22.04"
    refused = offline.invoke("env", "--torch", "2.5", check=False)
    assert (refused.code, refused.lines[-1].strip()) == (2, "edit it, or add --update to change it")
    offline.invoke("env", "--update", "--torch", "2.5", "--cca", "8.6")
    found = settings(bare)
    assert [found[name] for name in chosen] == ["train", "v2.5.1", "v0.20.1", "v2.5.1", "3.10"]
    assert found["CCA"] == "8.6"
    assert (bare.path / ".env").read_text().count("\nPYTORCH_VERSION_TAG=") == 1


def test_what_goes_with_nothing_is_refused_and_nothing_written(bare: Checkout) -> None:
    refused = bare.invoke("env", "--service", "train", "--torch", "2.14", "--python", "3.9", check=False)
    assert refused.code == 2
    assert refused.lines[0] == "PyTorch 2.14.1 and Python 3.9 do not go together"
    assert not (bare.path / ".env").exists()


def test_force_goes_past_a_refusal_and_records_that(built: Checkout, base: str) -> None:
    # A name that says what the image is not: nothing has to fail for this.
    name = f"cresset-test-alpine:{built.path.name.lower()}"
    run(["docker", "tag", base, name])
    try:
        words = ("build-only", "--set", f"PLAIN_IMAGE={name}")
        refused = built.invoke(*words, check=False)
        assert (refused.code, refused.lines[0]) == (
            2,
            f"{name} has neither apt nor dnf, which a build installs packages with",
        )
        assert refused.lines[1].endswith("to go on all the same: --force")
        done = built.invoke(*words, "--force")
        assert f"Going on by --force: {name} has neither apt nor dnf" in done.out
        assert built.events()[0]["forced"] == [
            f"distribution: {name} has neither apt nor dnf, which a build installs packages with"
        ]
    finally:
        built.invoke("build-only")
        run(["docker", "image", "rm", name], check=False)


class _OneImage(http.server.BaseHTTPRequestHandler):
    """A registry with one image, team/image:1."""

    def do_GET(self) -> None:
        is_there = self.path == "/v2/" or not self.path.endswith("/2")
        kind = "application/vnd.oci.image.index.v1+json" if is_there else "application/json"
        body = b'{"schemaVersion": 2, "mediaType": "%s", "manifests": []}' % kind.encode()
        if not is_there:
            body = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
        self.send_response(200 if is_there else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(body).hexdigest()}")
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    do_HEAD = do_GET  # noqa: N815 - the name is the library's

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_registry_says_whether_it_has_an_image() -> None:
    engine = Engine()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _OneImage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"127.0.0.1:{server.server_address[1]}"
        assert engine.ask_registry(f"{place}/team/image:1", seconds=30) == "there"
        assert engine.ask_registry(f"{place}/team/image:2", seconds=30) == "gone"
        server.shutdown()
    assert engine.ask_registry(f"{place}/team/image:1", seconds=30) == ""


def test_driver_and_gpu_of_the_host_decide_and_are_judged(bare: Checkout, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(NVIDIA_SMI.format(driver="550.163.01", cuda="12.4"))
    program.chmod(0o755)
    host = replace(bare, extra={**OFFLINE, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    host.invoke("env", "--torch", "2.14")
    found = settings(host)
    assert (found["SERVICE"], found["CUDA_VERSION"], found["CCA"]) == ("train", "12.6.3", "8.6")
    newer = findings(host, "--set", "CUDA_VERSION=13.0.3")
    # What an index of one's own has code for, no table says.
    assert (newer["driver"], newer["wheel-arch"]) == ("error", "info")
    assert "12.6" in host.invoke("versions", "--torch", "2.14").out
    refused = host.invoke("up", "--set", "BUILD_MODE=include", "--set", "CCA=7.0", check=False)
    assert (refused.code, refused.lines[0]) == (2, "GPU 0 (NVIDIA GeForce RTX 3090, 8.6): CCA is for 7.0")
    assert "--force" in refused.lines[1]
