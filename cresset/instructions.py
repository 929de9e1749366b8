"""One Dockerfile instruction: its lines joined, its flags, words and here-documents taken apart as BuildKit does."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from cresset.errors import CressetError
from cresset.shell_words import SPACE, find_heredocs, split_words, unquote

if TYPE_CHECKING:
    from collections.abc import Sequence

# `name=` takes a value, `name=*` may be given more than once, a bare `name` is a switch.
_FLAGS = {
    "ADD": ("checksum=", "chmod=", "chown=", "exclude=*", "keep-git-dir", "link", "unpack"),
    "COPY": ("chmod=", "chown=", "exclude=*", "from=", "link", "parents"),
    "FROM": ("platform=",),
    "HEALTHCHECK": ("interval=", "retries=", "start-interval=", "start-period=", "timeout="),
    "RUN": ("device=*", "mount=*", "network=", "security="),
}
_KEYWORDS = (
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"),
    *("ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
)
_MAY_BE_EMPTY = {"CMD", "ENTRYPOINT", "RUN"}
_MAY_BE_JSON = {"ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"}
_MAY_HOLD_HEREDOC = {"ADD", "COPY", "RUN"}

_BLANKS = re.compile(r"[\t\v\f\r ]+")
_FOR_A_LINTER = ("check=", "hadolint ", "shellcheck ")


@dataclass(frozen=True, kw_only=True)
class Heredoc:
    """One here-document: its closing word, and its text as written with all line ends."""

    name: str
    text: str
    expand: bool
    strip_tabs: bool

    @property
    def content(self) -> str:
        """The text without the leading tabs that `<<-` removes."""
        return re.sub(r"^\t+", "", self.text, flags=re.MULTILINE) if self.strip_tabs else self.text


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One name that an ARG declares.

    Attributes:
        default: without quotes, variables as written; None when the ARG has no `=`.
        raw: the default as written, which is what `expand` takes.
        description: what the comment directly above says after the name. The lines that follow in that comment are
            joined on; BuildKit's own outline shows the first one only.
    """

    name: str
    default: str | None
    raw: str | None
    description: str | None
    line: int


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction; lines are counted from 1, the last one included.

    Attributes:
        flags: leading `--name=value` in order, without quotes; a bare switch has the value "".
        text: what follows, continued lines joined, comments between them dropped.
        exec_form: the words of a JSON array; None in the shell form.
        arguments: what an ARG declares.
        source: the lines as they are in the file.
        escape: the file's escape character, for `expand`.
    """

    keyword: str
    flags: tuple[tuple[str, str], ...]
    text: str
    exec_form: tuple[str, ...] | None
    heredocs: tuple[Heredoc, ...]
    arguments: tuple[Argument, ...]
    line: int
    end_line: int
    source: str
    escape: str

    def flag(self, name: str) -> tuple[str, ...]:
        """Return the values given to one flag, in order."""
        return tuple(value for flag, value in self.flags if flag == name)

    def words(self) -> tuple[str, ...]:
        """Return the JSON words, or the text split at blanks with quotes kept: what FROM, COPY, ADD and VOLUME take."""
        return self.exec_form if self.exec_form is not None else tuple(filter(None, _BLANKS.split(self.text)))


def pairs(instruction: Instruction) -> tuple[tuple[str, str], ...]:
    """Return what ENV, LABEL or ARG sets, as written: names and values are for `expand`. A bare ARG sets nothing.

    Raises:
        CressetError: a word without `=`, or without a name before it.
    """
    if instruction.keyword == "ARG":
        return tuple((argument.name, argument.raw) for argument in instruction.arguments if argument.raw is not None)
    words = split_words(instruction.text, instruction.escape)
    if words and "=" not in words[0]:
        name, *value = _BLANKS.split(instruction.text, maxsplit=1)
        words = [f"{name}={value[0]}"] if value else words
    for word in words:
        if word.find("=") < 1:
            raise CressetError(f"{instruction.keyword} {word}: this is not NAME=value", "quote a value with blanks")
    return tuple((name, value) for name, _, value in (word.partition("=") for word in words))


def content(lines: Sequence[str], at: int) -> str:
    """Return a line as an instruction may begin in it: without indentation, line end and byte-order mark."""
    line = lines[at].removeprefix("\ufeff") if at == 0 else lines[at]
    return line.rstrip("\r\n").lstrip(SPACE)


def read_instruction(lines: Sequence[str], at: int, escape: str, above: Sequence[str]) -> Instruction:
    """Read the instruction that begins at index `at`; `above` is the comment directly above it, a line each.

    Raises:
        CressetError: BuildKit would refuse it; the message has no line number yet.
    """
    line, end = _join_lines(lines, at, escape)
    keyword, flag_words, text = _split_instruction(line)
    if keyword not in _KEYWORDS:
        close = difflib.get_close_matches(keyword, _KEYWORDS, 1)
        hint = f"did you mean {close[0]}?" if close else f"to continue a line, end it with {escape}"
        raise CressetError(f"unknown instruction {keyword}", hint)
    exec_form = _read_json(text) if keyword in _MAY_BE_JSON else None
    trigger, _, trigger_text = _split_instruction(text) if keyword == "ONBUILD" else (keyword, [], text)
    heredocs: tuple[Heredoc, ...] = ()
    if trigger in _MAY_HOLD_HEREDOC and "<<" in line and _read_json(trigger_text) is None:
        heredocs, end = _read_heredocs(lines, end, line)
    instruction = Instruction(
        keyword=keyword,
        flags=_read_flags(keyword, flag_words),
        text=text,
        exec_form=exec_form,
        heredocs=heredocs,
        arguments=_read_arguments(text, escape, above, at + 1) if keyword == "ARG" else (),
        line=at + 1,
        end_line=end,
        source="".join(lines[at:end]),
        escape=escape,
    )
    _check(instruction)
    return instruction


def describe(name: str, above: Sequence[str], others: Sequence[str] = ()) -> str | None:
    """Return what a comment says of a name, up to where it turns to one of the others; None if it says nothing."""
    lines = [line for line in above if not line.startswith(_FOR_A_LINTER)]
    start = next((index for index, line in enumerate(lines) if line.startswith(f"{name} ")), None)
    if start is None:
        return None
    more = takewhile(lambda line: line.partition(" ")[0] not in others, lines[start + 1 :])
    return " ".join([lines[start].removeprefix(name).strip(), *more])


def _join_lines(lines: Sequence[str], at: int, escape: str) -> tuple[str, int]:
    """Join continued lines; return the text and the number of lines read so far."""
    # The escape character continues a line only where it is not itself escaped; blanks may follow it.
    sign = re.escape(escape)
    continued = re.compile(rf"(?<!{sign}){sign}[ \t]*\Z")
    line, more = continued.subn("", content(lines, at))
    at += 1
    while more and at < len(lines):
        if content(lines, at)[:1] not in {"", "#"}:
            part, more = continued.subn("", lines[at].rstrip("\r\n"))
            line += part
        at += 1
    return line, at


def _split_instruction(line: str) -> tuple[str, list[str], str]:
    """Split into the keyword, the flags without their quotes, and the rest."""
    keyword, *rest = _BLANKS.split(line.strip(SPACE), maxsplit=1)
    text = "".join(rest).lstrip(SPACE)
    flags = []
    while text.startswith("--"):
        flag, text = _take_flag(text)
        if flag == "--":
            break
        flags.append(flag)
    return keyword.upper(), flags, text.strip(SPACE)


def _take_flag(text: str) -> tuple[str, str]:
    """Read one flag; here the backslash escapes whatever the directive says, in single quotes too."""
    flag = quote = ""
    at = 0
    while at < len(text) and (quote or text[at] not in SPACE):
        char = text[at]
        at += 1
        if char == "\\":
            flag += text[at : at + 1]
            at += 1
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        else:
            flag += char
    return flag, text[at:].lstrip(SPACE)


def _read_flags(keyword: str, words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    known = {flag.rstrip("=*"): flag for flag in _FLAGS.get(keyword, ())}
    flags: list[tuple[str, str]] = []
    for word in words:
        name, equals, value = word[2:].partition("=")
        form = known.get(name)
        if form is None:
            hint = f"it knows --{', --'.join(known)}" if known else f"{keyword} takes no flags; put -- before the text"
            raise CressetError(f"{keyword} has no flag --{name}", hint)
        if "=" in form and not equals:
            raise CressetError(f"{keyword} --{name} lacks its value", f"write --{name}=VALUE")
        if "=" not in form and (value.lower() not in {"true", "false"} if equals else value):
            raise CressetError(f"{keyword} --{name}={value} is neither true nor false", f"write --{name}")
        if not form.endswith("*") and any(name == before for before, _ in flags):
            raise CressetError(f"{keyword} has --{name} twice", "keep one of the two")
        flags.append((name, value))
    return tuple(flags)


def _read_json(text: str) -> tuple[str, ...] | None:
    """Read a JSON array of strings; whatever is no JSON is a shell's, as in `RUN [ -f x ]`."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text, parse_constant=lambda _: int("not JSON"))
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(word, str) for word in words):
        raise CressetError("a JSON array here holds strings only", 'write ["word", "word"]')
    return tuple(words)


