from __future__ import annotations

import platform
from pathlib import Path

import pytest

from cresset import disk, hardware
from cresset.disk import Disk
from cresset.engine import Engine
from cresset.errors import CressetError

NEEDED = disk.NEEDED["0"]


def look(monkeypatch: pytest.MonkeyPatch, *, machine: str, root: str, address: str = "unix:///s") -> Disk:
    """Return the disk of an engine on a machine, seen from a machine called here."""
    monkeypatch.setattr(platform, "node", lambda: "here")
    monkeypatch.setattr(Engine, "place", lambda _: (machine, root))
    monkeypatch.setattr(hardware, "engine_address", lambda: address)
    monkeypatch.setitem(disk.NEEDED, "1", 1 << 62)  # whatever the disk of the tests, it is scarce
    return disk.look(Engine())


def test_only_a_disk_of_this_machine_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here, nowhere = str(tmp_path), str(tmp_path / "nowhere")
    assert look(monkeypatch, machine="here", root=here).free
    assert look(monkeypatch, machine="docker-desktop", root=here) == Disk(root=here, free=None)
    assert look(monkeypatch, machine="here", root=nowhere) == Disk(root=nowhere, free=None)
    assert look(monkeypatch, machine="here", root=here, address="ssh://me@there").free is None


def test_a_first_build_that_may_not_fit_is_warned_of() -> None:
    warning = disk.check(Disk(root="/data", free=1_500_000_000), needed=NEEDED, is_first=True)
    assert warning.startswith("1.5 GB are free on the disk that holds /data; the first build takes about 4.0 GB.")
    assert "invoke prune" in warning


@pytest.mark.parametrize(
    ("free", "is_first"),
    [(None, True), (NEEDED, True), (1_500_000_000, False)],
    ids=["not to be seen from here", "room enough", "a later build"],
)
def test_otherwise_nothing_is_said(*, free: int | None, is_first: bool) -> None:
    assert disk.check(Disk(root="/data", free=free), needed=NEEDED, is_first=is_first) == ""


@pytest.mark.parametrize("is_first", [True, False])
def test_no_build_begins_on_a_full_disk(*, is_first: bool) -> None:
    with pytest.raises(CressetError, match=r"only 90\.0 MB are free on the disk that holds /data") as caught:
        disk.check(Disk(root="/data", free=90_000_000), needed=NEEDED, is_first=is_first)
    assert "docker builder prune" in caught.value.hint
