from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from cresset import files, inventory, upkeep
from cresset.errors import CressetError
from cresset.inventory import Container, UnnamedImage, Usage, read_usage
from cresset.screen.rawjson import Record, records
from cresset.upkeep import Leftovers

STOPPED = Container(
    id="c1",
    name="mine-cpu-1",
    project="mine",
    image="i1",
    stopped=True,
    status="Exited (0) 2 hours ago",
    size=18_200_000,
)
IMAGE = UnnamedImage(id="i1", service="cpu", size=1_100_000_000, shared=100_000_000)


def chosen(*containers: Container) -> tuple[list[str], list[str]]:
    """Return the ids of what is chosen in the project `mine`, which has one unnamed image."""
    usage = Usage(images=(IMAGE,), containers=containers, cache=0)
    left = upkeep.choose(usage, project="mine", records=())
    return [one.id for one in left.containers], [image.id for image in left.images]


def test_an_image_goes_with_the_last_container_that_has_it() -> None:
    assert chosen(STOPPED) == (["c1"], ["i1"])


def test_a_running_container_stays_and_keeps_its_image() -> None:
    assert chosen(replace(STOPPED, stopped=False)) == ([], [])
    assert chosen(STOPPED, replace(STOPPED, id="c2", stopped=False)) == (["c1"], [])


def test_another_projects_container_stays_and_keeps_its_image() -> None:
    assert chosen(replace(STOPPED, project="another")) == ([], [])
    assert chosen(replace(STOPPED, project="")) == ([], [])


def test_a_container_is_stopped_only_where_the_engine_says_so() -> None:
    states = ("created", "exited", "dead", "running", "paused", "restarting", "removing", "stopping")
    rows = [
        {"Id": state, "Names": [f"/{state}"], "Labels": None, "ImageID": "i1", "State": state, "Status": ""}
        for state in states
    ]
    usage = read_usage({"Images": None, "Containers": rows, "BuildCache": None}, ())
    assert [one.name for one in usage.containers if one.stopped] == ["created", "exited", "dead"]


def test_only_what_was_asked_for_is_read_of_the_images_and_only_free_cache_counts() -> None:
    image = {"Id": "i1", "Labels": {"com.docker.compose.service": "cpu"}, "Size": 10, "SharedSize": -1}
    cache = [
        {"Size": 1, "InUse": False, "Shared": False},
        {"Size": 20, "InUse": True, "Shared": False},
        {"Size": 300, "InUse": False, "Shared": True},
    ]
    found = {"Images": [image, {**image, "Id": "i2"}], "Containers": None, "BuildCache": cache}
    assert read_usage(found, {"i1"}) == Usage(
        images=(UnnamedImage(id="i1", service="cpu", size=10, shared=0),), containers=(), cache=1
    )


def test_the_newest_records_stay_and_so_does_what_is_no_record(tmp_path: Path) -> None:
    for age in range(5):
        for suffix in ("jsonl", "log"):
            record = tmp_path / f"{age}.{suffix}"
            record.write_text("x" * age)
            os.utime(record, (1000 - age, 1000 - age))
    (tmp_path / "notes.txt").touch()
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "notes.txt")
    (tmp_path / "folder.jsonl").mkdir()
    assert records(tmp_path)[3:] == [
        Record(paths=(tmp_path / "3.jsonl", tmp_path / "3.log"), size=6),
        Record(paths=(tmp_path / "4.jsonl", tmp_path / "4.log"), size=8),
    ]
    assert records(tmp_path / "nowhere") == []


def test_a_record_that_cannot_be_removed_is_no_reason_to_fail(tmp_path: Path) -> None:
    assert upkeep._unlink(tmp_path)
    (tmp_path / "left.log").touch()
    assert upkeep._unlink(tmp_path / "gone.jsonl", tmp_path / "left.log") == ""
    assert list(tmp_path.iterdir()) == []


def test_the_list_says_what_an_image_has_of_its_own() -> None:
    record = Record(paths=(Path("a.jsonl"),), size=1_000)
    left = Leftovers(containers=(STOPPED,), images=(IMAGE,), records=(record, record))
    assert upkeep.rows(left) == [
        ("  container", "mine-cpu-1", "18.2 MB", "Exited (0) 2 hours ago"),
        ("  image", "i1 cpu", "1.0 GB", "and 100.0 MB that other images share"),
        ("  records", "2 of builds", "2.0 kB", "the newest 3 stay"),
    ]
    assert upkeep.about_total(left) == "Together 1.0 GB."


def test_what_images_share_among_each_other_is_not_promised() -> None:
    left = Leftovers(containers=(), images=(IMAGE, replace(IMAGE, id="i2")), records=())
    assert upkeep.about_total(left) == "Together 2.0 GB, and what only these images share."


def test_nothing_is_nothing() -> None:
    assert not Leftovers(containers=(), images=(), records=())


def test_nothing_that_could_be_removed_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ROOT", tmp_path)
    monkeypatch.setattr(inventory, "remove_container", lambda _: "[/it] is in use")
    printed = io.StringIO()
    left = Leftovers(containers=(STOPPED,), images=(), records=())
    with pytest.raises(CressetError, match="none of these 1 could be removed"):
        upkeep._remove(left, console=Console(file=printed))
    assert printed.getvalue() == "The container mine-cpu-1 stays: [/it] is in use\n"
