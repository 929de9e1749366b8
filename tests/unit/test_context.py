"""A folder of the host as a build sees it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cresset import files
from cresset.foresight import context
from cresset.foresight.context import DiskFolder, Memory
from cresset.foresight.tree import summarize


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files, "ROOT", tmp_path)
    (tmp_path / "reqs" / "deep").mkdir(parents=True)
    (tmp_path / "reqs" / "a.txt").write_text("a")
    (tmp_path / "reqs" / "b.md").write_text("b")
    (tmp_path / "secret").write_text("c")
    (tmp_path / ".dockerignore").write_text("secret\n")
    return tmp_path


def found(root: Path, pattern: str) -> list[str]:
    return sorted(path for path in DiskFolder(root, memory=Memory()).find(pattern) if path)


def test_a_folder_is_read_with_its_empty_folders(root: Path) -> None:
    assert found(root, "reqs") == ["reqs", "reqs/a.txt", "reqs/b.md", "reqs/deep"]


def test_wildcards_choose(root: Path) -> None:
    assert found(root, "reqs/*.txt") == ["reqs/a.txt"]


def test_what_is_ignored_is_not_there(root: Path) -> None:
    assert found(root, ".") == [".dockerignore", "reqs", "reqs/a.txt", "reqs/b.md", "reqs/deep"]
    (root / ".dockerignore").write_text("**\n!reqs/*.txt\n")
    assert found(root, ".") == ["reqs", "reqs/a.txt"]


def test_a_link_is_followed_where_it_is_asked_for_and_kept_otherwise(root: Path) -> None:
    (root / "reqs" / "link").symlink_to("a.txt")
    folder = DiskFolder(root, memory=Memory())
    assert folder.find("reqs/link")["reqs/link"].digest == folder.find("reqs/a.txt")["reqs/a.txt"].digest
    assert folder.find("reqs")["reqs/link"].kind == "link"


def test_nothing_that_cannot_be_read_stops_it(root: Path) -> None:
    (root / "reqs" / "broken").symlink_to("nowhere")
    os.mkfifo(root / "reqs" / "pipe")
    assert found(root, "reqs/broken") == ["reqs/broken"]
    assert found(root, "missing") == []
    assert "reqs/pipe" in found(root, "reqs")  # the engine is sent it


def test_a_large_file_is_read_once_and_again_after_an_edit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "_LARGE", 1)
    monkeypatch.setattr(context, "_SETTLED", -1.0)
    path = root / "reqs" / "a.txt"
    memory = Memory()
    first = memory.digest(path, path.stat())
    memory.keep()
    status = path.stat()
    path.write_text("b")
    assert Memory().digest(path, status) == first  # it was not read
    assert Memory().digest(path, path.stat()) != first


def test_a_folder_that_the_engine_has_keeps_its_mode_there(root: Path) -> None:
    """It is sent what differs, and a folder's mode is not among that."""
    (root / "reqs").chmod(0o750)
    first = DiskFolder(root, memory=Memory())
    assert first.sent() is None
    first.find("reqs/deep")
    assert first.sent() == {"": 0, "reqs": 0o750, "reqs/deep": (root / "reqs/deep").stat().st_mode & 0o777}
    (root / "reqs").chmod(0o700)
    (root / "reqs/deep").chmod(0o700)
    then = DiskFolder(root, memory=Memory({"": {"reqs": 0o750}}))
    assert then.find("reqs")["reqs"].mode == 0o750
    assert then.find("reqs")["reqs/deep"].mode == 0o700
    assert then.sent() == {"": 0, "reqs": 0o750, "reqs/deep": 0o700}


def test_a_context_that_was_empty_at_first_counts_as_another(tmp_path: Path) -> None:
    def whole(**modes: int) -> str:
        folder = DiskFolder(tmp_path, memory=Memory({"": modes} if modes else {}))
        return summarize(folder.find("/"), "", exact=True)

    empty = whole()
    (tmp_path / "file").touch()
    assert len({empty, whole(), whole(**{"": 1})}) == 3
    assert whole() == whole(**{"": 0})


def test_the_folder_is_the_root_of_the_links_that_lead_to_a_source(root: Path) -> None:
    for name, target in {"up": "../../reqs/a.txt", "whole": "/reqs/a.txt", "folder": "/reqs", "round": "round"}.items():
        (root / name).symlink_to(target)
    folder = DiskFolder(root, memory=Memory())
    wanted = folder.find("reqs/a.txt")["reqs/a.txt"].digest
    sources = ("up", "whole", "folder/a.txt")
    assert {folder.find(source)[source].digest for source in sources} == {wanted}
    assert folder.find("round")["round"].kind == "link"


def test_another_files_ignore_file_is_not_obeyed(root: Path) -> None:
    (root / "Dockerfile.dockerignore").write_text("reqs\n")
    assert DiskFolder(root, memory=Memory()).find("reqs")
    assert not DiskFolder(root, dockerfile="Dockerfile", memory=Memory()).find("reqs")


def test_a_plain_folder_is_the_same_for_every_umask_and_engine(root: Path) -> None:
    def plain(modes: dict[str, dict[str, int]]) -> str:
        return summarize(DiskFolder(root, memory=Memory(modes)).plain().find("/"), "", exact=True)

    before = plain({})
    for path in (root / "reqs", root / "reqs/a.txt"):
        path.chmod(path.stat().st_mode | 0o020)
    assert plain({"": {"": 1, "reqs": 0o700}}) == before
    (root / "reqs/a.txt").chmod(0o755)
    assert plain({}) != before
