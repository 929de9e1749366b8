from __future__ import annotations

import pytest

from cresset import host

TARGETS = """\
http://mirror.example/debian-security/ bookworm-security
http://mirror.example/debian/ bookworm
http://other.example/debian/ bookworm
"""


@pytest.mark.parametrize(
    ("text", "suite", "want"),
    [
        (TARGETS, "bookworm", "http://mirror.example/debian"),
        (TARGETS, "trixie", ""),
        (TARGETS, "", ""),
        ("cdrom:[disc]/ bookworm\nfile:/srv/debian/ bookworm\n", "bookworm", ""),
        ("", "bookworm", ""),
    ],
    ids=["the first of the suite", "another suite", "no suite", "no web address", "no apt"],
)
def test_the_apt_mirror_is_the_main_archives(text: str, suite: str, want: str) -> None:
    assert host.parse_apt_targets(text, suite) == want


def test_pips_settings_come_from_files_and_the_environment_beats_them() -> None:
    text = """\
:env:.find-links='/from/environment'
global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'
global.find-links='/from/file'
global.index-url="https://c.example/simple"
install.trusted-host='c.example'
download.index-url='https://no.example'
"""
    assert host.parse_pip_config(text) == {
        "extra-index-url": "https://a.example/simple https://b.example/simple",
        "find-links": "/from/environment",
        "index-url": "https://c.example/simple",
        "trusted-host": "c.example",
    }
