"""misc/setup.sh and misc/install_compose.sh: real shell, stand-ins for every program that could change a machine."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
from pathlib import Path

import pytest

from tests.scripts.stubs import DOCKER, GROUPS, TRIXIE, Machine, prepare

SILENT = "echo 'Cannot connect to the Docker daemon. Is the docker daemon running?' >&2; exit 1"
DENIED = "echo 'permission denied while trying to connect' >&2; exit 1"
BOOKWORM = "ID=debian\nVERSION_CODENAME=bookworm\n"
NOBLE = "ID=ubuntu\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n"
MINT = "ID=linuxmint\nVERSION_CODENAME=xia\nUBUNTU_CODENAME=noble\n"
# A python3 that makes environments of copies of itself; DIE makes its pip fail with that text.
PYTHON = """
case "$*" in
    *_base_executable*) echo "$0" ;;
    *'-m venv'*) for folder; do :; done; mkdir -p "$folder/bin"; cp "$0" "$folder/bin/python3" ;;
    *'-m pip install'*) [ -z "$DIE" ] || { echo "$DIE"; exit 1; } ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return prepare(tmp_path)


def have_environment(machine: Machine) -> None:
    """Put a complete .venv there."""
    machine.stub("python3", PYTHON)
    venv = machine.root / "checkout/.venv"
    (venv / "bin").mkdir(parents=True)
    shutil.copy(machine.root / "bin/python3", venv / "bin")
    (venv / ".cresset").write_text(f"{venv}/bin/python3 {venv.parent}\n{GROUPS}")


# -- versions and words


def test_versions_are_compared_by_number(machine: Machine) -> None:
    rows = [
        ("26.1.5+dfsg1", "23.0", "yes"),
        ("23.0", "23.0", "yes"),
        ("20.10.24+dfsg1", "23.0", "no"),
        ("v2.40.3", "2.20", "yes"),
        ("2.9.0", "2.20", "no"),
        ("0.9.1", "0.13", "no"),
        ("", "0.13", "no"),
    ]
    words = [word for have, want, _ in rows for word in (have, want)]
    done = machine.run('while (($#)); do if at_least "$1" "$2"; then echo yes; else echo no; fi; shift 2; done', *words)
    assert done.stdout.split() == [enough for _, _, enough in rows]


def test_the_minimum_versions_come_from_the_data_file(machine: Machine) -> None:
    file = machine.root / "checkout/cresset/data/minimum-versions"
    file.write_text("# a comment about engine 1.0\nengine 99.0\n")
    assert machine.run("minimum engine").stdout == "99.0\n"


def test_unknown_options_end_in_one_line(machine: Machine) -> None:
    done = machine.run("main --upgrade")
    assert done.returncode == 2
    assert done.stderr.startswith("setup.sh: unknown option --upgrade")
    assert done.stderr.count("\n") == 1


# -- how a person starts it


def be_ready(machine: Machine) -> None:
    """Leave nothing to set up."""
    machine.stub("docker", DOCKER)
    have_environment(machine)


def find_shell(name: str) -> str:
    """Give the program's path, or skip the test."""
    return shutil.which(name) or pytest.skip(f"no {name} here")


@pytest.mark.parametrize(
    ("shell", "link"),
    [("bash", "checkout/misc/setup.sh"), ("dash", "checkout/misc/setup.sh"), ("dash", "s"), ("zsh", "s")],
)
def test_any_shell_and_any_link_run_it(machine: Machine, shell: str, link: str) -> None:
    be_ready(machine)
    (machine.root / "s").symlink_to("checkout/misc/setup.sh")
    done = machine.execute(find_shell(shell), link, "sh", "-c", 'printf "<%s>" "$@"; pwd', "sh", "a b", "")
    assert (done.stdout, done.stderr) == (f"<a b><>{machine.root}/checkout\n", "")


