"""A machine for the shell scripts: real shell, stand-ins for every program that could change a real one."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = ("setup.sh", "packages.sh", "environment.sh", "gpu.sh", "install_compose.sh")
# What the scripts may really use; everything else on PATH is a stand-in or absent.
REAL = (
    "awk bash cat chmod cp cut dirname find flock grep head id install mkdir mktemp mv readlink rm sed sh sha256sum "
    "sleep sort stat tail tr uname wc"
)
# Where a function looks at the machine itself, a test says what it sees.
MACHINE = """
has() { command -v "$1" >/dev/null 2>&1; }
am_root() { false; }
on_terminal() { false; }
on_wsl() { false; }
has_systemd() { true; }
has_service() { false; }
is_served() { true; }
is_daemon_alive() { false; }
"""
DOCKER = """
case "$*" in
    'version --format {{.Server.Version}}') echo 26.1.5+dfsg1 ;;
    'compose version --short') echo 2.26.1-4 ;;
    'buildx version') echo 'github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3' ;;
esac
"""
TRIXIE = "ID=debian\nVERSION_CODENAME=trixie\n"
GROUPS = '[dependency-groups]\ndev = [\n    "one",\n]\n'
# Where gpu.sh looks at the hardware and its driver; a test's machine has them in a folder of its own.
HARDWARE = "=(/sys/|/proc/|/usr/lib/wsl/)"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A checkout and a PATH of stand-ins in a folder of the test's own."""

    root: Path

    def stub(self, name: str, body: str = "") -> None:
        """Put a program on PATH that records its arguments, then does what the body says."""
        path = self.root / "bin" / name
        path.write_text(f"""#!/bin/sh
{{ printf '%s' {name}; printf ' <%s>' "$@"; echo; }} >>{self.root}/calls
{body}
""")
        path.chmod(0o755)

    def run(self, text: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Source setup.sh, which says that it is not meant for that, set the scene, run the text."""
        source = f". {self.root}/checkout/misc/setup.sh 2>/dev/null; set -euo pipefail"
        scene = f"{source}\n{MACHINE}\nOS_RELEASE={self.root}/os-release; PID_FILE={self.root}/docker.pid\n{text}"
        return self.execute("bash", "-c", scene, "setup.sh", *words, **environment)

    def execute(self, *argv: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.root}/bin:{self.root.parent}/real"
        env = {"PATH": path, "HOME": f"{self.root}/home", "PIP_CERT": "/given", **environment}
        return subprocess.run(
            argv, input=stdin, env=env, cwd=self.root, capture_output=True, text=True, check=False, timeout=20
        )

    @property
    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []


def prepare(root: Path) -> Machine:
    """Make a machine in an empty folder: the scripts, no GPU, no stand-in yet; all share links to the real programs."""
    for folder in ("bin", "home", "checkout/misc", "checkout/cresset/data"):
        (root / folder).mkdir(parents=True)
    if not (real := root.parent / "real").exists():
        real.mkdir()
        for name in REAL.split():
            if found := shutil.which(name):
                (real / name).symlink_to(found)
    for name in SCRIPTS:
        shutil.copy(REPOSITORY / "misc" / name, root / "checkout/misc")
    gpu = root / "checkout/misc/gpu.sh"
    gpu.write_text(re.sub(HARDWARE, rf"={root}\1", gpu.read_text()))
    shutil.copy(REPOSITORY / "cresset/data/minimum-versions", root / "checkout/cresset/data")
    (root / "checkout/pyproject.toml").write_text(f"{GROUPS}[tool.x]\ny = 1\n")
    (root / "os-release").write_text(TRIXIE)
    return Machine(root=root)
