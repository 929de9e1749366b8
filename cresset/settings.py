"""One row a setting: what a person can set, what it may be, and, where no Dockerfile says it, what it means."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from packaging.version import InvalidVersion, Version

from cresset.errors import CressetError


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a value may look like.

    Attributes:
        what: completes "is not ...", for the message.
        hint: what to write instead.
        accepts: whether a value is of this form.
    """

    what: str
    hint: str
    accepts: Callable[[str], bool]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A name that a person can set.

    Attributes:
        name: as written in `.env`.
        form: what its value may be.
        help: its meaning; empty for an argument, whose meaning stands above its ARG in the Dockerfile.
    """

    name: str
    form: Form
    help: str = ""

    @property
    def is_argument(self) -> bool:
        """Whether the Dockerfile reads it as ARG."""
        return not self.help

    def check(self, value: str, source: str) -> None:
        """Refuse a value that is not of this setting's form.

        Raises:
            CressetError: with the name, where the value came from, and what to write instead.
        """
        if not self.form.accepts(value):
            raise CressetError(f"{self.name} (from {source}): {mask(value)!r} is not {self.form.what}", self.form.hint)


def _matches(pattern: str) -> Callable[[str], bool]:
    return lambda value: re.fullmatch(pattern, value) is not None


def _one_of(*allowed: str) -> Form:
    words = " or ".join([", ".join(allowed[:-1]), allowed[-1]] if allowed[1:] else allowed)
    return Form(what="a value it can have", hint=f"write {words}", accepts=allowed.__contains__)


def _or_empty(form: Form) -> Form:
    return Form(
        what=f"{form.what}, nor empty",
        hint=form.hint,
        accepts=lambda value: not value or form.accepts(value),
    )


def _is_version(value: str) -> bool:
    try:
        Version(value)
    except InvalidVersion:
        return False
    return re.fullmatch(r"v?[0-9][0-9a-z.+-]*", value) is not None


def _is_cuda(value: str) -> bool:
    parts = value.split(".")
    old = 11
    return all(re.fullmatch("[0-9]+", part) for part in parts) and (
        len(parts) == 3 or (len(parts) == 2 and int(parts[0]) < old)  # noqa: PLR2004 - the parts of a version
    )


def mask(value: str) -> str:
    """Return a value without the credentials of the addresses in it, for a screen."""
    return re.sub(r"(?<=://)[^/@\s]+@", "***@", value)


def _is_zone(value: str) -> bool:
    try:
        return bool(ZoneInfo(value))
    except (OSError, ValueError, KeyError):
        # A host without the IANA database knows no zone at all: then the form has to do.
        return not _knows_zones() and bool(re.fullmatch(r"[A-Za-z]+[A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", value))


def _knows_zones() -> bool:
    try:
        return bool(ZoneInfo("Europe/Berlin"))
    except KeyError:
        return False


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and not re.search(r"\s", value)


# The engine's own rules, github.com/distribution/reference: [registry/]path[:tag][@digest], the path in lower case.
_HOST = r"[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*"
_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_IMAGE = (
    rf"(?:(?:{_HOST}(?:\.{_HOST})*|\[[0-9a-fA-F:]+\])(?::\d+)?/)?{_PART}(?:/{_PART})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
)
_DIGEST = r"(?:@sha256:[0-9a-f]{64})?"


def _names_image(pattern: str) -> Callable[[str], bool]:
    # None longer than 255, and none that could be an image's id.
    refused = _matches(r"[^:@]{256,}.*|[0-9a-f]{64}")
    return lambda value: _matches(pattern)(value) and not refused(value)


def _is_size(value: str) -> bool:
    most = 64 * 2**40  # bytes; no machine has as much memory
    found = re.fullmatch(r"([0-9]{1,11})([kmg]b?|[KMG]B?)", value)
    return found is not None and 0 < int(found[1]) * 1024 ** ("kmg".index(found[2][0].lower()) + 1) <= most


# Below these nothing can be mounted without hiding what a container runs on, its Python environment among it.
_SYSTEM = r"/(?:bin|boot|dev|etc|lib(?:x?[0-9]+|exec)?|proc|root|run|sbin|sys|usr|var|opt/(?:python|uv|venv))(?:/.*)?"


def _is_mountable(path: str) -> bool:
    is_plain = re.fullmatch(r"(/[^/:\s]+)+", path) and not {".", ".."} & set(path.split("/"))
    return bool(is_plain) and not re.fullmatch(rf"{_SYSTEM}|/home|/opt|/tmp", path)


ANYTHING = Form(what="a value", hint="", accepts=lambda _: True)
NON_EMPTY = Form(what="a value", hint="write something", accepts=lambda value: bool(value.strip()))
# Compose's own rule, docs.docker.com/compose/project-name.
PROJECT = Form(
    what="a project's name",
    hint="small letters, digits, dashes and underscores, a letter or a digit first",
    accepts=_matches(r"[a-z0-9][a-z0-9_-]*"),
)
WORD = Form(what="a name", hint="letters, digits, dots and dashes", accepts=_matches(r"[A-Za-z0-9][A-Za-z0-9_.-]*"))
SWITCH = _one_of("0", "1")
VERSION = Form(what="a version", hint="write it like 0.13.8", accepts=_is_version)
RELEASE = Form(what="a release", hint="write it like v2.14.1 or 2.14.1", accepts=_is_version)
REFERENCE = Form(
    what="a tag, a branch or a commit",
    hint="write it like v2.14.1",
    accepts=_matches(r"[A-Za-z0-9][A-Za-z0-9._/+-]*"),
)
COMMIT = Form(what="a commit", hint="write all its 40 digits: git ls-remote URL TAG", accepts=_matches(r"[0-9a-f]{40}"))
# What torch's CMake and torch.utils.cpp_extension both read: the table compute_capabilities of data/compat.yaml.
_CAPABILITY = r"[0-9]+\.[0-9]a?(\+PTX)?"
CAPABILITIES = Form(
    what="a compute capability",
    hint="write 8.6, or several with blanks or semicolons between, like '7.5 8.6+PTX'",
    accepts=_matches(rf"{_CAPABILITY}([ ;]+{_CAPABILITY})*"),
)
FLAGS = Form(
    what="a list of variables",
    hint="write them with blanks between, like 'USE_DISTRIBUTED=0 USE_KINETO=0'",
    accepts=_matches(r"\s*([A-Za-z_][A-Za-z0-9_]*=[^\s'\"`$\\]*\s*)+"),
)
WORDS = Form(
    what="a list of options",
    hint="write them with blanks between, without quotes",
    accepts=_matches(r"[^'\"\\$`\n]*"),
)
JOBS = Form(what="a number of jobs", hint="write a number from 1 on", accepts=_matches(r"[1-9][0-9]{0,3}"))
# The oldest Python that an official wheel was made for: the table releases of data/compat.yaml.
PYTHON = Form(
    what="a version of Python that PyTorch has wheels for",
    hint="write 3.6 or newer, like 3.12, or with its patch number 3.12.4",
    accepts=_matches(r"3\.(?:[6-9]|[1-9][0-9])(\.(?:0|[1-9][0-9]?))?"),
)
CUDA = Form(what="a version of CUDA", hint="write all three numbers, like 13.0.3 (10.2 has two)", accepts=_is_cuda)
NAME = Form(what="a name for an image", hint="write it like cresset:train-me", accepts=_names_image(_IMAGE))
FAMILY = Form(
    what="a tag, or an image's name",
    hint="write it like train_alice, or registry.example.org/team/train:alice",
    accepts=lambda value: bool(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", value)) or NAME.accepts(value),
)
IMAGE = Form(what="an image reference", hint="write it like debian:bookworm", accepts=_names_image(_IMAGE + _DIGEST))
URL = Form(what="a URL", hint="write it with http:// or https://", accepts=_is_url)
PUBLIC_URL = Form(
    what="a URL without a password",
    hint="arguments stay in the image's history; give the credentials in INDEX_URL, which is a secret",
    accepts=lambda value: _is_url(value) and mask(value) == value,
)
REPOSITORY = Form(
    what="the address of a repository",
    hint="write it like https://github.com/pytorch/pytorch.git, without a password: it stays in the image's history",
    accepts=lambda value: (
        bool(re.fullmatch(r"(https?|git|ssh)://[^\s/]+/\S+", value)) and not re.search(r"://[^/@]*:[^/@]*@", value)
    ),
)
URLS = Form(
    what="a list of URLs",
    hint="write them with blanks between, each with http:// or https://",
    accepts=lambda value: all(map(_is_url, value.split())),
)
# 2**32 - 1 is the kernel's 'no such ID'.
NUMBER = Form(
    what="a user or group number",
    hint="`id -u` and `id -g` show yours",
    accepts=lambda value: bool(re.fullmatch(r"0|[1-9][0-9]{0,9}", value)) and int(value) < 2**32 - 1,
)
ACCOUNT = Form(
    what="an account name",
    hint="letters, digits, dots, dashes and underscores, a letter first",
    accepts=_matches(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"),
)
ZONE = Form(
    what="a time zone",
    hint="use a name of the IANA list, like Europe/Berlin",
    accepts=_is_zone,
)
ABSOLUTE = Form(what="an absolute path", hint="begin with /", accepts=_matches(r"/[^:\x00]*"))
SIZE = Form(what="a size that memory can have", hint="write it like 8gb or 512mb", accepts=_is_size)
# As the driver's container hook takes them: numbers, a MIG instance as GPU:INSTANCE, or UUIDs, which may be shortened.
_GPU = r"(?:0|[1-9][0-9]*)(?::[0-9]+)?|(?:GPU|MIG|MIG-GPU)-[0-9A-Fa-f-]+(?:/[0-9]+/[0-9]+)?"
GPUS = Form(
    what="a choice of GPUs",
    hint="write all, or which of them, like 0 or 0,2 or GPU-8a9b1c2d: `nvidia-smi --list-gpus` shows numbers and UUIDs",
    accepts=_matches(rf"all|(?:{_GPU})(?:,(?:{_GPU}))*"),
)
PROJECT_FOLDER = Form(
    what="a folder that code can be mounted at",
    hint="begin with / and choose one of its own, like /opt/project or /work",
    accepts=_is_mountable,
)

SETTINGS = (
    Setting(name="SERVICE", form=WORD, help="is the service that the tasks act on"),
    Setting(name="COMMAND", form=NON_EMPTY, help="is what `invoke exec` runs"),
    Setting(
        name="IMAGE_NAME", form=_or_empty(NAME), help="is the image's name; empty makes one of service and user name"
    ),
    Setting(
        name="INSTALL_NAME",
        form=_or_empty(FAMILY),
        help="is the tag of pytorch_source that `build-install` makes; empty is build_install",
    ),
    Setting(
        name="TORCH_NAME",
        form=_or_empty(FAMILY),
        help="is the tag of pytorch_source that `build-torch` makes and `build-train` takes; empty is build_torch-TAG",
    ),
    Setting(
        name="TRAIN_NAME",
        form=_or_empty(FAMILY),
        help="is the tag of pytorch_source that `build-train` makes; empty is train",
    ),
    Setting(name="COMPOSE_PROJECT_NAME", form=PROJECT, help="is the name of this checkout's containers"),
    Setting(name="COMPOSE_PROFILES", form=ANYTHING, help="is the service that a hand-typed `docker compose` acts on"),
    Setting(name="HOST_ROOT", form=NON_EMPTY, help="is where the code is on the host"),
    Setting(name="PROJECT_ROOT", form=PROJECT_FOLDER),
    Setting(name="ADD_USER", form=_one_of("include", "exclude")),
    Setting(name="UID", form=NUMBER),
    Setting(name="GID", form=NUMBER),
    Setting(name="USR", form=ACCOUNT),
    Setting(name="GRP", form=ACCOUNT),
    Setting(name="TZ", form=ZONE),
    Setting(name="BUILD_MODE", form=_one_of("exclude", "include")),
    Setting(name="PYTORCH_VERSION_TAG", form=REFERENCE),
    Setting(name="TORCHVISION_VERSION_TAG", form=_or_empty(REFERENCE)),
    Setting(name="TORCHAUDIO_VERSION_TAG", form=_or_empty(REFERENCE)),
    Setting(name="TORCHTEXT_VERSION_TAG", form=_or_empty(REFERENCE)),
    Setting(name="PYTORCH_INDEX_URL", form=_or_empty(PUBLIC_URL)),
    Setting(name="PYTORCH_FETCH_NIGHTLY", form=SWITCH),
    Setting(name="CCA", form=_or_empty(CAPABILITIES)),
    Setting(name="MKL_MODE", form=_one_of("include", "exclude")),
    Setting(name="MAGMA_MODE", form=_one_of("exclude", "source", "prebuilt")),
    Setting(name="MAGMA_VERSION", form=REFERENCE),
    Setting(name="MAGMA_URL", form=REPOSITORY),
    Setting(name="TORCH_NVCC_FLAGS", form=WORDS),
    Setting(name="TORCH_BUILD_FLAGS", form=_or_empty(FLAGS)),
    Setting(name="COMPANION_BUILD_FLAGS", form=_or_empty(FLAGS)),
    Setting(name="PYTORCH_URL", form=REPOSITORY),
    Setting(name="PYTORCH_COMMIT", form=_or_empty(COMMIT)),
    Setting(name="TORCHVISION_URL", form=REPOSITORY),
    Setting(name="TORCHVISION_COMMIT", form=_or_empty(COMMIT)),
    Setting(name="TORCHAUDIO_URL", form=REPOSITORY),
    Setting(name="TORCHAUDIO_COMMIT", form=_or_empty(COMMIT)),
    Setting(name="TORCHTEXT_URL", form=REPOSITORY),
    Setting(name="TORCHTEXT_COMMIT", form=_or_empty(COMMIT)),
    Setting(name="USE_CUDA", form=SWITCH),
    Setting(name="CUDA_VERSION", form=CUDA),
    Setting(name="CUDNN_VERSION", form=_or_empty(_one_of("7", "8", "9"))),
    Setting(name="LINUX_DISTRO", form=WORD),
    Setting(name="DISTRO_VERSION", form=WORD),
    Setting(name="IMAGE_FLAVOR", form=_one_of("devel", "runtime")),
    Setting(name="BUILD_IMAGE", form=IMAGE),
    Setting(name="TRAIN_IMAGE", form=IMAGE),
    Setting(name="PLAIN_IMAGE", form=IMAGE, help="is the base image of the services without CUDA"),
    Setting(name="CLEAN", form=_or_empty(WORD)),
    Setting(name="UV_VERSION", form=VERSION),
    Setting(name="PYTHON_VERSION", form=PYTHON),
    Setting(name="GPUS", form=GPUS, help="is which GPUs the container sees: all, or numbers or UUIDs, like 0 or 0,2"),
    Setting(name="IPC", form=_one_of("private", "host"), help="is whose shared memory the container uses"),
    Setting(name="SHM_SIZE", form=SIZE, help="is the size of the container's own shared memory"),
    Setting(name="NETWORK", form=_one_of("bridge", "host", "none"), help="is the container's network"),
    Setting(name="WHEELHOUSE", form=NON_EMPTY, help="is a folder of wheels that is asked before any index"),
    Setting(
        name="SOURCES", form=NON_EMPTY, help="is a folder of source trees that are compiled instead of cloned ones"
    ),
    Setting(name="MAX_JOBS", form=_or_empty(JOBS), help="is how many compilers run at once; empty asks the builder"),
    Setting(
        name="CCACHE_REMOTE_STORAGE", form=ANYTHING, help="is a compiler cache that hosts share, like redis://host:6379"
    ),
    Setting(
        name="CA_BUNDLE", form=_or_empty(ABSOLUTE), help="is the host's CA certificates, where the usual ones do not do"
    ),
    Setting(name="INDEX_URL", form=_or_empty(URL), help="is the index of Python packages; empty is PyPI"),
    Setting(name="EXTRA_INDEX_URL", form=_or_empty(URLS), help="are further indexes of Python packages"),
    Setting(name="TRUSTED_HOST", form=ANYTHING, help="are hosts of indexes whose certificate is not checked"),
    Setting(name="DEB_NEW", form=_or_empty(URL), help="is the apt mirror for builds; empty is the base image's own"),
    Setting(
        name="PYTHON_MIRROR", form=_or_empty(URL), help="is the mirror of the Python builds that uv fetches when needed"
    ),
)

NAMES = {row.name: row for row in SETTINGS}
# What earlier templates called it. CC is no name for anything else: in a shell it is the C compiler.
RENAMED = {
    "CC": "CCA",
    "CCC": "CCA",
    "TORCH_CUDA_ARCH_LIST": "CCA",
    "TORCH_URL": "PYTORCH_URL",
    "VISION_URL": "TORCHVISION_URL",
    **{
        name: f"TORCH_BUILD_FLAGS='{name}=1'"
        for name in (
            "BUILD_CAFFE2",
            "BUILD_CAFFE2_OPS",
            "BUILD_TEST",
            "USE_NNPACK",
            "USE_PRECOMPILED_HEADERS",
            "USE_QNNPACK",
        )
    },
    "USE_FFMPEG": "COMPANION_BUILD_FLAGS='USE_FFMPEG=1'",
}
# What to build or fetch: PyTorch first.
TAGS = ("PYTORCH_VERSION_TAG", "TORCHVISION_VERSION_TAG", "TORCHAUDIO_VERSION_TAG", "TORCHTEXT_VERSION_TAG")


def find(name: str, source: str) -> Setting:
    """Return the row of a setting.

    Raises:
        CressetError: there is none of that name; the hint has the nearest one.
    """
    if name in NAMES:
        return NAMES[name]
    if name in RENAMED:
        raise CressetError(f"{source}: {name} is an old name", f"write {RENAMED[name]}")
    near = get_close_matches(name.upper(), NAMES, n=1)
    hint = f"did you mean {near[0]}?" if near else "`invoke config` lists all settings"
    raise CressetError(f"{source}: there is no setting {name!r}", hint)


def refuse_misspelt(name: str, source: str) -> None:
    """Refuse a name that is almost a setting's; another may well serve the override file.

    Raises:
        CressetError: with the name that is meant.
    """
    if name in RENAMED:
        raise CressetError(f"{source}: {name} is an old name", f"write {RENAMED[name]}")
    if near := get_close_matches(name.upper(), NAMES, n=1, cutoff=0.85):
        raise CressetError(f"{source}: there is no setting {name!r}", f"did you mean {near[0]}?")


def parse_assignments(texts: list[str]) -> dict[str, str]:
    """Read `NAME=VALUE` texts of the command line; a later one wins.

    Raises:
        CressetError: no `=`, no name, a name that is no setting, a value that is not of its form.
    """
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = "CCA" if name in {"CC", "CCC"} else name
        if not equals or not name:
            raise CressetError(f"--set: {text!r} is not NAME=VALUE", "write it like --set CUDA_VERSION=13.0.3")
        find(name, "--set").check(value, "--set")
        values[name] = value
    return values
