"""A base image is made by an ordinary account, once, and nothing but the image stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine

SCRIPT = Path(__file__).parents[2] / "misc" / "base_image.sh"
SOCKET = Path("/var/run/docker.sock")
ACCOUNT = 12347  # needs no entry in passwd, so nothing has to be added to the host
NAME = f"base-test-{os.getpid()}"
OTHER = f"{NAME}-other"


def docker(*args: str) -> str:
    """What docker prints, without regard to its exit code."""
    return subprocess.run(["docker", *args], capture_output=True, text=True, check=False).stdout.strip()


def image_id(name: str) -> str:
    return docker("image", "inspect", "--format={{.Id}}", name)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder of the ordinary account, with the script in it as a checkout may be closed to other accounts."""
    with tempfile.TemporaryDirectory(prefix="base-test-") as name:
        home = Path(name)
        script = home / SCRIPT.name
        script.write_bytes(SCRIPT.read_bytes())
        script.chmod(0o755)
        (home / "tmp").mkdir()
        if os.getuid() == 0:
            for path in (home, home / "tmp"):
                os.chown(path, ACCOUNT, ACCOUNT)
        yield home


def start(home: Path, *args: str) -> subprocess.Popen[str]:
    """The script, begun by an account of which the engine knows only that it is in the group docker."""
    root = os.getuid() == 0
    return subprocess.Popen(
        [str(home / SCRIPT.name), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=home,
        env={**os.environ, "HOME": str(home), "TMPDIR": str(home / "tmp")},
        start_new_session=True,
        user=ACCOUNT if root else None,
        group=ACCOUNT if root else None,
        extra_groups=[SOCKET.stat().st_gid] if root else None,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=300)
    return process.returncode, output


@pytest.fixture(scope="module")
def mirror(home: Path) -> str:
    """The host's mirror spelt with its port, which tells it from the one that the image is to name."""
    command = f'. "{home / SCRIPT.name}" && find_mirror "$(host_suite)"'
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout.split()
    if not found:
        pytest.skip("the sources of this host's apt name no mirror")
    scheme, _, rest = found[0].partition("://")
    site, _, path = rest.partition("/")
    return f"{scheme}://{site}:{ {'http': 80, 'https': 443}[scheme] }/{path}"


@pytest.fixture(scope="module")
def outputs(home: Path, mirror: str) -> Iterator[list[str]]:
    """The image of NAME, made while a second process was told to make it too; what the two said."""
    if not SOCKET.is_socket():
        pytest.skip("the engine has no socket at its usual place")
    processes = [start(home, "--mirror", mirror, NAME) for _ in range(2)]
    results = [finish(process) for process in processes]
    assert [code for code, _ in results] == [0, 0], results
    yield sorted(output for _, output in results)
    docker("image", "rm", "--force", NAME)


def test_of_two_at_once_one_makes_it_and_one_waits(outputs: list[str]) -> None:
    making, waiting = outputs
    assert making.startswith(f"making {NAME}: ")
    assert f"\nmade {NAME}: " in making
    assert waiting.endswith(f"{NAME} exists\n")
    assert "made" not in waiting.replace("being made", "")


@pytest.mark.usefixtures("outputs")
def test_the_image_is_the_hosts_release() -> None:
    of_host = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    of_image = docker("run", "--rm", NAME, "cat", "/etc/os-release")
    assert f"VERSION_CODENAME={of_host['VERSION_CODENAME']}\n" in of_image


@pytest.mark.usefixtures("outputs")
def test_the_image_runs_bash_in_a_unicode_locale() -> None:
    assert docker("run", "--rm", "--interactive", NAME, "bash", "-c", "echo $LANG; dpkg --audit") == "C.UTF-8"
    assert docker("image", "inspect", "--format={{json .Config.Cmd}}", NAME) == '["bash"]'


@pytest.mark.usefixtures("outputs")
def test_the_image_is_small() -> None:
    assert int(docker("image", "inspect", "--format={{.Size}}", NAME)) < 150_000_000


@pytest.mark.usefixtures("outputs")
def test_the_image_updates_from_the_default_mirror() -> None:
    said = docker("run", "--rm", NAME, "sh", "-c", "apt-get update 2>&1")
    if "Could not" in said or "Temporary failure" in said or "Failed to fetch" in said:
        pytest.skip("containers do not reach the distribution's default mirror")
    assert "-security" in said
    assert "-updates" in said
    assert "W:" not in said


def test_no_trace_of_the_hosts_mirror_is_left(outputs: list[str], mirror: str) -> None:
    assert mirror in outputs[0]
    site = mirror.split("/")[2]
    assert not docker("run", "--rm", NAME, "grep", "-rIlF", site, "/etc", "/opt", "/root", "/usr", "/var")


@pytest.mark.usefixtures("outputs")
def test_nothing_of_the_host_or_the_making_is_left(tmp_path: Path) -> None:
    container = docker("create", NAME)
    with (tmp_path / "image.tar").open("wb") as file:
        subprocess.run(["docker", "export", container], stdout=file, check=True)
    docker("rm", container)
    listing = subprocess.run(["tar", "-tvf", tmp_path / "image.tar"], capture_output=True, text=True, check=True).stdout
    full = {line.split()[5] for line in listing.splitlines() if line.startswith("-") and line.split()[2] != "0"}
    assert "usr/bin/bash" in full
    begins = (
        "debootstrap",
        "dev/",
        "run/",
        "tmp/",
        "var/lib/apt/lists/",
        "var/log/",
        "var/cache/apt/",
        "usr/share/man/",
    )
    assert not [path for path in full if path.startswith(begins)]
    assert not full & {"etc/machine-id", "etc/hostname", "etc/resolv.conf", "etc/apt/sources.list", "etc/apt/apt.conf"}
    assert not [path for path in full if path.startswith("usr/share/doc/") and not path.endswith("/copyright")]


@pytest.mark.usefixtures("outputs")
def test_an_image_that_exists_is_not_made_again(home: Path) -> None:
    before = image_id(NAME)
    assert finish(start(home, NAME)) == (0, f"{NAME} exists\n")
    assert image_id(NAME) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seconds", [0.0, 4.0])
def test_an_interruption_leaves_nothing(home: Path, mirror: str, number: signal.Signals, seconds: float) -> None:
    process = start(home, "--mirror", mirror, OTHER)
    helper = f"cresset-base-image-{process.pid}"
    borrowed = ""
    while not borrowed:
        assert process.poll() is None, finish(process)
        time.sleep(0.05)
        borrowed = docker("inspect", "--type=container", "--format={{.Image}}", helper)
    time.sleep(seconds)
    if number is signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    code, _ = finish(process)

    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert not docker("ps", "--all", "--quiet", f"--filter=name={helper}")
    assert not image_id(borrowed)
    assert not image_id(OTHER)
    assert not list((home / "tmp").iterdir())


def test_a_mirror_that_does_not_answer_is_named_without_its_password(home: Path) -> None:
    code, output = finish(start(home, "--mirror", "http://alice:secret@127.0.0.1:9/debian", OTHER))
    assert code == 2
    assert "secret" not in output
    *log, error, hint = output.splitlines()
    assert "Failed getting release file http://127.0.0.1:9/debian" in "\n".join(log)
    assert error.startswith("error: ")
    assert error.endswith(" could not be made from http://127.0.0.1:9/debian")
    assert "--mirror URL" in hint
    assert not image_id(OTHER)
    assert not list((home / "tmp").iterdir())


def test_a_failed_force_keeps_the_image(home: Path, outputs: list[str]) -> None:  # noqa: ARG001 # the image is there
    before = image_id(NAME)
    code, _ = finish(start(home, "--force", "--mirror", "http://127.0.0.1:9/debian", NAME))
    assert code == 2
    assert image_id(NAME) == before
