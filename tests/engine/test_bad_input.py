"""What a person gets wrong is answered by one line and a hint, with exit code 2, and nothing is changed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from cresset import env_file, forms
from cresset.engine import Engine
from tests import bad_input
from tests.bad_input import Content, Mistake
from tests.engine.checkout import Checkout, Result, run
from tests.engine.conftest import folder

ENV = "SERVICE=train\nCOMPOSE_PROJECT_NAME=cresset-test-bad-input\nUSR=me\n"


@pytest.fixture(scope="module")
def bare() -> Iterator[Checkout]:
    """A clone with a small `.env`; tests put back what they change."""
    checkout = Checkout(path=folder())
    (checkout.path / ".env").write_text(ENV)
    yield checkout
    shutil.rmtree(checkout.path)


def everything(root: Path) -> dict[str, object]:
    """Return what a folder holds: each path with its kind, mode and content."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        if "__pycache__" in path.parts:
            continue
        mode = path.lstat().st_mode
        content = path.read_bytes() if stat.S_ISREG(mode) else path.readlink() if stat.S_ISLNK(mode) else None
        found[str(path.relative_to(root))] = (mode, content)
    return found


@contextlib.contextmanager
def instead(path: Path, content: Content) -> Iterator[None]:
    """Put something in a file's place, and the file back."""
    aside = path.with_name("aside-" + path.name)
    if path.exists():
        path.rename(aside)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        content(path)
    try:
        yield
    finally:
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        if aside.exists():
            aside.rename(path)


def invoke(checkout: Checkout, mistake: Mistake) -> Result:
    # What waits for a pipe would wait for ever.
    argv = ["timeout", "120", sys.executable, "-m", "invoke", *mistake.words]
    return run(argv, cwd=checkout.path, check=False, **mistake.variables)


@pytest.mark.parametrize("mistake", bad_input.ALL, ids=lambda mistake: mistake.name)
def test_a_mistake_is_one_line_and_a_hint(bare: Checkout, mistake: Mistake) -> None:
    changed = dict(mistake.files)
    if mistake.env:
        changed[".env"] = f"{ENV}{mistake.env}\n".encode()
    with contextlib.ExitStack() as stack:
        for name, content in changed.items():
            stack.enter_context(instead(bare.path / name, content))
        before = everything(bare.path)
        refused = invoke(bare, mistake)
        after = everything(bare.path)
    assert refused.code == 2, refused.out
    assert refused.lines[0].startswith(mistake.says), refused.out
    assert refused.lines[1].startswith("  "), refused.out
    assert mistake.hint in refused.lines[1]
    assert len(refused.lines) == 2, refused.out
    assert before == after


@pytest.mark.parametrize("words", [["config"], ["env"], ["env", "--update"], ["up"]], ids=" ".join)
def test_an_env_that_may_not_be_read_is_one_line_and_a_hint(bare: Checkout, words: list[str]) -> None:
    path = bare.path / ".env"
    path.chmod(0)
    # Root may read everything; another account may not see root's own Python, but the system's with the same packages.
    who = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
    try:
        done = subprocess.run(
            [python, "-B", "-m", "invoke", *words],
            cwd=bare.path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": sysconfig.get_path("purelib")},
            capture_output=True,
            text=True,
            check=False,
            **who,  # type: ignore[call-overload]
        )
    finally:
        path.chmod(0o644)
    if "No module named" in done.stderr:
        pytest.skip("another account may not enter the Python environment of these tests")
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines() == [".env cannot be read: Permission denied", "  see `ls -l .env`"]
    assert path.read_text() == ENV


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("COMMAND=zsh -l\r\n", "zsh -l"),
        ("COMMAND='zsh -l'\r\n", "zsh -l"),
        ('COMMAND="zsh -l"\n', "zsh -l"),
        ("export COMMAND=zsh\n", "zsh"),
        ("export COMMAND='a # b' # c\r\n", "a # b"),
        ("COMMAND=zsh # mine\n", "zsh"),
        ("COMMAND=zsh#mine\n", "zsh#mine"),
        ("COMMAND=a\nCOMMAND=b\n", "b"),
        ("COMMAND=a\nexport COMMAND='b'\n#COMMAND=c\n", "b"),
        ("COMMAND: zsh\n", "zsh"),
        ("COMMAND = zsh\n", "zsh"),
        ("\ufeffCOMMAND=zsh\n", "zsh"),
        ("A=1\nCOMMAND=x-${A}\n", "x-1"),
        ("COMMAND='x-${A}'\n", "x-${A}"),
        ('COMMAND="a\\"b"\n', 'a"b'),
        ("COMMAND='it costs $$5'\n", "it costs $$5"),
        ("COMMAND=a=b\n", "a=b"),
        ("COMMAND=\n", "zsh"),
        ("COMMAND\n", "zsh"),
    ],
)
def test_env_means_what_compose_says_it_means(bare: Checkout, text: str, value: str) -> None:
    with instead(bare.path / ".env", (text + ENV).encode()):
        rows = {row["name"]: row["value"] for row in json.loads(bare.invoke("config", "--json").out)}
        oracle = json.loads(bare.compose("--profile", "*", "config", "--format", "json").out)
    assert rows["COMMAND"] == value
    assert oracle["x-cresset"]["COMMAND"].replace("$$", "$") == value


