"""An ordinary account, which the test makes, does the main job with nothing but its membership in group docker."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.checkout import Checkout, Result, run
from tests.engine.conftest import folder

NAME = "cresset-test-12345"
NUMBER = 12345


@pytest.fixture(scope="module")
def account() -> Iterator[str]:
    if os.getuid() != 0:
        pytest.skip("only root can make an account")
    if shutil.which("su") is None:
        pytest.skip("there is no su to become another account with")
    run(["useradd", "--create-home", "--uid", str(NUMBER), "--groups", "docker", NAME])
    yield NAME
    run(["userdel", "--remove", NAME], check=False)


@pytest.fixture(scope="module")
def theirs(account: str, built: Checkout, base: str) -> Iterator[Checkout]:
    """That account's own fresh clone."""
    checkout = Checkout(path=folder())
    run(["chown", "--recursive", f"{NAME}:", str(checkout.path)])
    settings = f"PLAIN_IMAGE={base} WHEELHOUSE={built.setting('WHEELHOUSE')}"
    become(account, f"{settings} bash misc/setup.sh invoke build", cwd=checkout.path)
    yield checkout
    become(account, "bash misc/setup.sh invoke down", cwd=checkout.path, check=False)
    checkout.remove()


def become(account: str, command: str, *, cwd: Path, check: bool = True) -> Result:
    """Run a command as somebody who has just logged in."""
    return run(["su", "--login", account, "--command", f"cd {shlex.quote(str(cwd))} && {command}"], check=check)


def inside(theirs: Checkout, command: str) -> Result:
    line = f".venv/bin/invoke exec --command {shlex.quote(command)}"
    return become(NAME, line, cwd=theirs.path)


def test_the_process_inside_is_theirs(theirs: Checkout) -> None:
    assert inside(theirs, "id --user").out.strip() == str(NUMBER)
    assert inside(theirs, "id --user --name").out.strip() == NAME
    assert inside(theirs, "echo $HOME").out.strip() == f"/home/{NAME}"


def test_a_file_made_inside_is_theirs_outside(theirs: Checkout) -> None:
    inside(theirs, "touch made-inside")
    assert (theirs.path / "made-inside").stat().st_uid == NUMBER


def test_torch_works(theirs: Checkout) -> None:
    assert inside(theirs, "python -c 'import torch; print(torch.ones(2, 3) @ torch.ones(3, 2))'").out.startswith(
        "tensor"
    )


def test_packages_can_be_installed_replaced_and_removed(theirs: Checkout) -> None:
    inside(theirs, "pip install --quiet iniconfig && python -c 'import iniconfig'")
    inside(theirs, "uv pip install --quiet 'idna<3.10' && python -c 'import idna'")
    inside(theirs, "pip install --quiet --upgrade idna tqdm && pip uninstall --quiet --yes iniconfig")


def test_torch_is_not_replaced_by_an_installation(theirs: Checkout) -> None:
    before = inside(theirs, "pip list --format freeze | grep ^torch=").out
    become(NAME, ".venv/bin/invoke exec --command 'uv pip install torch==1.13.0'", cwd=theirs.path, check=False)
    assert inside(theirs, "pip list --format freeze | grep ^torch=").out == before


def test_a_folder_to_mount_is_made_by_them_and_not_by_the_daemon(theirs: Checkout) -> None:
    text = f"services: {{cpu: {{volumes: ['~/data/set:/data', '~/torch:/home/{NAME}/.cache/torch']}}}}\n"
    (theirs.path / "docker-compose.override.yaml").write_text(text)
    try:
        said = become(NAME, ".venv/bin/invoke up", cwd=theirs.path).out
        assert f"Made the folder /home/{NAME}/data/set, which the service cpu mounts." in said
        inside(theirs, "touch /data/here ~/.cache/torch/here ~/.cache/here")
        assert (Path("/home") / NAME / "data").stat().st_uid == NUMBER
    finally:
        (theirs.path / "docker-compose.override.yaml").unlink()
        become(NAME, ".venv/bin/invoke up", cwd=theirs.path)


def test_a_colleagues_checkout_can_be_used_where_they_let_it_be_read(theirs: Checkout, built: Checkout) -> None:
    def in_it(words: str, *, check: bool = True) -> Result:
        return become(NAME, f"{theirs.path}/.venv/bin/invoke {words}", cwd=built.path, check=check)

    env = built.path / ".env"
    closed = in_it("exec --command true", check=False)
    assert closed.code == 2
    assert closed.lines[0] == ".env cannot be read: Permission denied"
    env.chmod(0o644)
    try:
        assert built.image in in_it("config").out
        in_it("up")
        in_it("exec --command 'python -c \"import torch\"'")
        assert "No record of this build is kept" in in_it("build-only").out
        for words in ("env --update --set TZ=Asia/Seoul", "over"):
            refused = in_it(words, check=False)
            assert refused.code == 2
            assert "cannot be written: Permission denied" in refused.lines[0]
            assert len(refused.lines) == 2
    finally:
        env.chmod(0o600)


@pytest.mark.parametrize(
    ("path", "mode", "tasks"),
    [
        (".docker", "700", ["config", "build-only", "up", "exec --command true", "ls", "prune"]),
        (".docker/buildx", "755", ["build-only"]),
    ],
    ids=["all of it", "what buildx keeps"],
)
def test_a_docker_folder_of_roots_is_noticed(theirs: Checkout, path: str, mode: str, tasks: list[str]) -> None:
    docker = Path("/home") / NAME / ".docker"
    kept = docker.with_name("kept")
    (docker / "buildx").mkdir(parents=True, exist_ok=True)
    run(["chown", "--recursive", f"{NAME}:", str(docker)])
    run(["cp", "--archive", str(docker), str(kept)])
    try:
        run(["chown", "--recursive", "root:", str(docker.parent / path)])
        (docker.parent / path).chmod(int(mode, 8))
        for task in tasks:
            refused = become(NAME, f".venv/bin/invoke {task}", cwd=theirs.path, check=False)
            assert refused.code == 2, task
            assert refused.lines[-1].strip() == 'make it yours: sudo chown -R "$USER": ~/.docker', task
    finally:
        run(["rm", "-r", str(docker)])
        kept.rename(docker)


def test_their_env_is_theirs_alone(theirs: Checkout) -> None:
    status = (theirs.path / ".env").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (NUMBER, 0o600)