def test_a_link_to_the_checkout_keeps_the_environment(machine: Machine) -> None:
    be_ready(machine)
    (machine.root / "link").symlink_to("checkout")
    done = machine.execute("bash", "link/misc/setup.sh", "sh", "-c", "echo ran")
    assert (done.stdout, done.stderr) == ("ran\n", "")


@pytest.mark.parametrize("given", ["unset HOME", "HOME="])
def test_without_home_it_is_the_account_s(machine: Machine, given: str) -> None:
    be_ready(machine)
    done = machine.execute("bash", "-c", f"{given}; exec bash checkout/misc/setup.sh sh -c 'echo \"$HOME\"'")
    assert (done.stdout, done.stderr) == (f"{pwd.getpwuid(os.getuid()).pw_dir}\n", "")


@pytest.mark.parametrize(
    ("shell", "script"),
    [("bash", "setup.sh"), ("dash", "setup.sh"), ("zsh", "setup.sh"), ("dash", "install_compose.sh")],
)
def test_a_shell_that_cannot_have_it_is_told_how_to_run_it(machine: Machine, shell: str, script: str) -> None:
    program = find_shell(shell)
    done = machine.execute(program, "-c", f". checkout/misc/{script}; echo rc=$? $-")
    assert done.stdout.strip() == f"rc=2 {machine.execute(program, '-c', 'echo $-').stdout.strip()}".strip()
    assert done.stderr.startswith(script)
    assert f"misc/{script}\n" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_interactive_shell_gets_no_names(machine: Machine) -> None:
    text = "compgen -A function -A variable >before; . checkout/misc/setup.sh; compgen -A function -A variable >after"
    machine.execute("bash", "--norc", "-ic", text)
    before, after = (set((machine.root / name).read_text().split()) for name in ("before", "after"))
    assert after - before <= {"_", "PIPESTATUS"}


# -- an engine that answers, or not


def test_nothing_is_said_or_touched_when_nothing_is_missing(machine: Machine) -> None:
    machine.stub("docker", DOCKER)
    have_environment(machine)
    done = machine.run('main sh -c "pwd; echo \\$VIRTUAL_ENV; exit 7"')
    checkout = machine.root / "checkout"
    assert done.returncode == 7
    assert done.stdout.split() == [str(checkout), str(checkout / ".venv")]
    assert done.stderr == ""
    assert {call.split()[0] for call in machine.calls} == {"docker"}


def test_an_old_engine_is_left_alone(machine: Machine) -> None:
    machine.stub("docker", "echo 20.10.24+dfsg1")
    done = machine.run("main --yes true")
    assert done.returncode == 2
    assert done.stderr.startswith("Docker Engine 20.10.24+dfsg1 answers, 23.0 or newer is needed: upgrade it")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("docker", "daemon", "scene", "state"),
    [
        (DOCKER, True, "", "ready"),
        (None, False, "", "absent"),
        (None, True, "", "absent"),
        (SILENT, False, "", "absent"),
        (SILENT, True, "", "stopped"),
        (DENIED, True, "", "denied"),
        (DENIED, False, "is_served() { false; }", "absent"),
        (SILENT, True, "export DOCKER_HOST=tcp://box:2376", "elsewhere"),
        (SILENT, True, "export DOCKER_HOST=unix:///run/docker.sock", "stopped"),
        ("case $1 in context) echo ssh://box ;; *) exit 1 ;; esac", True, "", "elsewhere"),
    ],
    ids=[
        "answers",
        "nothing installed",
        "a daemon without a client",
        "a client without a daemon",
        "installed but stopped",
        "not allowed",
        "a socket that was left behind",
        "an engine elsewhere that does not answer",
        "the usual socket, named",
        "a context elsewhere",
    ],
)
def test_states_of_an_engine(machine: Machine, docker: str | None, *, daemon: bool, scene: str, state: str) -> None:
    if docker is not None:
        machine.stub("docker", docker)
    if daemon:
        machine.stub("dockerd")
    assert machine.run(f'{scene}\nlook_at_engine; echo "$STATE"').stdout == f"{state}\n"


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        ("on_wsl() { true; }", "WSL integration"),
        ("uname() { echo Darwin; }", "Docker Desktop"),
        ("export DOCKER_HOST=tcp://box:2376", "tcp://box:2376 does not answer"),
        ("echo ID=fedora >$OS_RELEASE", "setup knows Debian and Ubuntu only"),
    ],
    ids=["WSL", "macOS", "an engine elsewhere", "another distribution"],
)
def test_the_command_runs_where_no_engine_can_be_had(machine: Machine, scene: str, said: str) -> None:
    have_environment(machine)
    machine.stub("apt-get")
    machine.stub("sudo")
    done = machine.run(f"{scene}\nmain --yes sh -c 'echo ran'")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert said in done.stderr
    assert not [call for call in machine.calls if "install" in call or call.startswith("sudo")]


