"""`misc/fixes.sh` mends what was broken here first, says so, and a second time finds nothing to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.checkout import Checkout, Result, run
from tests.engine.light_wheels import make_wheel

SITE = "/opt/venv/lib/python3*/site-packages"
# In a terminal that no distribution knows, and with an index of our own.
FIX = "TERM=xterm-ghostty UV_FIND_LINKS=/opt/project PIP_FIND_LINKS=/opt/project bash misc/fixes.sh"


@dataclass(frozen=True, kw_only=True)
class Damage:
    """How something is broken, what shows that it is, and what is said when it is mended."""

    broken_by: str
    shown_by: str
    said: str


DAMAGE = {
    "git distrusts the mounted folder": Damage(
        broken_by="git init --quiet /tmp/made && cp -r /tmp/made/.git . && sudo_chown 4322 .git",
        shown_by="git status",
        said="mended: git works in /opt/project, which belongs to another account",
    ),
    "pip was interrupted": Damage(
        broken_by=f"cd {SITE} && mkdir '~umpy' '~umpy-2.0.dist-info'",
        shown_by=f"! ls {SITE} | grep '~'",
        said="mended: removed ~umpy-2.0.dist-info, which an interrupted pip left behind",
    ),
    "a package took what PyTorch needs": Damage(
        broken_by="pip install --quiet typing_extensions==4.9.0",
        shown_by="python -c 'import torch'",
        said="mended: installed what PyTorch asks for: typing-extensions>=",
    ),
    "OpenCV wants a desktop": Damage(
        broken_by="pip install --quiet --no-index --find-links . opencv-python",
        shown_by="python -c 'import cv2'",
        said="mended: cv2 starts: opencv-python-headless==9.9 in place of the wheel with windows",
    ),
    "the terminal has no name": Damage(
        broken_by="true",
        shown_by="infocmp xterm-ghostty",
        said="mended: the terminal xterm-ghostty is known: as xterm-256color",
    ),
}


@pytest.fixture(scope="module")
def theirs(clone: Callable[[], Checkout]) -> Iterator[Checkout]:
    """A container of an ordinary account's."""
    if os.getuid() != 0:
        pytest.skip("only root can give a folder to another account")
    checkout = clone()
    checkout.set(UID="4321", GID="4321", USR="nick", GRP="nick", ADD_USER="include")
    # Two stand-ins for hundreds of megabytes: OpenCV's wheels, one of which wants a library that is not here.
    make_wheel(checkout.path, "opencv_python_headless", "9.9", {"cv2.py": ""})
    make_wheel(checkout.path, "opencv_python", "9.9", {"cv2.py": "import ctypes\nctypes.CDLL('libGL.so.1')\n"})
    run(["chown", "--recursive", "4321:4321", str(checkout.path)])
    checkout.invoke("build")
    yield checkout
    checkout.invoke("down")


def inside(checkout: Checkout, command: str, *, user: str = "nick", check: bool = True) -> Result:
    return checkout.compose("exec", "-T", "--user", user, "cpu", "bash", "-c", command, check=check)


@pytest.fixture(scope="module")
def mended(theirs: Checkout) -> str:
    """What the script says of everything that is broken at once; it mends what depends on one another in one run."""
    for damage in DAMAGE.values():
        command, _, owner = damage.broken_by.partition(" && sudo_chown ")
        inside(theirs, command)
        if owner:
            inside(theirs, f"chown -R {owner} && chown {owner.split()[0]} .", user="root")
        assert inside(theirs, damage.shown_by, check=False).code != 0, damage
    return inside(theirs, FIX).out


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_it_is_mended_and_said(theirs: Checkout, mended: str, damage: Damage) -> None:
    assert damage.said in mended
    inside(theirs, damage.shown_by)


def test_a_second_time_nothing_is_left_to_do(theirs: Checkout, mended: str) -> None:
    assert mended
    assert inside(theirs, FIX).out == "nothing needed mending\n"


