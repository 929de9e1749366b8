"""misc/setup.sh has nothing to do where all is there; misc/install_compose.sh serves an ordinary account."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine

REPOSITORY = Path(__file__).parents[2]
ACCOUNT = 12345  # needs no entry in passwd, so nothing has to be added to the host


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A copy of what setup reads, where any account can read it, with a complete .venv."""
    with tempfile.TemporaryDirectory(prefix="setup-test-") as name:
        root = Path(name)
        root.chmod(0o755)
        shutil.copytree(REPOSITORY / "misc", root / "misc")
        shutil.copytree(REPOSITORY / "cresset/data", root / "cresset/data")
        shutil.copy(REPOSITORY / "pyproject.toml", root)
        (root / ".venv/bin").mkdir(parents=True)
        (root / ".venv/bin/python3").symlink_to(sys.executable)
        subprocess.run(["bash", "-c", '. misc/setup.sh; mark "$(describe_environment)"'], cwd=root, check=True)
        yield root


def test_it_is_silent_and_quick_when_nothing_is_missing(checkout: Path) -> None:
    took = []
    for _ in range(3):
        start = time.monotonic()
        done = subprocess.run(
            ["bash", "misc/setup.sh", "pwd"], cwd=checkout, capture_output=True, text=True, check=False
        )
        took.append(time.monotonic() - start)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{checkout}\n", "")
    assert min(took) < 1  # the promise of the front door, not a measurement


def test_an_ordinary_account_gets_working_plugins(checkout: Path) -> None:
    config = checkout / "config"
    config.mkdir()
    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        os.chown(config, ACCOUNT, ACCOUNT)
        account = {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": ()}
    env = {**os.environ, "HOME": str(config), "DOCKER_CONFIG": str(config)}
    script = checkout / "misc/install_compose.sh"
    done = subprocess.run(["bash", script, "--force"], env=env, capture_output=True, text=True, check=False, **account)
    if done.stderr.startswith("neither "):
        pytest.skip(done.stderr.splitlines()[0])
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (config / "cli-plugins").iterdir()) == ["docker-buildx", "docker-compose"]
    info = subprocess.run(
        ["docker", "info", "--format", "{{range .ClientInfo.Plugins}}{{.Path}}\n{{end}}"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{config}/cli-plugins/docker-compose\n" in info.stdout
    again = subprocess.run(["bash", script], env=env, capture_output=True, text=True, check=False, **account)
    assert (again.returncode, again.stderr) == (0, "")
