"""What two builds of an image hold, and how they differ."""

from __future__ import annotations

import io
import tarfile

from cresset import contents


def archive(files: dict[str, bytes]) -> bytes:
    """Return a tar archive as `docker buildx build --output type=tar` gives it, folders included."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        folder = tarfile.TarInfo("tmp/dist/")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return written.getvalue()


def test_packages_of_both_kinds_are_told_apart_and_what_is_none_is_left_out() -> None:
    text = "apt zsh 5.9-4\npip numpy 2.1.0\npip zsh 1.0\n\nWARNING: two words of pip's own\npip lines\n"
    assert contents.packages(text) == {"apt zsh": "5.9-4", "pip numpy": "2.1.0", "pip zsh": "1.0"}


def test_wheels_are_known_by_their_name_and_checksum() -> None:
    files = {"tmp/dist/torch-2.14.1-py3-none-any.whl": b"a", "tmp/dist/readme": b"b"}
    assert contents.wheels(archive(files)) == {"torch-2.14.1-py3-none-any.whl": "ca978112ca1b"}
    assert contents.wheels(archive({})) == {}


def test_a_difference_is_a_line_and_no_difference_is_none() -> None:
    before = {"apt git": "1", "apt zsh": "5.9", "pip tqdm": "4"}
    after = {"apt git": "2", "apt zsh": "5.9", "pip numpy": "2"}
    assert contents.differences(before, after) == [
        "apt git: 1 -> 2",
        "pip numpy: not there -> 2",
        "pip tqdm: 4 -> gone",
    ]
    assert contents.differences(before, before) == []
