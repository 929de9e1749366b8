"""What is off until a person asks for it: preloads, sudo, ssh, windows, ports, folders in memory, JupyterLab."""

from __future__ import annotations

import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from tests.engine.checkout import ROOT, Checkout, Result, run
from tests.engine.test_users import inside_one

OVERRIDE = "docker-compose.override.yaml"
# What an editor of the environment would stumble over.
GREETING = 'it\'s a "quoted" $word, a \\ and a #'


@dataclass(frozen=True, kw_only=True)
class Screen:
    """An X server without hardware: its address and the file where what it shows is."""

    address: str
    file: Path

    def colours(self) -> set[tuple[int, int, int]]:
        """Return the colours on it; the file is of the form that `xwd` writes."""
        content = self.file.read_bytes()
        header = struct.unpack(">25I", content[:100])
        width, height, row, start = header[4], header[5], header[12], header[0] + 12 * header[19]
        assert header[11] == 32, "bits for each pixel, red in the third byte"
        lines = (content[start + row * y : start + row * y + 4 * width] for y in range(height))
        return {(line[x + 2], line[x + 1], line[x]) for line in lines for x in range(0, len(line), 4)}


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen | None]:
    """An X server of this host, None where none is installed."""
    if not shutil.which("Xvfb"):
        yield None
        return
    folder = tmp_path_factory.mktemp("screen")
    ours, its = os.pipe()
    # Without -noreset it would forget what is on it as soon as the program that drew that has ended.
    argv = ["Xvfb", "-displayfd", str(its), "-noreset", "-nolisten", "tcp", "-screen", "0", "64x48x24"]
    with subprocess.Popen([*argv, "-fbdir", str(folder)], pass_fds=[its], stderr=subprocess.DEVNULL) as server:
        os.close(its)
        with os.fdopen(ours) as said:
            number = said.readline().strip()
        try:
            yield Screen(address=f":{number}", file=folder / "Xvfb_screen0")
        finally:
            server.terminate()


