"""The services beside train and cpu: each builds, starts, holds what it says and nothing else; side by side."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.engine.checkout import Checkout, run
from tests.engine.conftest import folder
from tests.engine.source_build import SourceBuild

NUMBER = "12345"
NAMES = ("deploy", "devel", "simple")
TOOLS = ("zsh", "tmux", "git", "uv", "pip", "cc", "gcc", "c++", "make", "sudo", "sshd", "curl", "wget")


@pytest.fixture(scope="module")
def services(built: Checkout) -> Iterator[Callable[[str], Checkout]]:
    """One checkout as it is with each service, all of them built and running."""
    checkout, user = Checkout(path=folder()), f"test-{uuid.uuid4().hex[:8]}"
    (checkout.path / ".env").write_text((built.path / ".env").read_text())
    # Without a name for the image each service has its own.
    checkout.set(COMPOSE_PROJECT_NAME=f"cresset-{user}", USR=user, UID=NUMBER, GID=NUMBER, IMAGE_NAME="")
    checkout.set(DEPLOY_PROJECT="code", SUDO="include", SSH="include", PRELOAD="tcmalloc")
    write_project(checkout.path / "code")
    checkout.path.chmod(0o777)
    for name in NAMES:
        checkout.invoke("build", "--service", name)

    def choose(name: str) -> Checkout:
        return replace(
            checkout, service=name, extra={"SERVICE": name if name != "*" else "cpu", "COMPOSE_PROFILES": name}
        )

    yield choose
    for name in NAMES:
        run(["docker", "rm", "--force", choose(name).container()], check=False)
        run(["docker", "image", "rm", "--force", f"cresset:{name}-{user}"], check=False)
    checkout.remove()


def write_project(place: Path) -> None:
    """Write code as somebody has it whose files nobody else may read."""
    place.mkdir()
    files = {
        "main.py": "import torch; print(torch.ones(2).sum().item())\n",
        "run.sh": "#!/bin/sh\necho ran\n",
        "key": "secret\n",
    }
    for name, text in files.items():
        (place / name).write_text(text)
        (place / name).chmod(0o700 if name.endswith(".sh") else 0o600)
    (place / ".dockerignore").write_text("key\n.dockerignore\n")
    place.chmod(0o700)


# ---------------------------------------------------------------------------------------------------------------------


def test_three_services_run_side_by_side(services: Callable[[str], Checkout]) -> None:
    before = {name: services(name).container() for name in NAMES}
    assert all(before.values())
    services("simple").invoke("up")
    services("simple").invoke("build-only")
    assert [services(name).container() == before[name] for name in NAMES] == [True, True, False]
    services("simple").invoke("down", "--service", "simple")
    assert [bool(services(name).container()) for name in NAMES] == [True, True, False]
    services("simple").invoke("up")


@pytest.mark.parametrize("name", NAMES)
def test_builds_by_hand_are_the_same(services: Callable[[str], Checkout], name: str) -> None:
    checkout = services(name)
    container = checkout.container()
    checkout.compose("build")
    assert "Running" in checkout.compose("up", "--detach").out
    assert checkout.container() == container
    checkout.invoke("build-only")
    assert checkout.executed() == []


@pytest.mark.parametrize("name", NAMES)
def test_run_over_and_ls_work_for_each(services: Callable[[str], Checkout], name: str) -> None:
    checkout = services(name)
    checkout.invoke("run", "--command", "true")
    assert checkout.image in checkout.invoke("ls", "--images").out
    checkout.invoke("over")
    try:
        checkout.compose("config", "--quiet")
    finally:
        (checkout.path / "docker-compose.override.yaml").unlink()


# ---------------------------------------------------------------------------------------------------------------------


def test_deploy_holds_the_wheels_the_requirements_and_what_these_need(services: Callable[[str], Checkout]) -> None:
    deploy = services("deploy")
    code = (
        "import json, platform; from importlib.metadata import distributions; "
        "print(json.dumps([platform.python_version(), {d.name: d.requires or [] for d in distributions()}]))"
    )
    version, found = json.loads(deploy.inside(f'python -c "{code}"').out)
    requires: dict[str, list[str]] = {canonicalize_name(name): needed for name, needed in found.items()}
    tags = {"PYTORCH": "torch", "TORCHVISION": "torchvision", "TORCHAUDIO": "torchaudio", "TORCHTEXT": "torchtext"}
    wheels = [package for name, package in tags.items() if deploy.setting(f"{name}_VERSION_TAG")]
    listed = [Requirement(line).name for line in lines(deploy, "pip-deploy")]
    environment = {"python_version": ".".join(version.split(".")[:2]), "python_full_version": version, "extra": ""}

    def needs(package: str) -> Iterable[str]:
        wanted = [Requirement(line) for line in requires[package]]
        return [one.name for one in wanted if not one.marker or one.marker.evaluate(environment)]

    assert set(requires) == closure([*wheels, *listed], lambda name: map(canonicalize_name, needs(name)))


def test_deploys_packages_are_the_bases_the_files_and_what_these_need(services: Callable[[str], Checkout]) -> None:
    deploy = services("deploy")
    query = ["dpkg-query", "--show", "--showformat", "${Package}|${Pre-Depends}, ${Depends}|${Provides}\n"]
    packages = {row[0]: row[1:] for row in (line.split("|", 1) for line in within(deploy.image, *query))}
    base = {line.split("|")[0] for line in within(deploy.setting("DEPLOY_IMAGE"), *query)}
    provided: dict[str, set[str]] = {}
    needed: dict[str, str] = {}
    for name, (rest,) in packages.items():
        needed[name], _, provides = rest.rpartition("|")
        for word in [name, *names(provides)]:
            provided.setdefault(word, set()).add(name)

    def needs(package: str) -> Iterable[str]:
        # One of the alternatives is there; it may be known by another name.
        return {one for word in names(needed[package].replace("|", ",")) for one in provided.get(word, ())}

    expected = closure(lines(deploy, "apt-deploy"), needs)
    assert set(packages) - base == expected - base
    assert base <= set(packages)


def lines(checkout: Checkout, name: str) -> list[str]:
    """Return what a requirement file lists."""
    text = (checkout.path / "reqs" / f"{name}.requirements.txt").read_text()
    return [line.split("#")[0].strip() for line in text.splitlines() if line.split("#")[0].strip()]


def names(relation: str) -> list[str]:
    """Return the packages of a field such as `libc6 (>= 2.36), python3:any`."""
    return [re.split(r"[\s:(]", word.strip())[0] for word in relation.split(",") if word.strip()]


def closure(roots: Iterable[str], needs: Callable[[str], Iterable[str]]) -> set[str]:
    """Return the roots, what they need, what that needs, and so on."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += needs(name)
    return found


