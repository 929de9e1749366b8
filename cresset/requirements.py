"""The requirement files: one package a line, comments and blank lines between. Pure."""

from __future__ import annotations

import re

from cresset.errors import CressetError

# debian.org/doc/debian-policy, 5.6.1 and 5.6.12; what else apt takes (name-, name*, name^, ~pattern) does something
# other than install that package.
_APT = re.compile(r"[a-z0-9][a-z0-9+.-]*(:[a-z0-9-]+)?(={1,2}[A-Za-z0-9.+:~*-]+|/[a-z0-9.-]+)?")


def check_apt(text: str, name: str) -> None:
    """Refuse a line of an apt requirement file that is no package.

    Raises:
        CressetError: with the file's name, the line's number and the line.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        for word in line.split("#", 1)[0].split():
            if not _APT.fullmatch(word) or word.endswith("-"):
                raise CressetError(
                    f"{name}:{number}: {word!r} is no package", "write name, or name=version, one a line"
                )
