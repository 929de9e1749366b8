from __future__ import annotations

import pytest

from cresset import env_entries


def test_only_the_names_of_an_env_file_are_read() -> None:
    text = "# GPUS=1\n\nUID=1\nexport  TZ='Etc/UTC' # here\r\n  GRP: staff\n1X=2\nUID=3\nSHELLED\n"
    assert env_entries.names(text) == {"UID", "TZ", "GRP"}
    assert env_entries.listed(text) == ("UID", "TZ", "GRP", "UID")


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("\xa0TZ=a\n\fUID=1\n\vGID=2\n", ("TZ", "UID", "GID")),
        ('A="x\nTZ=a\n#GID=1\ny" # "\nB=1\n', ("A", "B")),
        ("A='it\\'s\nTZ=a' UID=1\n", ("A", "UID")),
        ("A=it's\nTZ=b\n", ("A", "TZ")),
        ("A='\nTZ=b\n", ("A", "TZ")),
        ("what is this\nTZ=b\n", ("TZ",)),
        ("A=\nTZ=b", ("A", "TZ")),
        ("", ()),
    ],
    ids=["other blanks", "quotes", "one line", "no quotes", "an open quote", "no setting", "nothing", "an empty file"],
)
def test_a_name_is_seen_where_compose_sees_it(text: str, want: tuple[str, ...]) -> None:
    assert env_entries.listed(text) == want


def test_what_a_comment_would_set_is_known_as_such() -> None:
    text = "# The zone: here\n#TZ=a\r\nUID=1 #GID=2\n# UID = 3\n"
    found = [(text[entry.start : entry.end], entry.is_comment) for entry in env_entries.read(text)]
    assert found == [("#TZ=a", True), ("UID=1 #GID=2", False), ("# UID = 3", True)]


@pytest.mark.parametrize(("text", "line"), [("A='1'\n\nB=\"2\nC=3\n", 3), ("A='\n'\nB=it's\n", 0), ("#'\nA='", 2)])
def test_an_open_quote_has_a_line(text: str, line: int) -> None:
    assert env_entries.line_of_open_quote(text) == line


def test_a_name_is_changed_where_it_is_set_and_nowhere_else() -> None:
    text = "#CC=1\n  export CC = '8.6'\nMINE='\nCC=2\n'\nCCC=3\n\xa0CC=CC # CC=4\n"
    want = "#CC=1\n  export CCA = '8.6'\nMINE='\nCC=2\n'\nCCC=3\n\xa0CCA=CC # CC=4\n"
    assert env_entries.rename(text, "CC", "CCA") == want
