"""The requirement files: packages, comments and blank lines; of pip's, one package a line. Pure.

A line is refused here only where the build would refuse it for certain, minutes later; what is doubtful is left to apt
and uv.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from cresset.credentials import quoted
from cresset.errors import CressetError

# debian.org/doc/debian-policy, 5.6.1 and 5.6.12; what else apt takes (name-, name*, name^, ~pattern) does something
# other than install that package.
_APT = re.compile(r"[a-z0-9][a-z0-9+.-]*(:[a-z0-9-]+)?(={1,2}[A-Za-z0-9.+:~*-]+|/[a-z0-9.-]+)?")

# dnf.readthedocs.io/en/latest/command_ref.html, 'Specifying Packages': name, name.arch, name-version,
# name-version-release, all with patterns; a group as @name. A pattern alone would be all there is.
_DNF = re.compile(r"(?=.*[A-Za-z0-9])@?[A-Za-z0-9*][A-Za-z0-9._+:~^*?-]*")
_PIP_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")

# What uv knows in a requirement file (docs.astral.sh/uv/pip/compatibility, pip.pypa.io's requirements file format):
# options that take a requirement file, another place, something else, nothing.
_FILES = {"-r", "--requirement", "-c", "--constraint"}
_PLACES = {"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-e", "--editable"}
# What says the same of every build.
_SETTING_OF = {
    "-i": "INDEX_URL",
    "--index-url": "INDEX_URL",
    "--extra-index-url": "EXTRA_INDEX_URL",
    "-f": "WHEELHOUSE",
    "--find-links": "WHEELHOUSE",
}
_OTHERS = {"--no-binary", "--only-binary", "--trusted-host", "--use-feature"}
_SWITCHES = {"--no-index", "--pre", "--prefer-binary", "--require-hashes"}

# One slash is enough for uv. In a requirement, a scheme in capitals is part of a file's name to it.
_ADDRESS = re.compile(r"git\+|[a-z][a-z0-9+.-]*:/")
_SERVER = re.compile(r"https?://(?:[^/?#]*@)?([^/?#]*)")
_NAMED_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(?:\[[^]]*\])?\s*@\s*(.+)")
_LONGEST = 10_000  # characters of a line
_ARCHIVES = (".whl", ".zip", ".tar.gz")


def check_lines(text: str, name: str) -> None:
    """Refuse a requirement file whose lines nobody can have meant: one of thousands of words, two that look like one.

    Raises:
        CressetError: with the file's name and the line's number.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > _LONGEST:
            raise CressetError(f"{name}:{number}: is a line of {len(line)} characters", "write one package a line")
        # The end of a line on old Macs; everybody who reads the file would see one long word.
        if "\r" in line.strip("\r"):
            raise CressetError(
                f"{name}:{number}: {quoted(line.rstrip(chr(13)))} has a carriage return inside",
                "end each line with a line feed, as editors do that save for Linux",
            )


def check_apt(text: str, name: str) -> None:
    """Refuse a line of an apt requirement file that is no package.

    Raises:
        CressetError: with the file's name, the line's number and the line.
    """
    _check_words(
        text, name, _APT, "is no package", "write name, or name=version, with a blank or a new line between two"
    )


def check_dnf(text: str, name: str) -> None:
    """Refuse a line of a dnf requirement file that is no package.

    Raises:
        CressetError: with the file's name, the line's number and the line.
    """
    _check_words(
        text, name, _DNF, "is no package", "write name, or name-version, with a blank or a new line between two"
    )


def check_names(text: str, name: str) -> None:
    """Refuse a line of a file of Python packages to uninstall that is no bare name.

    Raises:
        CressetError: with the file's name, the line's number and the line.
    """
    _check_words(
        text, name, _PIP_NAME, "is no package's name", "write the name alone, with a blank or a new line between two"
    )


def _check_words(text: str, name: str, form: re.Pattern[str], problem: str, hint: str) -> None:
    """Refuse a word outside of comments that is not of a form, or that a dash ends, which apt takes for a removal."""
    for number, line in enumerate(text.replace("\r", "").split("\n"), start=1):
        for word in re.split(r"[ \t]+", line.split("#", 1)[0].strip(" \t")):
            if word and (not form.fullmatch(word) or word.endswith("-")):
                raise CressetError(f"{name}:{number}: {quoted(word)} {problem}", hint)