def within(image: str, *argv: str) -> list[str]:
    """Run a program in a container of an image, and return its lines."""
    return run(["docker", "run", "--rm", "--entrypoint", argv[0], image, *argv[1:]]).lines


def test_deploy_has_no_tools(services: Callable[[str], Checkout]) -> None:
    found = services("deploy").inside(f"for tool in {' '.join(TOOLS)}; do command -v $tool; done; ls /opt").lines
    assert found == ["constraints.txt", "image.json", "project", "venv"]


def test_no_switch_brings_deploy_anything(services: Callable[[str], Checkout]) -> None:
    assert services("deploy").inside("printenv LD_PRELOAD; ls -d /etc/sudoers.d /usr/sbin/sshd || true").lines == [
        f"ls: cannot access '{path}': No such file or directory" for path in ("/etc/sudoers.d", "/usr/sbin/sshd")
    ]


def test_deploy_runs_as_an_account_of_its_own_that_can_write_its_home_only(services: Callable[[str], Checkout]) -> None:
    deploy = services("deploy")
    assert deploy.inside("id --user --name; id --groups").lines == ["deploy", "65501"]
    assert deploy.inside("touch ~/mine && echo here").out.strip() == "here"
    writable = deploy.inside("find / -xdev -writable ! -type l 2> /dev/null || true").lines
    own = ("/dev", "/home/deploy", "/run/lock", "/tmp", "/var/tmp")
    assert [path for path in writable if not path.startswith(own)] == []


