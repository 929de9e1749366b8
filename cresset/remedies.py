"""What to do about a failed build, by what BuildKit and the failing step said. Pure.

To add a failure: a row in `REMEDIES`, its real text in tests/unit/test_remedies.py, a line in docs/trouble.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """A known failure.

    Attributes:
        name: the failure in a few words; docs/trouble.md has it too.
        pattern: what of the output tells it, in any case; a named group serves the advice.
        advice: one line. What stands in braces is a setting, a group of the pattern, or what `find` adds to them; a
            row that names what is not at hand is passed over.
        files: how the names of the requirement files begin that `where` may be in.
    """

    name: str
    pattern: str
    advice: str
    files: str = ""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A failure by its name, and what to do about it in one line."""

    name: str
    text: str


# How BuildKit begins what it says of a base image that it cannot have, with the reason behind it.
_BASE = r"resolve source metadata for (?P<image>\S+?): .*"
_NO_ANSWER = (
    r"(?:no such host|connection refused|i/o timeout|timeout exceeded|handshake timeout|connection reset"
    r"|network is unreachable|no route to host|server misbehaving|deadline exceeded|proxyconnect|\b50[234]\b|: EOF)"
)
# Where builds that share steps meet, or one begins as another is ended: moby/buildkit#2303 and #3635.
_LOST = r"inconsistent graph state|failed to get state for index \d+ on"
_KILLED = (
    r"^killed$|signal terminated program|died due to signal 9|exit code: 137\b"
    r"|cannot allocate memory|virtual memory exhausted|out of memory"
)
_NO_APT_PACKAGE = (
    r"unable to locate package (?P<package>\S+)|package '?(?P<package2>[\w.+:-]+)'? has no installation candidate"
)
_NO_RPM_PACKAGE = (
    r"unable to find a match: (?P<package>\S+)|no package matches '(?P<package2>[^'\s]+)'"
    r"|^(?:.*\d )?no package (?P<package3>\S+) available\."
)
_NO_PYTHON_PACKAGE = (
    r"because (?P<package>[\w.-]+) was not found"
    r"|satisfies the requirement (?P<package2>[\w.-]+)[^\n]*\(from versions: none\)"
)
_NO_PYTHON_VERSION = (
    r"no version of (?P<package>[\w.-]+)|no matching distribution found for (?P<package2>[\w.-]+)"
    r"|because only (?P<package3>[\w.-]+)[<>=!~]"
)
_NO_WHEEL = (
    r"cresset: (?P<package>\S+) (?P<version>\S+) \((?P<variant>\w+)\) for Python \S+: no wheel in the wheelhouse, "
)
_ENDS_PYTHON = r"cresset: (?P<package>\S+) (?P<version>\S+) ends Python while it is imported \("
_ROOM = (
    "`docker system df` shows what takes it; `invoke prune` and `docker builder prune` make room; then build again, "
    "which goes on from the last finished step"
)
_OTHERWISE = "choose another {setting}, or {otherwise}"
_NEARER = (
    "see to the network; behind a proxy set HTTPS_PROXY and HTTP_PROXY; DEB_NEW (apt) and INDEX_URL (Python) name "
    "nearer servers"
)

