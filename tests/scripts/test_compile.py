"""What happens before and around compiling: the real shell scripts of the build stages, stand-ins for the compilers."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scripts.stubs import REPOSITORY, Machine

REAL = "awk cat cut df find grep head ls mkdir mktemp paste rm sed sh sleep tail tee tr"
# Where the scripts look at the machine; a test's machine has it all in a folder of its own.
PLACES = re.compile(r"(?<![\w.}])/(opt|proc|root|run|sys|tmp|usr)/")
CXX = """
case "$*" in
    *-dumpfullversion*) echo 13.3.0 ;;
    *) printf '#!/bin/sh\\n' > "$2" && chmod +x "$2" ;;
esac
"""
NVCC = """
case "$*" in
    --list-gpu-code) printf "sm_75\\nsm_86\\nsm_90\\n" ;;
    --version) echo "Cuda compilation tools, release ${TOOLS:-13.0}, V13.0.88" ;;
esac
"""
DF = "echo Filesystem; echo /dev/x 99 9 {} 9% /"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A builder that lacks nothing: 8 cores, 64 GB, compilers, CUDA with cuDNN, a source tree."""
    root = tmp_path / "machine"
    for folder in ("bin", "home", "proc", "tmp", "run/secrets", "sys/fs/cgroup", "opt/build/bin", "source/aten"):
        (root / folder).mkdir(parents=True)
    (tmp_path / "real").mkdir()
    for name in (*REAL.split(), "chmod"):
        (tmp_path / "real" / name).symlink_to(shutil.which(name) or name)
    shutil.copytree(REPOSITORY / "misc" / "image", root / "image")
    for script in (root / "image").glob("*.sh"):
        script.write_text(PLACES.sub(rf"{root}/\1/", script.read_text()))
    made = Machine(root=root)
    made.stub("c++", CXX)
    made.stub("nvcc", NVCC)
    made.stub("nproc", "echo 8")
    made.stub("df", DF.format(20000))
    made.stub("python")
    (root / "bin" / "python").rename(root / "opt/build/bin/python")
    (root / "proc" / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable:   {64000 * 1024} kB\n")
    (root / "source" / "setup.py").touch()
    (root / "source" / ".gitmodules").write_text('[submodule "a"]\n\tpath = third_party/a\n\turl = x\n')
    write(root / "source" / "third_party" / "a" / "file")
    write(root / "usr/include/cudnn_version.h")
    # As in NVIDIA's images.
    write(root / "usr/local/cuda/targets/nccl.h")
    (root / "usr/local/cuda/include").symlink_to("targets")
    return made


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def preflight(machine: Machine, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run preflight.sh with CUDA, unless the environment says otherwise."""
    cuda = {"USE_CUDA": "1", "CUDA_VERSION": "13.0.3", "BUILD_IMAGE": "base:1", "CCA": "8.6"}
    words = (f"{machine.root}/image/preflight.sh", f"{machine.root}/source", f"{machine.root}/out")
    return machine.execute("sh", *words, **{**cuda, "TMPDIR": f"{machine.root}/tmp", **environment})


def compiling(machine: Machine, text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a text after compile.sh, as the scripts do."""
    return machine.execute("sh", "-c", f"set -eu; . {machine.root}/image/compile.sh; {text}", **environment)


def test_a_good_builder_is_told_in_a_line_and_what_was_found_is_kept(machine: Machine) -> None:
    done = preflight(machine)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "preflight: gcc 13.3.0, 8 cores, 64000 MiB free: 8 jobs\n"
    place = f"{machine.root}/usr"
    found = f"gcc 13.3.0 cudnn {place}/include/cudnn_version.h nccl {place}/local/cuda/include/nccl.h\n"
    assert (machine.root / "out" / "found").read_text() == found


def test_without_cuda_nothing_of_it_is_asked_for(machine: Machine) -> None:
    (machine.root / "bin" / "nvcc").unlink()
    shutil.rmtree(machine.root / "usr")
    assert preflight(machine, USE_CUDA="0", CCA="").returncode == 0
    assert (machine.root / "out" / "found").read_text() == "gcc 13.3.0 cudnn  nccl \n"


@pytest.mark.parametrize("cca", ["7.5", "8.6+PTX", "9.0a", "7.5 8.6+PTX", "7.5;9.0"])
def test_what_nvcc_knows_is_let_through(machine: Machine, cca: str) -> None:
    assert preflight(machine, CCA=cca).returncode == 0


def test_what_nvcc_says_of_itself_is_not_missed(machine: Machine) -> None:
    machine.stub("nvcc", 'case "$*" in --list*) exit 1 ;; esac')
    assert preflight(machine, CCA="3.5").returncode == 0


def test_no_nccl_is_said_and_no_reason_to_stop(machine: Machine) -> None:
    (machine.root / "usr/local/cuda/targets/nccl.h").unlink()
    done = preflight(machine)
    assert done.returncode == 0
    assert "no NCCL in base:1" in done.stderr
    assert (machine.root / "out" / "found").read_text().endswith("nccl \n")


def without(name: str) -> Callable[[Machine], None]:
    return lambda machine: (machine.root / name).unlink()


def having(name: str, body: str) -> Callable[[Machine], None]:
    return lambda machine: machine.stub(name, body)


@pytest.mark.parametrize(
    ("spoil", "cca", "line", "hint"),
    [
        (without("source/setup.py"), "8.6", "neither setup.py nor pyproject.toml", "PYTORCH_URL"),
        (without("source/third_party/a/file"), "8.6", "the submodule third_party/a is empty", "submodule update"),
        (without("bin/c++"), "8.6", "the C++ compiler of base:1 does not work", "another BUILD_IMAGE"),
        (having("c++", "exit 1"), "8.6", "the C++ compiler of base:1 does not work", "another BUILD_IMAGE"),
        (without("bin/nvcc"), "8.6", "base:1 has no nvcc", "IMAGE_FLAVOR=devel"),
        (lambda _: None, "", "CCA is empty", "CCA=8.6"),
        (lambda _: None, "7.5 6.1", "nvcc of CUDA 13.0.3 does not compile for 6.1 (sm_61)", "it knows sm_75 sm_86"),
        (
            having("nvcc", f"TOOLS=12.4{NVCC}"),
            "8.6",
            "base:1 has CUDA 12.4, and CUDA_VERSION is 13.0.3",
            "set CUDA_VERSION",
        ),
        (having("nvcc", f"{NVCC}\ncase $1 in -o) exit 1 ;; esac"), "8.6", "does not work with gcc 13.3.0", "older"),
        (without("usr/include/cudnn_version.h"), "8.6", "base:1 has no cuDNN", "cudnn in its tag"),
        (without("opt/build/bin/python"), "8.6", "no numpy", "without it"),
        (having("df", DF.format(9000)), "8.6", "the builder has 9000 MiB free", "docker builder prune"),
    ],
    ids=[
        "no PyTorch",
        "an empty submodule",
        "no compiler",
        "a broken compiler",
        "no nvcc",
        "no capability",
        "a capability too old",
        "another CUDA",
        "nvcc and gcc do not agree",
        "no cuDNN",
        "no numpy",
        "little disk",
    ],
)
def test_what_would_fail_in_hours_fails_at_once(
    machine: Machine, spoil: Callable[[Machine], None], cca: str, line: str, hint: str
) -> None:
    spoil(machine)
    done = preflight(machine, CCA=cca)
    assert done.returncode == 1
    said, told = done.stderr.splitlines()[-2:]
    assert said.startswith("cresset: preflight: ")
    assert line in said
    assert hint in told
    assert not (machine.root / "out" / "found").exists()


def test_a_small_source_needs_little_disk(machine: Machine) -> None:
    machine.stub("df", DF.format(9000))
    (machine.root / "source" / "aten").rmdir()
    assert preflight(machine).returncode == 0


@pytest.mark.parametrize(
    ("builder", "limit", "wanted", "jobs"),
    [
        ((8, 64000), "", "", {"0": 8, "1": 8}),
        ((16, 64000), "max", "", {"0": 16, "1": 10}),
        ((8, 8192), "", "", {"0": 4, "1": 1}),
        ((8, 1000), "", "", {"0": 1, "1": 1}),
        ((8, 64000), str(8192 << 20), "", {"0": 4, "1": 1}),
        ((8, 64000), "9223372036854771712", "", {"0": 8, "1": 8}),
        ((8, 4096), str(64000 << 20), "", {"0": 2, "1": 1}),
        ((2, 1000), "", "12", {"0": 12, "1": 12}),
    ],
    ids=[
        "enough for all cores",
        "memory for fewer with CUDA",
        "little memory",
        "never none",
        "a control group's limit",
        "no limit, in version 1 of control groups",
        "less free than the limit",
        "the person's own number",
    ],
)
def test_jobs_are_what_processors_and_memory_allow(
    machine: Machine, builder: tuple[int, int], limit: str, wanted: str, jobs: dict[str, int]
) -> None:
    cores, free = builder
    machine.stub("nproc", f"echo {cores}")
    write(machine.root / "proc/meminfo", f"MemAvailable: {free * 1024} kB\n")
    name = "memory/memory.limit_in_bytes" if limit.startswith("9") else "memory.max"
    if limit:
        write(machine.root / "sys/fs/cgroup" / name, f"{limit}\n")
    if wanted:
        write(machine.root / "run/secrets/max_jobs", wanted)
    for cuda, number in jobs.items():
        done = compiling(machine, "echo $MAX_JOBS $CMAKE_BUILD_PARALLEL_LEVEL", USE_CUDA=cuda)
        assert done.stdout == f"{number} {number}\n", done.stderr


NINJA = 'i=1; while [ $i -le 1000 ]; do echo "[$i/1000] c++ $i"; i=$((i + 1)); done'


def test_of_a_long_build_the_configuration_and_some_counters_are_shown(machine: Machine) -> None:
    machine.stub("make-it", f'echo "-- USE_MKL: ON"; {NINJA}; echo "a line of the linker"')
    done = compiling(machine, "quietly make-it; echo after")
    lines = done.stdout.splitlines()
    assert lines[0] == "-- USE_MKL: ON"
    assert lines[-2:] == ["[1000/1000] c++ 1000", "after"]
    assert len([line for line in lines if line.startswith("[")]) == len(lines) - 2 == 200
    assert "a line of the linker" in (machine.root / "tmp/compile.log").read_text()


def test_a_short_build_is_shown_whole(machine: Machine) -> None:
    machine.stub("make-it", "echo '[1/2] c++ a'; echo note; echo '[2/2] c++ b'; echo done")
    assert compiling(machine, "quietly make-it").stdout == "[1/2] c++ a\nnote\n[2/2] c++ b\ndone\n"


def test_a_line_is_shown_when_it_is_written(machine: Machine) -> None:
    # It waits for a file that only a reader of its first line makes.
    body = f"i=0; until [ -e {machine.root}/seen ] || [ $i = 100 ]; do sleep 0.1; i=$((i + 1)); done"
    machine.stub("make-it", f"echo first; {body}; [ $i = 100 ] || echo second")
    command = f"quietly make-it | while read -r line; do echo $line; : > {machine.root}/seen; done"
    assert compiling(machine, command).stdout == "first\nsecond\n"


def test_a_failure_says_what_the_compiler_said_and_keeps_the_exit_code(machine: Machine) -> None:
    machine.stub("make-it", f'{NINJA}; echo "FAILED: a.o"; echo "a.cpp:1: error: no such thing"; exit 3')
    done = compiling(machine, "quietly make-it; echo after", MAX_JOBS="8")
    assert done.returncode == 3
    assert "after" not in done.stdout
    assert "compiling failed with 8 jobs" in done.stderr
    assert "a.cpp:1: error: no such thing" in done.stderr
    assert "[1/1000]" not in done.stderr
    assert "memory" not in done.stderr


@pytest.mark.parametrize(
    ("jobs", "advice"),
    [("8", "set MAX_JOBS=4"), ("3", "set MAX_JOBS=1"), ("1", "the builder needs more")],
)
@pytest.mark.parametrize("line", ["c++: fatal error: Killed signal terminated program cc1plus", "std::bad_alloc"])
def test_a_compiler_that_was_killed_for_memory_is_told_from_an_error(
    machine: Machine, line: str, jobs: str, advice: str
) -> None:
    machine.stub("make-it", f'echo "FAILED: a.o"; echo "{line}"; exit 1')
    write(machine.root / "run/secrets/max_jobs", jobs)
    done = compiling(machine, "quietly make-it")
    said = f"cresset: the compiler was killed for memory: {jobs} jobs with 64000 MiB free; {advice}\n"
    assert done.stderr.endswith(said)


# As ccache 4.8 writes it: a comment for each file, then what counted.
HIT = "# a.cpp\ndirect_cache_hit\nlocal_storage_hit\nlocal_storage_read_hit\n"
FAR = "# b.cpp\npreprocessed_cache_hit\ndirect_cache_miss\nlocal_storage_miss\nremote_storage_hit\n"
MISS = "# c.cpp\ncache_miss\ndirect_cache_miss\npreprocessed_cache_miss\nlocal_storage_miss\nlocal_storage_write\n"
LINK = "# a.o\ncalled_for_link\n"


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (HIT + HIT + HIT + MISS, ["torch: compiler cache: 3 of 4 compilations found (hit 75 %)"]),
        (
            HIT + FAR,
            ["torch: compiler cache: 2 of 2 compilations found (hit 100 %), 1 of them in the remote store"],
        ),
        (
            MISS + LINK,
            [
                "torch: compiler cache: 0 of 1 compilations found (hit 0 %)",
                "cresset: torch: hit 0 %: as in a first build, or after a change of compiler or flags",
            ],
        ),
        (LINK, ["torch: nothing that can be cached was compiled"]),
        ("", ["torch: nothing was compiled"]),
    ],
    ids=["some", "a remote store", "none", "only linked", "nothing"],
)
def test_what_the_compiler_cache_gave_is_said(machine: Machine, log: str, says: list[str]) -> None:
    write(machine.root / "tmp/ccache.statistics", log)
    assert compiling(machine, "report torch").stdout.splitlines() == says
    # The next step's report begins anew.
    assert not log or not (machine.root / "tmp/ccache.statistics").exists()


