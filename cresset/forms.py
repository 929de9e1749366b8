"""What the values of settings may look like, each form with its name for a message and what to write instead. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from packaging.version import Version

from cresset.credentials import mask


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


def _matches(pattern: str) -> Callable[[str], bool]:
    return lambda value: re.fullmatch(pattern, value) is not None


def one_of(*allowed: str) -> Form:
    """Return the form of a value that is one of a few."""
    words = " or ".join([", ".join(allowed[:-1]), allowed[-1]] if allowed[1:] else allowed)
    return Form(what="a value it can have", hint=f"write {words}", accepts=allowed.__contains__)


def or_empty(form: Form) -> Form:
    """Return the form of a value that may be left empty besides."""
    return Form(
        what=f"{form.what}, nor empty",
        hint=form.hint,
        accepts=lambda value: not value or form.accepts(value),
    )


def _is_version(value: str) -> bool:
    try:
        Version(value)
    except ValueError:  # InvalidVersion is one, and so are more digits than Python reads
        return False
    return re.fullmatch(r"v?[0-9][0-9a-z.+-]*", value) is not None


def _is_cuda(value: str) -> bool:
    parts = value.split(".")
    old = 11
    return all(re.fullmatch("[0-9]{1,4}", part) for part in parts) and (
        len(parts) == 3 or (len(parts) == 2 and int(parts[0]) < old)  # noqa: PLR2004 - the parts of a version
    )


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
    rf"(?:(?:{_HOST}(?:\.{_HOST})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/)?{_PART}(?:/{_PART})*"
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
_SYSTEM = (
    r"/(?:bin|boot|dev|etc|lib(?:x?[0-9]+|exec)?|proc|root|run|sbin|sys|usr|var|opt/(?:nvidia|python|uv|venv))(?:/.*)?"
)


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
SWITCH = one_of("0", "1")
VERSION = Form(what="a version", hint="write it like 0.13.8", accepts=_is_version)
RELEASE = Form(what="a release", hint="write it like v2.14.1 or 2.14.1", accepts=_is_version)
REFERENCE = Form(
    what="a tag, a branch or a commit",
    hint="write it like v2.14.1",
    accepts=_matches(r"[A-Za-z0-9][A-Za-z0-9._/+-]*"),
)
COMMIT = Form(what="a commit", hint="write all its 40 digits: git ls-remote URL TAG", accepts=_matches(r"[0-9a-f]{40}"))
# What torch's CMake and torch.utils.cpp_extension both read: the table compute_capabilities of data/compat.yaml.
_CAPABILITY = r"[0-9]{1,3}\.[0-9]a?(\+PTX)?"
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
YEAR = Form(what="a year", hint="write its last two digits, like 26", accepts=_matches(r"[0-9]{2}"))
MONTH = Form(what="a month", hint="write two digits, like 09", accepts=_matches(r"0[1-9]|1[0-2]"))
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
    accepts=lambda value: (
        NAME.accepts(value)
        if re.search("[:/@]", value)
        else bool(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", value))
    ),
)
IMAGE = Form(what="an image reference", hint="write it like debian:bookworm", accepts=_names_image(_IMAGE + _DIGEST))
URL = Form(what="a URL", hint="write it with http:// or https://", accepts=_is_url)
PUBLIC_URL = Form(
    what="a URL without a password",
    hint="arguments stay in the image's history; give the credentials in INDEX_URL, which is a secret",
    accepts=lambda value: _is_url(value) and mask(value) == value,
)
# ccache.dev/manual, 'Remote storage backends'; attributes follow behind bars.
REMOTE_CACHE = Form(
    what="the address of a compiler cache",
    hint="write it like redis://host:6379 or http://host/ccache",
    accepts=_matches(r"(?:https?|redis(?:\+unix)?|file):/\S+"),
)
REPOSITORY = Form(
    what="the address of a repository",
    hint="write it like https://github.com/pytorch/pytorch.git, without a password or token: the image would keep it",
    accepts=lambda value: (
        bool(re.fullmatch(r"(https?|git|ssh)://[^\s/]+/\S+", value)) and not re.search(r"://(?!git@)[^/@]*@", value)
    ),
)
URLS = Form(
    what="a list of URLs",
    hint="write them with blanks between, each with http:// or https://",
    accepts=lambda value: all(map(_is_url, value.split())),
)
# As curl, pip and apt take it: the scheme may be missing.
PROXY = Form(
    what="the address of a proxy",
    hint="write it like http://proxy.example:3128, or leave it out",
    accepts=_matches(r"(?:(?:https?|socks[45][ah]?)://)?[^\s:/][^\s/]*/?"),
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