# -- what an administrator runs


@pytest.mark.parametrize(
    ("release", "packages"),
    [
        (TRIXIE, "docker.io docker-cli docker-compose docker-buildx"),
        (BOOKWORM, "docker.io/trixie docker-cli/trixie docker-compose/trixie docker-buildx/trixie"),
        (NOBLE, "docker.io docker-compose-v2 docker-buildx"),
        (MINT, "docker.io docker-compose-v2 docker-buildx"),
    ],
    ids=["Debian 13", "Debian 12", "Ubuntu", "an Ubuntu derivative"],
)
def test_packages_by_distribution(machine: Machine, release: str, packages: str) -> None:
    (machine.root / "os-release").write_text(release)
    machine.stub("apt-get", "echo bookworm http://mirror.example/debian /nowhere:1")
    text = machine.run("fetch() { false; }; install_text").stdout
    assert f"--no-upgrade --no-install-recommends {packages} " in text
    assert ("Suites: trixie" in text) is (release == BOOKWORM)


@pytest.mark.parametrize(
    "source",
    [
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nSigned-By: /usr/share/keyrings/k.gpg\n",
        "deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] http://mirror.example/debian bookworm main\n",
    ],
    ids=["deb822", "one line"],
)
def test_debian_13_comes_from_the_mirror_of_the_host(machine: Machine, source: str) -> None:
    (machine.root / "os-release").write_text(BOOKWORM)
    (machine.root / "file").write_text(source)
    targets = [
        "bookworm https://vendor.example/debian/12/prod /nowhere:1",
        f"bookworm http://mirror.example/debian {machine.root}/file:1",
        f"bookworm-security http://mirror.example/debian-security {machine.root}/file:2",
    ]
    machine.stub("apt-get", "\n".join(f"echo {target}" for target in targets))
    text = machine.run("fetch() { false; }; install_text").stdout
    assert "URIs: http://mirror.example/debian\nSigned-By: /usr/share/keyrings/k.gpg\n" in text
    assert "Pin: release n=trixie\nPin-Priority: 100\n" in text


def test_debian_13_is_not_added_twice(machine: Machine) -> None:
    (machine.root / "os-release").write_text(BOOKWORM)
    machine.stub("apt-get", "echo trixie http://mirror.example/debian /nowhere:1")
    text = machine.run("fetch() { false; }; install_text").stdout
    assert "docker.io/trixie" in text
    assert "sources.list.d" not in text


def test_docker_s_own_repository_when_it_is_reachable(machine: Machine) -> None:
    machine.stub("apt-get")
    machine.stub("curl")
    text = machine.run("install_text").stdout
    assert "https://download.docker.com/linux/debian/dists/trixie/Release" in machine.calls[0]
    assert "URIs: https://download.docker.com/linux/debian\nSuites: trixie\nComponents: stable\n" in text
    assert "docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin" in text


OURS = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"


