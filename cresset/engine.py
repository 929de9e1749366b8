"""The one door to docker's CLI, and to subprocess."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from cresset import hardware, processes, refusals
from cresset.errors import CressetError

# Stable image ids on every store, and no question about folders outside the checkout: named contexts are there.
_BUILDX = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1", "BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
_INFO = ("docker", "info", "--format", "{{.ServerVersion}}\t{{.Name}}\t{{.DockerRootDir}}\t{{.ID}}\t{{.Driver}}")
_COMPOSE_VERSION = ("docker", "compose", "version", "--short")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Docker, as one task uses it.

    Attributes:
        environment: what each command's environment holds besides the process's own.
        dry_run: print each command that would change something, instead of running it.
        patience: seconds for an answer: a daemon may accept a question and stay silent.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False
    patience: float = 30

    def compose_config(self, *, dotenv: bool = True) -> str:
        """Return what `docker compose config --format json` prints; needs no daemon.

        Args:
            dotenv: let Compose read `.env`.

        Raises:
            CressetError: no docker CLI, no Compose V2, or a file that Compose refuses.
        """
        env_file = [] if dotenv else ["--env-file", os.devnull]
        done = self._wait(["docker", "compose", *env_file, "config", "--format", "json"])
        if done.returncode:
            raise refusals.compose_refusal(done.stderr, override=self._broken_override())
        if sys.stderr is not None:  # closed by whoever started this
            sys.stderr.write(done.stderr)
        return done.stdout

    def read_settings(self, names: Iterable[str], *, env_text: str, shell: Mapping[str, str]) -> dict[str, str]:
        """Return what Compose takes settings for, empty ones for those that nobody sets.

        Args:
            names: of the settings.
            env_text: the text of an `.env`, whether it is there or not.
            shell: the environment, which comes before it.

        Returns:
            Nothing at all where Compose cannot read the text, or is not here.
        """
        # A project of their own: what is wrong with that of this checkout does not matter.
        rows = "".join(f"  {name}: ${{{name}-}}\n" for name in names)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as file:
            file.write(env_text)
            file.flush()
            argv = ["docker", "compose", "--project-name=x", "--env-file", file.name, "--file=-"]
            try:
                done = subprocess.run(
                    [*argv, "config", "--format=json"],
                    input=f"services: {{ x: {{ image: x }} }}\nx-read:\n{rows}",
                    env=dict(shell),
                    check=False,
                    capture_output=True,
                    encoding="utf-8",
                    errors="replace",
                )
            except OSError:
                return {}
        return {} if done.returncode else json.loads(done.stdout.replace("$$", "$"))["x-read"]

    def _broken_override(self) -> str:
        """Return the override file's name where Compose takes the project without it; empty otherwise."""
        names = sorted(map(str, Path().glob("docker-compose.override.y*ml")))
        if not names:
            return ""
        without = self._wait(["docker", "compose", "--file", "docker-compose.yaml", "config", "--quiet"])
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
            replace(self).ready()  # where the reason is that no daemon answers any more, that is what to say
            raise CressetError(f"`{shlex.join(argv)}` ended with exit code {code}", hint(), code=code)

    def attend(self, argv: Sequence[str]) -> None:
        """Run a command that ends when its input does, which this process holds open as long as it lives.

        Raises:
            CressetError: it failed, and has said why; the exit code is its own.
        """
        if self.dry_run:
            self._show(argv)
            return
        with processes.told_to_end():
            process = processes.begin(argv, {**os.environ, **self.environment}, stdin=subprocess.PIPE)
            if code := processes.wait_with_input(process):
                raise CressetError("", code=code)

    def become(self, argv: Sequence[str]) -> None:
        """Replace this process, so that resizing, Ctrl-C, tmux and the exit code are the command's own."""
        if self.dry_run:
            self._show(argv)
        else:
            try:
                processes.become(list(argv), {**os.environ, **self.environment})
            except OSError as error:
                raise refusals.unusable(argv[0], error) from None

    def bake(self, definition: str, *, feed: Callable[[bytes], None] | None = None, progress: str = "auto") -> int:
        """Build a bake definition and return the exit code.

        Args:
            definition: as JSON.
            feed: receives BuildKit's events as they come; without it the screen is BuildKit's own.
            progress: what BuildKit then makes of the screen: auto, plain or tty.

        Raises:
            CressetError: docker's own folder is closed to this account.
        """
        shown = "rawjson" if feed else progress
        argv = ["docker", "buildx", "bake", *([f"--progress={shown}"] if shown != "auto" else []), "--file=-"]
        if self.dry_run:
            self._show(argv, stdin=definition, extra=_BUILDX)
            return 0
        with (
            processes.told_to_end(kept=processes.BUILT),
            processes.followed(
                subprocess.Popen(
                    argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE if feed else None,
                    env={**os.environ, **_BUILDX, **self.environment},
                )
            ) as process,
        ):
            assert process.stdin is not None  # noqa: S101 - for the type checker: PIPE was asked for
            with suppress(BrokenPipeError):  # it has ended already, and says why on the other stream
                process.stdin.write(definition.encode())
                process.stdin.close()
            said = b""
            while feed and process.stderr and (chunk := os.read(process.stderr.fileno(), 65536)):
                said = (said + chunk)[-4096:]
                feed(chunk)
            process.wait()
        if process.returncode and (
            refused := refusals.refused_folder(refusals.last_line(said.decode(errors="replace")))
        ):
            raise refused
        return process.returncode

    def ready(self) -> None:
        """Make sure that a daemon answers and is not too old; a dry run needs none.

        Raises:
            CressetError: none answers, this person may not use it, or it is too old.
        """
        if self.dry_run:
            return
        refusals.require("engine", self._daemon[0])

    def place(self) -> tuple[str, str]:
        """Return the name of the machine that the daemon runs on, and the folder there that holds its data.

        Raises:
            CressetError: no daemon answers.
        """
        _, name, folder, *_ = self._daemon
        return name, folder

    def platform(self) -> str:
        """Return what the engine runs, like linux/x86_64.

        Raises:
            CressetError: no daemon answers.
        """
        done = self._capture(["docker", "info", "--format", "{{.OSType}}/{{.Architecture}}"])
        found = done.stdout.strip()
        if done.returncode or not found.strip("/"):
            raise refusals.daemon_refusal(done.stderr)
        return found

    def compose_version(self) -> str:
        """Return the version of Compose, N.N.N.

        Raises:
            CressetError: there is none, or it is too old.
        """
        done = self._answers[1]
        if done.returncode:
            raise refusals.compose_refusal(done.stderr)
        refusals.require("compose", done.stdout.strip())
        return ".".join(map(str, refusals.numbers(done.stdout)[:3]))

    @property
    def _daemon(self) -> list[str]:
        done = self._answers[0]
        # Some clients end well without the daemon, with empty fields, and the reason on the other stream.
        if done.returncode or not done.stdout.partition("\t")[0].strip():
            raise refusals.daemon_refusal(done.stderr)
        return done.stdout.rstrip("\n").split("\t")

    @cached_property
    def _answers(self) -> list[subprocess.CompletedProcess[str]]:
        """What docker says of its daemon and of Compose: once, and at one time, because a person waits for it."""
        return self._capture_all(_INFO, _COMPOSE_VERSION)

    def labels(self, reference: str) -> dict[str, str] | None:
        """Return an image's labels, None where there is no such image.

        Raises:
            CressetError: no daemon answers.
        """
        done = self._capture(["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", reference])
        if done.returncode and "no such image" not in done.stderr.lower():
            raise refusals.daemon_refusal(done.stderr)
        return None if done.returncode else json.loads(done.stdout) or {}

    def ask_registry(self, reference: str, *, seconds: float) -> str:
        """Return `there` where an image's registry has it, `gone` where it says that it has not, else nothing."""
        argv = ["docker", "buildx", "imagetools", "inspect", "--raw", reference]
        try:
            done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=seconds, errors="replace")
        except (OSError, subprocess.TimeoutExpired):
            return ""
        said = done.stderr.lower()
        return "there" if not done.returncode else "gone" if ": not found" in said or "manifest unknown" in said else ""

    def inspect_images(self, references: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return what the daemon knows of those images that are here; of none where no daemon answers."""
        if not references:
            return {}
        done = self._capture(["docker", "image", "inspect", *references])
        if done.stderr == hardware.SILENCE:
            return {}
        if done.returncode and len(references) > 1:  # it tells of those that are here, but not which they are
            return {name: found for one in references for name, found in self.inspect_images([one]).items()}
        return {} if done.returncode else dict(zip(references, json.loads(done.stdout), strict=True))

    def identity(self) -> tuple[str, str]:
        """Return the id that the engine gave itself, and the name of its store; empty where no daemon answers."""
        try:
            *_, identity, store = self._daemon
        except CressetError:
            return "", ""
        return identity, store

    def output_of(self, reference: str, script: str) -> str:
        """Return what a shell script prints in a container of an image, which is removed afterwards."""
        argv = ["docker", "run", "--rm", "--network=none", "--user=0", "--entrypoint=sh", reference, "-c", script]
        return self._wait(argv).stdout

    def export(self, reference: str) -> bytes:
        """Return the files of an image as a tar archive; the image needs no program of its own."""
        made = self._wait(["docker", "create", reference, "none"])
        if made.returncode:
            raise refusals.daemon_refusal(made.stderr)
        container = made.stdout.strip()
        try:
            return subprocess.run(
                ["docker", "export", container], check=True, capture_output=True, env={**os.environ, **self.environment}
            ).stdout
        finally:
            self._wait(["docker", "rm", "--force", container])

    def pull(self, reference: str) -> str:
        """Pull an image, and return why that failed; empty where it did not."""
        done = self._wait(["docker", "pull", "--quiet", reference])
        return done.stderr.strip() or f"exit code {done.returncode}" if done.returncode else ""

    def states(self, project: str, service: str) -> list[str]:
        """Return the states of a service's containers, like running, paused, restarting, exited or created.

        Raises:
            CressetError: no daemon answers.
        """
        return self._containers(project, service, "--all", show="{{.State}}")

    def running(self, project: str, service: str) -> str:
        """Return the name of a service's running container; empty where none runs.

        Raises:
            CressetError: no daemon answers.
        """
        return next(iter(self._containers(project, service, "--filter", "status=running")), "")

    def containers(self, project: str, service: str) -> dict[str, str]:
        """Return a service's containers, whether they run or not: by their ids, the folders that they were made for.

        Raises:
            CressetError: no daemon answers.
        """
        show = '{{.ID}}\t{{.Label "com.docker.compose.project.working_dir"}}'
        rows = (row.partition("\t") for row in self._containers(project, service, "--all", show=show))
        return {identity: folder for identity, _, folder in rows}

    def start_problem(self, project: str, service: str, *, besides: Collection[str] = ()) -> str:
        """Return why a service's container did not start, as the daemon noted it; empty where it noted nothing.

        Args:
            project: of Compose.
            service: of that project.
            besides: containers, by their ids, that are not meant: the daemon's note outlives what it was about.
        """
        made = [one for one in self.containers(project, service) if one not in besides]
        inspect = ["docker", "container", "inspect", "--format", "{{.State.Error}}"]
        return self._capture([*inspect, *made]).stdout.strip() if made else ""

    def remove_half_made(self, project: str, service: str) -> None:
        """Remove the container that an interrupted replacement left behind, over whose name Compose would stumble.

        Raises:
            CressetError: no daemon answers.
        """
        made = self._containers(project, service, "--all", "--filter", "status=created")
        # A successor is called after the container that it is to replace, until that has gone.
        if half_made := [name for name in made if re.match("[0-9a-f]{12}_", name)]:
            self._wait(["docker", "container", "rm", *half_made])

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
            raise refusals.daemon_refusal(done.stderr)
        return done.stdout.splitlines()

    def _capture(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return self._capture_all(argv)[0]

    def _wait(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command that needs no daemon, or one that may have much to do, and return the same of it."""
        return self._capture_all(argv, patient=True)[0]

    def _capture_all(self, *commands: Sequence[str], patient: bool = False) -> list[subprocess.CompletedProcess[str]]:
        """Run commands side by side, and return how each ended and what it printed; of a silent one, that it is."""
        done = []
        until = None if patient else time.monotonic() + self.patience
        with ExitStack() as running:
            running.enter_context(processes.told_to_end())
            try:
                started = [running.enter_context(self._start(argv)) for argv in commands]
            except OSError as error:
                raise refusals.unusable(commands[0][0], error) from None
            for process in started:
                try:
                    out, err = process.communicate(timeout=until and max(until - time.monotonic(), 0))
                except subprocess.TimeoutExpired:
                    process.kill()
                    out, err = "", hardware.SILENCE
                done.append(subprocess.CompletedProcess(process.args, process.wait(), out, err))
        return done

    @contextmanager
    def _start(self, argv: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
        """Run a command that changes nothing, and need not be waited for if this is left early."""
        with subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **self.environment},
            encoding="utf-8",
            errors="replace",
        ) as process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise

    def _follow(self, argv: Sequence[str]) -> int:
        """Run a command on the person's own terminal, and return its exit code."""
        with processes.told_to_end():
            try:
                process = subprocess.Popen(argv, env={**os.environ, **self.environment})
            except OSError as error:
                raise refusals.unusable(argv[0], error) from None
            with processes.followed(process):
                return process.wait()

    def _show(self, argv: Sequence[str], *, stdin: str = "", extra: Mapping[str, str] | None = None) -> None:
        words = [f"{name}={shlex.quote(value)}" for name, value in {**(extra or {}), **self.environment}.items()]
        print(*words, shlex.join(argv), *(["<<'EOF'", f"\n{stdin}\nEOF"] if stdin else []))
