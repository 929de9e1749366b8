"""Join input and output to a port of the container's loopback; runs in the container, once for each connection."""

import os
import socket
import sys
import threading

peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))


def send() -> None:
    """Carry the input there."""
    while data := os.read(0, 65536):
        peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)


threading.Thread(target=send, daemon=True).start()
while data := peer.recv(65536):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
