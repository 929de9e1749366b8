from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from cresset import build, dockerfile, files, project
from cresset.compose import Model, Service
from cresset.configuration import Configuration, Value
from cresset.errors import CressetError

FOLDERS = {"WHEELHOUSE": "misc/wheelhouse", "SOURCES": "misc/sources", "DEPLOY_PROJECT": "misc/project"}


def configuration(**given: str) -> Configuration:
    values = {
        name: Value(name=name, value=value, source=".env", help="") for name, value in {**FOLDERS, **given}.items()
    }
    service = Service(name="cpu", image="x", build={})
    model = Model(project="x", services={"cpu": service}, secrets={}, settings={})
    return Configuration(service=service, model=model, recipe=dockerfile.parse("FROM x\n"), values=values)


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("path", ["/", "/proc", "/proc/self", "/sys/kernel", "/dev", "/usr", "//etc/", "/home"])
def test_no_build_reads_the_system(name: str, path: str) -> None:
    with pytest.raises(CressetError, match=rf"{name} \(from \.env\): '{path}' is a folder of the system"):
        project._refuse_unfit_folders(configuration(**{name: path}))


@pytest.mark.parametrize("path", ["~", "{tmp}/home", "{tmp}/link"])
def test_no_build_reads_a_home(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home" / "code").mkdir(parents=True)
    (tmp_path / "link").symlink_to("home")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(CressetError, match="is your home"):
        project._refuse_unfit_folders(configuration(DEPLOY_PROJECT=path.format(tmp=tmp_path)))
    project._refuse_unfit_folders(configuration(DEPLOY_PROJECT="~/code"))


@pytest.mark.parametrize("path", [".", "src/..", str(files.ROOT)])
def test_the_checkout_is_no_folder_to_deploy(path: str) -> None:
    with pytest.raises(CressetError, match=r"is this checkout, whose \.dockerignore lets nothing") as refused:
        project._refuse_unfit_folders(configuration(DEPLOY_PROJECT=path))
    assert "like src" in refused.value.hint


def test_folders_of_ones_own_are_taken() -> None:
    project._refuse_unfit_folders(
        configuration(DEPLOY_PROJECT="src", WHEELHOUSE="/opt/wheels", SOURCES="/usr/src/torch")
    )


@pytest.mark.parametrize(
    ("ignored", "want"),
    [
        (None, "/.env comes along"),
        ("data\n", "/.env comes along"),
        (".env\n!.env\n", "/.env comes along"),
        (".env\n", ""),
        ("*\n!src\n", ""),
    ],
)
def test_an_env_file_in_an_image_is_said(ignored: str | None, want: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / ".env").write_text("TOKEN=x\n")
    if ignored is not None:
        (tmp_path / ".dockerignore").write_text(ignored)
    printed = io.StringIO()
    for folder in ("", str(tmp_path / "empty")):
        build._warn_of_env_file(folder, console=Console(file=printed))
    assert not printed.getvalue()
    build._warn_of_env_file(str(tmp_path), console=Console(file=printed))
    assert bool(printed.getvalue()) == bool(want)
    assert want in printed.getvalue()