# The first that fits is told, whatever the case of its letters. So what causes other failures stands before them: a
# full disk, then certificates, then the network, then what is missing; and of two rows for one failure, the one that
# knows more.
REMEDIES = (
    Remedy(
        name="no such builder",
        pattern=r'^ERROR: no builder "(?P<builder>[^"]+)" found',
        advice="docker knows no builder {builder}: unset BUILDX_BUILDER, or name one that `docker buildx ls` shows",
    ),
    Remedy(
        name="a time that is none",
        pattern=r"^ERROR: .*invalid SOURCE_DATE_EPOCH: (?P<value>.*): strconv",
        advice="SOURCE_DATE_EPOCH is {value}, and has to be seconds since 1970: unset SOURCE_DATE_EPOCH",
    ),
    Remedy(
        name="BuildKit lost its thread",
        pattern=_LOST,
        advice="a known fault of BuildKit, as beside another build: run it again; where it stays, restart the engine",
    ),
    Remedy(
        name="no space left on device",
        # Not in a step, whose paths are the container's. It may be the disk of who builds: docker writes notes there.
        pattern=r"^ERROR: .*(?:write|mkdir|open) (?P<path>/[^:]+): no space left on device",
        advice=f"the disk that holds {{path}} is full: {_ROOM}",
    ),
    Remedy(
        name="no space left on device",
        pattern=r"no space left on device|disk quota exceeded",
        advice=f"the disk that holds {{root}} is full: {_ROOM}",
    ),
    Remedy(
        name="out of memory",
        pattern=_KILLED,
        advice="the step ran out of memory: fewer jobs at a time (MAX_JOBS is {MAX_JOBS}), or more memory for the "
        "engine",
    ),
    Remedy(
        name="out of memory",
        pattern=_KILLED,
        advice="the step was killed, most likely for want of memory: end what else uses it, add swap, or give the "
        "engine more (Docker Desktop: Settings, Resources)",
    ),
    Remedy(
        name="the registry's certificate is not trusted",
        pattern=_BASE + r"(?:x509:|failed to verify certificate)",
        advice="the engine does not trust the certificate of {registry}: put its CA into "
        "/etc/docker/certs.d/{registry}/ca.crt on the engine's machine; CA_BUNDLE is for the steps of a build",
    ),
    Remedy(
        name="a certificate is not trusted",
        pattern=r"self[- ]signed certificate|CERTIFICATE_VERIFY_FAILED|certificate verif\w+ failed"
        r"|invalid peer certificate|unable to get local issuer|x509: certificate signed by unknown authority",
        advice="a server, or a proxy before it, has a certificate that CA_BUNDLE ({CA_BUNDLE}) does not vouch for: "
        "name a file of certificates that does: invoke env --update --set CA_BUNDLE=FILE",
    ),
    Remedy(
        name="too many downloads",
        pattern=rf"(?:{_BASE})?(?:429 Too Many Requests|toomanyrequests)",
        advice="the server grants this address no more downloads for now: wait, or log in: docker login {registry}",
    ),
    Remedy(
        name="the registry does not answer",
        pattern=_BASE + _NO_ANSWER,
        advice="the engine does not reach {registry}: see to the network, or to the engine's own proxy "
        f"(docs.docker.com/engine/daemon/proxy); {_OTHERWISE}",
    ),
    Remedy(
        name="plain HTTP instead of HTTPS",
        pattern=_BASE + r"(?:first record does not look like a TLS|server gave HTTP response to HTTPS client)",
        advice="{registry} speaks plain HTTP: `docker pull {image}` tells whether it has the image; away from "
        'localhost the engine has to be told so: "insecure-registries" in /etc/docker/daemon.json',
    ),
    Remedy(
        name="NVIDIA's registry asks who you are",
        pattern=r"resolve source metadata for (?P<image>nvcr\.io/\S+?): .*"
        r"(?:40[123]\b|unauthorized|denied|insufficient_scope|authorization failed|no basic auth)",
        advice="nvcr.io wants a login for {image}: docker login nvcr.io, with the user name $oauthtoken as it stands "
        "here and, as password, an API key that ngc.nvidia.com/setup makes; a mirror goes into NGC_IMAGE",
    ),
    Remedy(
        name="the registry asks who you are",
        pattern=_BASE + r"(?:40[13]\b|unauthorized|denied|insufficient_scope|authorization failed|no basic auth)",
        advice="{registry} does not give out {image}: log in: docker login {registry}; if it has no such image, "
        f"{_OTHERWISE}",
    ),
    Remedy(
        name="another processor",
        pattern=_BASE + r"no match for platform",
        advice="{image} is not made for the engine's processor: choose another {setting}",
    ),
    Remedy(
        name="NVIDIA's tag is gone",
        pattern=r"resolve source metadata for (?P<image>\S*nvidia/cuda:\S+?): .*(?:not found|manifest unknown)",
        advice="there is no {image}: NVIDIA deletes tags that a newer patch has replaced. Choose a CUDA_VERSION (now "
        "{CUDA_VERSION}) that hub.docker.com/r/nvidia/cuda/tags lists, or name another BUILD_IMAGE",
    ),
    Remedy(
        name="NVIDIA has no such release",
        pattern=r"resolve source metadata for (?P<image>nvcr\.io/nvidia/pytorch:\S+?): .*"
        r"(?:not found|manifest unknown)",
        advice="there is no {image}: choose an NGC_YEAR (now {NGC_YEAR}) and NGC_MONTH ({NGC_MONTH}) that "
        "catalog.ngc.nvidia.com/orgs/nvidia/containers/pytorch/tags lists",
    ),
    Remedy(
        name="the base image is gone",
        pattern=_BASE + r"(?:not found|manifest unknown)",
        advice=f"{{registry}} has no {{image}}, or has it no more: {_OTHERWISE}",
    ),
    Remedy(
        name="another processor",
        pattern=r"exec format error",
        advice="the base image {BUILD_IMAGE} is made for another processor than the engine's: `docker pull` it again, "
        "without --platform, or choose another {setting}",
    ),
    Remedy(
        name="a GPU that nvcc does not know",
        pattern=r"Unsupported gpu architecture '?(?P<gpu>\w+)",
        advice="the compiler of CUDA {CUDA_VERSION} does not know {gpu}: choose a CUDA_VERSION that does",
    ),
    Remedy(
        name="the base image is not to be had",
        pattern=r"failed to resolve source metadata|pull access denied",
        advice=f"the base image {{image}} is neither here nor to be pulled: log in to its registry, {_OTHERWISE}",
    ),
    Remedy(
        name="the base image lacks a shell",
        pattern=r'exec: "[^"]*": (?:stat |executable file not found)|unable to find user '
        r"|\b(?:cat|cp|cut|mkdir|mktemp|rm|sed): (?:command )?not found$",
        advice="a step finds no shell, no accounts or no programs where the base image says that they are: see to the "
        "image's SHELL and PATH, or choose another; one made for a single program (scratch, distroless) does not do",
    ),
    Remedy(
        name="the base image's Python is too old",
        pattern=r"failed to inspect Python interpreter|Please use Python 3\.\d+ or newer",
        advice="uv {UV_VERSION} cannot use the base image's Python, which has to be 3.6 or newer: choose another "
        "base image, like python:3.12, or remove that Python from yours",
    ),
    Remedy(
        name="no such Python",
        pattern=r"no interpreter found for Python (?P<version>\S+)|Python <3\.6 is not supported",
        advice="the base image has no Python {PYTHON_VERSION}, and uv {UV_VERSION} knows none to fetch: choose another "
        "PYTHON_VERSION; one that is newer than this uv needs a newer UV_VERSION",
    ),
    Remedy(
        name="no such Python",
        pattern=r"python-build-standalone",
        advice="the base image's own Python is not {PYTHON_VERSION}, and another cannot be fetched: set PYTHON_VERSION "
        "to the base's, or PYTHON_MIRROR",
    ),
    Remedy(
        name="no wheel of PyTorch",
        pattern=_NO_WHEEL + r"none at (?P<index>\S+)",
        advice="neither the wheelhouse nor {index} has {package} {version} ({variant}) for Python {PYTHON_VERSION}: "
        "choose another {tag}, or name a folder of wheels: invoke env --update --set WHEELHOUSE=DIR",
    ),
    Remedy(
        name="no wheel of PyTorch",
        pattern=_NO_WHEEL + r"no answer from (?P<index>\S+)",
        advice="the wheelhouse has no {package} {version} ({variant}) for Python {PYTHON_VERSION}, and {index} does "
        "not answer: name a folder of wheels: invoke env --update --set WHEELHOUSE=DIR; or see to the network",
    ),
    Remedy(
        name="an index asks who you are",
        pattern=r"40[13] Client Error|client error \(40[13]|HTTP error 40[13]|40[13] +(?:Unauthorized|Forbidden)",
        advice="the server asks for a name and password, or refuses them: they belong into INDEX_URL, EXTRA_INDEX_URL "
        "or DEB_NEW, like https://NAME:PASSWORD@HOST/simple",
    ),
    Remedy(
        name="no network",
        pattern=r"temporary failure resolving '(?P<host>[^'\s]+)'|could not resolve host: (?P<host2>[^\s;]+)"
        r"|error sending request for url \(\w+://(?:[^/@)]*@)?(?P<host3>[^/)]+)|HTTPS?Connection(?:Pool)?\(host='(?P<host4>[^']+)'",
        advice=f"the step does not reach {{host}}: {_NEARER}",
    ),
    Remedy(
        name="no network",
        pattern=r"temporary failure in name resolution|name or service not known|failed to lookup address|dns error"
        r"|connection refused|connection timed out|timed out|network is unreachable|no route to host"
        r"|connection reset by peer|connection broken|incomplete ?read|no such host",
        advice=f"the step does not reach a server: {_NEARER}",
    ),
    Remedy(
        name="a damaged download",
        pattern=r"hash sum mismatch|do not match the hashes|hash mismatch for|file has unexpected size"
        r"|wheel .* is invalid|not a zip file",
        advice="the download is not what was promised: it broke off, a mirror is being updated, or a proxy keeps an "
        "old file; build again in a while, or choose another mirror (DEB_NEW, INDEX_URL)",
    ),
    Remedy(
        name="no such version of an apt package",
        pattern=r"version '(?P<version>\S*)' for '(?P<package>\S+)' was not found",
        files="apt-",
        advice="{where}: the release of {BUILD_IMAGE} has no version {version} of {package}: leave the version "
        "out, or write the one that packages.debian.org or packages.ubuntu.com shows",
    ),
    Remedy(
        name="no such apt package",
        pattern=_NO_APT_PACKAGE,
        files="apt-",
        advice="{where}: the release of {BUILD_IMAGE} has no such package {package}; packages.debian.org and "
        "packages.ubuntu.com know the names",
    ),
    Remedy(
        name="no such apt package",
        pattern=_NO_APT_PACKAGE,
        advice="the archive of {BUILD_IMAGE} has no package {package}: is DEB_NEW ({DEB_NEW}) a complete mirror of its "
        "release?",
    ),
    Remedy(
        name="no such package of the RHEL family",
        pattern=_NO_RPM_PACKAGE,
        files="dnf-",
        advice="{where}: no repository of {TRAIN_IMAGE} has {package}: pkgs.org knows the names; one of EPEL takes "
        "a base image that has EPEL",
    ),
    Remedy(
        name="no such package of the RHEL family",
        pattern=_NO_RPM_PACKAGE,
        advice="no repository of {BUILD_IMAGE} has {package}: docs/distributions.md says which images have all that is "
        "needed",
    ),
    Remedy(
        name="pip is too old for uv",
        pattern=r"cresset: the base image's pip (?P<version>\d+) is too old",
        advice="pip {version} does not know the wheels of uv, and the index gives no newer one for that Python: is "
        "INDEX_URL complete? Or choose a newer DISTRO_VERSION, or a base image with a newer python3",
    ),
    Remedy(
        name="no such uv",
        pattern=r"no matching distribution found for uv==(?P<version>\S+)",
        advice="the index has no uv {version} for the base image: choose another UV_VERSION, of those that "
        "its page on PyPI lists",
    ),
    Remedy(
        name="the PyTorch of .env stays",
        pattern=r"you require (?P<package>torch(?:vision|audio|text)?)\b[^,\n]* and (?P=package)==(?P<version>[^,\s]+)",
        advice="{where}: {package} is {version} by {tag} and is never replaced: leave the line out, or choose another "
        "{tag}",
    ),
    Remedy(
        name="not what was asked for",
        pattern=r"cresset: (?P<what>[^\n]+?) is (?P<found>[^\n]+), asked for (?P<wanted>[^\n]+)",
        advice="{what} is {found} in the image, {wanted} by the settings: is it another wheel (WHEELHOUSE, "
        "PYTORCH_INDEX_URL), or another base image than its name says? If it is what you want, ask for that; or go on "
        "with it: --force",
    ),
    Remedy(
        name="a package ends Python",
        pattern=_ENDS_PYTHON + r"signal 4\b",
        advice="{package} {version} has an instruction that the engine's processor lacks, often AVX, which old and "
        "emulated processors are without: choose an older {tag}, or build where the processor is newer; for another "
        "machine than this one: --force",
    ),
    Remedy(
        name="a package ends Python",
        pattern=_ENDS_PYTHON + r"(?P<how>[^)\n]+)",
        advice="{package} {version} ends Python as it is imported ({how}), mostly for a library or wheel that does not "
        "fit the others: choose another {tag}, or loosen what reqs/pip-*.requirements.txt pins; to look into the "
        "image as it is: --force",
    ),
    Remedy(
        name="a library is missing",
        pattern=r"cresset: (?P<of>\S+) needs (?P<library>\S+), which is nowhere in the image",
        advice="{of} was made where there is a {library}, and the image has none: packages.debian.org tells which "
        "package has it, for reqs/apt-*.requirements.txt; CUDA's own are in the base image with IMAGE_FLAVOR=devel",
    ),
    Remedy(
        name="NVIDIA's version stays",
        pattern=r"the user requested \(constraint\) (?P<package>[\w.-]+)===?(?P<version>[^,\s]+)",
        advice="{package} is {version} in the base image and stays: loosen the line of reqs/pip-ngc.requirements.txt "
        "that asks for another; or let reqs/pip-ngc-uninstall.requirements.txt remove it first",
    ),
    Remedy(
        name="no such Python package",
        pattern=_NO_PYTHON_PACKAGE,
        advice="{where}: the index has no package {package}: check how it is spelt; where only another index has it, "
        "name that in EXTRA_INDEX_URL",
    ),
    Remedy(
        name="no such Python package",
        pattern=_NO_PYTHON_PACKAGE,
        advice="the index has no package {package}, which another one asks for: is INDEX_URL complete? EXTRA_INDEX_URL "
        "names a further one",
    ),
    Remedy(
        name="no such version of a Python package",
        pattern=_NO_PYTHON_VERSION,
        advice="{where}: no such version of {package} is to be had for Python {PYTHON_VERSION} and this PyTorch; "
        "loosen the line, or choose other versions",
    ),
    Remedy(
        name="versions that do not go together",
        pattern=_NO_PYTHON_VERSION + r"|no solution found when resolving|ResolutionImpossible",
        advice="no set of versions fits Python {PYTHON_VERSION} and this PyTorch, which is never replaced: loosen a "
        "line of reqs/pip-*.requirements.txt, or choose another PYTORCH_VERSION_TAG",
    ),
    Remedy(
        name="the base image's ONBUILD fails",
        # What a base leaves to the images built on it counts its own lines: BuildKit points to the Dockerfile's first.
        pattern=r'(?:^ERROR: .*process "|: "[^"]*": not found)[\s\S]*^ *1 \| >>>',
        advice="the failed step is not the Dockerfile's: the base image leaves it to the images built on it (ONBUILD), "
        "for a folder of another kind; choose the variant of the image without it, or another",
    ),
)