@pytest.mark.parametrize(
    "text",
    [
        "MINE=a\nTZ=Etc/UTC\n\xa0TZ=Asia/Seoul\n",
        "MINE=a\nTZ=Etc/UTC\n\fTZ=Asia/Seoul\r\n",
        "MINE=a\nTZ=Etc/UTC\n\u3000\vTZ=Asia/Seoul\n",
        'MINE="a\nTZ=Asia/Seoul\nb"\n',
        "MINE='it\\'s\n#TZ=Asia/Seoul\nb' # c'\n",
        "MINE='a' TZ=Asia/Seoul\n",
        "MINE=a TZ='Asia/Seoul'\n",
        "TZ='Asia/Seoul' MINE=a\n",
        "TZ\nMINE: a\n",
        "#TZ=x'\nMINE='b'\n",
        "export\nTZ=a\nMINE=b # '\n",
    ],
)
def test_a_changed_setting_is_what_compose_reads_and_no_other_changes(text: str) -> None:
    names, shell = ("TZ", "MINE"), {name: value for name, value in os.environ.items() if name != "TZ"}
    before = Engine().read_settings(names, env_text=text, shell=shell)
    changed = env_file.record(text, env_file.Choice(name="TZ", value="Europe/Berlin"))
    assert before["MINE"]
    assert Engine().read_settings(names, env_text=changed, shell=shell) == {**before, "TZ": "Europe/Berlin"}


def test_a_misspelt_name_in_the_quotes_of_a_value_is_part_of_it(bare: Checkout) -> None:
    with instead(bare.path / ".env", f'{ENV}MINE="a\nCUDA_VERISON=x\nb"\n'.encode()):
        bare.invoke("config")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_the_command_of_a_hint_converts_a_file_and_keeps_its_mode(bare: Checkout, encoding: str) -> None:
    with instead(bare.path / ".env", f"# Müller\n{ENV}".encode(encoding)):
        (bare.path / ".env").chmod(0o600)
        hint = bare.invoke("config", check=False).lines[1]
        run(["sh", "-c", hint.partition("convert it: ")[2]], cwd=bare.path)
        assert (bare.path / ".env").read_text() == f"# Müller\n{ENV}"
        assert stat.S_IMODE((bare.path / ".env").stat().st_mode) == 0o600
        assert bare.setting("SERVICE") == "train"
    assert not (bare.path / ".env.new").exists()


@pytest.mark.parametrize("buffered", ["", "1"], ids=["at the end", "in the middle"])
@pytest.mark.parametrize("words", ["--list", "--help build"])
def test_what_invoke_prints_may_be_cut_off_by_its_reader_or_by_a_full_disk(
    bare: Checkout, words: str, buffered: str
) -> None:
    command = f"{sys.executable} -m invoke {words}"
    read = run(["sh", "-c", f"{command} | true; {command} | head -n1"], cwd=bare.path, PYTHONUNBUFFERED=buffered)
    assert len(read.lines) == 1, read.out
    full = run(["sh", "-c", f"{command} > /dev/full"], cwd=bare.path, check=False, PYTHONUNBUFFERED=buffered)
    assert (full.code, len(full.lines)) == (2, 2), full.out
    assert full.lines[0] == "the output cannot be written: No space left on device"


def test_two_parts_are_enough_for_an_old_cuda(bare: Checkout) -> None:
    with instead(bare.path / ".env", f"{ENV}CUDA_VERSION=10.2\r\nPYTHON_VERSION=3.6\r\n".encode()):
        assert (bare.setting("CUDA_VERSION"), bare.setting("PYTHON_VERSION")) == ("10.2", "3.6")


