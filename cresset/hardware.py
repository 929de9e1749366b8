"""The one door to what the machine is: its GPUs, its kind of system, and where its engine runs."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

# Where Windows puts the driver's programs; not every shell of WSL looks there.
_WSL_DRIVER = "/usr/lib/wsl/lib"
_FIELDS = ("index", "name", "compute_cap", "driver_version", "memory.total")

# What is said of a program that did not end in time.
SILENCE = "does not answer"
# What is said of an nvidia-smi that hangs: then nobody knows what GPUs there are.
NO_ANSWER = "nvidia-smi does not answer"
# Seconds for nvidia-smi in all: it may have to wake one GPU after the other, and a stuck driver keeps it for ever.
_PATIENCE = 20.0

# The oldest driver for each major version of CUDA, whatever the minor one:
# docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
_OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU, as nvidia-smi describes it.

    Attributes:
        index: the driver's number for it.
        name: its product name.
        capability: its compute capability, like 9.0; empty where the driver is too old to say.
        driver: version of the driver.
        cuda: the newest CUDA that the driver speaks, like 13.0; empty where it does not say.
        memory: its memory in MiB; 0 where the driver does not say, as for memory that is shared with the processor.
    """

    index: int
    name: str
    capability: str
    driver: str
    cuda: str
    memory: int

    def __str__(self) -> str:
        """Return what a person wants to know of it, in one line."""
        capability = f", compute capability {self.capability}" if self.capability else ""
        cuda = f" (CUDA up to {self.cuda})" if self.cuda else ""
        return f"GPU {self.index}: {self.name}{capability}, driver {self.driver}{cuda}"


def gpus() -> tuple[tuple[Gpu, ...], str]:
    """Return the GPUs that NVIDIA's driver knows; where it knows none, also what nvidia-smi says, or NO_ANSWER."""
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), _WSL_DRIVER])
    program = shutil.which("nvidia-smi", path=places)
    if program is None:
        return (), ""
    until = time.monotonic() + _PATIENCE
    try:
        rows = _query(program, _FIELDS, until=until)
        if "is not a valid field to query" in rows:
            rows = _query(program, tuple(field for field in _FIELDS if field != "compute_cap"), until=until)
    except TimeoutError:
        return (), NO_ANSWER
    try:
        summary = ask(program, until=until)
    except TimeoutError:  # only the newest CUDA is not known then
        summary = ""
    found = parse_gpus(rows, summary=summary)
    return found, "" if found else next((line for line in rows.splitlines() if line.strip()), "nothing")


def system() -> str:
    """Return Linux, WSL or macOS."""
    return name_system(platform.system(), read("/proc/sys/kernel/osrelease"))


def engine_address() -> str:
    """Return where docker finds its engine, like unix:///var/run/docker.sock; empty where there is no docker."""
    return output("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}").strip()


def docker_folder() -> Path:
    """Return docker's own folder, where it keeps its configuration, plugins, and what buildx remembers."""
    if given := os.environ.get("DOCKER_CONFIG"):
        return Path(given)
    # For an account without a home, docker looks where it is run; Path would raise.
    return Path(os.path.expanduser("~/.docker").removeprefix("~/"))  # noqa: PTH111


def notes_folder() -> Path:
    """Return the folder in which buildx keeps its notes."""
    given = os.environ.get("BUILDX_CONFIG")
    return Path(given) if given else docker_folder() / "buildx"


def engine_memory() -> int:
    """Return the memory of the engine's machine in bytes, 0 where no engine answers."""
    answer = output("docker", "info", "--format", "{{.MemTotal}}").strip()
    return int(answer) if answer.isdecimal() else 0


def parse_gpus(rows: str, *, summary: str) -> tuple[Gpu, ...]:
    """Return the GPUs in what nvidia-smi prints; none where it prints an error instead.

    Args:
        rows: its CSV without header and units: index, name, compute_cap if the driver knows it, driver_version,
            memory.total.
        summary: what it prints when asked for nothing.
    """
    cuda = re.search(r"CUDA Version: ([0-9]{1,4}\.[0-9]{1,4})\b", summary)
    found = []
    for row in rows.splitlines():
        match row.split(", "):
            case [index, name, *capability, driver, memory] if (
                re.fullmatch("[0-9]{1,4}", index) and len(capability) <= 1
            ):
                gpu = Gpu(
                    index=int(index),
                    name=name,
                    capability="".join(word for word in capability if re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", word)),
                    driver=driver,
                    cuda=cuda[1] if cuda else "",
                    memory=int(memory) if re.fullmatch("[0-9]{1,12}", memory) else 0,
                )
                found.append(gpu)
    return tuple(found)


def name_system(kernel: str, release: str) -> str:
    """Return Linux, WSL or macOS, by the kernel's name and release."""
    if kernel == "Darwin":
        return "macOS"
    return "WSL" if "microsoft" in release.lower() else "Linux"


def oldest_driver(cuda_version: str) -> int:
    """Return the number of the oldest driver that runs a version of CUDA; 0 where that is not known."""
    return _OLDEST_DRIVER.get(_major(cuda_version), 0)


def serves(driver: str, cuda_version: str) -> bool:
    """Return whether a driver runs a version of CUDA, as far as that is known."""
    return not is_readable(driver) or _major(driver) >= oldest_driver(cuda_version)


def is_readable(driver: str) -> bool:
    """Return whether a driver's version is one; a card that is lost says [Unknown Error] or [N/A]."""
    return _major(driver) > 0


def processor(platform: str) -> str:
    """Return the processor that a platform of docker's is for, like amd64; empty where it names none."""
    name = platform.lower().removeprefix("linux").strip("/").removesuffix("/v8")
    return {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}.get(name, name)


def is_remote(address: str) -> bool:
    """Return whether an engine's address may lead to another machine; no address does not."""
    return bool(address) and not address.startswith(("unix://", "npipe://"))


def output(*argv: str) -> str:
    """Return what a command prints, successful or not; nothing where it cannot be run or takes half a minute."""
    return answer(*argv)[0]


def answer(*argv: str) -> tuple[str, str]:
    """Return what a command prints and what it complains of; SILENCE where it takes half a minute."""
    try:
        done = subprocess.run(argv, capture_output=True, check=False, encoding="utf-8", errors="replace", timeout=30)
    except subprocess.TimeoutExpired:
        return "", SILENCE
    except OSError:
        return "", ""
    return done.stdout, done.stderr


def ask(*argv: str, until: float) -> str:
    """Return what a command prints; nothing where it cannot be run.

    Raises:
        TimeoutError: it has not ended at that time of the monotonic clock.
    """
    try:
        # No `with`: what hangs in the driver does not end when it is killed, and would be waited for.
        process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", errors="replace"
        )
        return process.communicate(timeout=max(until - time.monotonic(), 0.1))[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise TimeoutError from None
    except OSError:
        return ""


def read(path: str) -> str:
    """Return the text of a file of the host; nothing where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _query(program: str, fields: tuple[str, ...], *, until: float) -> str:
    return ask(program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits", until=until)


def _major(version: str) -> int:
    number = re.match("[0-9]{1,9}", version)
    return int(number[0]) if number else 0
