"""JupyterLab in the running container, at the loopback of this machine."""

from __future__ import annotations

import os
import secrets
import select
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import IO

from rich.console import Console

from cresset import container, files, processes
from cresset.configuration import Configuration
from cresset.engine import Engine
from cresset.errors import CressetError

_SCRIPTS = "cresset/data"
_LAST_PORT = 65535


def serve(resolved: Configuration, engine: Engine, *, port: int, console: Console) -> None:
    """Run JupyterLab until Ctrl-C, or until it is shut down.

    It listens on the container's own loopback, where no other container is. Each connection to the port here is carried
    there by a `docker exec`: no port has to be published, and any network and any engine will do.

    Args:
        resolved: the service.
        engine: docker.
        port: of this machine's loopback; 0 for a free one.
        console: where the address is shown.

    Raises:
        CressetError: the container does not run, it has no JupyterLab, or the port is taken or none.
    """
    script = files.require(f"{_SCRIPTS}/serve_jupyter.py")
    enter = ["docker", "exec", "--interactive"]
    if not 0 <= port <= _LAST_PORT:
        raise CressetError(f"--port {port}: there is no such port", "choose one up to 65535, or leave it out")
    if engine.dry_run:
        # The container's name is known where it runs only; Compose finds it by its service.
        compose = ["docker", "compose", "exec", "--no-TTY", "--env", "JUPYTER_TOKEN"]
        engine.run([*compose, resolved.service.name, "python3", "-c", script])
        return
    name = container.require_running(resolved, engine)
    environment = {**os.environ, **engine.environment}
    token = secrets.token_urlsafe(24)
    with closing(_listen(port)) as door:
        server = processes.begin(
            # By its name only: a command line can be read by everybody.
            [*enter, "--env", "JUPYTER_TOKEN", name, "python3", "-c", script],
            {**environment, "JUPYTER_TOKEN": token},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with server:  # leaving closes its input, and with that JupyterLab ends
            try:
                assert server.stdout is not None  # noqa: S101 - for the type checker: PIPE was asked for
                inner = server.stdout.readline().decode().strip()
                if not inner.isdigit():
                    raise _refusal(resolved, inner)
                console.print(f"JupyterLab: http://127.0.0.1:{door.getsockname()[1]}/lab?token={token}", soft_wrap=True)
                console.print("Ctrl-C ends it.")
                relay = [*enter, name, "python3", "-ISc", files.require(f"{_SCRIPTS}/relay.py"), inner]
                _carry(door, relay, environment, until=server.stdout)
                console.print("JupyterLab has ended.")
            except KeyboardInterrupt:
                console.print("\nJupyterLab ends.")


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        raise CressetError(
            f"--port {port}: it is taken, or not for this account", "choose another, or leave it out"
        ) from None


def _refusal(resolved: Configuration, said: str) -> CressetError:
    service = resolved.service.name
    if said == "none":
        # Named after the stage: services that share one share the file too.
        file = f"reqs/pip-{resolved.service.build.get('target', service)}.requirements.txt"
        way = f"add the line jupyterlab to {file}, then: invoke build"
        if not files.is_here(file):
            way = "install it there: invoke exec --command 'pip install jupyterlab'"
        return CressetError(f"the container of the service {service} has no JupyterLab", way)
    return CressetError(
        "JupyterLab did not start", "see what it said; try it inside: invoke exec --command 'jupyter lab'"
    )


def _carry(door: socket.socket, relay: Sequence[str], environment: Mapping[str, str], *, until: IO[bytes]) -> None:
    """Carry connections until there is something to be read: the end of a server that has said all it had to say."""
    carried: list[subprocess.Popen[bytes]] = []
    try:
        while True:
            if until.fileno() in select.select([door.fileno(), until.fileno()], [], [])[0]:
                return
            connection, _ = door.accept()
            with connection:
                # The socket is the command's own input and output: nothing passes through this process.
                number = connection.fileno()
                carried = [one for one in carried if one.poll() is None]
                carried.append(processes.begin(relay, environment, stdin=number, stdout=number))
    finally:
        for one in carried:
            one.terminate()
            one.wait()
