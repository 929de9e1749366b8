"""What is in the image, looked at by root from inside, against lists of what may be there and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.checkout import Checkout, run

# Programs that run with the rights of their owner or group. Without a password anywhere, none of them lets one in.
SETID = {
    "of Debian's passwd and login": {
        "/usr/bin/chage",
        "/usr/bin/chfn",
        "/usr/bin/chsh",
        "/usr/bin/expiry",
        "/usr/bin/gpasswd",
        "/usr/bin/newgrp",
        "/usr/bin/passwd",
    },
    "of util-linux: mount does nothing without capabilities": {"/usr/bin/mount", "/usr/bin/su", "/usr/bin/umount"},
    "PAM's own check of a password": {"/usr/sbin/unix_chkpwd"},
    "of openssh-client: keys of the host, where there are some; memory that others cannot trace": {
        "/usr/lib/openssh/ssh-keysign",
        "/usr/bin/ssh-agent",
    },
    "tmux's entry in the list of who is here": {"/usr/lib/x86_64-linux-gnu/utempter/utempter"},
}
WRITABLE = {"/tmp", "/var/tmp"}  # with the sticky bit
# Beside the requirement file; see the stages train-python and train-base.
ASKED_FOR = {"ca-certificates", "python3", "python3-venv", "tmux", "tzdata", "zsh"}
# What downloads and installations leave behind; a folder without a file may stay.
CACHES = ("/root/.cache", "/var/lib/apt/lists", "/var/cache/apt", "/var/cache/cresset-apt", "/tmp", "/home/nick/.cache")

# What is put into an image to see whether it is noticed.
BAD = r"""
cp /bin/true /usr/local/bin/mine && chmod u+s /usr/local/bin/mine
cp /bin/true /usr/local/bin/able
python -c 'import os
able = bytes.fromhex("0100000200040000") + bytes(12)
os.setxattr("/usr/local/bin/able", "security.capability", able)'
touch /etc/open && chmod 666 /etc/open && mkfifo /etc/pipe
printf -- '-----BEGIN %s KEY-----' PRIVATE > /etc/key
printf 'hf_%s' abcdefghijklmnopqrstuvwxyz > /etc/token
echo 'index-url = https://me:secret@index.invalid/simple' > /home/nick/pip.conf
echo 'toor:x:0:0::/root:/bin/sh' >> /etc/passwd && echo 'toor:$1$salt$hash:1::::::' >> /etc/shadow
mkdir -p /root/.cache && touch /root/.cache/left
site=$(echo /opt/venv/lib/python3*/site-packages) && mkdir $site/hello-1.dist-info
printf 'Metadata-Version: 2.1\nName: hello\nVersion: 1\n' > $site/hello-1.dist-info/METADATA
"""

LOOK = r"""
import importlib.metadata, json, os, re, stat, subprocess
from pip._vendor.packaging.requirements import Requirement

setid, writable, capable, strange, secrets = [], [], [], [], []
key = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[A-Z0-9]{16}\b|\b(?:ghp|hf|glpat|github_pat)[_-]\w{20,}")
url = re.compile(rb"https?://[^/\s:@\"'<>]+:[^/\s:@\"'<>]+@")
for folder, folders, files in os.walk("/"):
    if folder == "/":
        folders[:] = [name for name in folders if name not in {"proc", "sys", "dev"}]
    for path in (os.path.join(folder, name) for name in (*folders, *files)):
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            continue
        if stat.S_ISREG(status.st_mode) and status.st_mode & 0o6000:
            setid.append(path)
        if status.st_mode & 0o0002:
            writable.append([path, bool(status.st_mode & stat.S_ISVTX)])
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            strange.append(path)
        if "security.capability" in os.listxattr(path):
            capable.append(path)
        if stat.S_ISREG(status.st_mode) and status.st_size < 1 << 20 and not folder.startswith(("/opt/venv", "/usr")):
            text = open(path, "rb").read()
            if key.search(text) or url.search(text):
                secrets.append(path)

wanted = ["pip", *open("/opt/constraints.txt").read().split()]
wanted += [line for line in open("/asked/pip-train.requirements.txt") if line.strip() and not line.startswith("#")]
closure, left = set(), [Requirement(line.strip()) for line in wanted]
while left:
    one = left.pop()
    extras = ["", *one.extras]
    if one.marker and not any(one.marker.evaluate({"extra": extra}) for extra in extras):
        continue
    name = re.sub(r"[-_.]+", "-", one.name).lower()
    if (name, *extras) not in closure:
        closure.add((name, *extras))
        left += map(Requirement, importlib.metadata.requires(name) or [])
installed = {re.sub(r"[-_.]+", "-", one.name).lower() for one in importlib.metadata.distributions()}

def lines(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True).stdout.split("\n")[:-1]