@pytest.mark.parametrize(
    ("keys", "trusted"),
    [
        (["pub:-", f"fpr:::::::::{OURS}:", "sub:-", "fpr:::::::::AAAA:"], True),
        (["pub:-", "fpr:::::::::AAAA:", "sub:-", f"fpr:::::::::{OURS}:"], False),
        (["pub:-", f"fpr:::::::::{OURS}:", "pub:-", "fpr:::::::::AAAA:"], False),
        ([], False),
    ],
    ids=["Docker's", "another", "Docker's and another", "none"],
)
def test_only_docker_s_key_is_trusted(machine: Machine, keys: list[str], *, trusted: bool) -> None:
    machine.stub("gpg", "\n".join(f"echo {key}" for key in keys))
    text = machine.run("repository_text debian trixie").stdout
    check = text[text.index("gpg --show-keys") : text.index("install -D")]
    assert (machine.execute("bash", "-euc", f"key=file\n{check}").returncode == 0) is trusted


# -- root, sudo, neither


@pytest.mark.parametrize(
    ("scene", "answer", "calls", "said"),
    [
        ("am_root() { true; }", "", ["touch <x y>"], ""),
        ("am_root() { true; }; on_terminal() { true; }", "n\n", [], "not run"),
        ("am_root() { true; }; on_terminal() { true; }", "\n", ["touch <x y>"], ""),
        ("YES=1", "", [], "an administrator must run these lines"),
        ("SUDO", "", ["sudo <-n> <true>"], "--yes"),
        ("SUDO; YES=1", "", ["sudo <-n> <true>", "sudo <bash> <-euc> <touch 'x y'>", "touch <x y>"], ""),
        ("LOCKED; YES=1", "", ["sudo <-n> <true>"], "an administrator must run these lines"),
    ],
    ids=[
        "root without a terminal is not asked",
        "root says no",
        "root just types enter",
        "neither root nor sudo",
        "sudo, but nobody to ask",
        "sudo and --yes",
        "sudo that wants a password, and no terminal",
    ],
)
def test_what_needs_root_is_shown_first(machine: Machine, scene: str, answer: str, calls: list[str], said: str) -> None:
    machine.stub("touch")
    if "SUDO" in scene:
        machine.stub("sudo", 'case $1 in -n) ;; *) exec "$@" ;; esac')
    if "LOCKED" in scene:
        machine.stub("sudo", "exit 1")
    scene = scene.replace("SUDO", ":").replace("LOCKED", ":")
    done = machine.run(f"{scene}\noffer 'this' \"touch 'x y'\"", stdin=answer)
    assert "this:\n    touch 'x y'\n" in done.stderr
    assert said in done.stderr
    assert machine.calls == calls
    assert (done.returncode == 0) is (calls[-1:] == ["touch <x y>"])


def test_an_administrator_gets_the_whole_list(machine: Machine) -> None:
    have_environment(machine)
    machine.stub("apt-get")
    done = machine.run("fetch() { false; }; main sh -c 'echo ran'")
    assert done.stdout == "ran\n"
    shown = [line.strip() for line in done.stderr.splitlines() if line.startswith("    ")]
    assert shown[-3].startswith("apt-get install --yes")
    assert shown[-2] == "systemctl enable --now docker"
    assert shown[-1].startswith("usermod -aG docker ")


# -- the daemon and its group


def test_a_stopped_engine_is_started_by_systemd(machine: Machine) -> None:
    machine.stub("dockerd")
    machine.stub("docker", f"[ -e {machine.root}/up ] || {{ {SILENT}; }}\n{DOCKER}")
    machine.stub("systemctl", f">{machine.root}/up")
    done = machine.run('am_root() { true; }; sleep() { :; }; ensure_engine; echo "$STATE"')
    assert done.stdout == "ready\n"
    assert "systemctl <enable> <--now> <docker>" in machine.calls


def test_a_service_that_does_not_work_is_followed_by_a_direct_start(machine: Machine) -> None:
    machine.stub("dockerd")
    machine.stub("docker", SILENT)
    machine.stub("service")
    machine.stub("setsid", "echo no cgroups here")
    done = machine.run(
        "am_root() { true; }; has_systemd() { false; }; has_service() { true; }; sleep() { :; }\n"
        f"export -f sleep; DOCKERD_LOG={machine.root}/dockerd.log; ensure_engine; echo went on"
    )
    assert [call for call in machine.calls if not call.startswith("docker ")] == [
        "service <docker> <start>",
        "setsid <--fork> <dockerd>",
    ]
    assert "last words:\n    no cgroups here\n" in done.stderr
    assert done.stdout == "went on\n"


