"""Whoever builds has an account inside that is theirs: its number, its home, its files, the Python environment."""

from __future__ import annotations

import os
import re
import shlex
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.checkout import ROOT, Checkout, run
from tests.engine.conftest import folder
from tests.engine.light_wheels import make_wheel

WHEEL = "tiny-1.0-py3-none-any.whl"
# What a person does in their first minute inside, and what it shows.
LIFE = f"""
set -e
id -u; id -g; id -un; echo $HOME
mkdir -p ~/.cache/torch/mine
touch $HOME/mine ~/.vscode-server/mine made-inside
pip install --quiet --no-index ./{WHEEL}
python -c 'import tiny'
pip uninstall --quiet --yes tiny
"""


@pytest.fixture(scope="module")
def checkout(clone: Callable[[], Checkout]) -> Checkout:
    if os.getuid() != 0:
        pytest.skip("only root can give a folder to another account")
    made = clone()
    make_wheel(made.path, "tiny", "1.0")
    return made


def live(checkout: Checkout, **values: str) -> tuple[str, ...]:
    """Build for an account, live there, and return its number, its group's, its name and its home."""
    kept = (checkout.path / ".env").read_text()
    numbers = (0, 0) if values.get("ADD_USER") == "exclude" else (int(values["UID"]), int(values["GID"]))
    os.chown(checkout.path, *numbers)
    checkout.set(**values)
    try:
        checkout.invoke("build")
        shown = checkout.inside(LIFE).lines
        made = checkout.path / "made-inside"
        # A UID of 0 has the group of root, whatever the host's has.
        assert made.stat().st_uid == numbers[0]
        assert made.stat().st_gid == int(shown[1])
        made.unlink()
        return tuple(shown)
    finally:
        checkout.invoke("down")
        (checkout.path / ".env").write_text(kept)


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ({"UID": "0", "GID": "0", "USR": "root", "GRP": "root"}, ("0", "0", "root", "/root")),
        ({"UID": "0", "GID": "1000", "USR": "toor", "GRP": "mine"}, ("0", "0", "root", "/root")),
        ({"ADD_USER": "exclude", "UID": "4321", "GID": "4321"}, ("0", "0", "root", "/root")),
        ({"UID": "4321", "GID": "4321", "USR": "Nick", "GRP": "Nick"}, ("4321", "4321", "Nick", "/home/Nick")),
        ({"UID": "4321", "GID": "4321", "USR": "nick", "GRP": "users"}, ("4321", "4321", "nick", "/home/nick")),
        ({"UID": "4321", "GID": "4321", "USR": "nick", "GRP": "cresset"}, ("4321", "4321", "nick", "/home/nick")),
        ({"UID": "501", "GID": "20", "USR": "nick", "GRP": "staff"}, ("501", "20", "nick", "/home/nick")),
        ({"UID": "4321", "GID": "65500", "USR": "nick", "GRP": "nick"}, ("4321", "65500", "nick", "/home/nick")),
        ({"UID": "4321", "GID": "4321", "USR": "games", "GRP": "games"}, ("4321", "4321", "games", "/home/games")),
        ({"UID": "4321", "GID": "4321", "USR": "root", "GRP": "root"}, ("4321", "4321", "user", "/home/user")),
        ({"UID": "33", "GID": "33", "USR": "nick", "GRP": "nick"}, ("33", "33", "nick", "/home/nick")),
        ({"UID": "33", "GID": "5", "USR": "games", "GRP": "mail"}, ("33", "5", "games", "/home/games")),
    ],
    ids=[
        "root",
        "root by another name, of another group",
        "root instead of a user",
        "upper case",
        "a group's name is taken",
        "the environment's group is taken",
        "a group's number is taken (macOS)",
        "the environment's group is the own",
        "the name is a system account's",
        "the name is root's, the number is not",
        "the number is a system account's",
        "the name is one system account's, the number another's",
    ],
)
def test_an_account_is_at_home(checkout: Checkout, values: dict[str, str], want: tuple[str, ...]) -> None:
    assert live(checkout, **values) == want


