"""The folders of the host that a build reads, looked at as BuildKit would."""

from __future__ import annotations

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


class DiskFolder:
    """A folder of the host; its `.dockerignore` is obeyed.

    Args:
        root: the folder.
        name: how a person calls it; empty for the checkout.
        dockerfile: the Dockerfile's name, which may have an ignore file of its own.
        memory: what large files contained.
    """

    def __init__(self, root: Path, *, name: str = "", dockerfile: str = "Dockerfile", memory: Memory) -> None:
        self._root = root
        self.name = name
        self._memory = memory
        own = root / f"{dockerfile}.dockerignore"
        text = ""
        with suppress(OSError):
            text = (own if own.is_file() else root / ".dockerignore").read_text(encoding="utf-8", errors="replace")
        self._ignored = ignore_patterns(text)
        self._found: dict[str, Tree] = {}

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

    def _mode(self, path: str) -> int | None:
        with suppress(OSError):
            return self._modes.get(path) or stat.S_IMODE((self._root / path).stat().st_mode)
        return None

    def _began(self, found: Mapping[str, Entry]) -> int:
        """Return whether the engine had nothing but an empty folder first: only then does that folder itself count."""
        return self._modes.get("", int(not found))

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
        place = self._root / path if path else self._root
        try:
            status = place.lstat()
        except OSError:
            return
        if path and stat.S_ISLNK(status.st_mode) and is_source and (real := self._inside(place)):
            place, status = real, real.stat()  # a source that is a link is followed, those below it are not
        if stat.S_ISDIR(status.st_mode):
            if path and self._is_closed(path):
                return
            before = len(found)
            with suppress(OSError):
                for child in sorted(place.iterdir()):
                    self._walk(f"{path}/{child.name}".strip("/"), found)
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
                found[path] = Entry(kind="file", mode=mode, digest=content, origin=origin)

    def _is_closed(self, path: str) -> bool:
        """Return whether all in a folder is ignored, so that it need not be looked through."""
        if not is_ignored(path, self._ignored):
            return False
        kept = [re.split(r"[*?\[]", pattern[1:])[0] for pattern in self._ignored if pattern.startswith("!")]
        return not any(f"{start}/".startswith(f"{path}/") or f"{path}/".startswith(start) for start in kept)

    def _inside(self, place: Path) -> Path | None:
        with suppress(OSError, RuntimeError):
            real = place.resolve(strict=True)
            return real if real.is_relative_to(self._root.resolve()) else None
        return None


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
