"""What an image holds, as far as people chose it: packages with their versions, wheels with their checksums."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping

from cresset import family
from cresset.engine import Engine

_LIST = (
    "dpkg-query --show --showformat='apt ${Package} ${Version}\\n' 2> /dev/null; "
    "for python in /opt/venv/bin/python /opt/build/bin/python; do "
    '[ ! -x "$python" ] || "$python" -m pip list --format=freeze 2> /dev/null | sed "s/^/pip /; s/==/ /"; done'
)


def read(engine: Engine, image: str) -> dict[str, str] | None:
    """Return an image's packages and wheels with versions or checksums, None where there is no such image."""
    labels = engine.labels(image)
    if labels is None:
        return None
    if labels.get(family.STAGE) == "dist":
        return wheels(engine.export(image))
    return packages(engine.output_of(image, _LIST))


def packages(text: str) -> dict[str, str]:
    """Return what lines like `apt zsh 5.9` say: `apt zsh` to 5.9."""
    words = [line.split() for line in text.splitlines()]
    return {f"{kind} {name}": version for kind, name, version in (three for three in words if len(three) == 3)}  # noqa: PLR2004


def wheels(archive: bytes) -> dict[str, str]:
    """Return the wheels in a tar archive with the first digits of their SHA-256."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = [(member.name.rsplit("/", 1)[-1], tar.extractfile(member)) for member in tar if member.isfile()]
        return {
            name: hashlib.sha256(file.read()).hexdigest()[:12] for name, file in files if file and name.endswith(".whl")
        }


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return a line for each thing that was added, removed or changed."""
    lines: Iterable[str] = (
        f"{name}: {before.get(name, 'not there')} -> {after.get(name, 'gone')}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )
    return [*lines]