def is_of_buildkit(error: str) -> bool:
    """Return whether a build failed by a fault of BuildKit that the next attempt does not meet."""
    return bool(re.search(_LOST, error))


def find(text: str, *, values: Mapping[str, str], requirements: Mapping[str, str] | None = None) -> Advice | None:
    """Return what to do about a failure; None where it is none that is known.

    Args:
        text: what BuildKit and the failing step said.
        values: the settings, and `root`, where the engine keeps its data.
        requirements: the texts of the requirement files that the build reads, by name.
    """
    for remedy in REMEDIES:
        if match := re.search(remedy.pattern, text, re.IGNORECASE | re.MULTILINE):
            read = {name: text for name, text in (requirements or {}).items() if name.startswith(remedy.files)}
            known = _known(match, values, read)
            if _names(remedy.advice) <= known.keys():
                return Advice(name=remedy.name, text=remedy.advice.format_map(known))
    return None


def _names(advice: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(advice) if name}


def _known(match: re.Match[str], values: Mapping[str, str], requirements: Mapping[str, str]) -> dict[str, str]:
    """Return what an advice may name."""
    # One thing may be found in several places of a pattern, which must differ in name: host, host2.
    found = {name.rstrip("0123456789"): text for name, text in match.groupdict().items() if text}
    known = {**{name: value or "not set" for name, value in values.items()}, **found}
    known.setdefault("image", known["BUILD_IMAGE"])
    if "package" in known:
        known["tag"] = f"{'PYTORCH' if known['package'] == 'torch' else known['package'].upper()}_VERSION_TAG"
    if "package" in known and (where := _where(known["package"], requirements)):
        known["where"] = where
    return {
        **known,
        "registry": registry(known["image"]),
        "setting": _setting(known["image"], values),
        "otherwise": "build without CUDA: --service cpu"
        if values["USE_CUDA"] == "1"
        else "make a base image here: invoke base-image",
    }


