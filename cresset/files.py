"""The one door to the checkout: reading, writing whole or not at all, and the folder of build records."""

from __future__ import annotations

import fcntl
import itertools
import os
import shlex
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cresset.errors import CressetError

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / ".cresset" / "builds"


def read(name: str) -> str | None:
    """Return the text of a file of the checkout, None where there is none.

    Raises:
        CressetError: it is a folder or a device, unreadable, or not UTF-8.
    """
    path = ROOT / name
    try:
        # A pipe would be waited for, and a device is nothing to be replaced.
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise CressetError(f"{name} is no ordinary file", f"move it away: mv {name} {name}.old")
        # Windows editors begin with a mark, which Compose passes over too; line ends stay as they are.
        with path.open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise CressetError(f"{name} is a folder, not a file", f"move it away: mv {name} {name}.old") from None
    except UnicodeDecodeError as error:
        raise _not_utf8(name, error) from None
    except OSError as error:
        raise CressetError(f"{name} cannot be read: {error.strerror}", f"see `ls -l {name}`") from None


def _not_utf8(name: str, error: UnicodeDecodeError) -> CressetError:
    """Return what to tell a person whose file another encoding wrote: its name, and a command that keeps its mode."""
    is_utf16 = error.object.startswith((b"\xff\xfe", b"\xfe\xff"))
    number = error.object.count(b"\n", 0, error.start) + 1
    place = name if is_utf16 else f"{name}:{number}"
    old, new = shlex.quote(name), shlex.quote(f"{name}.new")
    convert = f"iconv -f {'UTF-16' if is_utf16 else 'LATIN1'} -t UTF-8 {old} > {new} && cp {new} {old} && rm {new}"
    return CressetError(f"{place} is not UTF-8", f"convert it: {convert}")


def require(name: str) -> str:
    """Return the text of a file that the checkout cannot do without.

    Raises:
        CressetError: it is missing or unreadable.
    """
    text = read(name)
    if text is None:
        raise CressetError(f"{name} is missing", f"bring it back: git checkout -- {name}")
    return text


def write(name: str, text: str, *, former: str | None, mode: int = 0o644) -> None:
    """Write a file of the checkout whole or not at all.

    Args:
        name: the file.
        text: its new text.
        former: what `read` returned before; a file that has changed since is somebody else's work.
        mode: the mode of a file made anew.

    Raises:
        CressetError: the file has changed meanwhile, the checkout cannot be written or the disk is full; what was there
            is untouched.
    """
    path = (ROOT / name).resolve()
    temporary: Path | None = None
    try:
        if path.exists():
            mode = path.stat().st_mode & 0o777
        descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=".cresset-")
        temporary = Path(made)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if former is not None:
            _keep_owner(temporary, path.stat())
        temporary.chmod(mode)
        if read(name) != former:
            raise CressetError(f"{name} has changed while this was at work", "look at it, then run this again")
        if former is None:
            _place(temporary, path)
        else:
            temporary.replace(path)
    except FileExistsError:
        raise CressetError(f"{name} has appeared while this was at work", "look at it, then run this again") from None
    except OSError as error:
        raise CressetError(f"{name} cannot be written: {error.strerror}", f"see `ls -ld {path.parent}`") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def keep(name: str, text: str) -> None:
    """Write what is good to have another time; where that cannot be, it is not kept."""
    with suppress(OSError, CressetError):
        (ROOT / name).parent.mkdir(exist_ok=True)
        write(name, text, former=read(name))


def _keep_owner(temporary: Path, former: os.stat_result) -> None:
    """Give a file the group and the owner of the one that it replaces, as far as this account may."""
    for owner in ((-1, former.st_gid), (former.st_uid, -1)):
        with suppress(PermissionError):
            os.chown(temporary, *owner)


def _place(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)  # unlike a renaming, it fails where a file has appeared in the meantime
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        temporary.replace(path)


@contextmanager
def turn(name: str) -> Iterator[None]:
    """Wait until no other task of this checkout does what only one can do at a time.

    The lock goes with the process that holds it, however it ends. Where none can be had, there is none.
    """
    try:
        (ROOT / ".cresset").mkdir(exist_ok=True)
        file = (ROOT / ".cresset" / f"{name}.lock").open("w")
    except OSError:
        yield
        return
    with file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def has_utf8_path() -> bool:
    """Return whether the checkout lies where docker can find it."""
    try:
        return bool(str(ROOT).encode())
    except UnicodeEncodeError:
        return False


def place(path: str) -> Path:
    """Return where a path is that a person wrote: a relative one begins at the checkout, `~` is their home.

    Raises:
        CressetError: there is no such home.
    """
    try:
        return ROOT / Path(path).expanduser()
    except RuntimeError:
        raise CressetError(f"{path}: there is no such home", "write the whole path") from None


def is_missing(path: str) -> bool:
    """Return whether nothing is at a path, as far as this account can see."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def kind(path: str) -> str:
    """Return `file` or `folder`, empty for neither; a relative path begins at the checkout, `~` is the person's home.

    Raises:
        CressetError: this account may not look there, or the path is none.
    """
    try:
        mode = (ROOT / Path(path).expanduser()).stat().st_mode
    except (FileNotFoundError, NotADirectoryError, RuntimeError, ValueError):  # no such home; a zero in the path
        return ""
    except OSError as error:
        raise CressetError(f"{path} cannot be looked into: {error.strerror}", "name another, or leave it out") from None
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else ""


def is_here(path: str) -> bool:
    """Return whether there is a file or a folder, as far as this account can see."""
    try:
        return bool(kind(path))
    except CressetError:
        return False


def is_linked_elsewhere(name: str) -> bool:
    """Return whether what is read under a name of the checkout lies in another folder."""
    return (ROOT / name).resolve().parent != (ROOT / name).parent


def make_folder(path: str) -> bool:
    """Make a folder of the host with the folders above it, and return whether there is a new one of this person's.

    Raises:
        CressetError: it cannot be made.
    """
    try:
        Path(path).mkdir(parents=True)
    except FileExistsError:  # a socket or a device, or made by somebody else in the meantime
        return False
    except OSError as error:
        raise CressetError(
            f"{path} is not there and cannot be made: {error.strerror}",
            f'name another, or make it: sudo install -d -o "$USER" {shlex.quote(path)}',
        ) from None
    return True


def folders(path: str) -> frozenset[str]:
    """Return the names of the folders in a folder."""
    folder = place(path)
    return frozenset(child.name for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else frozenset()


def links(path: str) -> frozenset[str]:
    """Return the names of the links and of what else is no folder in a folder."""
    folder = place(path)
    found = folder.iterdir() if folder.is_dir() else ()
    return frozenset(child.name for child in found if child.is_symlink() or not child.is_dir())


def new_record(stem: str) -> Path | None:
    """Make an empty build record and return its path, None where the checkout cannot be written."""
    # Two builds may begin in one second, of two processes or of one: `all`, `matrix`.
    for number in itertools.count():
        path = RECORDS / f"{stem}-{os.getpid()}{f'-{number}' if number else ''}.jsonl"
        try:
            RECORDS.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            continue
        except OSError:
            return None
        return path
    return None
