"""Small stand-ins for PyTorch and its companions: git repositories that go through the very stages of the real ones.

They are no PyTorch. What they share with it is what the stages see: a submodule, a C++ extension, a version that the
environment decides, companions that have to import torch while they are built and that pin its version.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

TAG = "v2.13.0"
VISION_TAG = "v0.28.0"
LATER_TAG, LATER_VISION_TAG = "v2.13.99", "v0.28.99"  # each with a module more
AUDIO_TAG = "v2.11.0"

# Of torch: a CMake project that setup.py configures with the variables that PyTorch's own would forward.
_TORCH = """
import os, subprocess, sys
from pathlib import Path
from setuptools import setup
from setuptools.dist import Distribution

commit = open(".git/HEAD").read()[:7]
version = os.environ.get("PYTORCH_BUILD_VERSION") or open("version.txt").read().strip() + "+git" + commit
wanted = ("BLAS", "BUILD_TEST", "MAGMA_HOME", "TORCH_CUDA_ARCH_LIST")
values = {name: value for name, value in sorted(os.environ.items()) if name in wanted or name.startswith("USE_")}
Path("torch/config.py").write_text(f"version = {version!r}\\nvalues = {values!r}\\n")
subprocess.run(["cmake", "-G", "Ninja", "-S", ".", "-B", "build", f"-DPython_EXECUTABLE={sys.executable}"], check=True)
subprocess.run(["cmake", "--build", "build", "--parallel", os.environ["MAX_JOBS"]], check=True)


class Binary(Distribution):
    def has_ext_modules(self):
        return True


setup(name="torch", version=version, packages=["torch"], package_data={"torch": ["*.so"]}, distclass=Binary)
"""

_CMAKE = """
cmake_minimum_required(VERSION 3.18)
project(torch CXX)
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
find_library(MAGMA_LIBRARY magma HINTS $ENV{MAGMA_HOME}/lib)
message(STATUS "USE_MAGMA: $ENV{USE_MAGMA}, found ${MAGMA_LIBRARY}")
Python_add_library(_C MODULE WITH_SOABI torch/first.cpp torch/second.cpp)
target_include_directories(_C PRIVATE third_party/adder)
target_link_libraries(_C PRIVATE gomp)
set_target_properties(_C PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_SOURCE_DIR}/torch)
"""

# Of a companion: as torch.utils.cpp_extension compiles, without CMake.
_COMPANION = """
import os
from pathlib import Path
from setuptools import Extension, setup
import torch

NAME = "@"
assert torch.add(20, 22) == 42
version = os.environ.get("BUILD_VERSION") or open("version.txt").read().strip() + "+git" + open(".git/HEAD").read()[:7]
values = {name: os.environ[name] for name in ("FORCE_CUDA", "TORCH_CUDA_ARCH_LIST", "MARK") if name in os.environ}
Path(f"{NAME}/config.py").write_text(f"version = {version!r}\\nvalues = {values!r}\\n")
files = [f"{NAME}/first.cpp", f"{NAME}/second.cpp"]
extension = Extension(f"{NAME}._C", files, include_dirs=["third_party/adder"])
requires = [f"torch=={os.environ['PYTORCH_VERSION']}"]
setup(name=NAME, version=version, packages=[NAME], ext_modules=[extension], install_requires=requires)
"""

_FIRST = """
#include <Python.h>
#include "adder.h"

int second();

static PyObject* sum(PyObject*, PyObject* args) {
    int a, b;
    return PyArg_ParseTuple(args, "ii", &a, &b) ? PyLong_FromLong(adder(a, b) + 0 * second()) : nullptr;
}

static PyMethodDef methods[] = {{"add", sum, METH_VARARGS, ""}, {nullptr, nullptr, 0, nullptr}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_C", "", -1, methods};
PyMODINIT_FUNC PyInit__C() { return PyModule_Create(&module); }
"""

_SECOND = 'extern "C" int omp_get_max_threads();\nint second() { return omp_get_max_threads(); }\n'
_PLAIN = "int second() { return 2; }\n"
_INIT = "from @._C import add\nfrom @.config import values, version as __version__\n"


def git(folder: Path, *words: str) -> str:
    """Run git as nobody in particular, and return what it prints."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "protocol.file.allow=always"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *identity, "-C", str(folder), *words], check=True, capture_output=True, text=True, env=environment
    )
    return done.stdout.strip()


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files below a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def commit(folder: Path, tag: str = "") -> str:
    """Commit all of a tree, and return the commit; with a tag, tag it."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "stand-in")
    if tag:
        git(folder, "tag", "--force", tag)
    return git(folder, "rev-parse", "HEAD")


def make(mirror: Path, *, mark: str = "") -> None:
    """Make the repositories below a folder that is laid out like GitHub: pytorch/pytorch.git and its kin.

    Args:
        mirror: the folder.
        mark: a word for each C++ file, so that no compiler cache has seen one like it.
    """
    adder = mirror / "stand-in" / "adder.git"
    _init(adder)
    write(adder, {"adder.h": "static inline int adder(int a, int b) { return a + b; }\n"})
    commit(adder)
    torch = {
        "setup.py": _TORCH,
        "CMakeLists.txt": _CMAKE,
        "version.txt": "2.13.0a0\n",
        **_package("torch", _SECOND, mark),
    }
    _make(mirror / "pytorch" / "pytorch.git", torch, tag=TAG, adder=adder)
    for repository, name, version, tag in (
        ("vision", "torchvision", "0.28.0a0", VISION_TAG),
        ("audio", "torchaudio", "2.11.0a0", AUDIO_TAG),
    ):
        files = {
            "setup.py": _COMPANION.replace("@", name),
            "version.txt": f"{version}\n",
            **_package(name, _PLAIN, mark),
        }
        _make(mirror / "pytorch" / f"{repository}.git", files, tag=tag, adder=adder)
    for repository, name, tag in (("pytorch", "torch", LATER_TAG), ("vision", "torchvision", LATER_VISION_TAG)):
        write(mirror / "pytorch" / f"{repository}.git", {f"{name}/more.py": "more = 1\n"})
        commit(mirror / "pytorch" / f"{repository}.git", tag)


def _package(name: str, second: str, mark: str) -> dict[str, str]:
    files = {"first.cpp": _FIRST, "second.cpp": second}
    marked = {
        f"{name}/{file}": f'{text}extern const char* const {file[:-4]}_mark = "{name} {mark}";\n'
        for file, text in files.items()
    }
    return {f"{name}/__init__.py": _INIT.replace("@", name), **marked}


def _make(tree: Path, files: dict[str, str], *, tag: str, adder: Path) -> None:
    _init(tree)
    write(tree, files)
    git(tree, "submodule", "--quiet", "add", "--force", str(adder), "third_party/adder")
    # What a clone of the mirror is told is the address that GitHub would give.
    modules = tree / ".gitmodules"
    modules.write_text(modules.read_text().replace(str(adder), "https://github.com/stand-in/adder.git"))
    commit(tree, tag)


def _init(tree: Path) -> None:
    tree.mkdir(parents=True)
    git(tree, "init", "--quiet", "--initial-branch=main")