def test_what_a_killed_daemon_left_behind_is_removed_but_not_that_of_one_that_runs(machine: Machine) -> None:
    (machine.root / "docker.pid").touch()
    scene = "has_systemd() { false; }; is_daemon_alive() { %s; }; ways_to_start"
    assert machine.run(scene % "false").stdout.startswith(f"rm -f {machine.root}/docker.pid; PATH=")
    assert machine.run(scene % "true").stdout.startswith("PATH=")


MEMBERSHIP = f'[ -n "$MEMBER" ] || {{ {DENIED}; }}\n{DOCKER}'
SG = 'export MEMBER=$1; exec sh -c "$3"'


@pytest.mark.parametrize("member", [True, False], ids=["already a member", "not yet a member"])
def test_the_group_takes_effect_in_the_same_run(machine: Machine, *, member: bool) -> None:
    have_environment(machine)
    machine.stub("dockerd")
    machine.stub("docker", MEMBERSHIP)
    machine.stub("sg", SG)
    machine.stub("usermod")
    machine.stub("sudo", 'case $1 in -n) ;; *) exec "$@" ;; esac')
    machine.stub("id", f"case $1 in -un) echo ann ;; -gn) echo staff ;; *) echo staff {'docker' * member} ;; esac")
    words = ["a b", "it's", '$HOME "q"', "", "*", "new\nline"]
    done = machine.run('main --yes sh -c \'printf "<%s>" "$@"; exit 5\' sh "$@"', *words)
    assert done.stdout == "".join(f"<{word}>" for word in words)
    assert done.returncode == 5
    assert ("usermod <-aG> <docker> <ann>" in machine.calls) is not member
    assert [call[:12] for call in machine.calls if call.startswith("sg ")] == ["sg <docker> ", "sg <staff> <"] * 2


def test_without_sg_one_logs_in_again(machine: Machine) -> None:
    have_environment(machine)
    machine.stub("docker", DENIED)
    machine.stub("id", "case $1 in -un) echo ann ;; *) echo staff docker ;; esac")
    done = machine.run("main sh -c 'echo ran'")
    assert "log in again" in done.stderr
    assert done.stdout == "ran\n"


# -- the Python environment


def test_the_environment_is_made_once(machine: Machine) -> None:
    machine.stub("python3", PYTHON)
    pyproject = machine.root / "checkout/pyproject.toml"
    assert machine.run("ensure_environment").returncode == 0
    assert machine.calls[-1] == f"python3 <-m> <pip> <install> <--group> <{pyproject}:dev>"
    made = len(machine.calls)
    assert machine.run("ensure_environment").stderr == ""
    assert len(machine.calls) == made
    pyproject.write_text(pyproject.read_text().replace("y = 1", "y = 2"))
    assert machine.run("ensure_environment").stderr == ""
    pyproject.write_text(pyproject.read_text().replace("one", "two"))
    assert machine.run("ensure_environment").returncode == 0
    assert not [call for call in machine.calls[made:] if "<venv>" in call]
    assert machine.calls[-1].startswith("python3 <-m> <pip> <install> <--group>")