@pytest.fixture(scope="module")
def ubuntu(base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A base image with an account of its own, as Ubuntu 24.04 is."""
    name = f"cresset-test-base:{uuid.uuid4().hex[:8]}"
    context = tmp_path_factory.mktemp("ubuntu")
    useradd = "useradd --create-home --uid 1000 --user-group ubuntu && echo theirs > /home/ubuntu/kept"
    (context / "Dockerfile").write_text(f"FROM {base}\nRUN {useradd} && groupadd --gid 3000 --users ubuntu ai\n")
    run(["docker", "build", "--quiet", "--tag", name, str(context)])
    yield name
    run(["docker", "image", "rm", "--force", name], check=False)


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ({"UID": "1000", "GID": "1000", "USR": "nick", "GRP": "nick"}, ("1000", "1000", "nick", "/home/nick")),
        ({"UID": "1000", "GID": "3000", "USR": "nick", "GRP": "ai"}, ("1000", "3000", "nick", "/home/nick")),
        ({"UID": "1000", "GID": "1000", "USR": "ubuntu", "GRP": "ubuntu"}, ("1000", "1000", "ubuntu", "/home/ubuntu")),
        ({"UID": "1001", "GID": "1000", "USR": "ubuntu", "GRP": "nick"}, ("1001", "1000", "ubuntu", "/home/ubuntu")),
        ({"UID": "1001", "GID": "1001", "USR": "nick", "GRP": "ubuntu"}, ("1001", "1001", "nick", "/home/nick")),
        ({"UID": "1000", "GID": "1000", "USR": "nick", "GRP": "users"}, ("1000", "1000", "nick", "/home/nick")),
    ],
    ids=[
        "its number",
        "its number and one of its groups",
        "itself",
        "its name and its group",
        "its group's name",
        "its number, and another group's name",
    ],
)
def test_the_images_own_user_is_no_obstacle(
    checkout: Checkout, ubuntu: str, values: dict[str, str], want: tuple[str, ...]
) -> None:
    assert live(checkout, PLAIN_IMAGE=ubuntu, **values) == want


def test_a_domain_account_has_a_plain_name_inside() -> None:
    if os.getuid() != 0:
        pytest.skip("only root can make an account")
    account, home = "CORP\\cresset-Test", "/home/cresset-test-12347"
    theirs = folder()
    try:
        run(
            [
                "useradd",
                "--badname",
                "--create-home",
                "--home-dir",
                home,
                "--uid",
                "12347",
                "--groups",
                "docker",
                account,
            ]
        )
        run(["chown", "--recursive", "12347", str(theirs)])
        command = f"cd {shlex.quote(str(theirs))} && bash misc/setup.sh invoke env"
        run(["su", "--login", account, "--command", command])
        settings = (theirs / ".env").read_text().splitlines()
        assert "USR=cresset-Test" in settings
        assert "GRP=cresset-Test" in settings
        assert next(line for line in settings if line.startswith("COMPOSE_PROJECT_NAME=cresset-cresset-test-"))
    finally:
        run(["userdel", "--remove", account], check=False)
        run(["rm", "-r", str(theirs)])


def test_vscodes_server_outlives_the_container(built: Checkout) -> None:
    built.inside("mkdir -p ~/.vscode-server/bin && touch ~/.vscode-server/bin/mark")
    built.invoke("down")
    built.invoke("prune", "--yes")
    built.invoke("up")
    built.inside("rm ~/.vscode-server/bin/mark")


def test_volumes_of_former_accounts_stay_until_the_line_of_the_page_is_typed(built: Checkout) -> None:
    mine, other = (f"cresset-test-{uuid.uuid4().hex[:8]}" for _ in range(2))
    volumes = {f"{project}-vscode-server-{account}": project for project in (mine, other) for account in ("1", "2")}
    line = re.search(r"^    (docker volume rm .*)$", (ROOT / "docs/ide.md").read_text(), re.MULTILINE)
    assert line
    try:
        for name, project in volumes.items():
            run(["docker", "volume", "create", "--label", f"com.docker.compose.project={project}", name])
        built.invoke("prune", "--yes", COMPOSE_PROJECT_NAME=mine)
        left = run(["docker", "volume", "ls", "--quiet"]).lines
        assert volumes.keys() <= set(left)
        run(["sh", "-c", line[1].replace("PROJECT", mine)])
        left = run(["docker", "volume", "ls", "--quiet"]).lines
        assert {volumes[name] for name in left if name in volumes} == {other}
    finally:
        run(["docker", "volume", "rm", "--force", *volumes], check=False)


@pytest.mark.parametrize("task", ["up", "run"])
def test_folders_to_mount_are_made_and_named(built: Checkout, tmp_path: Path, task: str) -> None:
    missing = tmp_path / "deep" / "data"
    override = built.path / "docker-compose.override.yaml"
    override.write_text(f"services: {{cpu: {{volumes: ['{missing}:/data', './:/here', '{tmp_path}:/whole']}}}}\n")
    command = ["--command", "true"] if task == "run" else []
    try:
        assert "Made" not in built.invoke(task, *command, "--dry-run").out
        assert not missing.exists()
        said = built.invoke(task, *command).out
        assert said.count("Made the folder") == 1
        assert f"Made the folder {missing}" in said
        assert "Made" not in built.invoke(task, *command).out
    finally:
        override.unlink()
        built.invoke("up")


def inside_one(checkout: Checkout, command: str, **values: str) -> str:
    sets = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    return checkout.invoke("run", *sets, "--command", command).lines[-1]


def test_shared_memory_is_the_containers_own_or_the_hosts(built: Checkout, base: str) -> None:
    space, size = "readlink /proc/self/ns/ipc", "df --block-size=1 --output=size /dev/shm"
    hosts = run(["docker", "run", "--rm", "--ipc", "host", base, *space.split()]).out.strip()
    assert inside_one(built, size, SHM_SIZE="192mb") == str(192 * 2**20)
    assert inside_one(built, size) == str(8 * 2**30)
    assert inside_one(built, space) != hosts
    assert inside_one(built, space, IPC="host") == hosts


def test_the_network_is_the_containers_own_or_the_hosts_or_none(built: Checkout, base: str) -> None:
    space, devices = "readlink /proc/self/ns/net", "echo $(ls /sys/class/net)"
    hosts = run(["docker", "run", "--rm", "--network", "host", base, *space.split()]).out.strip()
    assert inside_one(built, space) != hosts
    assert inside_one(built, devices) == "eth0 lo"
    assert inside_one(built, devices, NETWORK="none") == "lo"
    assert inside_one(built, space, NETWORK="host") == hosts
