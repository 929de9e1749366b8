from __future__ import annotations

import pytest

from cresset.credentials import mask, quoted


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("https://u:pw@x/simple", "https://***@x/simple"),
        ("https://token@x/simple", "https://***@x/simple"),
        ("u:secretpw@x", "***@x"),
        ("--index-url=u:secretpw@x/simple", "--index-url=***@x/simple"),
        ("https://u:secret pw@x/", "https://***@x/"),
        ("https://u:SECRET/PW@x/y", "https://***@x/y"),
        ("https://u:12/34@x/y", "https://***@x/y"),
        ("https://u:SECR@ETPW@x", "https://***@x"),
        ("https://u:SE/CR@ET PW@x", "https://***@x"),
        ("https://tok'en@x", "https://***@x"),
        ("https://first.last:pw@x/y", "https://***@x/y"),
        ("https://u:p@a/simple https://v:q@b/simple", "https://***@a/simple https://***@b/simple"),
        ("'https://u:p@a/simple' and 'x'", "'https://***@a/simple' and 'x'"),
    ],
)
def test_no_part_of_a_password_is_shown(value: str, want: str) -> None:
    assert mask(value) == want


@pytest.mark.parametrize(
    "value",
    [
        "",
        "https://example.org/simple",
        "http://example.org:8080/a http://localhost:80",
        "git+https://github.com/me/package@v1.0",
        "torch @ https://example.org:443/torch@v1.whl",
        "debian:bookworm@sha256:0123",
        "registry.example.org:5000/team/image:tag@sha256:0123",
        "git@github.com:me/package",
        "numpy==2.1 at 12:30, me@example.org",
    ],
)
def test_what_is_no_password_is_shown(value: str) -> None:
    assert mask(value) == value


def test_a_value_in_a_message_is_one_short_line() -> None:
    assert quoted("a\x1b[31m\n\rb") == r"'a\x1b[31m\n\rb'"
    assert quoted("CORP\\name") == r"'CORP\name'"
    assert quoted("x" * 81) == f"'{'x' * 80}...'"
    assert quoted(f"https://me:{'secret' * 20}@x") == "'https://***@x'"
