from __future__ import annotations

import pytest

from cresset import requirements
from cresset.errors import CressetError


@pytest.mark.parametrize(
    "line",
    [
        "git",
        "g++",
        "libstdc++6",
        "git=1:2.39.5-0+deb12u2",
        "git==1:2.39*",
        "libc6:i386",
        "git/bookworm-backports",
        "",
        "# x y!",
        "  nano  # ok",
    ],
)
def test_packages_are_taken(line: str) -> None:
    requirements.check_apt(f"# first\r\n{line}\r\n", "apt.txt")


@pytest.mark.parametrize("line", ["git-", "g*", "kde^", "~ngit", "; rm -rf /", "$(touch x)", "-o A=b", "Git", "ä"])
def test_what_is_no_package_is_refused_with_its_place(line: str) -> None:
    with pytest.raises(CressetError, match=r"^apt\.txt:3: "):
        requirements.check_apt(f"git\n\n{line}\n", "apt.txt")
