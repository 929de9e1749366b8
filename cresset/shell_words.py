"""Words, quotes and variables as BuildKit's Dockerfile frontend reads them: a shell's rules, but not quite."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from cresset.errors import CressetError

if TYPE_CHECKING:
    from collections.abc import Mapping

# White space as Unicode defines it; Python's own str.isspace also takes the separators 0x1c to 0x1f.
SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"

_SPECIAL = "@*#?-$!0"  # parameters of a shell that are one sign long; no build ever sets them
_TRIM = "#%"
_CONDITION = "-+?"
_HEREDOC = re.compile(r"[0-9]*<<(-?)([^<]*)")


def expand(text: str, values: Mapping[str, str], escape: str = "\\", *, quotes: bool = True) -> str:
    """Substitute variables and remove quotes, as BuildKit does in FROM, ARG, ENV, LABEL, COPY, WORKDIR, USER and so on.

    Args:
        text: the words as written.
        values: what is set; a name that is missing is unset, an empty string is a value.
        escape: the Dockerfile's escape character.
        quotes: False leaves quotes alone, as in the body of a heredoc that COPY or ADD writes.

    Returns:
        The text that BuildKit goes on with.

    Raises:
        CressetError: an unfinished quote or `${`, an unknown operator, or `${X:?message}` without a value.
    """
    if not {"$", "'", '"', escape} & set(text):
        return text  # as most are, and a build expands thousands
    return _Lexer(text, values, escape, quotes=quotes).result()


def unquote(text: str, escape: str = "\\") -> str:
    """Return the text without its quotes and escapes; variables stay as they are written."""
    return _Lexer(text, {}, escape, keep_unset=True).result()


def used(text: str, escape: str = "\\", *, quotes: bool = True) -> tuple[str, ...]:
    """Return the names of the variables that a text refers to, each once, in order of appearance."""
    lexer = _Lexer(text, {}, escape, quotes=quotes, keep_unset=True)
    lexer.result()
    return tuple(dict.fromkeys(name for name in lexer.names if name.isidentifier()))


def split_words(text: str, escape: str = "\\") -> list[str]:
    """Split at blanks outside quotes, as in ARG, ENV and LABEL; quotes and escapes stay for `expand` to remove."""
    sign = re.escape(escape)
    word = rf"""(?:{sign}.|'[^']*'?|"(?:{sign}.|[^"{sign}])*"?|[^{SPACE}])+"""
    return re.findall(word, text)


def find_heredocs(line: str) -> list[tuple[str, bool, bool]]:
    """Return for each here-document that a line opens: its closing word, whether variables count in it, and `<<-`.

    Raises:
        CressetError: a blank follows `<<`, which engines read differently.
    """
    try:
        words = _Lexer(line, {}, "\\", keep_unset=True, raw_quotes=True, raw_escapes=True).words()
    except CressetError:
        return []  # BuildKit too gives up on a quote that is not closed, and reads on as if there were no heredoc
    found = []
    for word, follower in zip(words, [*words[1:], ""], strict=True):
        match = _HEREDOC.fullmatch(word)
        if match and not match[1] and not match[2] and follower:
            # No heredoc before Dockerfile syntax 1.15, one since: a file should mean the same to every engine.
            raise CressetError(f"<< {follower}: engines differ on a blank after <<", f"write <<{follower}")
        names = _Lexer(match[2], {}, "\\", keep_unset=True).words() if match else []
        if match and len(names) == 1:
            quoted = _Lexer(match[2], {}, "\\", keep_unset=True, raw_quotes=True).result()
            found.append(
                (names[0], len(re.findall("['\"]", quoted)) == len(re.findall("['\"]", names[0])), bool(match[1]))
            )
    return found


