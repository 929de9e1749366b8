"""Certificates, indexes and mirrors serve the build, stay in nothing it makes, and count in no key."""

from __future__ import annotations

import functools
import http.server
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pip._internal.models.index import PyPI

from cresset import host
from tests.engine import layers
from tests.engine.checkout import Checkout, run
from tests.engine.light_wheels import make_wheel

GATEWAY_FORMAT = "{{(index .IPAM.Config 0).Gateway}}"


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """A server whose addresses say a word that is found nowhere else; it sends clients on to the real archives."""

    word: str
    address: str
    asked: list[str] = field(default_factory=list)

    @property
    def index(self) -> str:
        return f"http://cresset:{self.word}@{self.address}/{self.word}/simple"

    @property
    def apt(self) -> str:
        return f"http://{self.address}/{self.word}/debian"


@pytest.fixture(scope="module")
def mirror() -> Iterator[Mirror]:
    facts = host.look()
    if not facts.apt_mirror.endswith("/debian"):
        pytest.skip("the mirror of this test serves Debian, and this host's apt asks for another distribution")
    targets = {"simple": facts.index_url or PyPI.simple_url, "debian": facts.apt_mirror}
    word = f"mark{uuid.uuid4().hex}"
    asked: list[str] = []

    class Redirect(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, _, kind, path = self.path.split("/", 3)
            asked.append(kind)
            if path.startswith("nowhere/"):
                self.send_error(404)
                return
            self.send_response(302)
            self.send_header("Location", f"{targets[kind].rstrip('/')}/{path}")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 - the same

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("", 0), Redirect)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gateway = run(["docker", "network", "inspect", "bridge", "--format", GATEWAY_FORMAT]).out.strip()
    yield Mirror(word=word, address=f"{gateway}:{server.server_port}", asked=asked)
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def marked(
    mirror: Mirror,
    clone: Callable[[], Checkout],
    unseen_base: str,
    light_wheels: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Checkout:
    """A checkout built with everything at hand: a bundle, an index and a mirror that carry the word."""
    checkout = clone()
    bundle = tmp_path_factory.mktemp("ca") / "bundle.crt"
    bundle.write_text(f"# {mirror.word}\n{Path(checkout.setting('CA_BUNDLE')).read_text()}")
    checkout.set(
        CA_BUNDLE=str(bundle),
        INDEX_URL=mirror.index,
        TRUSTED_HOST=mirror.address,
        DEB_NEW=mirror.apt,
        PLAIN_IMAGE=unseen_base,
        WHEELHOUSE=str(light_wheels),
        # A proxy's address would pass the same way, password and all.
        NO_PROXY=f"{mirror.word}.invalid",
    )
    checkout.invoke("build-only")
    return checkout


def test_they_are_used(marked: Checkout, mirror: Mirror) -> None:
    assert marked.executed()
    assert "simple" in mirror.asked
    assert "debian" in mirror.asked


def test_no_trace_is_in_the_image(marked: Checkout, mirror: Mirror) -> None:
    for argv in (["docker", "history", "--no-trunc", marked.image], ["docker", "image", "inspect", marked.image]):
        assert mirror.word not in run(argv).out
    # The search is one that finds: a package's name in a layer, a label in the configuration.
    known = {"Name: tqdm", "cresset.arguments"}
    assert layers.find(marked.image, mirror.word, *known) == known


@pytest.mark.parametrize(
    "values",
    [
        {"INDEX_URL": "https://index.invalid/simple"},
        {"EXTRA_INDEX_URL": "https://me:secret@extra.invalid/simple"},
        {"TRUSTED_HOST": "index.invalid"},
        {"DEB_NEW": "http://mirror.invalid/debian"},
        {"CA_BUNDLE": ""},
        {"PYTHON_MIRROR": "https://python.invalid"},
    ],
    ids=lambda values: next(iter(values)),
)
def test_another_value_executes_nothing(marked: Checkout, values: dict[str, str]) -> None:
    kept = (marked.path / ".env").read_text()
    try:
        marked.set(**values)
        marked.invoke("build-only")
        assert marked.executed() == []
        log = marked.compose("--progress", "plain", "build").out
        assert "DONE" not in "".join(line for line in log.splitlines() if "RUN" in line)
    finally:
        (marked.path / ".env").write_text(kept)


def test_the_container_has_the_hosts_certificates_and_index(marked: Checkout, mirror: Mirror) -> None:
    marked.invoke("up")
    assert mirror.word in marked.inside("head -1 $SSL_CERT_FILE").out
    assert marked.inside("pip config get global.index-url || echo $PIP_INDEX_URL").lines[-1] == mirror.index
    marked.inside("pip install --quiet iniconfig && uv pip install --quiet idna")


def test_a_mirror_that_does_not_answer_is_said_and_passed_over(mirror: Mirror, clone: Callable[[], Checkout]) -> None:
    checkout = clone()
    checkout.set(DEB_NEW=f"http://{mirror.address}/{mirror.word}/debian/nowhere/debian")
    checkout.edit("reqs/apt-train.requirements.txt", f"bc # {mirror.word}")
    checkout.invoke("build-only")
    assert "train-base 1/1" in checkout.executed()
    assert "using the image's own sources" in checkout.step_log()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An index of wheels called torch and torchvision, which stand in for the official ones."""
    root = tmp_path_factory.mktemp("index")
    for name, versions in {
        "torch": ("9.1.0+cpu", "9.1.0+cu130", "9.2.0.dev20261101+cpu", "9.2.0.dev20261102+cpu"),
        "torchvision": ("8.1.0+cpu", "8.2.0.dev20261102+cpu"),
    }.items():
        (root / name).mkdir()
        for version in versions:
            make_wheel(root / name, name, version)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("", 0), functools.partial(Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gateway = run(["docker", "network", "inspect", "bridge", "--format", GATEWAY_FORMAT]).out.strip()
    address = f"http://{gateway}:{server.server_port}"
    assert urllib.request.urlopen(f"{address}/torch/").status == 200  # noqa: S310 - our own server
    yield address
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("nightly", "torch", "vision"),
    [("0", "9.1.0+cpu", "8.1.0+cpu"), ("1", "9.2.0.dev20261102+cpu", "8.2.0.dev20261102+cpu")],
    ids=["release", "nightly"],
)
def test_wheels_come_from_the_index_that_is_named(
    index: str, clone: Callable[[], Checkout], nightly: str, torch: str, vision: str
) -> None:
    checkout = clone()
    checkout.set(
        PYTORCH_INDEX_URL=index,
        PYTORCH_FETCH_NIGHTLY=nightly,
        TRUSTED_HOST=index.removeprefix("http://"),
        PYTORCH_VERSION_TAG="v9.1.0",
        TORCHVISION_VERSION_TAG="v8.1.0",
    )
    checkout.invoke("build")
    code = "import torch, torchvision as v; print(torch.__version__, v.__version__)"
    assert checkout.inside(f'python -c "{code}"').out.strip() == f"{torch} {vision}"


def test_a_version_that_the_index_lacks_fails_with_its_name(index: str, clone: Callable[[], Checkout]) -> None:
    checkout = clone()
    checkout.set(PYTORCH_INDEX_URL=index, TRUSTED_HOST=index.removeprefix("http://"), PYTORCH_VERSION_TAG="v9.3.0")
    refused = checkout.invoke("build-only", check=False)
    assert refused.code != 0
    assert "torch 9.3.0 (cpu) for Python" in refused.out
