"""The host's mirror is read from its apt sources, which apt itself parses."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="this host has no apt")

SCRIPT = Path(__file__).parents[2] / "misc" / "base_image.sh"

DEBIAN = """
# The archive.
Types: deb deb-src
URIs: http://one.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

# Types: deb
# URIs: http://off.example/debian

Types: deb
URIs: http://one.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
VENDOR = """
Types: deb
URIs: https://vendor.example/packages
Suites: bookworm
Components: main
Signed-By: /etc/apt/keyrings/vendor.gpg
"""
EMBEDDED = """
Types: deb
URIs: https://embedded.example/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEZ/abc
 -----END PGP PUBLIC KEY BLOCK-----
"""


@pytest.fixture
def find(tmp_path: Path) -> Callable[..., str]:
    """Prints the mirror and keyring of a suite, given the files of a folder like /etc/apt/sources.list.d."""

    def find(files: dict[str, str], suite: str = "bookworm") -> str:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        config = tmp_path / "apt.conf"
        config.write_text(f'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "{tmp_path}";\n')
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", '. "$1" && find_mirror "$2"', "find", str(SCRIPT), suite],
            env={"PATH": "/usr/bin:/bin", "APT_CONFIG": str(config)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    return find


@pytest.mark.parametrize(
    ("files", "mirror"),
    [
        ({"debian.sources": DEBIAN}, "http://one.example/debian"),
        ({"debian.list": "deb http://one.example/debian bookworm main\n"}, "http://one.example/debian"),
        ({"debian.list": "deb [ arch=amd64 ] http://one.example/debian/ bookworm main\n"}, "http://one.example/debian"),
        ({"debian.list": "# deb http://one.example/debian bookworm main\n"}, ""),
        ({"debian.list": "deb-src http://one.example/debian bookworm main\n"}, ""),
        ({"debian.list": "deb http://one.example/debian bookworm contrib\n"}, ""),
        ({"debian.sources": DEBIAN.replace("Types: deb deb-src", "Types: deb\nEnabled: no")}, ""),
        ({"debian.list": "deb file:/srv/debian bookworm main\ndeb cdrom:[Debian 12]/ bookworm main\n"}, ""),
        ({"debian.list": "deb http://one.example/debian-security bookworm-security main\n"}, ""),
        ({"debian.list": "deb http://one.example/debian stable main\n"}, "http://one.example/debian"),
        (
            {"debian.list": "deb http://old.example/debian bullseye main\n" + "deb http://a.example/d bookworm main\n"},
            "http://a.example/d",
        ),
        ({"a.sources": VENDOR, "debian.sources": DEBIAN}, "http://one.example/debian"),
        (
            {"a.list": "deb http://vendor.example/x bookworm main\n", "debian.sources": DEBIAN},
            "http://one.example/debian",
        ),
        ({"company.sources": VENDOR}, "https://vendor.example/packages /etc/apt/keyrings/vendor.gpg"),
        ({"company.sources": VENDOR.replace("bookworm", "nodistro")}, ""),
        (
            {"company.list": "deb [signed-by=/k/c.gpg] https://c.example/debian bookworm main\n"},
            "https://c.example/debian /k/c.gpg",
        ),
        (
            {"company.list": "# first\n\ndeb [arch=amd64 signed-by=/k/c.gpg] https://c.example/d bookworm main\n"},
            "https://c.example/d /k/c.gpg",
        ),
        ({"company.sources": EMBEDDED}, "https://embedded.example/debian"),
        ({}, ""),
    ],
    ids=[
        "deb822",
        "one line",
        "one line with options",
        "commented out",
        "sources only",
        "without main",
        "disabled",
        "no mirrors: file and cdrom",
        "security is not the archive",
        "the archive by another name of the release",
        "the suite itself comes first",
        "a vendor has a key of its own",
        "a key that is not named may be a vendor's",
        "a company's own archive",
        "a vendor's suite is not a release",
        "a key in a line",
        "a key in a later line",
        "a key in the file",
        "nothing",
    ],
)
def test_the_mirror_is_the_main_archive(find: Callable[..., str], files: dict[str, str], mirror: str) -> None:
    assert find(files) == mirror


def test_a_list_of_mirrors_gives_its_first(find: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "mirrors").write_text("# near\nhttps://near.example/debian\tpriority:1\nhttps://far.example/debian\n")
    assert find({"a.list": f"deb mirror+file://{tmp_path}/mirrors bookworm main\n"}) == "https://near.example/debian"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "error: NAME is missing"),
        (["Upper"], "error: 'Upper' is not a name for an image"),
        (["--mirror"], "error: --mirror needs a value"),
        (["--foo", "name"], "error: unknown option --foo"),
        (["name", "suite", "more"], "error: unexpected more"),
        (["name"], "error: no Docker Engine answers"),
    ],
)
def test_what_a_person_can_mistype_is_said_in_two_lines(arguments: list[str], error: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [SCRIPT, *arguments],
        env={"PATH": "/usr/bin:/bin", "DOCKER_HOST": f"unix://{tmp_path}/none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert not done.stdout
    first, hint = done.stderr.splitlines()
    assert first == error
    assert hint.startswith("hint: ")


def call(text: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the text with the functions of the script."""
    argv = ["bash", "-euc", f". {SCRIPT}\n{text}", "call", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_names_follow_the_rules_of_the_engine() -> None:
    good = ["debian", "debian:bookworm", "a/b_c/d--e:V1.2_x-", "localhost:5000/a", "my-host.example/a__b.c", "x" * 200]
    bad = ["a:", "a//b", "a/../b", "../b", "x:y:z", "/a", "a/", "a..b", "a_", "Upper", "a:-b", "-h/a", "a b", "a\n"]
    done = call('for name; do if is_name "$name"; then printf "%s|" "$name"; fi; done', *good, *bad)
    assert done.stdout.split("|")[:-1] == good


@pytest.mark.parametrize("suite", ["bookworm", "noble", "../scripts/bookworm"])
def test_a_release_that_debootstrap_does_not_know(tmp_path: Path, suite: str) -> None:
    for name in ("usr/sbin/debootstrap", "usr/share/debootstrap/scripts/bookworm"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("VERSION='1.0.128+nmu2'\n")
    done = call('host_suite() { echo bookworm; }\ncheck_suite "$1" "$2"', str(tmp_path), suite)
    if suite == "bookworm":
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert done.returncode == 2
        error, hint = done.stderr.splitlines()
        assert error == f"error: debootstrap 1.0.128+nmu2 does not know the release {suite}"
        assert hint.startswith("hint: give a SUITE that it knows, like bookworm, or install the debootstrap that ")


@pytest.mark.parametrize("shell", ["dash", "zsh"])
def test_any_shell_runs_it(shell: str) -> None:
    if not (program := shutil.which(shell)):
        pytest.skip(f"no {shell} here")
    done = subprocess.run([program, SCRIPT, "a//b"], capture_output=True, text=True, check=False)
    assert done.stderr.startswith("error: 'a//b' is not a name for an image\nhint: ")
