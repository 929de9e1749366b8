"""Run JupyterLab on the container's loopback, print its port, and end it when the input ends; runs in the container."""

import importlib.util
import socket
import subprocess
import sys
import threading
import time

if importlib.util.find_spec("jupyterlab") is None:
    print("none")
    sys.exit()

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
# Its own messages go to the other stream: the first line of this one is the port.
server = subprocess.Popen(
    [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--log-level=WARN"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
    ],
    stdin=subprocess.DEVNULL,
    stdout=sys.stderr,
)


def end_with_input() -> None:
    """End with whoever started this, however they end."""
    sys.stdin.buffer.read()
    server.terminate()


def answers() -> bool:
    """Return whether the server takes connections already."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


threading.Thread(target=end_with_input, daemon=True).start()
while server.poll() is None and not answers():
    time.sleep(0.1)
if server.poll() is None:
    print(port, flush=True)
sys.exit(server.wait())
