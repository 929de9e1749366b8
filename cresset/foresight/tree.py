"""Files as BuildKit compares them: by name, content, mode and owner, never by time. Pure."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file, a folder or a symbolic link.

    Attributes:
        kind: `file`, `folder` or `link`.
        mode: its permissions.
        digest: of the content; of a link, where it leads.
        owner: as COPY --chown says it; empty for root.
        origin: the path on the host that a person knows it by; a folder's ends with a slash.
    """

    kind: str
    mode: int = 0
    digest: str = ""
    owner: str = ""
    origin: str = ""


# By path, without a slash at either end; the root is "".
Tree = Mapping[str, Entry]


class Folder(Protocol):
    """A folder of the host that a build may read."""

    def find(self, pattern: str) -> Tree:
        """Return what a source of COPY names, at and under its paths, with the folders above; nothing ignored."""


def digest(*parts: object) -> str:
    """Return a short name for the parts together."""
    return hashlib.sha256("\0".join(map(repr, parts)).encode(errors="surrogateescape")).hexdigest()[:20]


def clean(path: str) -> str:
    """Return a path of a tree in its one spelling."""
    return posixpath.normpath(f"/{path}").strip("/")


def below(tree: Tree, path: str) -> dict[str, Entry]:
    """Return what is at a path and under it, by the path from there."""
    if not path:
        return dict(tree)
    start = f"{path}/"
    found = {name[len(start) :]: entry for name, entry in tree.items() if name.startswith(start)}
    return {"": tree[path], **found} if path in tree else found


def summarize(tree: Tree, path: str, *, exact: bool) -> str:
    """Return a name for what is at a path and under it.

    Args:
        tree: the files.
        path: where.
        exact: count the modes of folders too, which the engine sees or not, depending on what it has kept.
    """
    rows = [
        (name, entry.kind, entry.mode if exact or entry.kind == "file" else 0, entry.digest, entry.owner)
        for name, entry in sorted(below(tree, path).items())
        if exact or name or entry.kind != "folder"
    ]
    return digest(*rows)


def is_linked(tree: Tree, path: str) -> bool:
    """Return whether a path is a link, or leads through one."""
    return any(one in tree and tree[one].kind == "link" for one in (*parents(path), path))


def match(tree: Tree, pattern: str) -> list[str]:
    """Return the paths that a source of COPY names, wildcards read as BuildKit does."""
    pattern = clean(pattern)
    if not re.search(r"[*?\[\\]", pattern):
        return [pattern] if pattern in tree or not pattern else []
    known = _wildcards(pattern)
    return sorted(path for path in tree if known.fullmatch(path))


def is_ignored(path: str, patterns: Sequence[str]) -> bool:
    """Return whether a path is kept from the engine by the patterns of `.dockerignore`; the last that fits counts."""
    return _ignored(path, tuple(patterns))[0]


@lru_cache(maxsize=4096)
def _ignored(path: str, patterns: tuple[str, ...]) -> tuple[bool, tuple[bool, ...]]:
    """Return whether a path is ignored, and which of the patterns fit it or a folder that it is in."""
    folder = posixpath.dirname(path)
    fits = [*_ignored(folder, patterns)[1]] if folder else [False] * len(patterns)
    ignored = False
    for index, pattern in enumerate(patterns):
        negated = pattern.startswith("!")
        # The engine looks at a pattern only where it would change something: what brings back a folder that was not
        # ignored brings back nothing in it.
        if not fits[index] and negated == ignored:
            fits[index] = _fits(pattern.removeprefix("!"), path)
        if fits[index]:
            ignored = not negated
    return ignored, tuple(fits)


def ignore_patterns(text: str) -> tuple[str, ...]:
    """Return the patterns of a `.dockerignore`'s text."""
    found = []
    for line in text.removeprefix("\ufeff").splitlines():
        pattern = line if not line.startswith("#") else ""
        pattern = pattern.strip()
        if not pattern:
            continue
        sign = "!" if pattern.startswith("!") else ""
        # Only an absolute one has no way out of the folder: `../docs` fits nothing.
        pattern = posixpath.normpath(re.sub("^/+", "/", pattern.removeprefix("!").strip()))
        found.append(sign + (pattern.removeprefix("/") or "/"))
    return tuple(found)


