#!/usr/bin/env python3
"""bundle-libraries.py WHEEL OUT: write the wheel to OUT with the libraries that its own need, and no more.

A compiled PyTorch needs libgomp, OpenBLAS and their like, which a small image or another host lacks. They go where
the loader looks first, into the folder of the libraries that need them, as in the official wheels. Left outside are
the C and C++ runtimes, which are everywhere, and CUDA, cuDNN, NCCL and the driver, which base image or host have.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OUTSIDE = re.compile(
    r"lib(c|m|mvec|dl|rt|pthread|resolv|util|gcc_s|stdc\+\+|cuda|cudart|cudnn.*|cudss.*|cublas.*|cufft.*|cufile.*|cupti|curand"
    r"|cusolver.*|cusparse.*|nccl|nv.*|torch.*|c10.*|caffe2.*|shm|python3.*)\.so.*|ld-linux.*"
)


def output_of(*command: str | Path) -> str:
    """Return what a command prints; nothing where it fails, as ldd does with what is no library."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def needed(library: Path, tree: Path) -> dict[str, Path]:
    """Return what a library of a package's tree takes from this system, and what that needs itself: name to path."""
    where = dict(re.findall(r"^\s+(\S+) => (/\S+)", output_of("ldd", library), re.MULTILINE))
    found: dict[str, Path] = {}
    pending = [library]
    while pending:
        # Step by step: what a library that stays outside needs stays outside too.
        for name in output_of("patchelf", "--print-needed", pending.pop()).split():
            path = Path(where.get(name, tree / name))
            if name not in found and tree not in path.parents and not OUTSIDE.fullmatch(name):
                found[name] = path
                pending.append(path)
    return found


def add_to_search_path(library: Path, folder: str) -> None:
    """Make a library look into a folder, which begins at its own place, before all others."""
    folders = output_of("patchelf", "--print-rpath", library).strip().split(":")
    if folder not in folders:
        joined = ":".join(filter(None, [folder, *folders]))
        subprocess.run(["patchelf", "--set-rpath", joined, library], check=True)


def bundle(tree: Path, name: str) -> list[str]:
    """Copy into a package's tree what its libraries lack, and let them find it; return the names."""
    copied: set[str] = set()
    for library in sorted(path for path in tree.rglob("*.so*") if path.is_file()):
        folder = library.parent
        # What lies beside no package would be everybody's.
        home = tree / f"{name}.libs" if folder == tree else folder / "lib" if (folder / "lib").is_dir() else folder
        lacks = needed(library, tree)
        for wanted, path in sorted(lacks.items()):
            home.mkdir(exist_ok=True)
            if not (home / wanted).exists():
                shutil.copy(path, home / wanted)
                subprocess.run(["patchelf", "--set-rpath", "$ORIGIN", home / wanted], check=True)
                copied.add(wanted)
        if lacks:
            add_to_search_path(library, "/".join(["$ORIGIN", *home.relative_to(folder).parts]))
    return sorted(copied)


wheel, out = sys.argv[1:]
with tempfile.TemporaryDirectory() as work:
    subprocess.run(
        [sys.executable, "-m", "wheel", "unpack", "--dest", work, wheel], check=True, stdout=subprocess.DEVNULL
    )
    (tree,) = Path(work).iterdir()
    names = bundle(tree, Path(wheel).name.split("-")[0])
    if names:
        print(f"{Path(wheel).name}: with {', '.join(names)} inside")
        subprocess.run(
            [sys.executable, "-m", "wheel", "pack", "--dest-dir", out, tree], check=True, stdout=subprocess.DEVNULL
        )
    else:
        shutil.copy(wheel, out)
