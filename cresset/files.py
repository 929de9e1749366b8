"""The one door to the checkout: reading, writing whole or not at all, and the folder of build records."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cresset.errors import CressetError

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / ".cresset" / "builds"


def read(name: str) -> str | None:
    """Return the text of a file of the checkout, None where there is none.

    Raises:
        CressetError: it is a folder, unreadable, or not UTF-8.
    """
    path = ROOT / name
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise CressetError(f"{name} is a folder, not a file", f"move it away: mv {name} {name}.old") from None
    except UnicodeDecodeError as error:
        raise CressetError(f"{name} is not UTF-8 (byte {error.start})", f"convert it: iconv -t UTF-8 {name}") from None
    except OSError as error:
        raise CressetError(f"{name} cannot be read: {error.strerror}", f"see `ls -l {name}`") from None


def require(name: str) -> str:
    """Return the text of a file that the checkout cannot do without.

    Raises:
        CressetError: it is missing or unreadable.
    """
    text = read(name)
    if text is None:
        raise CressetError(f"{name} is missing", f"bring it back: git checkout -- {name}")
    return text


def write(name: str, text: str, *, mode: int = 0o644) -> None:
    """Write a file of the checkout whole or not at all; the mode is that of a file made anew.

    Raises:
        CressetError: the checkout cannot be written or the disk is full; what was there is untouched.
    """
    path = (ROOT / name).resolve()
    temporary = ""
    try:
        if path.exists():
            mode = path.stat().st_mode & 0o777
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".cresset-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise CressetError(f"{name} cannot be written: {error.strerror}", f"see `ls -ld {path.parent}`") from None


def kind(path: str) -> str:
    """Return `file` or `folder`, empty for neither; a relative path begins at the checkout."""
    place = (ROOT / path).expanduser()
    return "file" if place.is_file() else "folder" if place.is_dir() else ""


def new_record(name: str) -> Path | None:
    """Return the path of a build record to write, None where the checkout cannot be written."""
    try:
        RECORDS.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return RECORDS / name if os.access(RECORDS, os.W_OK) else None


def process_number() -> int:
    """Return this process's number, to tell its files from another's."""
    return os.getpid()