PICK = """\
\ufeff# a comment of an editor on Windows\r
torch-scatter==2.1.2   # pinned\r
\r
  xformers[extra]>=0.0.30 ; \\
    python_version > "3.10"
git+https://example.org/x#egg=x
--extra-index-url https://example.org
"""


def test_of_the_packages_to_compile_only_what_counts_is_kept(machine: Machine) -> None:
    for text, lines in (
        (
            PICK,
            [
                "torch-scatter==2.1.2",
                'xformers[extra]>=0.0.30 ; python_version > "3.10"',
                "git+https://example.org/x#egg=x",
                "--extra-index-url https://example.org",
            ],
        ),
        ("\ufeff# nothing\r\n\n", []),
        ("flash-attn", ["flash-attn"]),
    ):
        write(machine.root / "file", text)
        done = machine.execute("sh", f"{machine.root}/image/pick-extensions.sh", "file", f"{machine.root}/out")
        assert done.returncode == 0, done.stderr
        assert (machine.root / "out/requirements.txt").read_text().splitlines() == lines
        assert bool((machine.root / "out/any").read_text()) == bool(lines)


@pytest.mark.parametrize("scheme", ["redis", "http"])
@pytest.mark.parametrize("answer", [b"+PONG\r\n", b""], ids=["answers", "is silent"])
def test_a_compiler_cache_that_does_not_answer_is_done_without(machine: Machine, scheme: str, answer: bytes) -> None:
    (machine.root / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    (machine.root / "bin" / "timeout").symlink_to(shutil.which("timeout") or "timeout")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            door, _ = server.accept()
            door.recv(100)
            if answer:
                door.sendall(answer)
            done.wait(20)
            door.close()

        done = threading.Event()
        threading.Thread(target=serve, daemon=True).start()
        write(machine.root / "run/secrets/ccache_remote", f"{scheme}://127.0.0.1:{server.getsockname()[1]}")
        said = compiling(machine, "echo store=${CCACHE_REMOTE_STORAGE:-none}")
        done.set()
    if answer:
        assert f"store={scheme}://" in said.stdout
    else:
        assert "store=none" in said.stdout
        assert "does not answer (timed out): without it" in said.stderr