def _read_heredocs(lines: Sequence[str], at: int, line: str) -> tuple[tuple[Heredoc, ...], int]:
    """Read the here-documents that an instruction's line opens, from index `at` on; return where they end."""
    heredocs = []
    for name, expand, strip_tabs in find_heredocs(line):
        start = at
        while at < len(lines) and _closing(lines[at], strip_tabs=strip_tabs) != name:
            at += 1
        if at == len(lines):
            raise CressetError(f"the heredoc {name} is not closed", f"end it with a line {name}, not indented")
        heredocs.append(Heredoc(name=name, text="".join(lines[start:at]), expand=expand, strip_tabs=strip_tabs))
        at += 1
    return tuple(heredocs), at


def _closing(line: str, *, strip_tabs: bool) -> str:
    line = line.rstrip("\r\n")
    return line.lstrip("\t") if strip_tabs else line


def _read_arguments(text: str, escape: str, above: Sequence[str], line: int) -> tuple[Argument, ...]:
    parts = [word.partition("=") for word in split_words(text, escape)]
    names = [name for name, _, _ in parts]
    if "" in names:
        raise CressetError(f"ARG {text}: a name is missing", "write ARG NAME=default")
    return tuple(
        Argument(
            name=name,
            default=unquote(raw, escape) if equals else None,
            raw=raw if equals else None,
            description=describe(name, above, names),
            line=line,
        )
        for name, equals, raw in parts
    )


def _check(instruction: Instruction) -> None:
    """Refuse what BuildKit refuses when it reads the file, whether or not the stage is built."""
    keyword, words = instruction.keyword, instruction.words()
    if not words and keyword not in _MAY_BE_EMPTY:
        raise CressetError(f"{keyword} says nothing", "complete it or remove it")
    if keyword in {"ADD", "COPY"} and len(words) == 1:
        raise CressetError(f"{keyword} {instruction.text} has no destination", f"write {keyword} SOURCE... DESTINATION")
    if keyword == "SHELL" and instruction.exec_form is None:
        raise CressetError("SHELL takes a JSON array", 'write SHELL ["/bin/sh", "-c"]')
    if keyword == "ONBUILD" and (trigger := words[0].upper()) in {"ONBUILD", "FROM", "MAINTAINER"}:
        raise CressetError(f"ONBUILD {trigger} is not allowed", "use another instruction")
    if keyword in {"ENV", "LABEL"}:
        pairs(instruction)
