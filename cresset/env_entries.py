"""Where Compose sees a setting in the text of `.env`; what its value is, only Compose says. Pure.

The rules are those of Compose's own reader, github.com/compose-spec/compose-go, dotenv/parser.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BLANK = r"[^\S\x1c-\x1f]"  # as Go has it: Python counts four separators of files and records besides
_IN_LINE = r"[\t\v\f\r \x85\xa0]"
_BEFORE = re.compile(rf"{_BLANK}*")
_EXPORT = r"(?:export[\t\n\f\r ]+)?"
_KEY = re.compile(rf"{_EXPORT}(?P<name>(?:[\w.\[\]-]|{_IN_LINE})*?){_IN_LINE}*(?P<sign>[=:\n]){_IN_LINE}*")
# Quotes hold over lines; what follows the closing one is a comment or the next setting.
_QUOTED = re.compile(r"""(["'])(?:\\.|(?!\1)[^\\])*\1(?:[ \t]*#[^\r\n]*)?""", re.DOTALL)
_REST = re.compile(r"[^\n]*")
_COMMENT = re.compile(r"#[ \t]?(?:export[ \t]+)?(?P<name>[^\s=:]*)[ \t]*[=:]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A setting in a text.

    Attributes:
        name: what it sets.
        start: where its first character is, that of `export` or of a comment's `#`.
        end: behind its last one; a comment behind the value belongs to it, the line's end does not.
        is_comment: it would set it, if it were not behind a `#`.
    """

    name: str
    start: int
    end: int
    is_comment: bool = False


def read(text: str) -> tuple[Entry, ...]:
    """Return every setting of a text and those in its comments, in its order."""
    return tuple(entry for entry in _scan(text) if _NAME.fullmatch(entry.name))


def listed(text: str) -> tuple[str, ...]:
    """Return the names that a text sets, in its order, one that is set twice twice."""
    return tuple(entry.name for entry in read(text) if not entry.is_comment)


def names(text: str) -> frozenset[str]:
    """Return the names that a text sets."""
    return frozenset(listed(text))


def rename(text: str, old: str, new: str) -> str:
    """Return a text that sets another name in place of one, with the same values."""
    for entry in reversed(read(text)):
        if entry.name == old and not entry.is_comment:
            at = text.index(old, entry.start)
            text = text[:at] + new + text[at + len(old) :]
    return text


def line_of_open_quote(text: str) -> int:
    """Return the number of the line with a quote that nothing closes, 0 where there is none."""
    return next((text.count("\n", 0, entry.start) + 1 for entry in _scan(text) if _is_open(text, entry)), 0)


def _is_open(text: str, entry: Entry) -> bool:
    found = None if entry.is_comment else _KEY.match(text, entry.start)
    return bool(found and text[found.end() :][:1] in {"'", '"'} and not _QUOTED.match(text, found.end()))


def _scan(text: str) -> Iterator[Entry]:
    at = 0
    while (at := _end(_BEFORE, text, at)) < len(text):
        start, at = at, _end(_REST, text, at)
        if text[start] == "#":
            if found := _COMMENT.match(text, start, at):
                yield Entry(name=found["name"], start=start, end=_before_return(text, at), is_comment=True)
            continue
        found = _KEY.match(text, start)
        if not found:  # Compose refuses the whole file
            continue
        if found["sign"] == "\n":  # of the shell, if it is there
            at = found.end("sign")
            continue
        # A quote that nothing closes, which Compose refuses, ends with its line.
        quoted = _QUOTED.match(text, found.end())
        at = quoted.end() if quoted else _end(_REST, text, found.end())
        yield Entry(name=found["name"], start=start, end=_before_return(text, at))


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _before_return(text: str, end: int) -> int:
    return end - (text[end - 1 : end] == "\r")
