"""What is taken out of images: the wheels."""

from __future__ import annotations

import errno
import hashlib
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from cresset import build as builds
from cresset import files
from cresset.bake import Product
from cresset.configuration import Configuration
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.screen.display import Mode
from cresset.versions import wheels as wheel_names

SUMS = "SHA256SUMS"


def wheels(
    resolved: Configuration,
    engine: Engine,
    *,
    dest: str,
    console: Console,
    mode: Mode = "auto",
    force: bool = False,
) -> None:
    """Put the wheels of the configuration into a folder of the host, with their checksums.

    Args:
        resolved: the configuration.
        engine: where they are built or cached.
        dest: the folder; a relative one begins at the checkout.
        console: where it is said how to install them.
        mode: as for `build.build`.
        force: go past what is known to fail.

    Raises:
        CressetError: the build failed, or the folder cannot be written.
    """
    if not dest.strip():
        raise CressetError("--dest: no folder is named", "leave it out for dist/")
    place = files.place(dest)
    if engine.dry_run:
        product = Product(name="the wheels", target="dist", folder=str(place))
        builds.build(resolved, engine, console=console, mode=mode, product=product, force=force)
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=".cresset-") as folder:
            product = Product(name="the wheels", target="dist", folder=folder)
            builds.build(resolved, engine, console=console, mode=mode, product=product, force=force)
            found = sorted(Path(folder).rglob("*.whl"))
            names = [wheel.name for wheel in found]
            for name in (SUMS, *names):
                if (place / name).is_dir():
                    raise IsADirectoryError(errno.EISDIR, f"{name} in it is a folder")
            for wheel in found:
                wheel.replace(place / wheel.name)
            _remove_former(place, names)
            _write_sums(place, names, Path(folder))
    except CressetError:
        with suppress(OSError):
            place.rmdir()  # if there was nothing in it before either
        raise
    except OSError as error:
        raise CressetError(f"{dest} cannot be written: {error.strerror}", "name another folder: --dest DIR") from None
    _tell(resolved, place, names, console=console)


def _remove_former(place: Path, names: list[str]) -> None:
    """Remove what an earlier call put there of the same packages for the same Python: pip would be asked for both."""
    new = {(wheel.name, wheel.pythons) for wheel in wheel_names.read(names)}
    for name in set(_sums(place)) - set(names):
        if any((wheel.name, wheel.pythons) in new for wheel in wheel_names.read([name])):
            (place / name).unlink(missing_ok=True)


def _sums(place: Path) -> dict[str, str]:
    """Return the checksums that are written there, by file."""
    file = place / SUMS
    # A person may have written there; what is no checksum is not kept.
    before = file.read_text(errors="replace") if file.exists() else ""
    return {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})  ([^/\n]+)$", before, re.MULTILINE)}


def _write_sums(place: Path, names: list[str], scratch: Path) -> None:
    """Write the checksums as `sha256sum --check` reads them, those of wheels that were there before kept."""
    lines = _sums(place) | {name: _sum(place / name) for name in names}
    kept = {name: digest for name, digest in sorted(lines.items()) if (place / name).exists()}
    (scratch / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in kept.items()))
    # Whole or not at all, and never through a link.
    (scratch / SUMS).replace(place / SUMS)


def _sum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _tell(resolved: Configuration, place: Path, names: list[str], *, console: Console) -> None:
    for name in names:
        console.print(f"  {name}  {(place / name).stat().st_size / 1e6:.1f} MB", markup=False)
    needs = [f"Python {'.'.join(resolved['PYTHON_VERSION'].split('.')[:2])}", "Linux on this kind of processor"]
    if glibc := newest_glibc([place / name for name in names]):
        needs.append(f"glibc {glibc} or newer")
    if resolved["USE_CUDA"] == "1":
        cuda = ".".join(resolved["CUDA_VERSION"].split(".")[:2])
        bundled = (
            "which pip brings along" if resolved["BUILD_MODE"] == "exclude" else f"as in {resolved['BUILD_IMAGE']}"
        )
        needs.append(f"the libraries of CUDA {cuda}, cuDNN and NCCL, {bundled}")
    console.print(f"To install them anywhere: pip install {place}/*.whl", markup=False, soft_wrap=True)
    console.print(f"What they need there: {'; '.join(needs)}.", markup=False, soft_wrap=True)


def newest_glibc(wheels: list[Path]) -> str:
    """Return the newest version of glibc whose symbols the libraries in wheels use; empty for none."""
    versions = {
        tuple(map(int, version.split(b".")))
        for wheel in wheels
        for library in _libraries(wheel)
        for version in re.findall(rb"GLIBC_(2\.\d+)", library)
    }
    return ".".join(map(str, max(versions))) if versions else ""


def _libraries(wheel: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(wheel) as archive:
        yield from (archive.read(name) for name in archive.namelist() if ".so" in name)
