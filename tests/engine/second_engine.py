"""A second engine beside the host's, for what nobody may do to that one: fill its disk, restart it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.engine.checkout import Result, run

_SECONDS = 60  # that a daemon may take to begin or to end
_SIZE = 6_000_000_000  # bytes of its disk, of which the file behind it takes only what is written


@dataclass(kw_only=True)
class SecondEngine:
    """A daemon with its own data, socket and network.

    Attributes:
        folder: where all that is its own lies.
        network: a process in whose network it lives.
        name: for what can only be told apart by name.
        daemon: its process, None while it does not run.
    """

    folder: Path
    network: int
    name: str
    daemon: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def address(self) -> str:
        """What DOCKER_HOST has to be."""
        return f"unix://{self.folder}/docker.sock"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        options = {
            "config-file": self.folder / "daemon.json",  # not the host's
            "data-root": self.data,
            "exec-root": self.folder / "exec",
            "pidfile": self.folder / "docker.pid",
            "host": self.address,
            "bip": "10.213.77.1/24",
            # It starts a containerd of its own, unless it finds the system's; that one keeps names apart.
            "containerd-namespace": self.name,
            "containerd-plugins-namespace": f"{self.name}-plugins",
        }
        argv = ["nsenter", f"--net=/proc/{self.network}/ns/net", "dockerd"]
        with (self.folder / "log").open("ab") as log:
            self.daemon = subprocess.Popen(
                [*argv, *(f"--{name}={value}" for name, value in options.items())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _SECONDS
        while self.docker("version", check=False).code:
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.skip(f"a second engine does not start here: {(self.folder / 'log').read_text()[-500:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        """End the daemon, as a shutdown of the host would; its containers and its containerd end with it."""
        if self.daemon is None:
            return
        self.daemon.terminate()
        try:
            self.daemon.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()
        self.daemon = None

    def docker(self, *words: str, check: bool = True) -> Result:
        return run(["docker", *words], check=check, DOCKER_HOST=self.address)

    def take(self, image: str) -> None:
        """Load an image from the host's engine."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saving:
            environment = {**os.environ, "DOCKER_HOST": self.address}
            subprocess.run(["docker", "load", "--quiet"], stdin=saving.stdout, env=environment, check=True)

    def leave(self, free: int) -> None:
        """Fill the disk until only so many bytes are free."""
        if not self.data.is_mount():
            pytest.skip("no disk of its own can be mounted here, and the host's must not be filled")
        self.make_room()
        status = os.statvfs(self.data)
        run(["fallocate", "--length", str(status.f_bavail * status.f_frsize - free), str(self.data / "ballast")])

    def make_room(self) -> None:
        """Undo that."""
        (self.data / "ballast").unlink(missing_ok=True)


@contextmanager
def running(image: str) -> Iterator[SecondEngine]:
    """Give a second engine that runs and holds an image of the first.

    Its network is that of a container of the first: there it may do what it likes to bridges and packet filters, and
    reach what any container reaches.
    """
    if os.getuid() != 0:
        pytest.skip("only root can start a second engine")
    if missing := [name for name in ("dockerd", "nsenter", "fallocate", "mkfs.ext4") if shutil.which(name) is None]:
        pytest.skip(f"a second engine needs {', '.join(missing)}")
    name = f"cresset-test-{uuid.uuid4().hex[:8]}"
    folder = Path(tempfile.mkdtemp(prefix="cresset-engine-"))
    run(["docker", "run", "--detach", "--name", name, "--env", f"MARK={name}", image, "sleep", "infinity"])
    try:
        engine = SecondEngine(folder=folder, network=_process(name), name=name)
        _mount(folder)
        (folder / "daemon.json").write_text("{}")
        engine.start()
        try:
            engine.take(image)
            yield engine
        finally:
            engine.stop()
    finally:
        _unmount(folder / "data")
        run(["docker", "rm", "--force", name])
        shutil.rmtree(folder)


def _process(container: str) -> int:
    """Return the number of a container's process, if it is one of this host and in a network of its own."""
    number = run(["docker", "inspect", "--format", "{{.State.Pid}}", container]).out.strip()
    process = Path("/proc", number)
    is_it = False
    deadline = time.monotonic() + 10  # it begins as runc's, and becomes the container's in a moment
    while not is_it and time.monotonic() < deadline:
        with suppress(OSError):
            is_it = f"MARK={container}".encode() in (process / "environ").read_bytes()
        time.sleep(0.1)
    if not is_it or (process / "ns/net").readlink() == Path("/proc/self/ns/net").readlink():
        pytest.skip("the containers of the engine are not processes of this host")
    return int(number)


def _mount(folder: Path) -> None:
    """Mount a disk at folder/data, which is a plain folder where that is not allowed."""
    disk = folder / "disk"
    (folder / "data").mkdir()
    with disk.open("wb") as file:
        file.truncate(_SIZE)
    run(["mkfs.ext4", "-q", "-m", "0", str(disk)])
    run(["mount", "-o", "loop", str(disk), str(folder / "data")], check=False)


def _unmount(folder: Path) -> None:
    """Unmount a disk, which what the daemon had started may hold for a moment."""
    for _ in range(50):
        if not folder.is_mount() or run(["umount", str(folder)], check=False).code == 0:
            return
        time.sleep(0.2)
    run(["umount", "--lazy", str(folder)])