def test_deploy_takes_code_along_that_all_may_read_and_none_write(services: Callable[[str], Checkout]) -> None:
    deploy = services("deploy")
    assert deploy.inside("stat --format '%n %a %U' . *").lines == [
        "." + " 755 root",
        "main.py 644 root",
        "run.sh 755 root",
    ]
    assert deploy.inside("ls -A").lines == ["main.py", "run.sh"]
    assert deploy.inside("python main.py").out.strip() == "2.0"
    assert deploy.inside("python -c 'import main'").out.strip() == "2.0"
    assert within(deploy.image, "python", "main.py") == ["2.0"]
    # As on a cluster, where the account is the host's.
    assert run(["docker", "run", "--rm", "--user", "54321", deploy.image, "./run.sh"], check=False).out.strip() == "ran"


def test_code_that_is_edited_costs_its_copy_only(services: Callable[[str], Checkout]) -> None:
    deploy = services("deploy")
    deploy.edit("code/main.py", f"# {uuid.uuid4()}, or an earlier run's build would do")
    deploy.invoke("build-only")
    assert {step.split()[0] for step in deploy.executed()} == {"project-files", "deploy"}
    assert len(deploy.executed()) == 3 + 1  # files: copied, made readable; deploy: copied, and its folder entered


def test_deploy_without_the_interpreter_of_its_environment_is_refused(services: Callable[[str], Checkout]) -> None:
    deploy = services("deploy")
    path = deploy.path / "reqs" / "apt-deploy.requirements.txt"
    kept = path.read_text()
    try:
        path.write_text("# nothing\n")
        said = deploy.invoke("build-only", check=False)
    finally:
        path.write_text(kept)
    assert said.code
    assert "python3 has to be in reqs/apt-deploy.requirements.txt" in said.out


# ---------------------------------------------------------------------------------------------------------------------


def test_devel_has_compilers_and_no_torch(services: Callable[[str], Checkout]) -> None:
    devel = services("devel")
    compiled = devel.inside("echo 'int main() {}' > /tmp/a.cpp && c++ /tmp/a.cpp -o /tmp/a && /tmp/a && echo ok")
    assert compiled.lines == ["ok"]
    devel.inside("cmake --version && ninja --version && git --version && ccache --version && zsh --version")
    assert devel.inside("command -v python").out.strip() == "/opt/build/bin/python"
    assert "No module named 'torch'" in devel.invoke("exec", "--command", "python -c 'import torch'", check=False).out


def test_devel_works_on_the_hosts_folder_as_its_person(services: Callable[[str], Checkout]) -> None:
    devel = services("devel")
    assert devel.inside("id --user").out.strip() == NUMBER
    devel.inside("touch made-inside")
    assert (devel.path / "made-inside").stat().st_uid == int(NUMBER)
    (devel.path / "made-inside").unlink()
    # What belongs to root is the group's to change.
    site = devel.inside("python -c 'import site; print(site.getsitepackages()[0])'").out.strip()
    devel.inside(f"touch {site}/mine && rm {site}/mine && rm -r {site}/six.py")


def test_devel_lets_its_person_become_root_and_has_no_other_switch(services: Callable[[str], Checkout]) -> None:
    shown = services("devel").inside(
        "sudo --non-interactive id --user; ls -d /opt/preload /usr/sbin/sshd 2> /dev/null || true"
    )
    assert shown.lines == ["0"]


def test_devel_reads_no_requirement_file(services: Callable[[str], Checkout]) -> None:
    devel = services("devel")
    with (devel.path / "reqs" / "pip-train.requirements.txt").open("a") as file:
        file.write("no/such thing\n")
    try:
        devel.invoke("build-only")
        assert devel.executed() == []
    finally:
        shutil.copy(Path(__file__).parents[2] / "reqs" / "pip-train.requirements.txt", devel.path / "reqs")


# ---------------------------------------------------------------------------------------------------------------------


def log_in_from_inside(checkout: Checkout, command: str) -> list[str]:
    """Let the container's account into its own container by ssh, and return the lines of a command there.

    That takes sudo, for the keys' place is root's, and what SSH brings.
    """
    script = (
        "rm -f ~/key && ssh-keygen -q -t ed25519 -N '' -f ~/key && sudo cp ~/key.pub /etc/ssh/authorized_keys\n"
        "ssh='ssh -F /dev/null -i ~/key -p 2222 -q -o StrictHostKeyChecking=no -o ConnectionAttempts=20'\n"
        f"serve-ssh sh -c \"$ssh 127.0.0.1 '{command}'\" 2> ~/log || cat ~/log\n"
    )
    return checkout.inside(script).lines


