"""What `invoke env` knows of a host: who and where, its hardware, its certificates, its package configuration."""

from __future__ import annotations

import grp
import json
import os
import platform
import pwd
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from cresset import hardware
from cresset.credentials import mask
from cresset.hardware import Gpu, output, read

# Where a host's own trust store lies, and where an administrator's additions to it come from: Debian's, Red Hat's.
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_ADDITIONS = ("/usr/local/share/ca-certificates", "/etc/pki/ca-trust/source/anchors")
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE")


@dataclass(frozen=True, kw_only=True)
class Host:
    """What `invoke env` has to know of a machine.

    Attributes:
        uid: number of the person's account.
        gid: number of its group.
        user: name of the account; its number where it has none.
        group: name of the group; its number where it has none.
        zone: IANA time zone; empty where it cannot be told.
        system: Linux, WSL or macOS.
        gpus: those that an NVIDIA driver knows.
        gpu_complaint: what nvidia-smi says where it is there and knows none; empty otherwise.
        engine: docker's address of its engine; empty where there is no docker.
        engine_memory: bytes of memory of the engine's own machine; 0 where that is the host, or unknown.
        ca_bundle: certificates that the host trusts and an image does not; empty where it has none of its own.
        index_url: pip's index, if the person has one.
        extra_index_urls: pip's further indexes that a container can reach.
        hidden_indexes: pip's further indexes that it cannot reach: folders of this host.
        trusted_hosts: pip's trusted hosts.
        wheelhouse: pip's folder of wheels; empty where it has none.
        apt_mirror: where apt gets the distribution's main archive; empty where that is no URL.
        codename: the distribution's code name, like bookworm; empty where it is neither Debian's nor Ubuntu's.
        machine: the processor, as in the name of a wheel: x86_64, aarch64.
    """

    uid: int
    gid: int
    user: str
    group: str
    zone: str
    system: str
    gpus: tuple[Gpu, ...]
    gpu_complaint: str
    engine: str
    engine_memory: int
    ca_bundle: str
    index_url: str
    extra_index_urls: tuple[str, ...]
    hidden_indexes: tuple[str, ...]
    trusted_hosts: str
    wheelhouse: str
    apt_mirror: str
    codename: str
    machine: str

    @property
    def has_gpu(self) -> bool:
        """Whether an NVIDIA driver answers."""
        return bool(self.gpus)


def look() -> Host:
    """Return the facts of this machine; takes about half a second, most of it pip's."""
    pip = _pip_settings()
    extra = pip.get("extra-index-url", "").split()
    reachable = tuple(url for url in extra if not url.startswith("file:"))
    index = pip.get("index-url", "")
    account, number = _account()
    system = hardware.system()
    gpus, complaint = hardware.gpus()
    return Host(
        uid=os.getuid(),
        gid=number,
        user=account,
        group=_group(number),
        zone=_zone(),
        system=system,
        gpus=gpus,
        gpu_complaint=complaint,
        engine=hardware.engine_address(),
        # On Linux the engine has the host's own memory, and asking takes time.
        engine_memory=0 if system == "Linux" else hardware.engine_memory(),
        ca_bundle=_ca_bundle(os.environ, pip.get("cert", ""), system),
        index_url="" if index.startswith("file:") else index,
        extra_index_urls=reachable,
        hidden_indexes=tuple(url for url in (index, *extra) if url.startswith("file:")),
        trusted_hosts=" ".join(pip.get("trusted-host", "").split()),
        wheelhouse=_wheelhouse(pip.get("find-links", "")),
        apt_mirror=_apt_mirror(),
        codename=codename(),
        machine=wheel_machine(platform.machine()),
    )


def own_certificates() -> str:
    """Return the certificates that this host trusts and an image does not, pip's setting aside; empty for none."""
    return _ca_bundle(os.environ, "", hardware.system())


def account() -> tuple[int, int]:
    """Return the numbers of the person's account and of its group."""
    return os.getuid(), _account()[1]


def wheels(folder: str) -> tuple[str, ...]:
    """Return the file names of the wheels in a folder; none where there is no such folder."""
    # A link is sent to a build as it is, and what it leads to stays behind.
    try:
        paths = Path(folder).glob("*.whl") if folder else ()
        return tuple(sorted(path.name for path in paths if path.is_file() and not path.is_symlink()))
    except OSError:  # this account may not look there
        return ()


def fetch(url: str, *, ca_bundle: str = "", seconds: float = 5) -> str | None:
    """Return the text behind a URL, None where nothing answers in time or the answer is no success."""
    try:
        context = ssl.create_default_context(cafile=ca_bundle or None)
        with urllib.request.urlopen(url, timeout=seconds, context=context) as answer:  # noqa: S310 - http(s) only
            return str(answer.read().decode(errors="replace"))
    except (OSError, ValueError):
        return None


def answers(url: str, *, ca_bundle: str = "", seconds: float = 5) -> bool:
    """Return whether a web server answers at a URL, if only to ask who is there."""
    try:
        context = ssl.create_default_context(cafile=ca_bundle or None)
        with urllib.request.urlopen(url, timeout=seconds, context=context):  # noqa: S310 - http(s) only
            return True
    except urllib.error.HTTPError as error:
        unauthorised = 401
        return error.code == unauthorised
    except (OSError, ValueError):
        return False