def test_what_the_program_writes_compose_reads_back(tmp_path: Path) -> None:
    chance = random.Random(1)  # noqa: S311 - the same values in each run
    signs = "ab1 \t'\"\\$`#{}()!=:;,&|<>*?~%@/.-_é\u3000"
    values = ["".join(chance.choices(signs, k=chance.randint(1, 12))) for _ in range(400)]
    (tmp_path / ".env").write_text("".join(f"V{n}={env_file.quote(value)}\n" for n, value in enumerate(values)))
    texts = "".join(f"  V{n}: ${{V{n}-}}\n" for n in range(len(values)))
    (tmp_path / "compose.yaml").write_text(f"name: x\nservices: {{ x: {{ image: x }} }}\nx-read:\n{texts}")
    read = json.loads(run(["docker", "compose", "config", "--format", "json"], cwd=tmp_path).out)["x-read"]
    assert [read[f"V{n}"].replace("$$", "$") for n in range(len(values))] == values


def test_a_folder_below_with_a_project_of_its_own_is_not_taken_for_this_one(bare: Checkout) -> None:
    (bare.path / "mine").mkdir()
    (bare.path / "mine" / "compose.yaml").write_text("services: { other: { image: other } }\n")
    try:
        done = run([sys.executable, "-m", "invoke", "config"], cwd=bare.path / "mine")
    finally:
        shutil.rmtree(bare.path / "mine")
    assert "cresset-test-bad-input" in done.out


def test_a_checkout_may_have_any_name_and_no_git(tmp_path: Path, bare: Checkout) -> None:
    odd = Checkout(path=tmp_path / "a b ä 'q\" $HOME ${X} `id`\nnext")
    shutil.copytree(bare.path, odd.path)
    assert odd.setting("COMPOSE_PROJECT_NAME") == "cresset-test-bad-input"
    printed = odd.invoke("build-only", "--dry-run", "--service", "cpu").out
    definition = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])
    assert definition["target"]["cpu"]["context"].replace("$$", "$") == str(odd.path)
    mounts = json.loads(odd.compose("--profile", "*", "config", "--format", "json").out)["services"]["cpu"]["volumes"]
    assert mounts[0]["source"].replace("$$", "$") == str(odd.path)


def test_a_checkout_that_docker_would_misread_is_refused(tmp_path: Path, bare: Checkout) -> None:
    odd = Checkout(path=tmp_path / os.fsdecode(b"b\xffd"))
    shutil.copytree(bare.path, odd.path)
    for words in (["env", "--update"], ["config"], ["up"]):
        refused = odd.invoke(*words, check=False)
        assert refused.code == 2
        assert refused.lines[0].startswith("the path of this checkout is not UTF-8")
        assert len(refused.lines) == 2


def test_an_empty_project_name_is_none_as_for_compose(bare: Checkout) -> None:
    with instead(bare.path / ".env", b"SERVICE=cpu\nCOMPOSE_PROJECT_NAME=\n"):
        oracle = json.loads(bare.compose("--profile", "*", "config", "--format", "json").out)
        assert bare.setting("COMPOSE_PROJECT_NAME") == oracle["name"] != ""


GOOD_NAMES = ("a__b/c--d.e:F_1.2-3", "localhost:5000/a", "Registry.example:80/a", "[::1]:5000/a", "a:" + 128 * "x")


def test_docker_takes_the_same_names_of_images() -> None:
    bad = [value for name, value, _ in bad_input.VALUES if name == "IMAGE_NAME" and "@" not in value]
    for name in (*GOOD_NAMES, *bad):
        answer = run(["docker", "image", "inspect", name], check=False).out
        assert (f"No such image: {name}" in answer) is forms.NAME.accepts(name), answer


def test_what_is_refused_here_the_build_refuses_too(built: Checkout) -> None:
    lines = [line for line, _ in bad_input.PIP_LINES if "\0" not in line]
    (built.path / "refused").mkdir()
    for number, line in enumerate(lines):
        (built.path / "refused" / f"{number}.txt").write_text(line + "\n")
    # In a folder where nothing else is, as in a build.
    place = "cd /tmp && rm -rf refused && cp -r /opt/project/refused . && cd refused"
    uv = "uv pip install --quiet --dry-run --offline --no-deps --requirements"
    try:
        out = built.inside(f"{place} && for f in *; do echo $f: $({uv} $f 2>&1 && echo taken); done").out
    finally:
        shutil.rmtree(built.path / "refused")
    answers = dict(answer.split(".txt:", 1) for answer in out.splitlines() if ".txt:" in answer)
    for number, line in enumerate(lines):
        assert "error" in answers[str(number)], line[:80]
        assert "No solution found" not in answers[str(number)], line[:80]
