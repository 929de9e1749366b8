"""Packages that are compiled against the PyTorch of this configuration: reqs/pip-build.requirements.txt."""

from __future__ import annotations

import functools
import http.server
import io
import re
import shutil
import tarfile
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine import stand_in
from tests.engine.checkout import Checkout, run

REQUIREMENTS = "reqs/pip-build.requirements.txt"
GATEWAY_FORMAT = "{{(index .IPAM.Config 0).Gateway}}"

# A source distribution that needs torch while it is built, and a library that small images lack.
SETUP = """
import os
from pathlib import Path
from setuptools import Extension, setup
import torch

assert torch.add(20, 22) == 42
Path("@.py").write_text(f"torch = {torch.__version__!r}\\ncuda = {os.environ['FORCE_CUDA']!r}\\nfrom _@ import add\\n")
extension = Extension("_@", ["@.cpp"], libraries=["gomp"])
setup(name="@", version="1.0", py_modules=["@"], ext_modules=[extension], install_requires=["torch"])
"""
CPP = """
#include <Python.h>

extern "C" int omp_get_max_threads();

static PyObject* sum(PyObject*, PyObject* args) {
    int a, b;
    return PyArg_ParseTuple(args, "ii", &a, &b) ? PyLong_FromLong(a + b + 0 * omp_get_max_threads()) : nullptr;
}

static PyMethodDef methods[] = {{"add", sum, METH_VARARGS, ""}, {nullptr, nullptr, 0, nullptr}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_@", "", -1, methods};
PyMODINIT_FUNC PyInit__@() { return PyModule_Create(&module); }
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, and not a word about it."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which builds find it; nobody has seen that address before."""
    folder = tmp_path_factory.mktemp("served")
    word = uuid.uuid4().hex[:8]
    (folder / word).mkdir()
    server = http.server.ThreadingHTTPServer(("", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gateway = run(["docker", "network", "inspect", "bridge", "--format", GATEWAY_FORMAT]).out.strip()
    yield folder / word, f"http://{gateway}:{server.server_port}/{word}"
    server.shutdown()
    server.server_close()


def source(name: str) -> dict[str, str]:
    """Return the files of a source distribution."""
    information = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    return {
        "setup.py": SETUP.replace("@", name),
        # No compiler cache has seen this one; a comment would not do.
        f"{name}.cpp": f'{CPP.replace("@", name)}extern const char* const mark_{name} = "{uuid.uuid4().hex}";\n',
        "PKG-INFO": information,
    }


def make_archive(path: Path, root: str, files: dict[str, str]) -> None:
    """Write files below a folder of an archive."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{root}{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))


def stages(checkout: Checkout) -> set[str]:
    return {step.split()[0] for step in checkout.executed()}


def in_image(checkout: Checkout, code: str) -> str:
    """Return what a line of Python prints in the checkout's image."""
    return run(["docker", "run", "--rm", checkout.image, "python", "-c", code]).lines[-1]


@pytest.fixture(scope="module")
def stand_ins(clone: Callable[[], Checkout], tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout that compiles the stand-in for PyTorch, and nothing else yet."""
    checkout = clone()
    sources = tmp_path_factory.mktemp("sources")
    stand_in.make(sources / "mirror")
    checkout.set(
        BUILD_MODE="include",
        PYTORCH_VERSION_TAG=stand_in.TAG,
        TORCHVISION_VERSION_TAG="",
        TORCHAUDIO_VERSION_TAG="",
        MKL_MODE="exclude",
        SOURCES=str(sources),
    )
    return checkout


def test_adding_a_package_compiles_that_one_against_the_torch_that_was_compiled(
    stand_ins: Checkout, served: tuple[Path, str]
) -> None:
    folder, address = served
    for name in ("one", "two"):
        make_archive(folder / f"{name}-1.0.tar.gz", f"{name}-1.0/", source(name))
    stand_ins.edit(REQUIREMENTS, f"one @ {address}/one-1.0.tar.gz  # the first")
    stand_ins.invoke("build-only")
    assert in_image(stand_ins, "import one; print(one.torch, one.cuda, one.add(20, 22))") == "2.13.0 0 42"
    assert "with libgomp.so.1 inside" in stand_ins.step_log()
    stand_ins.edit(REQUIREMENTS, f"two @ {address}/two-1.0.tar.gz")
    stand_ins.invoke("build-only")
    assert not stages(stand_ins) & {"clone-torch", "build-base", "preflight", "build-torch"}
    assert f"one @ {address}/one-1.0.tar.gz: made before" in stand_ins.step_log()
    said = [line.split(": ", 1)[1] for line in stand_ins.step_log().splitlines() if line.startswith("two @")]
    assert said == ["compiler cache: 0 of 1 compilations found (hit 0 %)"]
    assert in_image(stand_ins, "import one, two; print(one.add(1, 1), two.add(1, 2))") == "2 3"


def test_lines_of_every_kind(stand_ins: Checkout, served: tuple[Path, str]) -> None:
    folder, address = served
    for name in ("cresset_three", "four"):
        make_archive(folder / f"{name}-1.0.tar.gz", f"{name}-1.0/", source(name))
    # Somebody else's wheel, for another torch, is not taken.
    (folder / "cresset_three-1.0-py3-none-any.whl").write_text("no wheel")
    names = ("cresset_three-1.0.tar.gz", "cresset_three-1.0-py3-none-any.whl")
    (folder / "links.html").write_text("".join(f'<a href="{address}/{name}">{name}</a>' for name in names))
    repository = folder / "five.git"
    repository.mkdir()
    stand_in.git(repository, "init", "--quiet")
    stand_in.write(repository, source("five"))
    stand_in.commit(repository, "v1")
    stand_in.git(repository, "update-server-info")
    kept = (stand_ins.path / REQUIREMENTS).read_text()
    try:
        for line in (
            f"--find-links={address}/links.html",
            f"--trusted-host {address.split('/')[2].split(':')[0]}",
            'cresset_three[extra] >= 1.0 ; \\\n    python_version > "3.0"',
            'never==1.0 ; python_version < "3.0"',
            f"{address}/four-1.0.tar.gz",
            f"five @ git+{address}/five.git/.git@v1",
        ):
            stand_ins.edit(REQUIREMENTS, line)
        stand_ins.invoke("build-only")
        assert (
            in_image(stand_ins, "import cresset_three as t, four, five; print(t.add(four.add(1, 2), five.add(3, 4)))")
            == "10"
        )
    finally:
        (stand_ins.path / REQUIREMENTS).write_text(kept)


def test_what_cannot_be_compiled_is_said_and_what_could_is_kept(stand_ins: Checkout, served: tuple[Path, str]) -> None:
    folder, address = served
    broken = source("broken")
    broken["broken.cpp"] += "#error no luck\n"
    make_archive(folder / "broken-1.0.tar.gz", "broken-1.0/", broken)
    make_archive(folder / "seven-1.0.tar.gz", "seven-1.0/", source("seven"))
    kept = (stand_ins.path / REQUIREMENTS).read_text()
    try:
        stand_ins.edit(REQUIREMENTS, f"seven @ {address}/seven-1.0.tar.gz")
        stand_ins.edit(REQUIREMENTS, f"broken @ {address}/broken-1.0.tar.gz")
        refused = stand_ins.invoke("build-only", check=False)
        assert refused.code != 0
        assert "#error no luck" in refused.out
        (stand_ins.path / REQUIREMENTS).write_text(kept)
        # Written otherwise it is compiled once more, with what the compiler cache has by now.
        for name in ("seven", "seven[more]"):
            stand_ins.edit(REQUIREMENTS, f"{name} @ {address}/seven-1.0.tar.gz")
        stand_ins.invoke("build-only")
        assert "seven-1.0.tar.gz: made before" in stand_ins.step_log()
        assert re.search(r"seven\[more\] @ .*: 1 of 1 compilations found \(hit 100 %\)", stand_ins.step_log())
    finally:
        (stand_ins.path / REQUIREMENTS).write_text(kept)


def test_a_real_package_is_compiled_against_the_real_torch(clone: Callable[[], Checkout]) -> None:
    """The smallest on PyPI that has C++ of torch in it: one file."""
    checkout = clone()
    line = f"torchsort != 0.0.{uuid.uuid4().int % 10**9}"
    checkout.edit(REQUIREMENTS, line)
    checkout.invoke("build-only")
    code = "import torch, torchsort; print(torchsort.soft_rank(torch.tensor([[30.0, 10.0, 20.0]])).tolist())"
    assert in_image(checkout, code) == "[[3.0, 1.0, 2.0]]"
    # Whether the wheels are fetched again for it is up to what the builder has thrown away meanwhile.
    assert "build-extensions" in stages(checkout)
    checkout.edit(REQUIREMENTS, f"# {uuid.uuid4()}")
    checkout.edit("reqs/pip-train.requirements.txt", f"# {uuid.uuid4()}")
    checkout.invoke("build-only")
    assert stages(checkout) & {"pick-extensions", "build-extensions", "make-env"} == {"pick-extensions"}
    assert "train-env" in stages(checkout)


MAGMA = {
    "CMakeLists.txt": """
cmake_minimum_required(VERSION 3.18)
project(magma C)
add_library(magma STATIC magma.c)
install(TARGETS magma ARCHIVE DESTINATION lib)
install(FILES magma.h DESTINATION include)
""",
    "magma.h": "int magma_init(void);\n",
    "magma.c": "int magma_init(void) { return 0; }\n",
}


def torch_values(checkout: Checkout, folder: Path) -> dict[str, str]:
    """Return what the stand-in saw of the environment when it was built."""
    checkout.invoke("wheels", f"--dest={folder}")
    (wheel,) = folder.glob("torch-*.whl")
    shutil.unpack_archive(wheel, folder / "torch", "zip")
    config: dict[str, dict[str, str]] = {}
    exec((folder / "torch" / "torch" / "config.py").read_text(), config)  # noqa: S102 - our own file
    return config["values"]


def test_magma_is_compiled_and_found(clone: Callable[[], Checkout], tmp_path: Path) -> None:
    checkout = clone()
    stand_in.make(tmp_path / "sources" / "mirror")
    stand_in.write(tmp_path / "sources" / "magma", MAGMA)
    checkout.set(
        BUILD_MODE="include",
        PYTORCH_VERSION_TAG=stand_in.TAG,
        TORCHVISION_VERSION_TAG="",
        TORCHAUDIO_VERSION_TAG="",
        MKL_MODE="include",
        MAGMA_MODE="source",
        SOURCES=str(tmp_path / "sources"),
    )
    values = torch_values(checkout, tmp_path / "out")
    assert {name: values.get(name) for name in ("BLAS", "MAGMA_HOME", "USE_CUDA", "USE_MAGMA", "USE_MKL")} == {
        "BLAS": "MKL",
        "MAGMA_HOME": "/opt/magma",
        "USE_CUDA": "0",
        "USE_MAGMA": "1",
        "USE_MKL": "1",
    }
    assert "USE_MAGMA: 1, found /opt/magma/lib/libmagma.a" in checkout.step_log()


def test_magma_is_fetched_and_its_checksum_counts(
    clone: Callable[[], Checkout], served: tuple[Path, str], tmp_path: Path
) -> None:
    folder, address = served
    make_archive(folder / "magma.tar.gz", "", {"include/magma.h": "", "lib/libmagma.a": "!<arch>\n"})
    make_archive(folder / "other.tar.gz", "", {"readme": ""})
    (folder / "page.html").write_text("not found")
    checkout = clone()
    stand_in.make(tmp_path / "sources" / "mirror")
    checkout.set(
        BUILD_MODE="include",
        PYTORCH_VERSION_TAG=stand_in.TAG,
        TORCHVISION_VERSION_TAG="",
        TORCHAUDIO_VERSION_TAG="",
        MKL_MODE="exclude",
        MAGMA_MODE="prebuilt",
        SOURCES=str(tmp_path / "sources"),
    )
    (sum_,) = re.findall(r"^\w{64}", run(["sha256sum", str(folder / "magma.tar.gz")]).out)
    other, page = (
        re.findall(r"^\w{64}", run(["sha256sum", str(folder / name)]).out)[0] for name in ("other.tar.gz", "page.html")
    )
    for url, says in (
        (f"{address}/nothing.tar.gz", "nothing.tar.gz cannot be fetched"),
        (f"{address}/other.tar.gz#sha256={other}", "holds no MAGMA: include/magma.h is missing"),
        (f"{address}/page.html#sha256={page}", "page.html is no archive"),
        (f"{address}/magma.tar.gz", f"to take this archive, set MAGMA_URL={address}/magma.tar.gz#sha256={sum_}"),
        (f"{address}/magma.tar.gz#sha256={64 * '0'}", f"the archive is #sha256={sum_}, which is not what is written"),
    ):
        refused = checkout.invoke("wheels", f"--dest={tmp_path / 'out'}", f"--set=MAGMA_URL={url}", check=False)
        assert refused.code != 0
        (line,) = {line for line in refused.lines if "cresset: MAGMA_URL: " in line}
        assert says in line
    checkout.set(MAGMA_URL=f"'{address}/magma.tar.gz#sha256={sum_}'")
    values = torch_values(checkout, tmp_path / "out")
    assert (values["USE_MAGMA"], values["MAGMA_HOME"]) == ("1", "/opt/magma")
    assert (values["BLAS"], values["USE_MKL"]) == ("OpenBLAS", "0")
    # The same files by another address: nothing is compiled anew.
    checkout.set(MAGMA_URL=f"'{address}/./magma.tar.gz#sha256={sum_}'")
    checkout.invoke("wheels", f"--dest={tmp_path / 'out'}")
    assert stages(checkout) <= {"fetch-magma", "magma-prebuilt"}
