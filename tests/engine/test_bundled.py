"""Wheels that were compiled here load where the distribution's libraries are not."""

from __future__ import annotations

import hashlib
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.checkout import ROOT, Checkout, run
from tests.engine.stand_in import write

# What the test's wheel is made of, in the image with the compilers. `far` needs `near`, a chain; torch's own library
# and CUDA's stay outside, whatever these need themselves.
MAKE = """
set -eu
cd /mnt
system=/usr/lib/$(c++ -dumpmachine | sed 's/unknown-//')
echo 'int near() { return 42; }' | cc -shared -fPIC -o $system/libnear.so -x c -
echo 'int near(); int far() { return near(); }' | cc -shared -fPIC -o $system/libfar.so -x c - -L$system -lnear
echo 'int torch() { return 1; }' | cc -shared -fPIC -o $system/libtorch_cpu.so -x c -
echo 'int near(); int cuda() { return near(); }' | cc -shared -fPIC -o $system/libcudart.so.13 -x c - -lnear
ln -s libcudart.so.13 $system/libcudart.so

mkdir -p tree/full/lib tree/full/deep tree/plain
extension() { # VALUE OUT OPTIONS
    echo "extern \\"C\\" int $1; extern \\"C\\" int value() { return $1; }" \\
        | cc -shared -fPIC -o "$2" -x c++ - -Wl,--no-as-needed $3 -lstdc++
}
extension 'far()' tree/full/_far.so -lfar
extension 'omp_get_max_threads()' tree/full/lib/libown.so -lgomp
extension 'omp_get_max_threads()' tree/full/deep/_first.so -lgomp
extension 'omp_get_max_threads()' tree/full/deep/_second.so -lgomp
extension 'near()' tree/_top.so -lnear
patchelf --set-rpath /nowhere tree/full/deep/_second.so
extension 'torch()' tree/plain/_torch.so "-ltorch_cpu -lcudart"
printf '#!/bin/sh\\n' > tree/plain/not.so.sh
for name in full plain; do
    mkdir -p only/$name/$name-1.0.dist-info
    cp -r tree/$name only/$name/
    printf 'Metadata-Version: 2.1\\nName: %s\\nVersion: 1.0\\n' $name > only/$name/$name-1.0.dist-info/METADATA
    printf 'Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: py3-none-any\\n' > only/$name/$name-1.0.dist-info/WHEEL
done
cp tree/_top.so only/full/
export SOURCE_DATE_EPOCH=315532800
for name in full plain; do
    python -m wheel pack --dest-dir wheels only/$name
    python /bundle.py wheels/$name-1.0-py3-none-any.whl once
    sleep 2
    python /bundle.py wheels/$name-1.0-py3-none-any.whl twice
done
python -m wheel unpack --dest unpacked once/full-1.0-py3-none-any.whl
for file in $(cd unpacked/full-1.0 && find . -name '*.so*' | sort); do
    echo "$file $(patchelf --print-rpath unpacked/full-1.0/$file)"
done > paths
"""
LOAD = """
import ctypes, glob
for file in sorted(glob.glob("/opt/venv/lib/python*/site-packages/full/**/*.so*", recursive=True)):
    ctypes.CDLL(file)
site = glob.glob("/opt/venv/lib/python*/site-packages")[0]
print(ctypes.CDLL(f"{site}/full/_far.so").value(), ctypes.CDLL(f"{site}/_top.so").value())
"""


@pytest.fixture(scope="module")
def work(clone: Callable[[], Checkout], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the wheels as they were made (`wheels`), and with their libraries (`once`, `twice`)."""
    folder = tmp_path_factory.mktemp("bundled")
    for name in ("wheels", "once", "twice"):
        (folder / name).mkdir()
    write(folder, {"make": MAKE})
    image = f"cresset-test-install:{uuid.uuid4().hex[:8]}"
    clone().invoke("build-install", f"--install-name={image}")
    bundle = ROOT / "misc" / "image" / "bundle-libraries.py"
    mounts = (f"--volume={folder}:/mnt", f"--volume={bundle}:/bundle.py:ro", "--env=PATH=/opt/build/bin:/usr/bin:/bin")
    try:
        run(["docker", "run", "--rm", *mounts, image, "bash", "/mnt/make"])
        yield folder
    finally:
        run(["docker", "image", "rm", "--force", image], check=False)


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".so" in name}


def test_what_is_missing_is_copied_beside_what_needs_it_and_nothing_else(work: Path) -> None:
    before, after = (names(work / place / "full-1.0-py3-none-any.whl") for place in ("wheels", "once"))
    assert after - before == {
        "full.libs/libnear.so",
        "full/deep/libgomp.so.1",
        "full/lib/libfar.so",
        "full/lib/libgomp.so.1",
        "full/lib/libnear.so",
    }
    paths = dict(line.split() for line in (work / "paths").read_text().splitlines())
    assert paths == {
        "./_top.so": "$ORIGIN/full.libs",
        "./full.libs/libnear.so": "$ORIGIN",
        "./full/_far.so": "$ORIGIN/lib",
        "./full/deep/_first.so": "$ORIGIN",
        "./full/deep/_second.so": "$ORIGIN:/nowhere",
        "./full/deep/libgomp.so.1": "$ORIGIN",
        "./full/lib/libfar.so": "$ORIGIN",
        "./full/lib/libgomp.so.1": "$ORIGIN",
        "./full/lib/libnear.so": "$ORIGIN",
        "./full/lib/libown.so": "$ORIGIN",
    }


def test_it_loads_in_an_image_without_those_libraries(work: Path, built: Checkout) -> None:
    mount = f"--volume={work}:/mnt:ro"
    install = "pip install --quiet --no-index --no-deps /mnt/{}/full-1.0-py3-none-any.whl && python -c '{}'"
    for place, code in (("wheels", 1), ("once", 0)):
        command = ["bash", "-c", install.format(place, LOAD.replace("'", '"'))]
        done = run(["docker", "run", "--rm", "--user=0", mount, built.image, *command], check=False)
        assert done.code == code, done.out
    assert done.lines[-1] == "42 42"


def test_a_wheel_that_lacks_nothing_stays_as_it_is(work: Path) -> None:
    assert digest(work / "once/plain-1.0-py3-none-any.whl") == digest(work / "wheels/plain-1.0-py3-none-any.whl")


def test_twice_gives_the_same_bytes(work: Path) -> None:
    assert digest(work / "once/full-1.0-py3-none-any.whl") == digest(work / "twice/full-1.0-py3-none-any.whl")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