@pytest.mark.parametrize(
    ("damage", "again"),
    [
        ("echo unfinished >.venv/.cresset", True),
        ("rm .venv/bin/python3", True),
        ("sed -i s,/checkout,/moved, .venv/.cresset", True),
        ("rm .venv/.cresset; echo >.venv/mine", False),
    ],
    ids=["interrupted", "the interpreter vanished", "made elsewhere", "somebody's own"],
)
def test_what_cannot_be_used_is_made_again(machine: Machine, damage: str, *, again: bool) -> None:
    have_environment(machine)
    checkout = machine.root / "checkout"
    machine.execute("bash", "-ec", f"cd {checkout}; {damage}")
    assert machine.run("ensure_environment").returncode == 0
    assert any("<venv>" in call for call in machine.calls) is again
    assert (checkout / ".venv/mine").exists() is not again
    assert machine.run("is_environment_ready").returncode == 0


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("OSError: [Errno 28] No space left on device", "free some disk space"),
        ("OSError: [Errno 13] Permission denied: '/x'", "writable"),
        ("WARNING: retrying\nERROR: No matching distribution found for pip>=25.1", "package index"),
    ],
    ids=["full disk", "no permission", "no network"],
)
def test_a_failure_is_two_lines_and_leaves_nothing(machine: Machine, reason: str, hint: str) -> None:
    machine.stub("python3", PYTHON)
    done = machine.run("ensure_environment", DIE=reason)
    assert done.returncode == 2
    said = done.stderr.splitlines()[1:]
    assert said[0] == f".venv: {reason.splitlines()[-1]}"
    assert hint in said[1]
    assert len(said) == 2
    assert not (machine.root / "checkout/.venv").exists()


def test_a_failed_update_keeps_what_worked(machine: Machine) -> None:
    have_environment(machine)
    pyproject = machine.root / "checkout/pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("one", "two"))
    assert machine.run("ensure_environment", DIE="ERROR: no network").returncode == 2
    assert (machine.root / "checkout/.venv/bin/python3").exists()
    assert machine.run("is_environment_ready").returncode == 1


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ({"PIP_CERT": ""}, "system"),
        ({"PIP_CERT": "/mine"}, "/mine"),
        ({"PIP_CERT": "", "REQUESTS_CA_BUNDLE": "/mine"}, ""),
        ({"PIP_CERT": "", "SSL_CERT_FILE": "/etc/passwd"}, "/etc/passwd"),
        ({"PIP_CERT": "", "PIP_CONFIG_FILE": "CONFIG"}, ""),
    ],
    ids=["nothing", "PIP_CERT", "another variable", "the one of OpenSSL", "pip's own configuration"],
)
def test_certificates_that_pip_trusts(machine: Machine, given: dict[str, str], used: str) -> None:
    config = machine.root / "pip.conf"
    config.write_text("[global]\ncert = /mine\n")
    machine.stub("python3", f'{PYTHON}\n[ "$2" != pip ] || printf "%s" "$PIP_CERT" >{machine.root}/trusted')
    given = {name: str(config) if text == "CONFIG" else text for name, text in given.items()}
    machine.run(f"PIP_SETTINGS=({machine.root}/none); ensure_environment", **given)
    trusted = (machine.root / "trusted").read_text()
    if used == "system":
        assert trusted == "" or os.access(trusted, os.R_OK)
    else:
        assert trusted == used


# -- misc/install_compose.sh


PLUGIN = '#!/bin/sh\necho \'{{"Version": "{version}"}}\'\n'
ASSETS = {"x86_64": ("linux-x86_64", "linux-amd64"), "aarch64": ("linux-aarch64", "linux-arm64")}


def publish(machine: Machine, *, checksum: str | None = None) -> None:
    """Stand in for GitHub: a curl that serves two releases."""
    compose, buildx = ASSETS[os.uname().machine]
    files = {f"docker-compose-{compose}": "v2.40.3", f"buildx-v0.29.1.{buildx}": "v0.29.1"}
    site = machine.root / "site"
    site.mkdir()
    lines = []
    for name, version in files.items():
        text = PLUGIN.format(version=version)
        (site / name).write_text(text)
        (site / name).chmod(0o755)
        lines.append(f"{checksum or hashlib.sha256(text.encode()).hexdigest()} *{name}")
    (site / "checksums.txt").write_text("\n".join(lines) + "\n")
    machine.stub(
        "curl",
        f'while [ "$1" != -o ]; do shift; done; file={site}/${{3##*/}}; '
        'case $3 in */docker) ;; *) cp "$file" "$2" ;; esac',
    )


