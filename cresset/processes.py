"""How a command is ended well, and how one takes this process's place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn

from cresset.errors import CressetError

# What a build that is ended leaves behind.
BUILT = "what was built so far is in the cache"
# What threads follow: Python brings a signal to the main one alone.
_FOLLOWED: set[subprocess.Popen[bytes]] = set()
_ENDING = threading.Event()


@contextmanager
def told_to_end(*, kept: str = "") -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C is treated: docker is told, waited for, and what was done is kept.

    Args:
        kept: what a person may count on then.

    Raises:
        CressetError: one of them came; the exit code is the one that a shell gives it.
    """

    def end(number: int, _: object) -> NoReturn:
        name = signal.Signals(number).name
        raise CressetError(f"ended by {name}", kept, code=128 + number)

    # Under nohup a hangup is ignored, and stays so.
    numbers = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():  # to which alone Python brings signals
        numbers = []
    try:
        for number in numbers:
            signal.signal(number, end)
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def followed(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Follow a process in whatever thread, and cancel it where that is left early or the program is told to end."""
    _FOLLOWED.add(process)
    if _ENDING.is_set():
        process.terminate()
    try:
        with process:
            try:
                yield process
            except BaseException:
                cancel(process)
                raise
    finally:
        _FOLLOWED.discard(process)


def cancel_others() -> None:
    """Tell what other threads follow, or begin to, to stop; they wait for it, and see it fail."""
    _ENDING.set()
    for process in _FOLLOWED.copy():
        process.terminate()


def cancel(process: subprocess.Popen[bytes]) -> None:
    """Tell docker to stop and wait until it has: killed, it would leave half done what it is at, or go on in secret."""
    process.terminate()
    while process.stderr and os.read(process.stderr.fileno(), 65536):
        pass
    process.wait()


def begin(
    argv: Sequence[str], environment: Mapping[str, str], *, stdin: int, stdout: int | None = None
) -> subprocess.Popen[bytes]:
    """Begin a command that goes on beside this process, out of reach of a Ctrl-C that is meant for this one.

    Args:
        argv: the command.
        environment: its environment.
        stdin: where it reads, a descriptor or subprocess.PIPE.
        stdout: where it writes; None for where this process does.
    """
    return subprocess.Popen(argv, stdin=stdin, stdout=stdout, env=environment, start_new_session=True)


def wait_with_input(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code of a command that ends when its input does; where this is left early, wait for that."""
    with process:
        try:
            return process.wait()
        except BaseException:
            if process.stdin:
                process.stdin.close()
            process.wait()
            raise


def become(argv: list[str], environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by a command.

    Raises:
        OSError: there is no such program.
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    os.execvpe(argv[0], argv, environment)


def is_alive(number: int) -> bool:
    """Return whether there is a process of that number, whoever's."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