def test_what_root_installed_is_given_back_by_root(theirs: Checkout) -> None:
    inside(theirs, "umask 022 && pip install --quiet iniconfig", user="root")
    assert inside(theirs, "uv pip uninstall --quiet iniconfig", check=False).code != 0
    refused = inside(theirs, FIX, check=False)
    assert refused.code == 1
    assert "are root's, so their packages cannot be changed; on the host:" in refused.out
    assert "docker compose exec --user root SERVICE bash misc/fixes.sh" in refused.out
    assert "can be changed by all accounts here" in inside(theirs, "bash misc/fixes.sh", user="root").out
    inside(theirs, "uv pip uninstall --quiet iniconfig")


def test_a_library_path_in_the_way_is_named(theirs: Checkout) -> None:
    # Another library in the place of the one that fits, as conda's libstdc++ is.
    inside(theirs, "mkdir -p /tmp/old && cp /lib/*/libz.so.1 /tmp/old/libstdc++.so.6")
    refused = inside(theirs, f"LD_LIBRARY_PATH=/tmp/old {FIX}", check=False)
    assert refused.code == 1
    assert "torch does not start because of LD_LIBRARY_PATH=/tmp/old" in refused.out


def test_another_torch_is_named(theirs: Checkout) -> None:
    inside(theirs, f"mv {SITE}/torch-*.dist-info /tmp")
    try:
        refused = inside(theirs, FIX, check=False)
        assert refused.code == 1
        assert "not mended: torch is missing instead of " in refused.out
    finally:
        inside(theirs, "mv /tmp/torch-*.dist-info $(dirname $(python -c 'import torch; print(torch.__path__[0])'))")


def test_an_old_pytorch_gets_the_numpy_that_it_works_with(theirs: Checkout) -> None:
    # A stand-in that fails as PyTorch before 2.3 does, for as long as NumPy is 2.
    stand_in = """
import importlib.metadata
class zeros:
    def __init__(self, *_): pass
    def numpy(self):
        if importlib.metadata.version("numpy")[0] != "1": raise RuntimeError("Numpy is not available")
"""
    inside(theirs, f"mkdir /tmp/stand-in && cat > /tmp/stand-in/torch.py <<'END'\n{stand_in}\nEND")
    assert "NumPy 1 only: installed it" in inside(theirs, f"PYTHONPATH=/tmp/stand-in {FIX}").out
    assert inside(theirs, "pip list --format freeze | grep ^numpy=").out.startswith("numpy==1.")


def test_a_wheel_that_cannot_be_replaced_stays(theirs: Checkout) -> None:
    with_windows = "pip install --quiet --no-index --find-links . opencv-python"
    inside(theirs, f"pip uninstall --quiet --yes opencv-python-headless && {with_windows}")
    try:
        refused = inside(theirs, f"PIP_NO_INDEX=1 {FIX.replace('/opt/project', '/mnt')}", check=False)
        assert refused.code == 1
        assert "not mended: cv2 does not start: " in refused.out
        inside(theirs, "pip show --quiet opencv-python")
    finally:
        inside(theirs, "pip uninstall --quiet --yes opencv-python")


def test_an_image_without_a_pytorch_of_its_own_is_looked_at_for_the_rest(theirs: Checkout) -> None:
    # As simple is: an environment on top of the base's packages; no constraints, no uv.
    make = (
        "python3 -m venv --system-site-packages /opt/simple && chgrp -R 65500 /opt/simple && chmod -R g+w /opt/simple"
    )
    inside(theirs, make, user="root")
    try:
        simple = "VIRTUAL_ENV=/opt/simple UV_CONSTRAINT=/nowhere PATH=/usr/bin:/bin bash misc/fixes.sh"
        assert inside(theirs, simple).out == "nothing needed mending\n"
    finally:
        inside(theirs, "rm -r /opt/simple", user="root")


def test_outside_a_container_it_says_where_it_belongs_and_touches_nothing(tmp_path: Path) -> None:
    program = tmp_path / "venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    before = [path.stat().st_mode for path in (program, program.parent)]
    for environment in (str(program.parents[1]), "/nonexistent", ""):
        refused = run(["env", f"VIRTUAL_ENV={environment}", "bash", "misc/fixes.sh"], check=False)
        assert refused.code == 2
        assert "run it inside the container" in refused.out
        assert len(refused.lines) == 2
    assert [path.stat().st_mode for path in (program, program.parent)] == before