def copied(
    tree: Tree, chosen: Iterable[tuple[str, Tree]], target: str, *, mode: int | None, owner: str
) -> dict[str, Entry] | None:
    """Return a tree after a COPY into it, None where that is better left to the engine.

    Args:
        tree: what was there.
        chosen: each source's path and the files at and under it, as `below` returns them.
        target: the absolute destination, with a slash at its end where it has one.
        mode: what --chmod says.
        owner: what --chown says.
    """
    result = dict(tree)
    sources = list(chosen)
    place = clean(target)
    for path, found in sources:
        root = found.get("")
        if root is not None and root.kind == "link":
            return None
        is_file = root is not None and root.kind == "file"
        into = target.endswith("/") or len(sources) > 1 or not place or result.get(place, _FOLDER).kind != "file"
        if is_file and place not in result and not target.endswith("/") and len(sources) == 1 and place:
            into = False
        head = f"{place}/{posixpath.basename(path)}".strip("/") if is_file and into else place
        for parent in parents(head):
            if result.setdefault(parent, _FOLDER).kind != "folder":
                return None
        for name, entry in found.items():
            spot = f"{head}/{name}".strip("/") if name else head
            former = result.get(spot)
            if former is not None and former.kind != entry.kind:
                return None
            if entry.kind == "folder" and not name:
                if spot:
                    result.setdefault(spot, _FOLDER)
                continue
            given = entry.mode if mode is None else mode
            result[spot] = replace(entry, mode=given, owner=owner or entry.owner)
    return result


_FOLDER = Entry(kind="folder", mode=0o755)


def with_folder(tree: Tree, path: str, owner: str) -> dict[str, Entry]:
    """Return a tree after a WORKDIR."""
    result = dict(tree)
    for parent in [*parents(path), path]:
        result.setdefault(parent, Entry(kind="folder", mode=0o755, owner=owner))
    return result


def parents(path: str) -> list[str]:
    """Return the folders that a path is in, without the root."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: length + 1]) for length in range(len(parts))]


@lru_cache(maxsize=1024)
def _wildcards(pattern: str) -> re.Pattern[str]:
    """Turn a pattern of Go's filepath.Match into a regular expression."""
    return re.compile(_translate(pattern))


def _fits(pattern: str, path: str) -> bool:
    """Return whether a line of `.dockerignore` fits a path itself."""
    rest = pattern.removeprefix("**")
    if rest != pattern and not re.search(r"[*?\[\]\\]", rest):
        return path.endswith(rest) or f"/{path}" == rest
    return bool(_ignore_pattern(pattern).fullmatch(path))


@lru_cache(maxsize=1024)
def _ignore_pattern(pattern: str) -> re.Pattern[str]:
    """Turn a line of `.dockerignore` into a regular expression: `**` is any number of folders, at the end anything."""
    *above, last = re.split(r"\*\*/?", pattern)
    result = "".join(f"{_translate(piece)}(?:.*/)?" for piece in above) + _translate(last)
    if above and not last:
        result = result.removesuffix("(?:.*/)?") + ".*"
    return re.compile(result, re.DOTALL)


def _translate(pattern: str) -> str:
    result = ""
    for piece in re.findall(r"\\.|\[\^?(?:\\.|[^\]\\])+\]|.", pattern, re.DOTALL):
        if piece == "*":
            result += "[^/]*"
        elif piece == "?":
            result += "[^/]"
        elif piece.startswith("[") and len(piece) > 1:
            # Python would have some of these mean more one day.
            result += "[" + re.sub(r"(?<!\\)[\[&|~]", r"\\\g<0>", piece[1:])
        else:
            result += re.escape(piece[-1])
    return result