class _Lexer:
    """One pass over one text; nested words share the position."""

    def __init__(
        self,
        text: str,
        values: Mapping[str, str],
        escape: str,
        *,
        quotes: bool = True,
        keep_unset: bool = False,
        raw_quotes: bool = False,
        raw_escapes: bool = False,
    ) -> None:
        self.text, self.at = text, 0
        self.values, self.escape = values, escape
        self.quotes, self.keep_unset = quotes, keep_unset
        self.raw_quotes, self.raw_escapes = raw_quotes, raw_escapes
        self.names: list[str] = []

    def result(self) -> str:
        return "".join(piece for piece, _ in self._read())

    def words(self) -> list[str]:
        words = [""]
        for piece, divisible in self._read():
            for char in piece:
                if divisible and char in SPACE:
                    words.append("")
                else:
                    words[-1] += char
        return [word for word in words if word]

    def _read(self) -> list[tuple[str, bool]]:
        try:
            return self._pieces("", raw_escapes=self.raw_escapes)
        except RecursionError:
            raise self._fail("substitutions are nested too deeply") from None

    def _fail(self, problem: str) -> CressetError:
        return CressetError(f"cannot read {self.text!r}: {problem}", "put a literal $ or quote in single quotes")

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _take(self) -> str:
        char = self._peek()
        self.at += 1
        return char

    def _until(self, stop: str, *, raw_escapes: bool) -> str:
        return "".join(piece for piece, _ in self._pieces(stop, raw_escapes=raw_escapes))

    def _pieces(self, stop: str, *, raw_escapes: bool) -> list[tuple[str, bool]]:
        """Read up to `stop` ("" is the end): pieces of text, and whether blanks in them end a word."""
        before, self.raw_escapes = self.raw_escapes, raw_escapes
        pieces: list[tuple[str, bool]] = []
        while char := self._peek():
            if char == stop:
                break
            if char == "$":
                pieces.append((self._dollar(), True))
            elif self.quotes and char == "'":
                pieces.append((self._single(), False))
            elif self.quotes and char == '"':
                pieces.append((self._double(), False))
            elif self._take() == self.escape:
                pieces.append(((self.escape if raw_escapes else "") + self._take(), False))
            else:
                pieces.append((char, True))
        if stop and not self._take():
            raise self._fail(f"the closing {stop} is missing")
        self.raw_escapes = before
        return pieces

    def _single(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise self._fail("the closing single quote is missing")
        start, self.at = self.at, end + 1
        return self.text[start : end + 1] if self.raw_quotes else self.text[start + 1 : end]

    def _double(self) -> str:
        self._take()
        result = quote = '"' if self.raw_quotes else ""
        while (char := self._peek()) != '"':
            if not char:
                raise self._fail("the closing double quote is missing")
            if char == "$":
                result += self._dollar()
            elif self._take() != self.escape:
                result += char
            else:
                # Before any other character the escape stays; with raw escapes BuildKit then writes it twice.
                follower = self._peek()
                result += char if self.raw_escapes else ""
                if follower:
                    result += self._take() if follower in {'"', "$", self.escape} else char
        self._take()
        return result + quote

    def _name(self) -> str:
        rest = self.text[self.at :]
        if rest[:1].isdecimal():
            length = next((i for i, char in enumerate(rest) if not char.isdecimal()), len(rest))
        elif rest[:1] and rest[0] in _SPECIAL:
            length = 1
        else:
            isname = (char.isalpha() or char.isdecimal() or char == "_" for char in rest)
            length = next((i for i, good in enumerate(isname) if not good), len(rest))
        self.at += length
        if length:
            self.names.append(rest[:length])
        return rest[:length]

    def _dollar(self) -> str:
        start = self.at
        self._take()
        if self._peek() != "{":
            name = self._name()
            return self.values.get(name, f"${name}" if self.keep_unset else "") if name else "$"
        self._take()
        if self._peek() in {"", "{", "}", ":"}:
            raise self._fail("bad substitution")
        name = self._name()
        if self._peek() == "}":
            self._take()
            return self.values.get(name, self.text[start : self.at] if self.keep_unset else "")
        return self._replace(name) if self._peek() == "/" else self._choose(name)

    def _choose(self, name: str) -> str:
        """Read the rest of `${X:-word}` and its kin, or of `${X#pattern}` and its kin."""
        value = self.values.get(name)
        colon = self._take() if self._peek() == ":" else ""
        kind = self._take()
        if not kind or kind not in _CONDITION + _TRIM:
            raise self._fail(f"unknown operator {colon + kind!r} after the name {name!r}")
        word = self._until("}", raw_escapes=kind in _TRIM)
        if value is None and self.keep_unset:
            return f"${{{name}{colon}{kind}{word}}}"
        if kind in _TRIM:
            return self._trim(kind, word, value or "")
        present = bool(value) if colon else value is not None
        if kind == "?" and not present:
            raise CressetError(f"{name}: {word or 'a value is needed'}", f"set {name}")
        if kind == "+":
            return word if present else ""
        return value or "" if present else word

    def _trim(self, kind: str, pattern: str, value: str) -> str:
        longest = pattern[:1] == kind
        pattern = pattern[1:] if longest else pattern
        if kind == "#":
            found = self._pattern(pattern, longest=longest).match(value)
            return value[found.end() :] if found else value
        # The shortest match at the end is found from behind, in both texts reversed.
        pattern = "".join(reversed(re.findall(r"\\.|.", pattern, re.DOTALL)))
        found = self._pattern(pattern, longest=longest).match(value[::-1])
        return value[: len(value) - found.end()] if found else value

    def _replace(self, name: str) -> str:
        self._take()
        count: Literal[0, 1] = 1
        if self._peek() == "/":
            self._take()
            count = 0
        pattern = self._until("/", raw_escapes=True)
        replacement = self._until("}", raw_escapes=True)
        value = self.values.get(name)
        if value is None and self.keep_unset:
            return f"${{{name}/{pattern}/{replacement}}}"
        end = -1

        def swap(found: re.Match[str]) -> str:
            nonlocal end
            abuts = found.start() == found.end() == end  # Go, unlike Python, ignores an empty match there
            end = found.end()
            return "" if abuts else replacement

        return self._pattern(pattern, longest=True).sub(swap, value or "", count=count)

    def _pattern(self, pattern: str, *, longest: bool) -> re.Pattern[str]:
        """Turn `*`, `?` and escapes into a regular expression; brackets have no meaning here."""
        result = ""
        chars = iter(pattern)
        for char in chars:
            if char == "*":
                result += ".*" if longest else ".*?"
            elif char == "?":
                result += "."
            elif char != "\\":
                result += re.escape(char)
            else:
                escaped = next(chars, "")
                if not escaped or escaped not in "*?\\/}":
                    raise self._fail(f"invalid escape \\{escaped} in a pattern")
                result += re.escape(escaped)
        return re.compile(result)
