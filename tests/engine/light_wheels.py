"""Wheels of a few hundred bytes, where it does not matter what is in them.

A test that asks which steps run, who may write or what a full disk does asks nothing of PyTorch; with the real one it
would unpack, copy and hash a gigabyte for each step that it executes.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.engine.checkout import Checkout


def make_wheel(folder: Path, name: str, version: str, files: dict[str, str] | None = None) -> None:
    """Write the least that is a wheel, for any Python; without other files, a module of its name."""
    stem = f"{name}-{version}"
    root = folder / stem
    info = root / f"{stem}.dist-info"
    info.mkdir(parents=True)
    for path, text in (files or {f"{name}.py": f'__version__ = "{version}"\n'}).items():
        (root / path).write_text(text)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    (info / "RECORD").write_text("")
    shutil.make_archive(str(folder / stem), "zip", root)
    (folder / f"{stem}.zip").rename(folder / f"{stem}-py3-none-any.whl")
    shutil.rmtree(root)


def make_light(folder: Path, checkout: Checkout) -> None:
    """Write a wheel for each package that a checkout asks for by tag."""
    for name, prefix in {"torch": "PYTORCH", "torchvision": "TORCHVISION", "torchaudio": "TORCHAUDIO"}.items():
        if tag := checkout.setting(f"{prefix}_VERSION_TAG"):
            make_wheel(folder, name, tag.removeprefix("v"))