def test_simple_brings_python_where_the_base_has_none(services: Callable[[str], Checkout]) -> None:
    simple = services("simple")
    assert run(["docker", "run", "--rm", simple.setting("SIMPLE_IMAGE"), "python3"], check=False).code
    assert simple.inside("id --user; command -v python; pwd").lines == [
        NUMBER,
        "/opt/simple/bin/python",
        "/opt/project",
    ]
    simple.inside("python -c 'import tqdm'")
    assert "No module named 'torch'" in simple.invoke("exec", "--command", "python -c 'import torch'", check=False).out
    assert "%n@%m" in simple.inside("zsh -ic 'echo $PROMPT'").out


@pytest.mark.parametrize("service", ["simple", "devel"])
def test_what_goes_wrong_inside_is_looked_for_where_there_is_no_torch(
    services: Callable[[str], Checkout], service: str
) -> None:
    said = services(service).inside("bash misc/fixes.sh").lines
    assert [line for line in said if not line.startswith("mended: git works")] in ([], ["nothing needed mending"])


def test_simple_keeps_tensorflow_from_taking_a_whole_gpu(services: Callable[[str], Checkout]) -> None:
    shown = "printenv TF_FORCE_GPU_ALLOW_GROWTH || true"
    assert services("simple").inside(shown).lines == ["true"]
    assert services("devel").inside(shown).lines == []
    with_cuda = replace(services("simple"), extra={**services("simple").extra, "USE_CUDA": "1"})
    environment = json.loads(with_cuda.compose("config", "--format", "json").out)["services"]["simple"]["environment"]
    assert {"TF_FORCE_GPU_ALLOW_GROWTH", "CUDA_DEVICE_ORDER", "TZ"} <= set(environment)


def test_simple_has_sudo_ssh_and_a_preload(services: Callable[[str], Checkout]) -> None:
    simple = services("simple")
    names = "VIRTUAL_ENV LD_PRELOAD PYTHONPATH PATH"
    assert log_in_from_inside(simple, f"printenv {names}") == simple.inside(f"printenv {names}").lines
    assert "/opt/preload/libtcmalloc_minimal.so.4\n" in simple.inside("cat /proc/self/maps").out


def test_simple_is_on_top_of_a_private_bases_python(
    services: Callable[[str], Checkout], built: Checkout, tmp_path: Path
) -> None:
    # A base with a Python of its own, which is an environment, a package that no index has, an account, an entry point.
    simple, word = services("simple"), uuid.uuid4().hex[:8]
    base, image = f"cresset-test-base:{word}", f"cresset:test-{word}"
    (tmp_path / "METADATA").write_text("Metadata-Version: 2.1\nName: cresset-private\nVersion: 1.0\n")
    (tmp_path / "cresset_private.py").write_text("answer = 42\n")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {built.image}\nUSER 0\nCOPY cresset_private.py METADATA /tmp/\n"
        "RUN cd /opt/venv/lib/python3*/site-packages && cp /tmp/cresset_private.py . &&"
        " mkdir cresset_private-1.0.dist-info && cp /tmp/METADATA cresset_private-1.0.dist-info/\n"
        "RUN echo 'x = 1' > /mnt/far.py\n"
        'ENV PYTHONPATH=/mnt\nUSER 4321\nENTRYPOINT ["false"]\nHEALTHCHECK CMD false\n'
    )
    run(["docker", "build", "--quiet", "--tag", base, str(tmp_path)])
    requirements = simple.path / "reqs" / "pip-simple.requirements.txt"
    kept = requirements.read_text()
    settings = {"SIMPLE_IMAGE": base, "IMAGE_NAME": image}
    try:
        requirements.write_text(kept + "cresset-private\nnumpy\n")
        switches = {"SUDO": "exclude", "SSH": "exclude", "PRELOAD": "none"}
        private = replace(simple, extra={**simple.extra, **settings, **switches})
        private.invoke("build")
        assert private.inside("id --user; command -v python").lines == [NUMBER, "/opt/simple/bin/python"]
        shown = run(["docker", "image", "inspect", "--format", "{{json .Config.Healthcheck.Test}}", image]).lines
        assert shown == ['["NONE"]']
        code = "import cresset_private, far, numpy, torch, tqdm; print(torch.__file__, numpy.__file__, tqdm.__file__)"
        torch, numpy, tqdm = private.inside(f"python -c '{code}'").out.split()
        assert torch.startswith("/opt/venv/")
        assert numpy.startswith("/opt/venv/")
        assert tqdm.startswith(("/opt/venv/", "/opt/simple/"))
        listing = ("sh", "-c", "cd /opt/venv && find . -type f ! -name '*.pyc' | sort")
        assert within(image, *listing) == within(base, *listing)
    finally:
        requirements.write_text(kept)
        simple.invoke("up")
        run(["docker", "image", "rm", "--force", image, base], check=False)