def is_of_network(reason: str) -> bool:
    """Return whether a pull failed because no registry answered."""
    return bool(re.search(_NO_ANSWER, reason, re.IGNORECASE))


def registry(image: str) -> str:
    """Return the registry that an image's name leads to."""
    head, slash, _ = image.partition("/")
    return head if slash and (set(head) & set(".:") or head == "localhost") else "docker.io"


def _setting(image: str, values: Mapping[str, str]) -> str:
    """Return the setting that names a base image; BuildKit writes names out in full."""
    bases = ("PLAIN_IMAGE", "BUILD_IMAGE", "TRAIN_IMAGE", "DEPLOY_IMAGE", "SIMPLE_IMAGE", "NGC_IMAGE")
    named = [name for name in bases if image.endswith(values[name])]
    return named[0] if named else "BUILD_IMAGE"


def _where(package: str, requirements: Mapping[str, str]) -> str:
    """Return the file and line that ask for a package; empty where none does."""
    name = re.sub(r"[-_.]+", "[-_.]+", re.escape(package).replace(r"\-", "-").replace(r"\.", "."))
    for file, text in requirements.items():
        for number, line in enumerate(text.splitlines(), start=1):
            if re.search(rf"(?<![\w.+-]){name}(?![\w.+-])", line.partition("#")[0], re.IGNORECASE):
                return f"reqs/{file}, line {number}"
    return ""
