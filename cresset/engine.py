"""The one door to docker's CLI, and to subprocess."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import NoReturn

from cresset.errors import CressetError

# Stable image ids on every store, and no question about folders outside the checkout: named contexts are there.
_BUILDX = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1", "BUILDX_BAKE_ENTITLEMENTS_FS": "0"}


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Docker, as one task uses it.

    Attributes:
        environment: what each command's environment holds besides the process's own.
        dry_run: print each command that would change something, instead of running it.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False

    def compose_config(self, *, dotenv: bool = True) -> str:
        """Return what `docker compose config --format json` prints; needs no daemon.

        Args:
            dotenv: let Compose read `.env`.

        Raises:
            CressetError: no docker CLI, no Compose V2, or a file that Compose refuses.
        """
        env_file = [] if dotenv else ["--env-file", os.devnull]
        done = self._capture(["docker", "compose", *env_file, "config", "--format", "json"])
        if done.returncode:
            raise _compose_refusal(done.stderr, override=self._broken_override())
        if sys.stderr is not None:  # closed by whoever started this
            sys.stderr.write(done.stderr)
        return done.stdout

    def _broken_override(self) -> str:
        """Return the override file's name where Compose takes the project without it; empty otherwise."""
        names = sorted(map(str, Path().glob("docker-compose.override.y*ml")))
        if not names:
            return ""
        without = self._capture(["docker", "compose", "--file", "docker-compose.yaml", "config", "--quiet"])
        return "" if without.returncode else names[0]

    def run(self, argv: Sequence[str], *, hint: Callable[[], str] = str) -> None:
        """Run a command on the person's own terminal.

        Args:
            argv: the command.
            hint: asked, once it failed, what to do about that; what docker said has passed by on the screen.

        Raises:
            CressetError: it failed; the exit code is docker's own, and docker has said why.
        """
        if self.dry_run:
            self._show(argv)
            return
        code = self._follow(argv)
        if code:
            self.ready()  # where the reason is that no daemon answers, that is what to say
            raise CressetError(f"`{shlex.join(argv)}` ended with exit code {code}", hint(), code=code)

    def become(self, argv: Sequence[str]) -> None:
        """Replace this process, so that resizing, Ctrl-C, tmux and the exit code are the command's own."""
        if self.dry_run:
            self._show(argv)
        else:
            _exec(list(argv), {**os.environ, **self.environment})

    def bake(self, definition: str, *, feed: Callable[[bytes], None] | None = None, progress: str = "auto") -> int:
        """Build a bake definition and return the exit code.

        Args:
            definition: as JSON.
            feed: receives BuildKit's events as they come; without it the screen is BuildKit's own.
            progress: what BuildKit then makes of the screen: auto, plain or tty.
        """
        shown = "rawjson" if feed else progress
        argv = ["docker", "buildx", "bake", *([f"--progress={shown}"] if shown != "auto" else []), "--file=-"]
        if self.dry_run:
            self._show(argv, stdin=definition, extra=_BUILDX)
            return 0
        with (
            _told_to_end(),
            subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE if feed else None,
                env={**os.environ, **_BUILDX, **self.environment},
            ) as process,
        ):
            assert process.stdin is not None  # noqa: S101 - for the type checker: PIPE was asked for
            try:
                with suppress(BrokenPipeError):  # it has ended already, and says why on the other stream
                    process.stdin.write(definition.encode())
                    process.stdin.close()
                said = b""
                while feed and process.stderr and (chunk := os.read(process.stderr.fileno(), 65536)):
                    said = (said + chunk)[-4096:]
                    feed(chunk)
                process.wait()
            except BaseException:
                _cancel(process)
                raise
        if process.returncode and (refused := _refused_folder(_last_line(said.decode(errors="replace")))):
            raise refused
        return process.returncode

    def ready(self) -> None:
        """Make sure that a daemon answers and is not too old; a dry run needs none.

        Raises:
            CressetError: none answers, this person may not use it, or it is too old.
        """
        if self.dry_run:
            return
        done = self._capture(["docker", "version", "--format", "{{.Server.Version}}"])
        if done.returncode:
            raise daemon_refusal(done.stderr)
        _require("engine", done.stdout.strip())

    def place(self) -> tuple[str, str]:
        """Return the name of the machine that the daemon runs on, and the folder there that holds its data.

        Raises:
            CressetError: no daemon answers.
        """
        done = self._capture(["docker", "info", "--format", "{{.Name}}\t{{.DockerRootDir}}"])
        if done.returncode:
            raise daemon_refusal(done.stderr)
        name, _, folder = done.stdout.strip().partition("\t")
        return name, folder

    def compose_version(self) -> str:
        """Return the version of Compose, N.N.N.

        Raises:
            CressetError: there is none, or it is too old.
        """
        done = self._capture(["docker", "compose", "version", "--short"])
        if done.returncode:
            raise _compose_refusal(done.stderr)
        _require("compose", done.stdout.strip())
        return ".".join(map(str, _numbers(done.stdout)[:3]))

    def labels(self, reference: str) -> dict[str, str] | None:
        """Return an image's labels, None where there is no such image.

        Raises:
            CressetError: no daemon answers.
        """
        done = self._capture(["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", reference])
        if done.returncode and "no such image" not in done.stderr.lower():
            raise daemon_refusal(done.stderr)
        return None if done.returncode else json.loads(done.stdout) or {}

    def output_of(self, reference: str, script: str) -> str:
        """Return what a shell script prints in a container of an image, which is removed afterwards."""
        argv = ["docker", "run", "--rm", "--network=none", "--user=0", "--entrypoint=sh", reference, "-c", script]
        return self._capture(argv).stdout

    def export(self, reference: str) -> bytes:
        """Return the files of an image as a tar archive; the image needs no program of its own."""
        made = self._capture(["docker", "create", reference, "none"])
        if made.returncode:
            raise daemon_refusal(made.stderr)
        container = made.stdout.strip()
        try:
            return subprocess.run(
                ["docker", "export", container], check=True, capture_output=True, env={**os.environ, **self.environment}
            ).stdout
        finally:
            self._capture(["docker", "rm", "--force", container])

    def pull(self, reference: str) -> str:
        """Pull an image, and return why that failed; empty where it did not."""
        done = self._capture(["docker", "pull", "--quiet", reference])
        return done.stderr.strip() or f"exit code {done.returncode}" if done.returncode else ""

    def states(self, project: str, service: str) -> list[str]:
        """Return the states of a service's containers, like running, paused, restarting, exited or created.

        Raises:
            CressetError: no daemon answers.
        """
        return self._containers(project, service, "--all", show="{{.State}}")

    def start_problem(self, project: str, service: str) -> str:
        """Return why a service's container did not start, as the daemon noted it; empty where it noted nothing."""
        names = self._containers(project, service, "--all")
        return self._capture(["docker", "container", "inspect", "--format", "{{.State.Error}}", *names]).stdout.strip()

    def remove_half_made(self, project: str, service: str) -> None:
        """Remove the container that an interrupted replacement left behind, over whose name Compose would stumble.

        Raises:
            CressetError: no daemon answers.
        """
        made = self._containers(project, service, "--all", "--filter", "status=created")
        # A successor is called after the container that it is to replace, until that has gone.
        if half_made := [name for name in made if re.match("[0-9a-f]{12}_", name)]:
            self._capture(["docker", "container", "rm", *half_made])

    def _containers(self, project: str, service: str, *options: str, show: str = "{{.Names}}") -> list[str]:
        """Return the names of a service's containers: of those that run, or as the options of `docker ps` say.

        Args:
            project: of Compose.
            service: of that project.
            options: further ones for `docker container ls`.
            show: what to return instead of names, a format of `docker container ls`.
        """
        labels = [f"label=com.docker.compose.project={project}", f"label=com.docker.compose.service={service}"]
        filters = [word for label in labels for word in ("--filter", label)]
        done = self._capture(["docker", "container", "ls", "--format", show, *filters, *options])
        if done.returncode:
            raise daemon_refusal(done.stderr)
        return done.stdout.split()

    def _capture(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return self._subprocess(argv, capture_output=True)

    def _subprocess(self, argv: Sequence[str], *, capture_output: bool = False) -> subprocess.CompletedProcess[str]:
        try:
            with _told_to_end():
                return subprocess.run(
                    argv,
                    check=False,
                    capture_output=capture_output,
                    env={**os.environ, **self.environment},
                    encoding="utf-8",
                    errors="replace",
                )
        except OSError as error:
            raise _unusable(argv[0], error) from None

    def _follow(self, argv: Sequence[str]) -> int:
        """Run a command on the person's own terminal, and return its exit code."""
        with _told_to_end():
            try:
                process = subprocess.Popen(argv, env={**os.environ, **self.environment})
            except OSError as error:
                raise _unusable(argv[0], error) from None
            with process:
                try:
                    return process.wait()
                except BaseException:
                    _cancel(process)
                    raise

    def _show(self, argv: Sequence[str], *, stdin: str = "", extra: Mapping[str, str] | None = None) -> None:
        words = [f"{name}={shlex.quote(value)}" for name, value in {**(extra or {}), **self.environment}.items()]
        print(*words, shlex.join(argv), *(["<<'EOF'", f"\n{stdin}\nEOF"] if stdin else []))


@contextmanager
def _told_to_end() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C is treated: docker is told, waited for, and what was done is kept.

    Raises:
        CressetError: one of them came; the exit code is the one that a shell gives it.
    """

    def end(number: int, _: object) -> NoReturn:
        name = signal.Signals(number).name
        raise CressetError(f"ended by {name}", "what was built so far is in the cache", code=128 + number)

    # Under nohup a hangup is ignored, and stays so.
    numbers = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():  # to which alone Python brings signals
        numbers = []
    try:
        for number in numbers:
            signal.signal(number, end)
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _cancel(process: subprocess.Popen[bytes]) -> None:
    """Tell docker to stop and wait until it has: killed, it would leave half done what it is at, or go on in secret."""
    process.terminate()
    while process.stderr and os.read(process.stderr.fileno(), 65536):
        pass
    process.wait()


def _exec(argv: list[str], environment: Mapping[str, str]) -> NoReturn:
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    try:
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        raise _unusable(argv[0], error) from None


def _unusable(program: str, error: OSError) -> CressetError:
    reason = "is not installed" if isinstance(error, FileNotFoundError) else f"cannot be run: {error.strerror}"
    return CressetError(f"{program} {reason}", "run: bash misc/setup.sh")


def _folder() -> Path:
    """Return docker's own folder, where it keeps its configuration, plugins, and what buildx remembers."""
    return Path(os.environ.get("DOCKER_CONFIG") or "~/.docker").expanduser()


def _is_foreign(folder: Path) -> bool:
    """Return whether something in a folder is another account's."""
    found = ((Path(top), folders + names) for top, folders, names in os.walk(folder))
    paths = [folder, *(top / name for top, names in found for name in names)]
    return any(os.path.lexists(path) and path.lstat().st_uid != os.geteuid() for path in paths)


def _refused_folder(text: str) -> CressetError | None:
    """Return what to tell a person whom docker's folder is closed to, as `sudo docker` leaves it; None otherwise."""
    folder = _folder()
    if f"{folder}" not in text or "permission denied" not in text.lower() or not _is_foreign(folder):
        return None
    whole = shlex.quote(str(folder)) if "DOCKER_CONFIG" in os.environ else "~/.docker"
    return CressetError(
        f"{whole} is another account's, or something in it, as after `sudo docker`",
        f'make it yours: sudo chown -R "$USER": {whole}',
    )


def daemon_refusal(text: str) -> CressetError:
    """Return what to tell a person to whom docker says that its daemon does not answer."""
    if refused := _refused_folder(_last_line(text)):
        return refused
    text = _last_line(text)
    if "permission denied" in text.lower():
        return CressetError(
            "this account may not use the Docker daemon", "run: bash misc/setup.sh (it offers the group docker)"
        )
    return CressetError(f"no Docker daemon answers: {text}", f"start it: bash misc/setup.sh{_elsewhere()}")


def _compose_refusal(text: str, *, override: str = "") -> CressetError:
    absent = ("is not a docker command", "unknown command", "unknown shorthand flag", "unknown flag")
    is_absent = any(words in text for words in absent)
    # The warning that docker cannot read its configuration says nothing of why Compose refuses, if it is there.
    if refused := _refused_folder(text if is_absent else _last_line(text)):
        return refused
    if is_absent:
        return CressetError("docker has no Compose V2 plugin", "run: bash misc/install_compose.sh")
    reason = _last_line(text)
    if "unable to resolve docker endpoint" in reason:
        return CressetError(
            f"docker: {reason}", f"`docker context ls` shows what there is{_elsewhere() or '; docker context use NAME'}"
        )
    hint = f"edit or remove {override}" if override else "see docker-compose.yaml, its override and .env"
    return CressetError(f"docker compose: {reason}", hint)


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else "no answer"


def _elsewhere() -> str:
    """Return, to end a hint with, what of the shell decides which daemon is asked; empty where nothing does."""
    named = [name for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY") if os.environ.get(name)]
    return f"; or unset {' and '.join(named)}" if named else ""


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _require(program: str, version: str) -> None:
    lines = resources.files("cresset.data").joinpath("minimum-versions").read_text().splitlines()
    minimum = dict(line.split() for line in lines if line and not line.startswith("#"))[program]
    if _numbers(version) < _numbers(minimum):
        raise CressetError(
            f"{program} {version} is too old: {minimum} or newer is needed",
            "upgrade it: https://docs.docker.com/engine/install/",
        )
