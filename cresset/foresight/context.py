"""The folders of the host that a build reads, looked at as BuildKit would."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import posixpath
import re
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from cresset import files
from cresset.foresight.tree import Entry, Tree, clean, ignore_patterns, is_ignored, match, parents

# What large files contained when they were last read, by their path and stat.
DIGESTS = ".cresset/digests.json"
_LARGE = 1 << 20  # bytes from which it pays to remember
_SETTLED = 2.0  # seconds after which an edit is sure to have another time
_MANY = 1000  # of them are remembered
_LINKS = 40  # are followed from one source, of which some may lead to another


class DiskFolder:
    """A folder of the host; its `.dockerignore` is obeyed.

    Args:
        root: the folder.
        name: how a person calls it; empty for the checkout.
        dockerfile: the name of the Dockerfile that the folder is the context of: it may have an ignore file of its own.
        memory: what large files contained.
    """

    def __init__(self, root: Path, *, name: str = "", dockerfile: str = "", memory: Memory) -> None:
        self._root = root
        self.name = name
        self._memory = memory
        own = root / f"{dockerfile}.dockerignore"
        text = ""
        with suppress(OSError):
            text = (own if own.is_file() else root / ".dockerignore").read_text(encoding="utf-8", errors="replace")
        self._ignored = ignore_patterns(text)
        self._found: dict[str, Tree] = {}
        self._is_plain = False

    def find(self, pattern: str) -> Tree:
        """Return what a source of COPY names, at and under its paths; what is ignored or cannot be read is left out."""
        if pattern not in self._found:
            self._found[pattern] = self._find(clean(pattern))
        return self._found[pattern]

    def sent(self) -> dict[str, int] | None:
        """Return the modes of all folders that the engine is sent, in whole or in part; None where that is nothing."""
        if not self._found:
            return None
        entries = {path: entry for found in self._found.values() for path, entry in found.items() if path}
        above = {parent for path in entries for parent in parents(path)}
        folders = {path for path, entry in entries.items() if entry.kind == "folder"}
        modes = {path: mode for path in sorted(above | folders) if (mode := self._mode(path)) is not None}
        return {"": self._began(entries), **modes}

    @property
    def _modes(self) -> Mapping[str, int]:
        """The modes of the folders that the engine has; none where it has nothing of this one."""
        return self._memory.modes.get(self.name, {})

    def plain(self) -> DiskFolder:
        """Return the folder with the modes that a checkout has wherever it is made, whatever an engine was sent."""
        folder = copy.copy(self)
        folder._found, folder._is_plain = {}, True  # noqa: SLF001 - its own
        return folder

    def _plain(self, mode: int) -> int:
        return mode if not self._is_plain else 0o755 if mode & stat.S_IXUSR else 0o644

    def _mode(self, path: str) -> int | None:
        if self._is_plain:
            return 0o755
        with suppress(OSError):
            return self._modes.get(path) or stat.S_IMODE((self._root / path).stat().st_mode)
        return None

    def _began(self, found: Mapping[str, Entry]) -> int:
        """Return whether the engine had nothing but an empty folder first: only then does that folder itself count."""
        return 0 if self._is_plain else self._modes.get("", int(not found))

    def _find(self, pattern: str) -> Tree:
        # What stands before the first wildcard need not be searched for.
        head = pattern
        if wild := re.search(r"[*?\[\\]", pattern):
            head = posixpath.dirname(pattern[: wild.start()])
        found: dict[str, Entry] = {}
        self._walk(head, found, is_source=True)
        if not pattern:
            found[""] = Entry(kind="folder", mode=self._began(found))
        if wild:
            chosen = match(found, pattern)
            found = {
                path: entry for path, entry in found.items() if any(f"{path}/".startswith(f"{one}/") for one in chosen)
            }
            for path in chosen:
                if found[path].kind == "link":
                    del found[path]
                    self._walk(path, found, is_source=True)
        return found

    def _walk(self, path: str, found: dict[str, Entry], *, is_source: bool = False) -> None:
        place = self._root / (self._follow(path) if is_source else path)
        self._look(path, place if os.path.lexists(place) else self._root / path, found)

    def _look(self, path: str, place: Path, found: dict[str, Entry]) -> None:
        try:
            status = place.lstat()
        except OSError:
            return
        if stat.S_ISDIR(status.st_mode):
            if path and self._is_closed(path):
                return
            before = len(found)
            with suppress(OSError):
                for child in sorted(place.iterdir()):
                    self._look(f"{path}/{child.name}".strip("/"), child, found)
            # An ignored folder is there if anything in it is not ignored.
            if path and (len(found) > before or not is_ignored(path, self._ignored)):
                found[path] = Entry(
                    kind="folder", mode=self._mode(path) or 0, origin=posixpath.join(self.name, path, "")
                )
            return
        if is_ignored(path, self._ignored):
            return
        origin = posixpath.join(self.name, path)
        mode = stat.S_IMODE(status.st_mode)
        with suppress(OSError):
            if stat.S_ISLNK(status.st_mode):
                found[path] = Entry(kind="link", mode=0o777, digest=str(place.readlink()), origin=origin)
            elif stat.S_ISREG(status.st_mode):
                content = self._memory.digest(place, status)
                found[path] = Entry(kind="file", mode=self._plain(mode), digest=content, origin=origin)
            else:  # a pipe, a socket, a device
                found[path] = Entry(kind="file", mode=mode, digest=str(stat.S_IFMT(status.st_mode)), origin=origin)

    def _follow(self, path: str) -> str:
        """Return where a source of COPY leads: its links are followed, and for them the folder is the root."""
        rest, done, left = path.split("/"), list[str](), _LINKS
        while rest and left:
            part, rest = rest[0], rest[1:]
            if part in {"", "."}:
                continue
            if part == "..":
                done = done[:-1]
                continue
            done.append(part)
            with suppress(OSError):
                target = str((self._root / "/".join(done)).readlink())
                left -= 1
                done = [] if target.startswith("/") else done[:-1]
                rest = [*target.split("/"), *rest]
        return "/".join(done) if left else path

    def _is_closed(self, path: str) -> bool:
        """Return whether all in a folder is ignored, so that it need not be looked through."""
        if not is_ignored(path, self._ignored):
            return False
        kept = [re.split(r"[*?\[]", pattern[1:])[0] for pattern in self._ignored if pattern.startswith("!")]
        return not any(f"{start}/".startswith(f"{path}/") or f"{path}/".startswith(start) for start in kept)


class Memory:
    """What is known of the host's folders from before: what large files contained, so that each is read once.

    Args:
        modes: those of the folders that the engine has, by context. It keeps what it was sent and is sent what differs;
            another mode of a folder that it has counts only after a build for which that folder was not sent.
    """

    def __init__(self, modes: Mapping[str, Mapping[str, int]] = MappingProxyType({})) -> None:
        self.modes = modes
        self._kept: dict[str, list[object]] = {}
        with suppress(OSError, ValueError):
            kept = json.loads((files.ROOT / DIGESTS).read_text())
            self._kept = kept if isinstance(kept, dict) else {}
        self._is_new = False

    def digest(self, path: Path, status: os.stat_result) -> str:
        """Return a name for what a file contains."""
        mark = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        kept = self._kept.get(str(path))
        if isinstance(kept, list) and kept[:-1] == mark:
            return str(kept[-1])
        with path.open("rb") as file:
            summary = hashlib.sha256()
            while chunk := file.read(_LARGE):
                summary.update(chunk)
        found = summary.hexdigest()[:32]
        if status.st_size >= _LARGE and time.time() - status.st_ctime > _SETTLED:
            self._kept[str(path)] = [*mark, found]
            self._is_new = True
        return found

    def keep(self) -> None:
        """Remember for another time."""
        if self._is_new:
            newest = dict(list(self._kept.items())[-_MANY:])
            files.keep(DIGESTS, json.dumps(newest))
