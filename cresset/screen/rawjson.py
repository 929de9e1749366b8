"""The stream of `docker buildx bake --progress=rawjson`: take it apart, and keep it on disk.

BuildKit's events come on stderr, mixed with plain text: warnings, errors, an excerpt of the Dockerfile.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Event = dict[str, Any]

_KINDS = {"vertexes", "statuses", "logs", "warnings"}


class Decoder:
    """Splits the stream into events and plain lines, wherever its chunks begin and end.

    Buildx 0.13 prints an object over many lines, its own brackets at the margin; Buildx 0.29 prints one a line.
    """

    def __init__(self) -> None:
        self._rest = b""  # a line without its end
        self._held: list[str] = []  # an object without its end

    def feed(self, chunk: bytes) -> list[Event | str]:
        """Return what the chunk completes: events as dictionaries, other lines as they are."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [item for line in lines for item in self._take(line.decode(errors="replace").removesuffix("\r"))]

    def close(self) -> list[Event | str]:
        """Return what is left at the end of the stream."""
        items = self.feed(b"\n") if self._rest else []
        held, self._held = self._held, []
        return [*items, *held]

    def _take(self, line: str) -> list[Event | str]:
        if self._held and line.startswith(" "):
            self._held.append(line)
            return []
        held, self._held = self._held, []
        if held and line == "}":
            return _parse([*held, line])
        if line == "{":
            self._held = [line]
            return [*held]
        return [*held, *_parse([line])]


def _parse(lines: list[str]) -> list[Event | str]:
    """Return the one event that the lines are, or the lines: an error message may well contain JSON."""
    if lines[0].startswith("{"):
        with suppress(ValueError):
            event: Event = json.loads("\n".join(lines))
            if not event or event.keys() & _KINDS:
                return [event]
    return [*lines]


class LineFile:
    """A private file that grows by whole lines.

    Each line reaches the kernel at once: `kill -9` costs at most the last. A full disk ends the file, not the build:
    `problem` then says why.
    """

    def __init__(self, path: Path) -> None:
        self.problem = ""
        self._path = path
        self._file: IO[str] | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Logs may hold what only this person should read.
            path.touch(mode=0o600)
            self._file = path.open("w", buffering=1, encoding="utf-8")
        except OSError as error:
            self.problem = str(error)

    def append(self, line: str) -> None:
        """Append a line; a closed file is opened again."""
        if self.problem:
            return
        try:
            self._file = self._file or self._path.open("a", buffering=1, encoding="utf-8")
            self._file.write(line + "\n")
        except OSError as error:
            self.problem = str(error)

    def close(self) -> None:
        """Close the file; call it as often as you like."""
        if self._file:
            with suppress(OSError):
                self._file.close()
        self._file = None


class Recorder(LineFile):
    """Writes one JSON object a line: the header, the events and plain lines as they come, then the result.

    One without a result was interrupted.
    """

    def __init__(self, path: Path, header: Mapping[str, object]) -> None:
        super().__init__(path)
        self.write(header)

    def write(self, item: Mapping[str, object] | str) -> None:
        """Append an object, or a plain line as `{"text": line}`."""
        self.append(json.dumps({"text": item} if isinstance(item, str) else item, separators=(",", ":")))


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is kept of one build: its files, and their bytes together."""

    paths: tuple[Path, ...]
    size: int


def records(folder: Path) -> list[Record]:
    """Return what a folder keeps of builds, the newest first; what cannot be read is passed over."""
    found: dict[str, list[tuple[int, Path, int]]] = {}
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                if path.suffix in {".jsonl", ".log"} and path.is_file() and not path.is_symlink():
                    stat = path.stat()
                    found.setdefault(path.stem, []).append((stat.st_mtime_ns, path, stat.st_size))
    newest_first = sorted(((max(files)[0], stem, files) for stem, files in found.items()), reverse=True)
    return [
        Record(paths=tuple(sorted(path for _, path, _ in files)), size=sum(size for _, _, size in files))
        for _, _, files in newest_first
    ]


def prune_records(folder: Path, *, keep: int = 30, limit: int = 64 * 2**20) -> None:
    """Delete the records of the oldest builds: beyond `keep` of them, or `limit` bytes in all.

    The newest stays whatever its size. What cannot be read or deleted stays too: a record is no reason to fail.
    """
    size = 0
    for count, record in enumerate(records(folder)):
        size += record.size
        if count and (count >= keep or size > limit):
            for path in record.paths:
                with suppress(OSError):
                    path.unlink()
