"""From a fresh clone to a shell with PyTorch, through the tasks and by hand."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import uuid
from dataclasses import replace
from pathlib import Path

from tests.engine.checkout import Checkout, run

MATRIX = "tensor([[3., 3.],\n        [3., 3.]])"


def test_torch_multiplies_in_the_container(built: Checkout) -> None:
    code = "import torch; print(torch.ones(2, 3) @ torch.ones(3, 2))"
    assert built.inside(f"python -c '{code}'").out.strip() == MATRIX


def test_torch_is_the_one_that_was_asked_for(built: Checkout) -> None:
    asked = built.setting("PYTORCH_VERSION_TAG").removeprefix("v")
    assert built.inside("python -c 'import torch; print(torch.__version__)'").out.startswith(asked)
    assert built.inside("python -c 'import platform; print(platform.python_version())'").out.startswith(
        built.setting("PYTHON_VERSION")
    )


def test_a_second_build_executes_no_step(built: Checkout) -> None:
    built.invoke("build-only")
    assert built.executed() == []


def test_builds_by_hand_and_by_task_are_each_others_cache(built: Checkout) -> None:
    built.invoke("up")
    container = built.container()
    by_hand = built.compose("--progress", "plain", "build").out
    assert steps_of(by_hand) == {"CACHED"}
    assert "Running" in built.compose("up", "--detach", "--build").out
    built.invoke("build-only")
    assert built.executed() == []
    assert "Running" in built.compose("up", "--detach").out
    assert built.container() == container


def steps_of(log: str) -> set[str]:
    """Return how the steps of a plain log ended; a FROM of a local image says CACHED at random."""
    steps = re.findall(r"^#(\d+) \[[^\]]* \d+/\d+\] (?!FROM)", log, re.MULTILINE)
    assert steps, log
    return {end for number, end in re.findall(r"^#(\d+) (CACHED|DONE|ERROR)", log, re.MULTILINE) if number in steps}


def test_compose_by_hand_acts_on_the_same_container(built: Checkout) -> None:
    built.invoke("up")
    built.inside("touch /tmp/mark")
    assert built.compose("exec", "-T", "cpu", "ls", "/tmp/mark").out.strip() == "/tmp/mark"
    built.compose("down")
    assert built.invoke("exec", "--command", "true", check=False).code == 2
    built.invoke("up")


def test_up_is_a_fresh_container_and_start_the_old_one(built: Checkout) -> None:
    built.invoke("up")
    built.inside("touch /tmp/mark")
    built.invoke("stop")
    built.invoke("start")
    built.inside("test -e /tmp/mark")
    built.invoke("up")
    built.inside("test ! -e /tmp/mark")


def test_the_exit_code_is_the_commands_own(built: Checkout) -> None:
    assert built.invoke("exec", "--command", "exit 7", check=False).code == 7


def test_exec_works_with_its_input_closed(built: Checkout) -> None:
    command = f"exec 0<&-; {sys.executable} -m invoke exec --command 'echo here'"
    assert run(["bash", "-c", command], cwd=built.path).out.strip() == "here"


def test_exec_reads_its_input(built: Checkout) -> None:
    argv = [sys.executable, "-m", "invoke", "exec", "--command", "tr a-z A-Z"]
    done = subprocess.run(argv, cwd=built.path, input="quiet", capture_output=True, text=True, check=True)
    assert done.stdout == "QUIET"


def test_a_resize_reaches_the_program(built: Checkout) -> None:
    wait = "trap 'stty size; exit' WINCH; echo ready; while true; do sleep 0.1; done"
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(built.path)
        os.execv(sys.executable, [sys.executable, "-m", "invoke", "exec", "--command", wait])
    try:
        assert b"ready" in read_until(terminal, b"ready")
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))
        assert b"50 132" in read_until(terminal, b"50 132")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


def read_until(descriptor: int, text: bytes, *, seconds: float = 20) -> bytes:
    """Return what a terminal printed, at the latest when it has printed the text."""
    printed, end = b"", time.monotonic() + seconds
    while text not in printed and time.monotonic() < end:
        if select.select([descriptor], [], [], 0.5)[0]:
            try:
                printed += os.read(descriptor, 4096)
            except OSError:
                break
    return printed


def test_another_folder_is_mounted_without_a_build(built: Checkout, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    built.invoke("up", "--set", f"HOST_ROOT={tmp_path}")
    assert "mine" in built.inside("ls").lines
    built.invoke("up")
    assert "tasks.py" in built.inside("ls").lines


def test_run_is_a_container_of_its_own_that_is_removed(built: Checkout) -> None:
    before = built.compose("ps", "--all", "--quiet").out
    assert built.invoke("run", "--command", "cat /etc/hostname").out != built.inside("cat /etc/hostname").out
    assert built.compose("ps", "--all", "--quiet").out == before


def test_ls_and_logs(built: Checkout) -> None:
    assert built.setting("COMPOSE_PROJECT_NAME") in built.invoke("ls").out
    assert built.image in built.invoke("ls", "--images").out
    built.invoke("logs")


def test_down_removes_the_container_whatever_its_service(built: Checkout) -> None:
    built.invoke("down", "--service", "cpu")
    assert built.container() == ""
    built.invoke("up")
    built.invoke("down")
    assert built.container() == ""
    built.invoke("up")


def test_up_builds_an_image_that_is_not_here(built: Checkout) -> None:
    built.invoke("down")
    run(["docker", "image", "rm", built.image])
    assert "is not here yet" in built.invoke("up").out
    assert built.container()


def test_up_does_not_take_another_checkouts_image_of_the_same_name(built: Checkout, tmp_path: Path) -> None:
    another = f"test-{uuid.uuid4().hex[:8]}"
    label = f"com.docker.compose.project={another}"
    mine = replace(built, extra={"IMAGE_NAME": "", "USR": another})
    (tmp_path / "Dockerfile").write_text(f"FROM {built.image}\nLABEL {label}\n")
    run(["docker", "build", "--quiet", "--tag", mine.image, str(tmp_path)])
    try:
        said = mine.invoke("up").out
        assert f"Warning: {mine.image} was that of another checkout ({another}), which loses the name" in said
        assert "another checkout" not in mine.invoke("up").out
    finally:
        built.invoke("up")
        run(["docker", "image", "rm", mine.image])
        run(["docker", "image", "prune", "--force", "--filter", f"label={label}"])


def test_the_shell_is_zsh_with_a_prompt_and_no_globbing_for_pip(built: Checkout) -> None:
    shown = built.inside("zsh -ic 'echo $PROMPT; alias pip uv'").out
    assert "%n@%m" in shown
    assert "noglob pip" in shown
    assert "noglob uv" in shown
    assert "zsh-newuser-install" not in built.inside("zsh -ic 'echo $PROMPT'").out
    built.inside("tmux -V")
    assert built.inside("pwd").out.strip() == "/opt/project"


def test_the_shell_takes_what_the_distributions_packages_add(built: Checkout) -> None:
    place = "/usr/share/zsh-autosuggestions"
    script = f"mkdir {place} && echo suggested=yes > {place}/zsh-autosuggestions.zsh && zsh -ic 'echo $suggested'"
    image = built.setting("IMAGE_NAME")
    assert run(["docker", "run", "--rm", "--user=0", image, "sh", "-c", script]).lines[-1] == "yes"


def test_a_dry_run_prints_a_command_that_can_be_typed(built: Checkout) -> None:
    printed = built.invoke("build-only", "--dry-run").out
    assert "docker buildx bake" in printed
    assert run(["bash", "-c", printed], cwd=built.path).code == 0
    assert "docker compose up" in built.invoke("up", "--dry-run").out
    assert "docker compose exec" in built.invoke("exec", "--dry-run").out


def test_each_builds_events_are_kept_and_their_number_is_bounded(built: Checkout) -> None:
    records = sorted((built.path / ".cresset" / "builds").glob("*.jsonl"))
    assert 1 <= len(records) <= 30
    assert all(record.read_text().splitlines()[-1].startswith('{"result"') for record in records)