def uncommented(text: str) -> str:
    """Return an override file with all that it has as examples."""
    return re.sub(r"^( *)#(?=[^# \n])", r"\1", text, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def equipped(
    clone: Callable[[], Checkout], screen: Screen | None, tmp_path_factory: pytest.TempPathFactory
) -> Checkout:
    """A checkout with each switch on and each example of the override file in force, for an account of its own."""
    home = tmp_path_factory.mktemp("home")
    (home / ".ssh").mkdir()
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / "key")])
    shutil.copy(home / "key.pub", home / ".ssh" / "authorized_keys")
    # The home decides what is mounted; docker's own settings stay where they are.
    variables = {"HOME": str(home), "DOCKER_CONFIG": os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker"))}
    checkout = replace(clone(), extra={**variables, **({"DISPLAY": screen.address} if screen else {})})
    account = {"UID": "4321", "GID": "4321", "USR": "nick", "GRP": "nick"} if os.getuid() == 0 else {}
    checkout.set(SUDO="include", SSH="include", PRELOAD="jemalloc", TZ="Asia/Seoul", **account)
    (checkout.path / "reqs" / "apt-train.requirements.txt").write_text("x11-xserver-utils\n")
    checkout.edit("reqs/pip-train.requirements.txt", "jupyterlab")
    checkout.invoke("over")
    text = uncommented((checkout.path / OVERRIDE).read_text())
    # Another program may have these ports here; a free one takes their place.
    text = re.sub(r"127\.0\.0\.1:\d+:", "127.0.0.1::", text)
    override = yaml.safe_load(text)
    override["services"]["cpu"]["environment"]["GREETING"] = GREETING.replace("$", "$$")
    if not screen:
        override["services"]["cpu"]["volumes"].pop(1)
    (checkout.path / OVERRIDE).write_text(yaml.safe_dump(override))
    (checkout.path / ".cresset" / "ssh").mkdir(parents=True, exist_ok=True)
    if account:
        run(["chown", "-R", "4321:4321", str(checkout.path), str(home)])
    checkout.invoke("build")
    return checkout


def port(checkout: Checkout, inner: int) -> str:
    """Return where a port of the container is on this host."""
    address, _, number = checkout.compose("port", "cpu", str(inner)).out.strip().partition(":")
    assert address == "127.0.0.1"
    return number


def test_examples_of_the_override_file_hold(equipped: Checkout) -> None:
    assert equipped.inside("touch /scratch/mine && stat --file-system --format %T /scratch").out.strip() == "tmpfs"
    container = equipped.container()
    run(["docker", "exec", "--detach", container, "python3", "-m", "http.server", "80", "--directory", "/etc"])
    retries = ["--retry", "20", "--retry-delay", "1", "--retry-all-errors"]
    got = run(
        [
            "curl",
            "--noproxy",
            "*",
            "--silent",
            *retries,
            f"http://127.0.0.1:{port(equipped, 80)}/hostname",
        ]
    )
    assert got.out.strip() == "cpu"  # `hostname`, which is an example too
    assert equipped.inside("getent hosts cpu; zsh -ic 'print -P %m'").out.split()[1:] == ["cpu", "cpu"]


# Preloads


def test_a_library_is_preloaded_into_what_people_run(equipped: Checkout, built: Checkout) -> None:
    code = "import torch; print(torch.ones(3).sum().item(), open('/proc/self/maps').read())"
    shown = equipped.inside(f'echo $MALLOC_CONF; python -c "{code}"').lines
    assert "background_thread:true" in shown[0]
    assert shown[1].startswith("3.0 ")
    assert any(line.endswith("/opt/preload/libjemalloc.so.2") for line in shown)
    assert "preload" not in built.inside("cat /proc/self/maps; ls /opt; printenv LD_PRELOAD || true").out


@contextmanager
def variant(checkout: Checkout, **values: str) -> Iterator[Checkout]:
    """Build the checkout with other settings, as another image that is removed afterwards."""
    name = f"cresset:test-{uuid.uuid4().hex[:8]}"
    made = replace(checkout, extra={**checkout.extra, **values, "IMAGE_NAME": name})
    try:
        made.invoke("build-only")
        yield made
    finally:
        run(["docker", "image", "rm", name], check=False)


@pytest.mark.parametrize(
    ("name", "file"),
    [("tcmalloc", "libtcmalloc_minimal.so.4"), ("libiomp5", "libiomp5.so")],
    ids=["tcmalloc", "libiomp5"],
)
def test_another_preload_executes_late_steps_only(equipped: Checkout, name: str, file: str) -> None:
    if name == "libiomp5" and os.uname().machine != "x86_64":
        pytest.skip("Intel makes it for x86_64 only")
    with variant(equipped, PRELOAD=name) as chosen:
        assert {step for step in chosen.executed() if not step.startswith("train ")} <= {
            "install-preload 1/1",
            f"train-preload-{name} 1/1",
        }
        shown = chosen.invoke("run", "--command", "echo KMP=$KMP_BLOCKTIME; cat /proc/self/maps").out
        assert f"/opt/preload/{file}\n" in shown
        assert ("KMP=1\n" in shown) == (name == "libiomp5")


@pytest.mark.parametrize(
    ("package", "says"),
    [
        ("exit 100", "this distribution's packages have no libjemalloc2"),
        ("true", "the package has no libjemalloc.so.2"),
        ("echo none > /usr/lib/libjemalloc.so.2", "libjemalloc.so.2 does not load: "),
    ],
    ids=["no package", "no library", "a broken library"],
)
def test_what_cannot_be_preloaded_is_said_in_one_line(base: str, tmp_path: Path, package: str, says: str) -> None:
    for name in ("network.sh", "install-preload.sh"):
        shutil.copy(ROOT / "misc" / "image" / name, tmp_path)
    (tmp_path / "install-packages.sh").write_text(f"#!/bin/sh\n{package}\n")
    (tmp_path / "install-packages.sh").chmod(0o755)
    argv = ["docker", "run", "--rm", "--volume", f"{tmp_path}:/scripts:ro", base]
    failed = run([*argv, "sh", "/scripts/install-preload.sh", "jemalloc", "/opt/preload"], check=False)
    assert failed.code == 1
    (line,) = failed.lines
    assert line.startswith(f"cresset: PRELOAD=jemalloc: {says}")


# sudo


def test_sudo_asks_for_no_password_and_there_is_none(equipped: Checkout) -> None:
    command = "id --user; sudo --non-interactive id --user; sudo printenv TZ; sudo cat /etc/shadow"
    mine, its, zone, *accounts = equipped.inside(command).lines
    assert mine != "0"
    assert (its, zone) == ("0", "Asia/Seoul")
    secrets = [line.split(":")[1] for line in accounts]
    assert secrets
    assert {secret[0] for secret in secrets} <= {"*", "!"}


def test_without_the_switches_there_is_neither_sudo_nor_sshd(built: Checkout, equipped: Checkout) -> None:
    assert built.inside("ls /etc/sudoers.d /usr/bin/sudo /usr/sbin/sshd 2> /dev/null || true").lines == []
    with variant(equipped, SUDO="exclude", SSH="exclude") as plain:
        assert {step for step in plain.executed() if not step.startswith("train ")} <= {
            "train-user-include 1/1",
            "check-user 1/1",
            "train-preload-jemalloc 1/1",
        }


# ssh


def ssh(checkout: Checkout, command: str, *options: str, check: bool = True) -> Result:
    """Log in as a person does, with the key that was mounted."""
    home = Path(checkout.extra["HOME"])
    known = ["-o", f"UserKnownHostsFile={home / 'known'}", "-o", "StrictHostKeyChecking=accept-new"]
    argv = ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", *known, *options]
    user = checkout.setting("USR")
    return run([*argv, "-p", port(checkout, 2222), f"{user}@127.0.0.1", command], check=check)


def key(checkout: Checkout) -> tuple[str, ...]:
    return "-o", "IdentitiesOnly=yes", "-i", str(Path(checkout.extra["HOME"]) / "key")


def test_ssh_sees_what_exec_sees(equipped: Checkout) -> None:
    names = ("PATH", "VIRTUAL_ENV", "TZ", "PYTHONPATH", "LD_PRELOAD", "PIP_CONSTRAINT", "GREETING")
    command = f"printenv {' '.join(names)}"
    *shown, python, zone, home = ssh(equipped, f"{command}; which python; date +%Z; echo $HOME", *key(equipped)).lines
    assert shown == equipped.inside(command).lines
    assert shown[names.index("GREETING")] == GREETING
    assert (python, zone, home) == ("/opt/venv/bin/python", "KST", "/home/" + equipped.setting("USR"))


def test_a_login_shell_keeps_the_programs_of_the_image(equipped: Checkout) -> None:
    command = "echo $PATH; for shell in bash zsh sh; do $shell -lc 'echo $PATH'; done"
    for first, *others in (equipped.inside(command).lines, ssh(equipped, command, *key(equipped)).lines):
        assert first.startswith("/opt/venv/bin:/opt/uv/bin:")
        assert others == [first] * 3


def test_ssh_takes_no_password_and_no_other_key(equipped: Checkout, tmp_path: Path) -> None:
    asking = ("-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password,keyboard-interactive")
    refused = ssh(equipped, "true", *asking, check=False)
    assert (refused.code, refused.lines[-1].partition(": ")[2]) == (255, "Permission denied (publickey).")
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")])
    assert ssh(equipped, "true", "-o", "IdentitiesOnly=yes", "-i", str(tmp_path / "other"), check=False).code == 255


def test_the_containers_own_key_is_its_own_and_stays(equipped: Checkout) -> None:
    kept = (equipped.path / ".cresset" / "ssh" / "host_key.pub").read_text()
    equipped.invoke("up")
    ssh(equipped, "true", *key(equipped), "-o", "ConnectionAttempts=10", "-o", "HostKeyAlias=container")
    assert (equipped.path / ".cresset" / "ssh" / "host_key.pub").read_text() == kept
    # None came with the image, where all who have it would share it.
    content = run(
        ["docker", "run", "--rm", "--user", "0", equipped.image, "sh", "-c", "ls /etc/ssh /var/lib/serve-ssh"]
    )
    assert "host" not in content.out


def test_serve_ssh_says_what_it_lacks(equipped: Checkout) -> None:
    refused = run(["docker", "run", "--rm", equipped.image, "serve-ssh"], check=False)
    assert refused.code == 2
    assert refused.lines == [
        "serve-ssh: /etc/ssh/authorized_keys has no public key; mount yours there: docs/switches.md"
    ]


# Windows


def test_a_program_inside_draws_on_a_screen_outside(equipped: Checkout, screen: Screen | None) -> None:
    if screen is None:
        pytest.skip("Xvfb is not installed on this host")
    assert equipped.inside("echo $QT_X11_NO_MITSHM").out.strip() == "1"
    for colour in ((192, 48, 96), (16, 160, 224)):
        equipped.inside("xsetroot -solid '#{:02x}{:02x}{:02x}'".format(*colour))
        assert screen.colours() == {colour}


# JupyterLab


@contextmanager
def jupyter(checkout: Checkout) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Run the task, and give its process, address and token."""
    argv = [sys.executable, "-m", "invoke", "jupyter"]
    environment = {**os.environ, **checkout.extra}
    # Behind a shell's `&` the tests ignore it, and what they start would inherit that.
    former = signal.signal(signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        argv, cwd=checkout.path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    signal.signal(signal.SIGINT, former)
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"JupyterLab: (http://127\.0\.0\.1:\d+)/lab\?token=(\S+)\n", line)
            assert found, line
            yield process, found[1], found[2]
        finally:
            process.kill()


def status(url: str) -> int:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def servers(checkout: Checkout) -> int:
    return run(["docker", "top", checkout.container(), "-eo", "pid,args"]).out.count("jupyterlab")


def test_jupyter_answers_with_its_token_only(equipped: Checkout) -> None:
    with jupyter(equipped) as (process, address, token):
        with ThreadPoolExecutor(8) as many:
            assert set(many.map(status, [f"{address}/api/contents?token={token}"] * 16)) == {200}
        assert status(f"{address}/lab?token={token}") == 200
        assert {status(f"{address}/api/contents{query}") for query in ("", "?token=", "?token=guess")} == {403}
        # Nothing to be reached from another container, and no token in a list of processes.
        heard = equipped.inside("cat /proc/net/tcp /proc/net/tcp6").lines
        addresses = {line.split()[1].rpartition(":")[::2] for line in heard if line.split()[3] == "0A"}
        elsewhere = {number for local, number in addresses if local != "0100007F"}
        assert elsewhere <= {f"{number:04X}" for number in (80, 2222)}
        assert token not in run(["ps", "-eo", "args"]).out
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    assert servers(equipped) == 0


def test_jupyter_ends_with_a_task_that_is_killed(equipped: Checkout) -> None:
    with jupyter(equipped):
        assert servers(equipped) > 0
    run(
        [
            "timeout",
            "20",
            "sh",
            "-c",
            f"while docker top {equipped.container()} -eo pid,args | grep -q jupyterlab; do :; done",
        ]
    )


def test_without_jupyterlab_the_line_is_named(built: Checkout) -> None:
    refused = built.invoke("jupyter", check=False)
    assert refused.code == 2
    assert refused.lines == [
        "the container of the service cpu has no JupyterLab",
        "  add the line jupyterlab to reqs/pip-train.requirements.txt, then: invoke build",
    ]
    taken = built.invoke("jupyter", "--port", "-1", check=False)
    assert (taken.code, len(taken.lines)) == (2, 2)
    # What is printed can be typed.
    assert "docker compose exec --no-TTY --env JUPYTER_TOKEN cpu python3 -c" in built.invoke("jupyter", "--dry-run").out


# Shell


def test_the_shell_has_its_aliases_and_a_long_memory(built: Checkout) -> None:
    shown = built.inside("zsh -ic 'alias ll wns hist; echo $HISTSIZE $SAVEHIST'").out
    assert [name for name in ("ll=", "wns=", "hist=") if name not in shown] == []
    assert "50000 50000" in shown
    tmux = "tmux -L test start-server ';' show-options -g history-limit ';' show-options -g default-shell"
    assert built.inside(tmux).lines == ["history-limit 50000", "default-shell /usr/bin/zsh"]


# Shared memory and time zone

LOADER = """
import torch, torch.utils.data as data
class Large(data.Dataset):
    def __len__(self): return 1
    def __getitem__(self, i): return torch.ones(25_000_000)
print(next(iter(data.DataLoader(Large(), num_workers=1))).element_size() * 25_000_000)
"""


def test_dataloader_workers_share_a_hundred_megabytes(built: Checkout) -> None:
    assert inside_one(built, f"python -c '{LOADER}'") == "100000000"
    small = built.invoke("run", "--set", "SHM_SIZE=64mb", "--command", f"python -c '{LOADER}'", check=False)
    assert small.code != 0
    assert "shared memory" in small.out


def test_the_time_zone_can_be_another_one_at_run_time(built: Checkout) -> None:
    assert inside_one(built, "date +%Z", TZ="Asia/Seoul") == "KST"
