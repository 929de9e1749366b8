from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cresset import files
from cresset.errors import CressetError


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files, "ROOT", tmp_path)
    return tmp_path


def test_a_new_file_has_the_mode_and_an_old_one_keeps_its_own(checkout: Path) -> None:
    files.write(".env", "a", former=None, mode=0o600)
    assert (checkout / ".env").stat().st_mode & 0o777 == 0o600
    (checkout / ".env").chmod(0o640)
    files.write(".env", "b", former="a", mode=0o600)
    assert (checkout / ".env").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in checkout.iterdir()] == [".env"]


def test_a_file_keeps_its_owner_and_its_group_where_that_is_permitted(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []

    def give(path: Path, owner: int, group: int) -> None:
        kept.append((owner, group))
        raise PermissionError(errno.EPERM, path)

    monkeypatch.setattr(os, "chown", give)
    files.write(".env", "a", former=None)
    assert kept == []
    files.write(".env", "b", former="a")
    now = (checkout / ".env").stat()
    assert kept == [(-1, now.st_gid), (now.st_uid, -1)]
    assert (checkout / ".env").read_text() == "b"


@pytest.mark.parametrize("former", [None, "A=1\n"], ids=["it appeared", "it changed"])
def test_what_somebody_else_wrote_meanwhile_stays(checkout: Path, former: str | None) -> None:
    (checkout / ".env").write_text("A=2\n")
    with pytest.raises(CressetError, match="while this was at work"):
        files.write(".env", "A=3\n", former=former)
    assert (checkout / ".env").read_text() == "A=2\n"
    assert [path.name for path in checkout.iterdir()] == [".env"]


def test_a_link_is_followed(checkout: Path) -> None:
    (checkout / "shared").write_text("a")
    (checkout / ".env").symlink_to("shared")
    files.write(".env", "b", former="a")
    assert (checkout / ".env").is_symlink()
    assert (checkout / "shared").read_text() == "b"


def test_windows_line_ends_stay_and_the_mark_of_its_editors_is_passed_over(checkout: Path) -> None:
    (checkout / ".env").write_bytes(b"\xef\xbb\xbfUID=1\r\nGID=2\r\n")
    assert files.read(".env") == "UID=1\r\nGID=2\r\n"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Path.mkdir, "is a folder"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is not UTF-8"),
        (os.mkfifo, "is no ordinary file"),
        (lambda path: path.symlink_to("/dev/null"), "is no ordinary file"),
        (lambda path: path.symlink_to(".env"), "cannot be read: "),
    ],
    ids=["a folder", "another encoding", "a pipe", "a device", "a link to itself"],
)
def test_what_cannot_be_read_is_said(checkout: Path, make: object, words: str) -> None:
    make(checkout / ".env")  # type: ignore[operator]
    with pytest.raises(CressetError, match=words):
        files.read(".env")


def test_a_link_to_nowhere_is_a_missing_file(checkout: Path) -> None:
    (checkout / ".env").symlink_to("nowhere")
    assert files.read(".env") is None


def test_a_link_out_of_its_folder_is_noticed(checkout: Path) -> None:
    (checkout / "reqs").mkdir()
    (checkout / "reqs" / "a").touch()
    (checkout / "reqs" / "b").symlink_to("a")
    (checkout / "reqs" / "c").symlink_to("/etc/hostname")
    (checkout / "linked").symlink_to("reqs")
    names = ["reqs/a", "reqs/b", "reqs/c", "linked/a"]
    assert [files.is_linked_elsewhere(name) for name in names] == [False, False, True, True]


def test_a_path_is_a_file_or_a_folder_or_neither(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(checkout))
    (checkout / "file").touch()
    paths = ("file", "~/file", ".", "~", "nothing", "file/below", "~nobody-at-all/x", "a\0b", "/dev/null")
    assert [files.kind(path) for path in paths] == ["file", "file", "folder", "folder", "", "", "", "", ""]


def test_a_path_that_cannot_be_looked_into_is_said(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "loop").symlink_to("loop")
    for path, words in (("loop", "Too many levels"), ("x" * 300, "File name too long")):
        with pytest.raises(CressetError, match=f"{path} cannot be looked into: {words}"):
            files.kind(path)
        assert not files.is_here(path)

    def refuse(_: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(CressetError, match="/closed/x cannot be looked into: Permission denied"):
        files.kind("/closed/x")


def test_a_checkout_whose_path_docker_would_misread_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.has_utf8_path()
    monkeypatch.setattr(files, "ROOT", Path(os.fsdecode(b"/b\xffd")))
    assert not files.has_utf8_path()


def test_a_missing_file_is_none_or_refused() -> None:
    assert files.read("nothing") is None
    with pytest.raises(CressetError, match="Dockerfile is missing"):
        files.require("Dockerfile")


def test_a_folder_is_made_once_and_nothing_in_place_of_what_is_there(checkout: Path) -> None:
    assert files.make_folder(str(checkout / "deep" / "data"))
    assert not files.make_folder(str(checkout / "deep" / "data"))
    (checkout / "file").write_text("a")
    assert not files.make_folder(str(checkout / "file"))
    with pytest.raises(CressetError, match="below is not there and cannot be made: Not a directory"):
        files.make_folder(str(checkout / "file" / "below"))
    assert (checkout / "file").read_text() == "a"


def test_a_turn_is_had_and_left(checkout: Path) -> None:
    with files.turn("up"):
        assert (checkout / ".cresset" / "up.lock").exists()
    with files.turn("up"):
        pass


def test_builds_that_begin_in_one_second_have_a_record_each(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "RECORDS", checkout / "builds")
    made = [files.new_record("20200101T000000Z-cpu") for _ in range(3)]
    assert len({*made}) == 3
    assert all(path and path.stat().st_mode & 0o777 == 0o600 for path in made)


def test_where_nothing_can_be_written_nothing_is_recorded_or_kept(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "taken").write_text("")
    monkeypatch.setattr(files, "RECORDS", checkout / "taken" / "builds")
    assert files.new_record("20200101T000000Z-cpu") is None
    files.keep("taken/commits.json", "{}")
    files.keep("made/commits.json", "{}")
    assert {path.name for path in checkout.rglob("*") if path.is_file()} == {"taken", "commits.json"}