def ask_repository(url: str, *, seconds: float = 20) -> dict[str, str] | str:
    """Return the tags and branches of a git repository with their commits, or why there is no answer."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    # A mirror on this host may be somebody else's; what git starts there knows nothing of this one's options.
    local = ["--upload-pack=git -c safe.directory='*' upload-pack"] if url.startswith(("/", "file:")) else []
    argv = ["git", "-c", "safe.directory=*", "ls-remote", *local, "--tags", "--heads", url]
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        return "git is not installed here"
    except subprocess.TimeoutExpired:
        return f"no answer in {seconds:.0f} s"
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        fatal = [line.removeprefix("fatal: ") for line in lines if line.startswith("fatal: ")]
        return [*fatal, *lines[-1:], "git failed"][0]
    return parse_references(done.stdout)


def parse_references(text: str) -> dict[str, str]:
    """Return the names and commits that `git ls-remote` prints; of an annotated tag, the commit that it points to."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        commit, _, name = line.partition("\t")
        if name and (name.endswith("^{}") or name not in found):
            found[name.removesuffix("^{}")] = commit
    return found


def wheel_machine(machine: str) -> str:
    """Return a processor as the names of Linux wheels have it; macOS calls one of them otherwise."""
    return {"arm64": "aarch64"}.get(machine, machine)


def _account() -> tuple[str, int]:
    # Not the group of this process: under `sg docker` that is the engine's.
    try:
        entry = pwd.getpwuid(os.getuid())
    except KeyError:
        return str(os.getuid()), os.getgid()
    return entry.pw_name, entry.pw_gid


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _zone() -> str:
    zone = os.environ.get("TZ", "").lstrip(":")
    if zone and not zone.startswith("/"):
        return zone
    target = os.path.realpath("/etc/localtime")
    if "/zoneinfo/" in target:
        return target.split("/zoneinfo/", 1)[1]
    return read("/etc/timezone").strip()


def _pip_settings() -> dict[str, str]:
    # It knows every file and variable that pip reads.
    return parse_pip_config(output(sys.executable, "-m", "pip", "config", "list"))


def parse_pip_config(text: str) -> dict[str, str]:
    """Return the settings in what `pip config list` prints; an environment variable beats a file."""
    found: dict[str, str] = {}
    entries = re.findall(r"^(:env:|[\w-]+)\.([\w.-]+)=(['\"])(.*)\3$", text, re.MULTILINE)
    for section in ("global", "install", ":env:"):
        for where, key, _, value in entries:
            if where == section:
                found[key.lstrip(".")] = value.replace("\\n", " ")
    return found


def _ca_bundle(environment: Mapping[str, str], pip_cert: str, system: str) -> str:
    named = [environment.get(name, "") for name in _BUNDLE_VARIABLES]
    for path in (*named, pip_cert):
        if path and os.path.isfile(path):  # noqa: PTH113 - no error where this account may not look
            return str(Path(path).resolve())
    if system == "macOS":
        return ""  # what lies in the places of Linux there is Homebrew's, not the administrator's
    has_additions = any(next(Path(folder).rglob("*"), None) for folder in _ADDITIONS)
    return next((path for path in _BUNDLES if has_additions and Path(path).is_file()), "")


def _wheelhouse(find_links: str) -> str:
    words = [word for word in find_links.split() if not word.startswith(("http://", "https://"))]
    folders = [url2pathname(urlsplit(word).path) if word.startswith("file:") else word for word in words]
    return next((path for folder in folders if wheels(path := os.path.expanduser(folder))), "")  # noqa: PTH111 - no Path


def codename() -> str:
    """Return the release's code name, like bookworm, or that of the Ubuntu it derives from; empty on other systems."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', read("/etc/os-release"), re.MULTILINE))
    family = {release.get("ID"), *release.get("ID_LIKE", "").split()}
    return (
        release.get("UBUNTU_CODENAME") or release.get("VERSION_CODENAME", "") if family & {"debian", "ubuntu"} else ""
    )


def _apt_mirror() -> str:
    # apt's own reading of its sources, whatever their form.
    targets = ["--no-release-info", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages", "Component: main"]
    return parse_apt_targets(output("apt-get", "indextargets", *targets), codename())


def parse_apt_targets(text: str, suite: str) -> str:
    """Return the URL of a suite's main archive among lines `URL SUITE`; empty where none is a web address."""
    pairs = (line.split() for line in text.splitlines())
    archives = (pair[0] for pair in pairs if len(pair) == len(("url", "suite")) and suite and pair[1] == suite)
    return next((url.rstrip("/") for url in archives if url.startswith(("http://", "https://"))), "")


def builder() -> str:
    """Return the name of the builder that buildx uses, `default` for the engine's own."""
    return os.environ.get("BUILDX_BUILDER") or _of_docker("buildx/current", "Name") or "default"


def builds_in_engine() -> bool:
    """Return whether that builder is the engine itself, and so finds the engine's images; buildx writes others down."""
    return not os.path.exists(hardware.docker_folder() / "buildx" / "instances" / builder())  # noqa: PTH110 - no error


def engine_context() -> str:
    """Return how docker is told where its engine is: an address or the name of a context; empty for the usual one."""
    given = os.environ.get("DOCKER_HOST") or os.environ.get("DOCKER_CONTEXT")
    return mask(given or _of_docker("config.json", "currentContext"))


def _of_docker(name: str, key: str) -> str:
    """Return what a file of docker's own says, empty if nothing."""
    try:
        said = json.loads((hardware.docker_folder() / name).read_text())
    except (OSError, ValueError):
        return ""
    return str(said.get(key) or "") if isinstance(said, dict) else ""
