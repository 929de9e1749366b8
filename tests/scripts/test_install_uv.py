"""uv, by whatever pip a base image has. The old ones are stubs that answer as pip 9.0.1 does on Ubuntu 18.04."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "misc" / "image" / "install-uv.sh"

# Makes an environment whose pip is the other stub.
PYTHON = """#!/bin/sh
for folder; do :; done
mkdir -p "$folder/bin" && cp "$STUBS/pip" "$folder/bin/pip"
"""
PIP = """#!/bin/sh
version=$(cat "$STUBS/version")
if [ "$1" = --version ]; then echo "pip $version from $0 (python 3.6)" && exit; fi
for wanted; do :; done
echo "$@" >> "$STUBS/asked"
case "$wanted $version $(cat "$STUBS/index")" in
    pip*full) echo 20.3.4 > "$STUBS/version" ;;
    uv==1.0\\ 2*full) touch "${0%/*}/uv" "${0%/*}/uvx" ;;
    *) # to the first of them nothing is there, and the second says ERROR: besides
        [ "$version" = 9.0.1 ] || mark='ERROR: '
        echo "${mark-  }Could not find a version that satisfies the requirement $wanted (from versions: )" >&2
        echo "${mark-}No matching distribution found for $wanted" >&2
        exit 1
        ;;
esac
"""


def install(folder: Path, *, version: str, index: str = "full", uv: str = "1.0") -> tuple[int, list[str], list[str]]:
    """Return the exit code, what was said, and what pip was asked for."""
    for name, text in {"python3": PYTHON, "pip": PIP, "version": version, "index": index, "asked": ""}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    names = {"PATH": f"{folder}:{os.environ['PATH']}", "STUBS": str(folder), "UV_VERSION": uv, "TMPDIR": str(folder)}
    done = subprocess.run(["sh", SCRIPT, folder / "uv"], env=names, capture_output=True, text=True, check=False)
    asked = [line.removeprefix("--quiet install --no-compile ") for line in (folder / "asked").read_text().splitlines()]
    return done.returncode, done.stderr.splitlines(), asked


@pytest.mark.parametrize(("version", "first"), [("9.0.1", ["--upgrade pip>=20,<21"]), ("20.0.2", []), ("26.1", [])])
def test_a_pip_that_does_not_know_its_wheels_is_replaced_first(tmp_path: Path, version: str, first: list[str]) -> None:
    code, said, asked = install(tmp_path, version=version)
    assert (code, said) == (0, [])
    assert asked == [*first, "--ignore-requires-python uv==1.0"]
    assert sorted(path.name for path in (tmp_path / "uv/bin").iterdir()) == ["uv", "uvx"]
    assert list(tmp_path.glob("tmp.*")) == []


def test_where_there_is_no_newer_pip_a_line_says_so(tmp_path: Path) -> None:
    code, said, asked = install(tmp_path, version="9.0.1", index="empty")
    assert (code, len(asked)) == (1, 1)
    assert said[-1] == "cresset: the base image's pip 9 is too old to install uv, and the index gives no pip 20"


@pytest.mark.parametrize("version", ["9.0.1", "26.1"])
def test_what_the_index_has_not_is_asked_for_once(tmp_path: Path, version: str) -> None:
    code, said, asked = install(tmp_path, version=version, uv="99.0")
    assert (code, asked[-1]) == (1, "--ignore-requires-python uv==99.0")
    assert sum("uv==99.0" in line for line in asked) == 1
    assert said[-1] == "ERROR: No matching distribution found for uv==99.0"
