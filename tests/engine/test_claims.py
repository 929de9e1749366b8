"""What an image is claimed to hold is looked at before it is one."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.checkout import Checkout, run
from tests.engine.test_interrupted import CODES, WAYS, begin, until

VERSION = "2.6.0"


def write_wheel(folder: Path, name: str, files: dict[str, str]) -> None:
    """Write a wheel of a version, whatever the code in it says."""
    record = f"{name}-{VERSION}.dist-info"
    files |= {
        f"{record}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n",
        f"{record}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        lines.append(f"{path},sha256={digest},{len(text)}\n")
    files[f"{record}/RECORD"] = "".join([*lines, f"{record}/RECORD,,\n"])
    with zipfile.ZipFile(folder / f"{name}-{VERSION}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


def test_an_image_that_is_not_what_was_asked_for_is_none(
    clone: Callable[[], Checkout], base: str, tmp_path: Path
) -> None:
    code = {"torch/__init__.py": "from . import version\n__version__ = version.__version__\n"}
    write_wheel(tmp_path, "torch", {**code, "torch/version.py": "__version__ = '2.5.1+cu124'\ncuda = '12.4'\n"})
    write_wheel(tmp_path, "torchvision", {"torchvision/__init__.py": "raise RuntimeError('no operator nms')\n"})
    checkout, misnamed = clone(), f"cresset-test-base:{uuid.uuid4().hex[:8]}-ubuntu24.04"
    tags = {f"{name}_VERSION_TAG": f"v{VERSION}" for name in ("PYTORCH", "TORCHVISION")}
    checkout.set(WHEELHOUSE=str(tmp_path), PLAIN_IMAGE=misnamed, **tags)
    (checkout.path / "reqs/pip-train.requirements.txt").write_text("")
    run(["docker", "tag", base, misnamed])
    try:
        failed = checkout.invoke("build-only", check=False)
        said = " ".join(failed.out.split())
        assert failed.code != 0
        assert f"cresset: torch is 2.5.1+cu124, asked for {VERSION}" in said
        assert f"cresset: torchvision {VERSION} cannot be imported: RuntimeError: no operator nms" in said
        # A wheel with CUDA for the CPU is all that some hosts reach.
        assert "cresset: torch brings CUDA 12.4, though none was asked for" in checkout.step_log()
        assert "asked for ubuntu 24.04" in said
        assert "not what was asked for" in failed.lines[-2]
        assert run(["docker", "image", "inspect", checkout.image], check=False).code != 0
        forced = checkout.invoke("build-only", "--force")
        python = checkout.setting("PYTHON_VERSION")
        (line,) = (line for line in forced.lines if line.startswith("verified in the image: "))
        assert line.startswith(f"verified in the image: Python {python}.")
        own = "uid 0" if checkout.setting("UID") == "0" else f"user {checkout.setting('USR')}"
        assert line.endswith(f", no library missing, {own}")
        assert "torch" not in line
        kept = run(["docker", "run", "--rm", checkout.image, "cat", "/opt/image.json"])
        assert f"torch is 2.5.1+cu124, asked for {VERSION}" in json.loads(kept.out)["forced"]
    finally:
        run(["docker", "image", "rm", misnamed])


def test_an_image_says_what_was_found_in_it(built: Checkout) -> None:
    code = "import json, torch; print(json.dumps([torch.__version__, torch.version.cuda, torch.version.git_version]))"
    found = json.loads(built.inside("cat /opt/image.json").out)
    assert [found[name] for name in ("torch", "cuda", "commit")] == json.loads(built.inside(f'python -c "{code}"').out)
    assert found["python"].startswith(built.setting("PYTHON_VERSION"))
    claims = {claim["what"]: claim for claim in found["claims"]}
    asked = built.setting("PYTORCH_VERSION_TAG").removeprefix("v")
    assert claims["torch"] == {"what": "torch", "asked": asked, "found": found["torch"]}
    assert claims["uid"] == {"what": "uid", "asked": int(built.setting("UID")), "found": found["account"]["uid"]}
    # Where nothing is looked at anew, nothing is said.
    assert "verified in the image" not in built.invoke("build-only").out
    assert str(found["account"]["uid"]) == built.inside("id --user").out.strip() == built.setting("UID")


def test_people_can_ask_the_same_inside(built: Checkout) -> None:
    said = built.invoke("run", "--command", "pip install --quiet pytest && pytest -q tests/image").out
    assert " passed" in said
    assert "test_claims" not in said  # neither failed nor skipped
    assert "no GPU is seen here" in said


def test_bench_measures_in_the_container_and_against_another_environment(built: Checkout, tmp_path: Path) -> None:
    built.invoke("up")
    printed = built.invoke("bench", "--quick", "--json").out
    report = json.loads(printed[printed.index("\n{") :])
    assert {one["mode"] for one in report["results"]} == {"fp32", "AMP bf16"}
    assert all(one["median_ms"] > 0 for one in report["results"])
    assert "No module named 'torchvision'" in {one["reason"].split(": ")[1] for one in report["skipped"]}
    (tmp_path / "there.json").write_text(json.dumps(report))
    shown = built.invoke("bench", "--quick", "--markdown", "--against", str(tmp_path / "there.json")).out
    assert "| Transformer | 1 x 64, 2 x 8 | fp32 |" in shown
    assert "times as fast as there" in shown
    (tmp_path / "there.json").write_text("[]")
    refused = built.invoke("bench", "--against", str(tmp_path / "there.json"), check=False)
    assert (refused.code, refused.lines[-1]) == (2, "  a file of them is what `invoke bench --json` prints")


@pytest.mark.parametrize("way", ["Ctrl-C on a terminal", "SIGTERM to invoke alone", "kill -9 of all"])
def test_bench_ends_in_the_container_as_it_ends_here(built: Checkout, way: str) -> None:
    count = "cat /proc/[0-9]*/cmdline 2> /dev/null | tr '\\0' '\\n' | grep -c '/bench[.]py$'"
    running = f"{count}; ls -d /tmp/tmp.* 2> /dev/null; true"
    if not built.container():
        built.invoke("up")
    task = begin(built, "bench", terminal=way.endswith("terminal"))
    printed = b""
    while b"%)" not in printed:  # it is about to measure
        chunk = os.read(task.output, 4096)
        assert chunk, printed
        printed += chunk
    assert built.inside(running).lines[0] == "1"
    WAYS[way](task)
    ended = task.end()
    assert ended.code == CODES.get(way, 130), ended.out
    assert "ms a step" not in ended.out
    if ended.code > 0:
        assert ended.lines[-1] == ("interrupted" if ended.code == 130 else "ended by SIGTERM")
        assert built.inside(running).lines == ["0"]
    until(lambda: built.inside(running).lines == ["0"])