def check_pip(text: str, name: str, *, is_here: Callable[[str], bool]) -> None:
    """Refuse a line of a pip requirement file that uv cannot read, or that names what a build cannot see.

    Args:
        text: the file's text.
        name: the file's name, for the message.
        is_here: whether an absolute path exists on this host; another may well be in the base image.

    Raises:
        CressetError: with the file's name, the line's number and the line.
    """
    for number, line in _logical_lines(text):
        problem, hint = _problem(line, is_here)
        if problem:
            raise CressetError(f"{name}:{number}: {quoted(line)} {problem}", hint)


def check_compiled(text: str, name: str) -> None:
    """Refuse PyTorch and its companions among what is to be compiled against PyTorch.

    Raises:
        CressetError: with the file's name, the line's number and the line.
    """
    for number, line in _logical_lines(text):
        found = re.match(r"([A-Za-z0-9._-]+)", line)
        package = canonicalize_name(found[1]) if found else ""
        if package in {"torch", "torchvision", "torchaudio", "torchtext"}:
            tag = "PYTORCH" if package == "torch" else package.upper()
            raise CressetError(
                f"{name}:{number}: {quoted(line)} is what these are compiled against", f"set {tag}_VERSION_TAG instead"
            )


def lines(text: str) -> Iterator[str]:
    """Yield what a requirement file asks for, comments left out."""
    return (line for _, line in _logical_lines(text))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield what stands in each line and in those that continue it, without comments, and the first one's number.

    One blank stands for many, as for uv, which takes every blank of Unicode.
    """
    first, joined = 0, ""
    for number, physical in enumerate(text.replace("\r", "").split("\n"), start=1):
        line = re.sub(r"(^|\s)#.*", "", physical)
        first = first or number
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        if words := (joined + line).split():
            yield first, " ".join(words)
        first, joined = 0, ""
    if words := joined.split():
        yield first, " ".join(words)


def _problem(line: str, is_here: Callable[[str], bool]) -> tuple[str, str]:
    """Return what is wrong with a line and what to do about it, both empty where nothing is."""
    if line.startswith("-"):
        return _option_problem(line, is_here)
    requirement, *options = re.split(r" (?=--)", line)
    if odd := [option for option in options if not re.match(r"--hash(=|\s|$)", option)]:
        return (
            f"has {quoted(odd[0])}, which uv does not know",
            "leave it out; of pip's options on a line uv knows --hash",
        )
    if address := _NAMED_ADDRESS.fullmatch(requirement):
        return _place_problem(address[1], is_here)
    start = requirement.split(";", maxsplit=1)[0].strip()
    if start.startswith((".", "file:", "git+")) or "/" in start or start.endswith(_ARCHIVES):
        return _place_problem(requirement, is_here)
    try:
        Requirement(requirement)
    except InvalidRequirement:
        return "is no requirement", "write it like numpy, numpy==2.1 or numpy>=2,<3, one a line"
    return "", ""


def _option_problem(line: str, is_here: Callable[[str], bool]) -> tuple[str, str]:
    option, argument = (*re.split(r"[\s=]+", line, maxsplit=1), "")[:2]
    if option in _SWITCHES or (option in _OTHERS and argument):
        return "", ""
    if option not in _FILES | _PLACES | _OTHERS:
        return "has an option that uv does not know", "write one package a line, and no option of an installation"
    if not argument:
        return "lacks what the option is about", "write it after the option"
    if option in {"-e", "--editable"} and re.match(r"git\+|https?:", argument):
        return "cannot be editable", "leave out -e"
    place = argument.strip("\"'")
    if option not in {"-e", "--editable"}:
        place = re.sub(r"^[A-Za-z]+(?=:)", lambda scheme: scheme[0].lower(), place)
    if "${" not in place and (server := _SERVER.match(place)) and not re.fullmatch(r"\S+", server[1]):
        return "names no server", "write one address after the option, like https://example.org/simple"
    problem, hint = _place_problem(place, is_here)
    if problem and option in _FILES:
        hint = "write its lines into this file: a build sees no other"
    elif problem and option in _SETTING_OF:
        hint = f"write its whole address, or set {_SETTING_OF[option]} in .env instead"
    return problem, hint


def _place_problem(place: str, is_here: Callable[[str], bool]) -> tuple[str, str]:
    """Return what is wrong with an address or a path; a variable in it is known in the build only."""
    hint = "a build sees none of this host's: name a package, or an address like git+https://..."
    if re.match(r"(hg|svn|bzr)\+", place):
        return "is an address that uv cannot fetch from", "write a package, an archive's address, or git+https://..."
    if "${" in place or (_ADDRESS.match(place) and not place.startswith("file:")):
        return "", ""
    path = re.sub(r"^file:(//)?", "", place)
    if path.startswith("/") and not is_here(re.split(r"[\s;\[]", path, maxsplit=1)[0]):
        return "", ""
    return "is a file or a folder", hint
