"""The tools that read the code find nothing to say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHELL = [*ROOT.glob("misc/**/*.sh"), *ROOT.glob(".devcontainer/*.sh"), ROOT / ".ci/run"]
SCRIPTS = sorted(str(path.relative_to(ROOT)) for path in SHELL)

CHECKS = {
    "mypy": ["mypy"],
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "shellcheck": ["shellcheck", *SCRIPTS],
    "hadolint": ["hadolint", *sorted(path.name for path in ROOT.glob("*Dockerfile"))],
}


@pytest.mark.parametrize("argv", CHECKS.values(), ids=CHECKS)
def test_clean(argv: list[str]) -> None:
    program = shutil.which(argv[0], path=str(Path(sys.executable).parent)) or argv[0]
    done = subprocess.run([program, *argv[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
