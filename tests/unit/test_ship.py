"""What is said of wheels that leave an image."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from cresset import build, ship
from cresset.bake import Product
from cresset.configuration import Configuration, Value
from cresset.engine import Engine
from cresset.errors import CressetError

CUDA = {
    "BUILD_IMAGE": "nvidia/cuda:13.0.3-cudnn-devel-ubuntu24.04",
    "BUILD_MODE": "include",
    "CUDA_VERSION": "13.0.3",
    "PYTHON_VERSION": "3.12.4",
    "USE_CUDA": "1",
}


def configuration(**values: str) -> Configuration:
    rows = {
        name: Value(name=name, value=value, source="default", help="") for name, value in {**CUDA, **values}.items()
    }
    service = SimpleNamespace(name="train")
    return Configuration(service=service, model=None, recipe=None, values=rows)  # type: ignore[arg-type]


def make_wheel(path: Path, libraries: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in libraries.items():
            archive.writestr(name, content)


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that a build has put two wheels into; a real build is the business of tests/engine."""

    def fake(*_: object, product: Product, **__: object) -> None:
        folder = Path(product.folder) / "tmp" / "dist"
        folder.mkdir(parents=True)
        make_wheel(folder / "torch-2.14.1-cp312-cp312-linux_x86_64.whl", {"torch/lib/libtorch.so": b"\0GLIBC_2.38\0"})
        make_wheel(folder / "torchvision-0.29.1-py3-none-any.whl", {"torchvision/__init__.py": b"GLIBC_2.99"})

    monkeypatch.setattr(build, "build", fake)
    return tmp_path


def ship_to(folder: Path, **values: str) -> str:
    """Take the wheels out, and return what is said in one line."""
    text = io.StringIO()
    console = Console(file=text, width=80)
    ship.wheels(configuration(**values), Engine(), dest=str(folder), console=console)
    return " ".join(text.getvalue().split())


def test_they_lie_flat_with_their_checksums_and_nothing_else(shipped: Path) -> None:
    said = ship_to(shipped / "new" / "folder")
    names = ["torch-2.14.1-cp312-cp312-linux_x86_64.whl", "torchvision-0.29.1-py3-none-any.whl"]
    assert sorted(path.name for path in (shipped / "new" / "folder").iterdir()) == ["SHA256SUMS", *names]
    sums = [f"{hashlib.sha256((shipped / 'new' / 'folder' / name).read_bytes()).hexdigest()}  {name}" for name in names]
    assert (shipped / "new" / "folder" / "SHA256SUMS").read_text().splitlines() == sums
    assert f"pip install {shipped}/new/folder/*.whl" in said


def test_checksums_of_wheels_that_are_still_there_are_kept_and_no_others(shipped: Path) -> None:
    digest = hashlib.sha256(b"").hexdigest()
    (shipped / "own-1.0-py3-none-any.whl").touch()
    lines = f"{digest}  own-1.0-py3-none-any.whl\n{digest}  gone-1.0-py3-none-any.whl\na note of m\xfcller\n\n"
    (shipped / "SHA256SUMS").write_bytes(lines.encode("latin-1"))
    ship_to(shipped)
    names = [line.split("  ")[1].split("-")[0] for line in (shipped / "SHA256SUMS").read_text().splitlines()]
    assert names == ["own", "torch", "torchvision"]


def test_what_an_earlier_call_put_there_gives_way(shipped: Path) -> None:
    former, other, own = (
        "torchvision-0.28.0-py3-none-any.whl",
        "torch-2.13.0-cp311-cp311-linux_x86_64.whl",
        "torchvision-0.27.0-py3-none-any.whl",
    )
    for name in (former, other, own):
        (shipped / name).touch()
    digest = hashlib.sha256(b"").hexdigest()
    (shipped / "SHA256SUMS").write_text(f"{digest}  {former}\n{digest}  {other}\n")
    ship_to(shipped)
    assert not (shipped / former).exists()
    # For another Python, and what somebody else put there.
    assert (shipped / other).exists()
    assert (shipped / own).exists()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "the libraries of CUDA 13.0, cuDNN and NCCL, as in nvidia/cuda:13.0.3-cudnn-devel-ubuntu24.04."),
        ({"BUILD_MODE": "exclude"}, "the libraries of CUDA 13.0, cuDNN and NCCL, which pip brings along."),
        ({"USE_CUDA": "0"}, "glibc 2.38 or newer."),
    ],
    ids=["compiled", "fetched", "without CUDA"],
)
def test_what_they_need_is_said(shipped: Path, values: dict[str, str], says: str) -> None:
    said = ship_to(shipped, **values)
    assert "What they need there: Python 3.12; Linux on this kind of processor; glibc 2.38 or newer" in said
    assert said.endswith(says)


def test_a_folder_that_cannot_be_written_is_said(shipped: Path) -> None:
    (shipped / "file").touch()
    with pytest.raises(CressetError, match="cannot be written: ") as refusal:
        ship_to(shipped / "file")
    assert "--dest" in refusal.value.hint


def test_the_newest_glibc_counts_and_only_in_libraries(tmp_path: Path) -> None:
    make_wheel(tmp_path / "a.whl", {"a.so.1": b"GLIBC_2.9 GLIBC_2.17", "a.py": b"GLIBC_2.40"})
    make_wheel(tmp_path / "b.whl", {"b.so": b"GLIBC_PRIVATE"})
    assert ship.newest_glibc([tmp_path / "a.whl", tmp_path / "b.whl"]) == "2.17"
    assert ship.newest_glibc([tmp_path / "b.whl"]) == ""
