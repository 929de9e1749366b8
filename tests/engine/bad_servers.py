"""Servers that fail: a registry that refuses, an index of packages and a git server that break first downloads off."""

from __future__ import annotations

import http.server
import io
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import urllib.parse
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pip._internal.models.index import PyPI

from cresset import host
from tests.engine.checkout import run

_GATEWAY = "{{(index .IPAM.Config 0).Gateway}}"
# How a registry says it: distribution.github.io/distribution/spec/api
_ERRORS = {
    401: '{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}',
    403: '{"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]}',
    404: '{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}',
    429: '{"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}]}',
    503: '{"errors": [{"code": "UNAVAILABLE", "message": "service unavailable"}]}',
}


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A registry that has nothing, and says so as the first part of an image's name asks it to: localhost:1/404/x.

    Attributes:
        local: its address where the engine does not ask for a certificate that it trusts.
        bridge: its address where the engine does; steps of a build reach it too.
    """

    local: str
    bridge: str


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """Give such a registry; it answers by TLS, with a certificate that nobody knows."""
    if shutil.which("openssl") is None:
        pytest.skip("a registry needs a certificate, and there is no openssl to make one")
    host_ = gateway()
    names = ["-subj", "/CN=localhost", "-addext", f"subjectAltName=DNS:localhost,IP:{host_}"]
    run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, "-out", "c"], cwd=folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "c", folder / "privkey.pem")

    class Refusing(_Quiet):
        def do_GET(self) -> None:
            asked = re.match(r"/(?:v2/)?(\d{3})/", self.path)
            code = int(asked[1]) if asked else 200
            self.answer(code, _ERRORS.get(code, "{}").encode(), kind="application/json")

        do_HEAD = do_GET  # noqa: N815 - the name is the library's

    with _serving(Refusing, context=context) as port:
        yield Registry(local=f"localhost:{port}", bridge=f"{host_}:{port}")


@dataclass(frozen=True, kw_only=True)
class Shop:
    """An index of packages: /wheels has its own, /simple sends clients on to the host's, but for uv, which it resells.

    Attributes:
        host: its address for the steps of builds.
        asked: the files that were asked for, each time; the first time, half of it came.
    """

    host: str
    asked: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://{self.host}"

    def count(self, prefix: str) -> int:
        """Return how often a file whose name begins so was asked for."""
        return sum(name.startswith(prefix) for name in self.asked)


@contextmanager
def shop() -> Iterator[Shop]:
    """Give such an index; its addresses are like no other's, so nothing of it is in a cache."""
    facts = host.look()
    real = (facts.index_url or PyPI.simple_url).rstrip("/")
    context = ssl.create_default_context(cafile=facts.ca_bundle or None)
    word = uuid.uuid4().hex
    files = {name: _wheel(name) for name in ("torch-9.1.0+cpu", "cresset_cut-1.0")}
    resold: dict[str, str] = {}
    asked: list[str] = []

    class Cutting(_Quiet):
        def do_GET(self) -> None:
            kind, name = [*self.path.strip("/").split("/"), ""][:2]
            if kind == "simple" and name == "uv":
                page = fetch(f"{real}/uv/").decode()
                resold.update(_links(page, base=f"{real}/uv/"))
                self.answer(200, re.sub(r'href="[^"#]*/([^"/#]+\.whl)', rf'href="/{word}/\1', page).encode())
            elif kind == "simple":
                self.answer(302, b"", Location=f"{real}/{name}/")
            elif kind == "wheels":
                stems = [stem for stem in files if stem.startswith(f"{name.replace('-', '_')}-")]
                names = [f"{stem}-py3-none-any.whl" for stem in stems]
                links = [f'<a href="/{word}/{urllib.parse.quote(one)}">{one}</a>' for one in names]
                self.answer(200 if stems else 404, "".join(links).encode())
            else:
                self.send_file(urllib.parse.unquote(name))

        def do_HEAD(self) -> None:
            self.do_GET()

        def send_file(self, name: str) -> None:
            data = files.get(name.removesuffix("-py3-none-any.whl")) or fetch(resold[name])
            if self.command == "GET":
                asked.append(name)
            self.answer(200, data, half=asked.count(name) == 1)

    def fetch(url: str) -> bytes:
        with urllib.request.urlopen(url, context=context) as answer:  # noqa: S310 - the host's own index
            return bytes(answer.read())

    with _serving(Cutting) as port:
        yield Shop(host=f"{gateway()}:{port}", asked=asked)


@dataclass(frozen=True, kw_only=True)
class Forge:
    """A git server that breaks the first transfer of each repository off in its middle.

    Attributes:
        address: its URL for the steps of builds and for this host.
        sent: the repositories whose data was asked for, each time.
    """

    address: str
    sent: list[str] = field(default_factory=list)


@contextmanager
def forge(folder: Path) -> Iterator[Forge]:
    """Give such a server of the repositories below a folder."""
    sent: list[str] = []

    class Serving(_Quiet):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            environment = {
                "GIT_PROJECT_ROOT": str(folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type") or "",
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
                "REMOTE_ADDR": "127.0.0.1",
            }
            argv = ["git", "http-backend"]
            done = subprocess.run(argv, input=body, env={**os.environ, **environment}, capture_output=True, check=False)
            head, _, answer = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
            code = int(headers.pop("Status", "200").split()[0])
            if is_data := b"packfile\n" in answer:
                sent.append(path.split("/")[-2])
            half = is_data and sent.count(sent[-1]) == 1
            self.answer(code, answer, kind=headers.pop("Content-Type", "text/plain"), half=half)

        do_POST = do_GET  # noqa: N815 - the name is the library's

    with _serving(Serving) as port:
        yield Forge(address=f"http://{gateway()}:{port}", sent=sent)


class _Quiet(http.server.BaseHTTPRequestHandler):
    def answer(self, code: int, body: bytes, *, kind: str = "text/html", half: bool = False, **headers: str) -> None:
        """Send an answer, or only half of it."""
        self.send_response(code)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if half else body)
        if half and self.command != "HEAD":
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing: clients that do not trust the certificate hang up."""


@contextmanager
def _serving(handler: type[_Quiet], *, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve on all addresses, and give the port."""
    server = _Server(("", 0), handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def gateway() -> str:
    """Return the address by which containers reach this host."""
    return run(["docker", "network", "inspect", "bridge", "--format", _GATEWAY]).out.strip()


def _links(page: str, *, base: str) -> dict[str, str]:
    """Return the addresses of the wheels that an index page links to, by name."""
    found = re.findall(r'href="([^"#]*/([^"/#]+\.whl))[#"]', page)
    return {name: urllib.parse.urljoin(base, url) for url, name in found}


def _wheel(stem: str) -> bytes:
    """Return the least that is a wheel, but of some size."""
    name, version = stem.split("-")
    info = f"{name}-{version}.dist-info"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "")
        archive.writestr(f"{name}/data", os.urandom(4_000_000))
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return file.getvalue()
