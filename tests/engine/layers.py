"""What an image is made of, file by file: what a later layer removes is still there for whoever has the image."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from collections.abc import Iterator

_PIECE = 1 << 20


def find(image: str, *words: str) -> set[str]:
    """Return those of the words that a saved image contains: in a layer, or in its history, labels and variables."""
    found = set()
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as save:
        with tarfile.open(fileobj=save.stdout, mode="r|") as whole:
            for content in _files(whole):
                found |= _contained(content, words)
        # What is left is padding; a save that waits for a reader would not end.
        assert save.stdout is not None
        while save.stdout.read(_PIECE):
            pass
    assert save.returncode == 0
    return found


def _files(whole: tarfile.TarFile) -> Iterator[io.BufferedReader]:
    for member in whole:
        if member.isfile() and isinstance(content := whole.extractfile(member), io.BufferedReader):
            yield content


def _contained(content: io.BufferedReader, words: tuple[str, ...]) -> set[str]:
    # The containerd store's layers are compressed.
    stream: gzip.GzipFile | io.BufferedReader = (
        gzip.GzipFile(fileobj=content) if content.peek(2)[:2] == b"\x1f\x8b" else content
    )
    found, kept = set(), b""
    while piece := stream.read(_PIECE):
        found |= {word for word in words if word.encode() in kept + piece}
        kept = piece[-max(map(len, words)) :]
    return found