needs_release = pytest.mark.skipif(os.uname().machine not in ASSETS, reason="no release for this machine")


@needs_release
def test_releases_are_checked_and_placed(machine: Machine) -> None:
    publish(machine)
    done = machine.execute("bash", "checkout/misc/install_compose.sh", DOCKER_CONFIG=f"{machine.root}/config")
    folder = machine.root / "config/cli-plugins"
    assert done.stderr == f"install_compose.sh: Compose 2.40.3 and Buildx 0.29.1 are in {folder}\n"
    assert sorted(path.name for path in folder.iterdir()) == ["docker-buildx", "docker-compose"]
    assert all(os.access(path, os.X_OK) for path in folder.iterdir())


@needs_release
def test_a_wrong_checksum_places_nothing(machine: Machine) -> None:
    publish(machine, checksum="0" * 64)
    done = machine.execute("bash", "checkout/misc/install_compose.sh")
    assert done.returncode == 2
    assert "does not have the checksum" in done.stderr
    assert not (machine.root / "home/.docker").exists()


def offer_packages(machine: Machine, *, compose: str = "2.26.1-4") -> None:
    """Stand in for a distribution without GitHub: an apt-get and a dpkg-deb."""
    machine.stub("curl", "exit 6")
    machine.stub(
        "apt-get",
        'case "$*" in\n*indextargets*) echo bookworm http://mirror.example/debian /nowhere:1 ;;\n'
        f'*update) cp "$PWD/archive.sources" {machine.root}/sources ;;\n*download*) >one.deb; >two.deb ;;\nesac',
    )
    plugins = {"docker-compose": compose, "docker-buildx": "0.13.1+ds1"}
    (machine.root / "plugins").mkdir()
    for name, version in plugins.items():
        (machine.root / "plugins" / name).write_text(PLUGIN.format(version=version))
        (machine.root / "plugins" / name).chmod(0o755)
    folder = "$3/usr/libexec/docker/cli-plugins"
    machine.stub("dpkg-deb", f"mkdir -p {folder}; cp {machine.root}/plugins/* {folder}")


def test_packages_serve_where_releases_cannot_be_reached(machine: Machine) -> None:
    offer_packages(machine)
    script = machine.root / "checkout/misc/packages.sh"
    (machine.root / "os-release").write_text(BOOKWORM)
    script.write_text(script.read_text().replace("=/etc/os-release", f"={machine.root}/os-release"))
    done = machine.execute("bash", "checkout/misc/install_compose.sh")
    assert "Compose 2.26.1-4 and Buildx 0.13.1+ds1 are in" in done.stderr
    assert (
        "Suites: trixie\nComponents: main\nURIs: http://mirror.example/debian" in (machine.root / "sources").read_text()
    )
    assert not [call for call in machine.calls if call.startswith("sudo")]


def test_plugins_that_serve_are_left_alone(machine: Machine) -> None:
    machine.stub("docker", DOCKER)
    machine.stub("curl", "exit 6")
    assert machine.execute("bash", "checkout/misc/install_compose.sh").stderr == ""
    assert not [call for call in machine.calls if call.startswith("curl")]


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh"])
@pytest.mark.parametrize("works", [True, False], ids=["works", "fails"])
def test_sourcing_leaves_nothing_behind(machine: Machine, shell: str, *, works: bool) -> None:
    program = find_shell(shell)
    if works:
        machine.stub("docker", DOCKER)
    text = "cd checkout; set >../before; . misc/install_compose.sh; echo rc=$? $-; set >../after"
    done = machine.execute(program, "-c", text)
    before, after = (
        {line.split("=")[0] for line in (machine.root / name).read_text().splitlines()} for name in ("before", "after")
    )
    options = machine.execute(program, "-c", "echo $-").stdout.strip()
    assert done.stdout.strip() == f"rc={0 if works else 2} {options}".strip()
    assert after - before <= {"_", "PIPESTATUS"}
