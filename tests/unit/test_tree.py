"""Files as BuildKit compares them, and what `.dockerignore` leaves of them."""

from __future__ import annotations

import pytest

from cresset.foresight import tree
from cresset.foresight.tree import Entry


def file(content: str = "x", mode: int = 0o644) -> Entry:
    return Entry(kind="file", mode=mode, digest=content)


FOLDER = Entry(kind="folder", mode=0o755)
FILES = {"docs": FOLDER, "docs/a.md": file("a"), "docs/b.txt": file("b"), "docs/deep": FOLDER, "docs/deep/c.md": file()}


@pytest.mark.parametrize(
    ("path", "patterns", "ignored"),
    [
        ("a.log", ["*.log"], True),
        ("deep/a.log", ["*.log"], False),
        ("deep/a.log", ["**/*.log"], True),
        ("a.log", ["**/*.log"], True),
        ("reqs/pip.txt", ["**", "!reqs/*.txt"], False),
        ("reqs/deep/pip.txt", ["**", "!reqs/*.txt"], True),
        ("reqs", ["**", "!reqs/*.txt"], True),
        ("docs/a/b", ["docs"], True),
        ("docs/a/b", ["docs", "!docs/a"], False),
        ("docs/a", ["!docs/a", "docs"], True),
        ("a.b", ["a?b"], True),
        ("axb", ["a.b"], False),
        ("a1", ["a[0-9]"], True),
        ("data/t.csv", ["**/*.csv", "!data"], True),
        ("data/t.csv", ["data", "!data"], False),
        ("a/b.py", ["a**py"], False),
        ("a/b/py", ["a/**py"], True),
        ("a/xpy", ["**py"], True),
        ("d", ["?/**"], False),
        ("d/x", ["?/**"], True),
    ],
    ids=str,
)
def test_the_last_pattern_that_fits_counts(path: str, patterns: list[str], ignored: bool) -> None:  # noqa: FBT001
    assert tree.is_ignored(path, patterns) is ignored


def test_an_ignore_file_has_comments_blanks_and_slashes() -> None:
    assert tree.ignore_patterns("\ufeff# no\n\n /docs/ \n! ./keep\r\n") == ("docs", "!keep")
    assert tree.ignore_patterns("../docs\n/../docs\n//docs\n/\n.\n") == ("../docs", "docs", "docs", "/", ".")


@pytest.mark.filterwarnings("error")
def test_a_bracket_in_brackets_is_one() -> None:
    assert tree.match({"a[1].txt": file(), "a[[]1].txt": file()}, "a[[]1].txt") == ["a[1].txt"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("docs/a.md", ["docs/a.md"]),
        ("/docs/./a.md", ["docs/a.md"]),
        ("docs/*.md", ["docs/a.md"]),
        ("docs/*", ["docs/a.md", "docs/b.txt", "docs/deep"]),
        ("missing", []),
        (".", [""]),
    ],
    ids=str,
)
def test_a_source_names_files_as_buildkit_reads_it(pattern: str, found: list[str]) -> None:
    assert tree.match(FILES, pattern) == found


@pytest.mark.parametrize(
    ("edited", "same", "same_without_folders"),
    [
        ({"docs/a.md": file("a")}, True, True),
        ({"docs/a.md": file("b")}, False, False),
        ({"docs/a.md": file("a", 0o755)}, False, False),
        ({"docs/new": file()}, False, False),
        ({"docs/empty": FOLDER}, False, False),
        ({"docs/deep": Entry(kind="folder", mode=0o700)}, False, True),
    ],
    ids=["nothing", "content", "mode", "new file", "new folder", "folder's mode"],
)
def test_content_modes_and_names_count(edited: dict[str, Entry], same: bool, same_without_folders: bool) -> None:  # noqa: FBT001
    after = {**FILES, **edited}
    assert (tree.summarize(FILES, "docs", exact=True) == tree.summarize(after, "docs", exact=True)) is same
    both = [tree.summarize(one, "docs", exact=False) for one in (FILES, after)]
    assert (both[0] == both[1]) is same_without_folders


@pytest.mark.parametrize(
    ("source", "target", "made"),
    [
        ("docs/a.md", "/x/", "x/a.md"),
        ("docs/a.md", "/x", "x"),
        ("docs/a.md", "/", "a.md"),
        ("docs/deep", "/x", "x/c.md"),
        ("docs/deep", "/", "c.md"),
    ],
    ids=str,
)
def test_copy_puts_a_file_where_buildkit_does(source: str, target: str, made: str) -> None:
    result = tree.copied({}, [(source, tree.below(FILES, source))], target, mode=0o600, owner="")
    assert result is not None
    assert result[made].kind == "file"
    assert result[made].mode == 0o600


def test_copy_into_a_folder_that_is_there_keeps_the_name() -> None:
    result = tree.copied({"x": FOLDER}, [("docs/a.md", {"": file()})], "/x", mode=None, owner="")
    assert result is not None
    assert "x/a.md" in result


def test_what_copy_does_with_a_link_is_left_to_the_engine() -> None:
    link = Entry(kind="link", digest="elsewhere")
    assert tree.copied({}, [("a", {"": link})], "/x/", mode=None, owner="") is None