# ---------------------------------------------------------------------------------------------------------------------


def test_full_compiles_and_starts(source_build: SourceBuild) -> None:
    image = f"cresset:{source_build.name}-full"
    full = replace(source_build.checkout, service="full", extra={"SERVICE": "full", "IMAGE_NAME": image})
    assert full.setting("BUILD_MODE") == "include"
    try:
        full.invoke("build", "--service", "full")
        assert full.executed() == []  # what was compiled for cpu is compiled
        assert full.inside("python -c 'import torch; print(torch.add(20, 22))'").out.strip() == "42"
        ran = source_build.do("build-train", "--service=full")
        assert ran.build_stages == set()
    finally:
        full.invoke("down", "--service", "full")
        run(["docker", "image", "rm", "--force", image], check=False)


def test_use_cuda_decides_on_gpus_and_base_images(services: Callable[[str], Checkout]) -> None:
    checkout = services("*")
    plain = checkout.setting("PLAIN_IMAGE")

    def found(**settings: str) -> dict[str, tuple[bool, dict[str, str]]]:
        """Return of each service whether it reserves GPUs, and the base images that it is given."""
        text = replace(checkout, extra={**checkout.extra, **settings}).compose("config", "--format", "json").out
        both = ("train", "full", "devel", "deploy", "simple")
        read = {name: json.loads(text)["services"][name] for name in both}
        images = ("BUILD_IMAGE", "DEPLOY_IMAGE")
        return {
            name: ("deploy" in one, {key: value for key, value in one["build"]["args"].items() if key in images})
            for name, one in read.items()
        }

    for name, without in found().items():
        assert without == (False, {"BUILD_IMAGE": plain, "DEPLOY_IMAGE": plain}), name
    for name, named in found(BUILD_IMAGE="mine:1", DEPLOY_IMAGE="mine:2").items():
        assert named == (False, {"BUILD_IMAGE": "mine:1", "DEPLOY_IMAGE": "mine:2"}), name
    for name, cuda in found(USE_CUDA="1").items():
        assert cuda == (True, {}), name
    # What the Dockerfile makes of it.
    deploy = replace(services("deploy"), extra={**services("deploy").extra, "USE_CUDA": "1"})
    assert deploy.setting("DEPLOY_IMAGE") == "nvidia/cuda:13.0.3-cudnn-runtime-ubuntu24.04"
    assert deploy.setting("BUILD_IMAGE") == "nvidia/cuda:13.0.3-cudnn-devel-ubuntu24.04"


def test_a_service_is_added_as_the_page_says(services: Callable[[str], Checkout]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "services.md").read_text()
    (block,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    board = services("board")
    override = board.path / "docker-compose.override.yaml"
    before = services("deploy").container()
    try:
        override.write_text(block.replace("6006:6006", "0:6006"))  # whichever port is free
        board.invoke("build", "--service", "board")
        assert board.inside(
            "echo $OMP_NUM_THREADS; python -c 'import torch; print(torch.ones(2).sum().item())'"
        ).lines == [
            "4",
            "2.0",
        ]
        assert ":6006" not in board.compose("port", "board", "6006").out
        assert services("deploy").container() == before
    finally:
        board.invoke("down", "--service", "board")
        run(["docker", "image", "rm", "--force", board.image], check=False)
        override.unlink()