print(json.dumps({
    "setid": setid, "writable": writable, "capable": capable, "strange": strange, "secrets": secrets,
    "hashes": [line for line in open("/etc/shadow") if line.split(":")[1] not in ("*", "!", "!*", "!!")],
    "shadow": oct(os.stat("/etc/shadow").st_mode & 0o777),
    "superusers": [line.split(":")[0] for line in open("/etc/passwd") if line.split(":")[2] == "0"],
    "cached": [path for root in CACHES for path in lines(f"find {root} -type f")],
    "manual": lines("apt-mark showmanual"), "superfluous": lines("apt-get --simulate autoremove | grep ^Remv"),
    "unasked": sorted(installed - {name for name, *_ in closure}),
}))
"""


@pytest.fixture(scope="module")
def image(clone: Callable[[], Checkout]) -> Checkout:
    """The image of an ordinary account's."""
    checkout = clone()
    checkout.set(UID="4321", GID="4321", USR="nick", GRP="nick", ADD_USER="include")
    checkout.invoke("build-only")
    return checkout


def look(image: str, checkout: Checkout) -> dict[str, Any]:
    asked = f"type=bind,source={checkout.path}/reqs,target=/asked,readonly"
    argv = ["docker", "run", "--rm", "--user", "0", "--mount", asked, "--entrypoint", "python", image]
    shown: dict[str, Any] = json.loads(run([*argv, "-Bc", LOOK.replace("CACHES", repr(CACHES))]).lines[-1])
    return shown


@pytest.fixture(scope="module")
def seen(image: Checkout) -> dict[str, Any]:
    return look(image.image, image)


def test_the_look_sees_what_it_is_for(image: Checkout, tmp_path: Path) -> None:
    bad = f"{image.image}-bad"
    (tmp_path / "Dockerfile").write_text(f"FROM {image.image}\nUSER root\nRUN <<END\n{BAD}END\n")
    run(["docker", "build", "--quiet", "--tag", bad, str(tmp_path)])
    try:
        found = look(bad, image)
    finally:
        run(["docker", "image", "rm", bad])
    assert "/usr/local/bin/mine" in found["setid"]
    assert "/usr/local/bin/able" in found["capable"]
    assert ["/etc/open", False] in found["writable"]
    assert "/etc/pipe" in found["strange"]
    assert {"/etc/key", "/home/nick/pip.conf", "/etc/token"} <= set(found["secrets"])
    assert found["hashes"]
    assert found["superusers"] == ["root", "toor"]
    assert "/root/.cache/left" in found["cached"]
    assert "hello" in "".join(found["unasked"])


def test_programs_with_rights_of_their_own_are_known_ones(seen: dict[str, Any]) -> None:
    assert set(seen["setid"]) - set().union(*SETID.values()) == set()
    assert seen["capable"] == []
    assert seen["strange"] == []


def test_nothing_can_be_written_by_everybody(seen: dict[str, Any]) -> None:
    assert dict(seen["writable"]) == dict.fromkeys(WRITABLE, True)


def test_nobody_has_a_password(seen: dict[str, Any]) -> None:
    assert seen["hashes"] == []
    assert seen["shadow"] == "0o640"
    assert seen["superusers"] == ["root"]


def test_there_is_no_key_and_no_credential(seen: dict[str, Any]) -> None:
    assert seen["secrets"] == []


def test_nothing_that_was_downloaded_is_left(seen: dict[str, Any]) -> None:
    assert seen["cached"] == []


def test_every_package_was_asked_for_or_is_needed_by_one(seen: dict[str, Any], image: Checkout, base: str) -> None:
    lines = (image.path / "reqs/apt-train.requirements.txt").read_text().splitlines()
    asked = {line.split("=")[0].strip() for line in lines if line.strip() and not line.startswith("#")}
    of_base = set(run(["docker", "run", "--rm", base, "apt-mark", "showmanual"]).lines)
    assert set(seen["manual"]) == of_base | asked | ASKED_FOR
    assert seen["superfluous"] == []
    assert seen["unasked"] == []


def test_its_process_is_no_administrators(image: Checkout) -> None:
    assert run(["docker", "image", "inspect", "--format", "{{.Config.User}}", image.image]).out.strip() == "4321"
    shown = run(["docker", "run", "--rm", image.image, "sh", "-c", "grep CapEff /proc/self/status; id -u"]).lines
    assert shown == ["CapEff:\t0000000000000000", "4321"]


def test_no_service_is_given_more_than_docker_gives(image: Checkout) -> None:
    argv = ["docker", "compose", "--env-file", "/dev/null", "--profile", "*", "config", "--format", "json"]
    model = json.loads(run(argv, cwd=image.path, COMPOSE_PROJECT_NAME="cresset").out)
    for name, service in model["services"].items():
        assert not {"privileged", "cap_add", "devices", "pid", "security_opt", "ports"} & set(service), name
        assert (service["ipc"], service["network_mode"]) == ("private", "bridge"), name
        assert "docker.sock" not in json.dumps(service), name


def test_the_labels_say_what_it_was_built_of_and_nothing_of_the_network(image: Checkout) -> None:
    labels = json.loads(run(["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", image.image]).out)
    said = labels["cresset.arguments"]
    assert "UID='4321'" in said
    for name in ("INDEX_URL", "CA_BUNDLE", "DEB_NEW", "PROXY", "WHEELHOUSE"):
        assert f" {name}=" not in said
