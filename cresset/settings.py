"""One row a setting: what a person can set, its form, and, where no Dockerfile says it, what it means."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from difflib import get_close_matches

from cresset import forms
from cresset.credentials import quoted
from cresset.errors import CressetError
from cresset.forms import Form


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A name that a person can set.

    Attributes:
        name: as written in `.env`.
        form: what its value may be.
        help: its meaning; empty for an argument, whose meaning stands above its ARG in its Dockerfile.
    """

    name: str
    form: Form
    help: str = ""

    @property
    def is_argument(self) -> bool:
        """Whether a Dockerfile reads it as ARG."""
        return not self.help

    @property
    def home(self) -> str:
        """The file that has its default."""
        if not self.is_argument:
            return "docker-compose.yaml"
        return "ngc.Dockerfile" if self.name.startswith("NGC_") else "Dockerfile"

    def check(self, value: str, source: str) -> None:
        """Refuse a value that is not of this setting's form.

        Raises:
            CressetError: with the name, where the value came from, and what to write instead.
        """
        if not self.form.accepts(value):
            raise CressetError(f"{self.name} (from {source}): {quoted(value)} is not {self.form.what}", self.form.hint)


SETTINGS = (
    Setting(name="SERVICE", form=forms.WORD, help="is the service that the tasks act on"),
    Setting(name="COMMAND", form=forms.NON_EMPTY, help="is what `invoke exec` runs"),
    Setting(
        name="IMAGE_NAME",
        form=forms.or_empty(forms.NAME),
        help="is the image's name; empty makes one of service and user name",
    ),
    Setting(
        name="INSTALL_NAME",
        form=forms.or_empty(forms.FAMILY),
        help="is the tag of pytorch_source that `build-install` makes; empty is build_install",
    ),
    Setting(
        name="TORCH_NAME",
        form=forms.or_empty(forms.FAMILY),
        help="is the tag of pytorch_source that `build-torch` makes and `build-train` takes; empty is build_torch-TAG",
    ),
    Setting(
        name="TRAIN_NAME",
        form=forms.or_empty(forms.FAMILY),
        help="is the tag of pytorch_source that `build-train` makes; empty is train",
    ),
    Setting(name="COMPOSE_PROJECT_NAME", form=forms.PROJECT, help="is the name of this checkout's containers"),
    Setting(
        name="COMPOSE_PROFILES", form=forms.ANYTHING, help="is the service that a hand-typed `docker compose` acts on"
    ),
    Setting(name="HOST_ROOT", form=forms.NON_EMPTY, help="is where the code is on the host"),
    Setting(name="PROJECT_ROOT", form=forms.PROJECT_FOLDER),
    Setting(name="ADD_USER", form=forms.one_of("include", "exclude")),
    Setting(name="UID", form=forms.NUMBER),
    Setting(name="GID", form=forms.NUMBER),
    Setting(name="USR", form=forms.ACCOUNT),
    Setting(name="GRP", form=forms.ACCOUNT),
    Setting(name="SUDO", form=forms.one_of("exclude", "include")),
    Setting(name="SSH", form=forms.one_of("exclude", "include")),
    Setting(name="PRELOAD", form=forms.one_of("none", "jemalloc", "tcmalloc", "libiomp5")),
    Setting(name="TZ", form=forms.ZONE),
    Setting(name="BUILD_MODE", form=forms.one_of("exclude", "include")),
    Setting(name="PYTORCH_VERSION_TAG", form=forms.REFERENCE),
    Setting(name="TORCHVISION_VERSION_TAG", form=forms.or_empty(forms.REFERENCE)),
    Setting(name="TORCHAUDIO_VERSION_TAG", form=forms.or_empty(forms.REFERENCE)),
    Setting(name="TORCHTEXT_VERSION_TAG", form=forms.or_empty(forms.REFERENCE)),
    Setting(name="PYTORCH_INDEX_URL", form=forms.or_empty(forms.PUBLIC_URL)),
    Setting(name="PYTORCH_FETCH_NIGHTLY", form=forms.SWITCH),
    Setting(name="CCA", form=forms.or_empty(forms.CAPABILITIES)),
    Setting(name="MKL_MODE", form=forms.one_of("include", "exclude")),
    Setting(name="MAGMA_MODE", form=forms.one_of("exclude", "source", "prebuilt")),
    Setting(name="MAGMA_VERSION", form=forms.REFERENCE),
    Setting(name="MAGMA_URL", form=forms.REPOSITORY),
    Setting(name="TORCH_NVCC_FLAGS", form=forms.WORDS),
    Setting(name="TORCH_BUILD_FLAGS", form=forms.or_empty(forms.FLAGS)),
    Setting(name="COMPANION_BUILD_FLAGS", form=forms.or_empty(forms.FLAGS)),
    Setting(name="PYTORCH_URL", form=forms.REPOSITORY),
    Setting(name="PYTORCH_COMMIT", form=forms.or_empty(forms.COMMIT)),
    Setting(name="TORCHVISION_URL", form=forms.REPOSITORY),
    Setting(name="TORCHVISION_COMMIT", form=forms.or_empty(forms.COMMIT)),
    Setting(name="TORCHAUDIO_URL", form=forms.REPOSITORY),
    Setting(name="TORCHAUDIO_COMMIT", form=forms.or_empty(forms.COMMIT)),
    Setting(name="TORCHTEXT_URL", form=forms.REPOSITORY),
    Setting(name="TORCHTEXT_COMMIT", form=forms.or_empty(forms.COMMIT)),
    Setting(name="USE_CUDA", form=forms.SWITCH),
    Setting(name="CUDA_VERSION", form=forms.CUDA),
    Setting(name="CUDNN_VERSION", form=forms.or_empty(forms.one_of("7", "8", "9"))),
    Setting(name="LINUX_DISTRO", form=forms.WORD),
    Setting(name="DISTRO_VERSION", form=forms.WORD),
    Setting(name="IMAGE_FLAVOR", form=forms.one_of("devel", "runtime")),
    Setting(name="BUILD_IMAGE", form=forms.IMAGE),
    Setting(name="TRAIN_IMAGE", form=forms.IMAGE),
    Setting(name="DEPLOY_IMAGE", form=forms.IMAGE),
    Setting(name="SIMPLE_IMAGE", form=forms.IMAGE),
    Setting(name="PLAIN_IMAGE", form=forms.IMAGE, help="is the base image where USE_CUDA is 0"),
    Setting(name="NGC_YEAR", form=forms.YEAR),
    Setting(name="NGC_MONTH", form=forms.MONTH),
    Setting(name="NGC_IMAGE", form=forms.IMAGE),
    Setting(name="CLEAN", form=forms.or_empty(forms.WORD)),
    Setting(name="UV_VERSION", form=forms.VERSION),
    Setting(name="PYTHON_VERSION", form=forms.PYTHON),
    Setting(
        name="GPUS", form=forms.GPUS, help="is which GPUs the container sees: all, or numbers or UUIDs, like 0 or 0,2"
    ),
    Setting(name="IPC", form=forms.one_of("private", "host"), help="is whose shared memory the container uses"),
    Setting(name="SHM_SIZE", form=forms.SIZE, help="is the size of the container's own shared memory"),
    Setting(name="NETWORK", form=forms.one_of("bridge", "host", "none"), help="is the container's network"),
    Setting(name="WHEELHOUSE", form=forms.NON_EMPTY, help="is a folder of wheels that is asked before any index"),
    Setting(
        name="SOURCES",
        form=forms.NON_EMPTY,
        help="is a folder of source trees to compile, or with a `mirror` of GitHub to clone from",
    ),
    Setting(
        name="DEPLOY_PROJECT",
        form=forms.NON_EMPTY,
        help="is a folder of code that the service deploy takes along, at PROJECT_ROOT",
    ),
    Setting(
        name="MAX_JOBS",
        form=forms.or_empty(forms.JOBS),
        help="is how many compilers run at once; empty asks the builder",
    ),
    Setting(
        name="CCACHE_REMOTE_STORAGE",
        form=forms.or_empty(forms.REMOTE_CACHE),
        help="is a compiler cache that hosts share, like redis://host:6379",
    ),
    Setting(
        name="CA_BUNDLE",
        form=forms.or_empty(forms.ABSOLUTE),
        help="is the host's CA certificates, where the usual ones do not do",
    ),
    Setting(name="INDEX_URL", form=forms.or_empty(forms.URL), help="is the index of Python packages; empty is PyPI"),
    Setting(name="EXTRA_INDEX_URL", form=forms.or_empty(forms.URLS), help="are further indexes of Python packages"),
    Setting(name="TRUSTED_HOST", form=forms.ANYTHING, help="are hosts of indexes whose certificate is not checked"),
    Setting(
        name="DEB_NEW",
        form=forms.or_empty(forms.URL),
        help="is the apt mirror for builds; empty is the base image's own",
    ),
    Setting(
        name="PYTHON_MIRROR",
        form=forms.or_empty(forms.URL),
        help="is the mirror of the Python builds that uv fetches when needed",
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
# Compose's own, which `.env` may set: docs.docker.com/compose/how-tos/environment-variables/envvars.
OF_COMPOSE = frozenset(
    f"COMPOSE_{name}"
    for name in (
        "ANSI",
        "CONVERT_WINDOWS_PATHS",
        "ENV_FILES",
        "FILE",
        "IGNORE_ORPHANS",
        "PARALLEL_LIMIT",
        "PATH_SEPARATOR",
        "REMOVE_ORPHANS",
    )
)
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
    raise CressetError(f"{source}: there is no setting {quoted(name)}", hint)


def refuse_misspelt(name: str, source: str) -> None:
    """Refuse a name that is almost a setting's; another may well serve the override file.

    Raises:
        CressetError: with the name that is meant.
    """
    if name in RENAMED:
        raise CressetError(f"{source}: {name} is an old name", f"write {RENAMED[name]}")
    if name not in OF_COMPOSE and (near := get_close_matches(name.upper(), NAMES, n=1, cutoff=0.85)):
        raise CressetError(f"{source}: there is no setting {name!r}", f"did you mean {near[0]}?")


def drop_empty(shell: MutableMapping[str, str]) -> None:
    """Take the settings out of a process's environment that are empty there and may not be: nobody means that by it.

    Compose by itself takes them for empty, or for the default of docker-compose.yaml, and what `.env` says is lost.
    """
    for name in [row.name for row in SETTINGS if shell.get(row.name) == "" and not row.form.accepts("")]:
        del shell[name]


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
            raise CressetError(f"--set: {quoted(text)} is not NAME=VALUE", "write it like --set CUDA_VERSION=13.0.3")
        find(name, "--set").check(value, "--set")
        values[name] = value
    return values
