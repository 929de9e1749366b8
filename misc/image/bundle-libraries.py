#!/usr/bin/env python3
"""bundle-libraries.py WHEEL OUT: write the wheel to OUT with the libraries that its own need, and no more.

A compiled PyTorch needs libgomp, OpenBLAS and their like, which a small image or another host lacks. They go where
the loader looks first, into the folder of the libraries that need them, as in the official wheels. Left outside are
the C and C++ runtimes, which are everywhere, and CUDA, cuDNN, NCCL and the driver, which base image or host have.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OUTSIDE = re.compile(
    r"(ld-linux.*|lib(c|m|dl|rt|pthread|util|gcc_s|stdc\+\+|cuda|cudart|cudnn.*|cublas.*|cufft.*|curand|cusolver.*"
    r"|cusparse.*|cufile.*|cupti|nvrtc.*|nvJitLink|nvToolsExt|nvjpeg|nccl|nvidia.*|torch.*|c10.*|caffe2.*|shm|python3.*))\.so.*"
)


def missing(library: Path, folder: Path) -> dict[str, str]:
    """Return what a library needs that the wheel has not: name to path on this system."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
    listed = subprocess.run(["ldd", library], capture_output=True, text=True, env=environment, check=False).stdout
    found = re.findall(r"^\s+(\S+) => (/\S+)", listed, re.MULTILINE)
    return {name: path for name, path in found if not OUTSIDE.fullmatch(name) and not path.startswith(str(folder))}


def bundle(tree: Path) -> list[str]:
    """Copy the missing libraries beside those that need them; return their names."""
    copied: list[str] = []
    for folder in sorted({path.parent for path in tree.rglob("*.so*")}):
        # A package's own library folder comes first in the search path of its extensions.
        home = next((place for place in (folder / "lib", folder) if place.is_dir()), folder)
        for library in sorted(folder.glob("*.so*")):
            for name, path in sorted(missing(library, home).items()):
                shutil.copy(path, home / name)
                subprocess.run(["patchelf", "--set-rpath", "$ORIGIN", home / name], check=True)
                copied.append(name)
            if home == folder and copied:
                paths = subprocess.run(
                    ["patchelf", "--print-rpath", library], capture_output=True, text=True, check=True
                )
                if "$ORIGIN" not in paths.stdout.split(":"):
                    joined = ":".join(filter(None, ["$ORIGIN", paths.stdout.strip()]))
                    subprocess.run(["patchelf", "--set-rpath", joined, library], check=True)
    return sorted(set(copied))


wheel, out = sys.argv[1:]
with tempfile.TemporaryDirectory() as work:
    subprocess.run(
        [sys.executable, "-m", "wheel", "unpack", "--dest", work, wheel], check=True, stdout=subprocess.DEVNULL
    )
    (tree,) = Path(work).iterdir()
    names = bundle(tree)
    if names:
        print(f"{Path(wheel).name}: with {', '.join(names)} inside")
        subprocess.run(
            [sys.executable, "-m", "wheel", "pack", "--dest-dir", out, tree], check=True, stdout=subprocess.DEVNULL
        )
    else:
        shutil.copy(wheel, out)
