"""What a person can get wrong, one row each; whoever adds a row has nothing else to write.

`tests/unit` checks each value and each line, `tests/engine/test_bad_input.py` does what a person does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cresset.credentials import mask

# A setting, a value it cannot have, and words of the hint. The first row of each setting is also tried by --set, in
# `.env` and in the shell: let it be one that Compose has nothing against, and not an empty one.
VALUES = (
    ("CCA", "8,6", "write 8.6"),
    ("CCA", "Ampere", "write 8.6"),
    ("CCA", "8.6+PTX,9.0", "write 8.6"),
    ("CCA", "86", "write 8.6"),
    ("TORCH_BUILD_FLAGS", "USE_KINETO", "USE_DISTRIBUTED=0"),
    ("TORCH_BUILD_FLAGS", "A=$(id)", "USE_DISTRIBUTED=0"),
    ("PYTORCH_URL", "https://me:secret@example.org/torch.git", "without a password"),
    ("PYTORCH_COMMIT", "5c48869", "all its 40 digits"),
    ("MAX_JOBS", "0", "from 1 on"),
    ("MAGMA_MODE", "yes", "source or prebuilt"),
    ("MAGMA_MODE", "", "source or prebuilt"),
    ("BUILD_MODE", "maybe", "write exclude"),
    ("BUILD_MODE", "", "write exclude"),
    ("USE_CUDA", "yes", "write 0 or 1"),
    ("USE_CUDA", "", "write 0 or 1"),
    ("ADD_USER", "no", "write include or exclude"),
    ("ADD_USER", "", "write include or exclude"),
    ("IMAGE_FLAVOR", "base", "write devel or runtime"),
    ("PYTORCH_FETCH_NIGHTLY", "true", "write 0 or 1"),
    ("SUDO", "yes", "write exclude or include"),
    ("SSH", "yes", "write exclude or include"),
    ("PRELOAD", "mimalloc", "write none, jemalloc, tcmalloc or libiomp5"),
    ("PRELOAD", "", "write none"),
    ("IPC", "shareable", "write private or host"),
    ("NETWORK", "hosts", "write bridge, host or none"),
    ("CUDA_VERSION", "13.0", "all three numbers"),
    ("CUDA_VERSION", "11.0", "all three numbers"),
    ("CUDA_VERSION", "12", "all three numbers"),
    ("CUDA_VERSION", "", "all three numbers"),
    ("CUDA_VERSION", "13.0.3.1", "all three numbers"),
    ("CUDA_VERSION", "\u0661.\u0662.\u0663", "three numbers"),
    ("PYTHON_VERSION", "python3", "like 3.12"),
    ("PYTHON_VERSION", "2.7", "3.6 or newer"),
    ("PYTHON_VERSION", "3.5", "3.6 or newer"),
    ("PYTHON_VERSION", "3.5.10", "3.6 or newer"),
    ("PYTHON_VERSION", "3", "like 3.12"),
    ("PYTHON_VERSION", "3.012", "like 3.12"),
    ("PYTHON_VERSION", "3.12.", "like 3.12"),
    ("PYTHON_VERSION", "", "like 3.12"),
    ("PYTORCH_VERSION_TAG", "v2 14", "like v2.14.1"),
    ("PYTORCH_VERSION_TAG", "", "like v2.14.1"),
    ("UV_VERSION", "newest", "like 0.13.8"),
    ("PYTORCH_INDEX_URL", "https://me:secret@example.org/whl", "INDEX_URL, which is a secret"),
    ("PYTORCH_INDEX_URL", "ftp://example.org", "secret"),
    ("INDEX_URL", "http://[x", "http"),
    ("INDEX_URL", "index.example.org/simple", "http"),
    ("UID", "-1", "id -u"),
    ("UID", "4294967295", "id -u"),
    ("UID", "1.5", "id -u"),
    ("UID", "00", "id -u"),
    ("UID", "\u0661", "id -u"),
    ("UID", "", "id -u"),
    ("GID", "users", "id -u"),
    ("USR", "first last", "letters"),
    ("USR", "CORP\\name", "letters"),
    ("USR", "", "letters"),
    ("GRP", "1st", "a letter first"),
    ("TZ", "half past nine", "IANA"),
    ("TZ", "Mars/Base", "IANA"),
    ("TZ", "../etc/passwd", "IANA"),
    ("TZ", "", "IANA"),
    ("PROJECT_ROOT", "project", "begin with /"),
    ("PROJECT_ROOT", "/opt", "of its own"),
    ("PROJECT_ROOT", "/opt/../usr", "of its own"),
    ("PROJECT_ROOT", "/work/.", "of its own"),
    ("PROJECT_ROOT", "/home", "of its own"),
    ("PROJECT_ROOT", "/tmp", "of its own"),
    ("PROJECT_ROOT", "/etc/cresset", "of its own"),
    ("PROJECT_ROOT", "/lib64", "of its own"),
    ("PROJECT_ROOT", "/opt/venv/lib", "of its own"),
    ("PROJECT_ROOT", "/opt/nvidia", "of its own"),
    ("PROJECT_ROOT", "/opt/uv", "of its own"),
    ("PROJECT_ROOT", "/root/x", "of its own"),
    ("IMAGE_NAME", "Train", "like cresset"),
    ("IMAGE_NAME", "a b", "like cresset"),
    ("IMAGE_NAME", "a@sha256:" + 64 * "0", "like cresset"),
    ("IMAGE_NAME", "cresset:", "like cresset"),
    ("IMAGE_NAME", "cresset:" + 129 * "x", "like cresset"),
    ("IMAGE_NAME", 256 * "x", "like cresset"),
    ("IMAGE_NAME", 64 * "0", "like cresset"),
    ("IMAGE_NAME", "a___b", "like cresset"),
    ("IMAGE_NAME", "a-.b/c", "like cresset"),
    ("PLAIN_IMAGE", "debian:", "like debian"),
    ("NGC_YEAR", "2026", "last two digits"),
    ("NGC_MONTH", "9", "two digits"),
    ("NGC_MONTH", "13", "two digits"),
    ("NGC_IMAGE", "nvcr.io/nvidia/pytorch:", "like debian"),
    ("DEPLOY_IMAGE", "debian:", "like debian"),
    ("SIMPLE_IMAGE", "debian:", "like debian"),
    ("COMMAND", " ", "write something"),
    ("SHM_SIZE", "99999999999999999999gb", "8gb"),
    ("SHM_SIZE", "much", "8gb"),
    ("SHM_SIZE", "0kb", "8gb"),
    ("SHM_SIZE", "65537gb", "8gb"),
    ("GPUS", "two", "write all, or which"),
    ("GPUS", "", "write all, or which"),
    ("GPUS", "-1", "write all, or which"),
    ("GPUS", "0, 2", "like 0 or 0,2"),
    ("GPUS", "0,", "like 0 or 0,2"),
    ("GPUS", "0;2", "like 0 or 0,2"),
    ("GPUS", "all,0", "write all, or which"),
    ("GPUS", "device=0", "like 0 or 0,2"),
    ("GPUS", "8a9b1c2d", "nvidia-smi --list-gpus"),
    ("COMPOSE_PROJECT_NAME", "Mine", "small letters"),
)

# A line of an apt requirement file, and its complaint.
APT_LINES = (
    ("git-", "'git-' is no package"),
    ("g*", "'g*' is no package"),
    ("kde^", "'kde^' is no package"),
    ("~ngit", "'~ngit' is no package"),
    ("; rm -rf /", "';' is no package"),
    ("$(touch x)", "'$(touch' is no package"),
    ("-o A=b", "'-o' is no package"),
    ("Git", "'Git' is no package"),
    ("ä", "'ä' is no package"),
    ("git\fnano", r"'git\x0cnano' is no package"),
    ("git\xa0nano", r"'git\xa0nano' is no package"),
    ("git\0", r"'git\x00' is no package"),
    ("-" * 100_000, "is no package"),
)

# A line of a dnf requirement file that is no package.
DNF_LINES = (
    ("git=2.0", "'git=2.0' is no package"),
    ("git>=2.0", "'git>=2.0' is no package"),
    ("git-", "'git-' is no package"),
    ("?git", "'?git' is no package"),
    ("--nogpgcheck", "'--nogpgcheck' is no package"),
    ("*", "'*' is no package"),
    ("@*", "'@*' is no package"),
    ("https://example.org/git.rpm", "'https://example.org/git.rpm' is no package"),
    ("./git.rpm", "'./git.rpm' is no package"),
    ("$(touch x)", "'$(touch' is no package"),
    ("\xe4", "'\xe4' is no package"),
)
# A line of a file of Python packages to uninstall that is no bare name.
GONE_LINES = (
    ("torch==2.0", "'torch==2.0' is no package's name"),
    ("-y", "'-y' is no package's name"),
    ("a[b]", "'a[b]' is no package's name"),
    ("$(touch x)", "'$(touch' is no package's name"),
)

# A line of a pip requirement file that uv refuses as well, and its complaint.
PIP_LINES = (
    ("numpy=1.26", "is no requirement"),
    ("numpy 1.26", "is no requirement"),
    ("numpy>1.0<2", "is no requirement"),
    ("numpy==", "is no requirement"),
    ("numpy pandas", "is no requirement"),
    ("numpy#comment", "is no requirement"),
    ("'numpy'", "is no requirement"),
    ("jupyterlab[extra", "is no requirement"),
    ("tomli; python_version < 3.11", "is no requirement"),
    ("nümpy", "is no requirement"),
    ("pip install numpy", "is no requirement"),
    ("; rm -rf .", "is no requirement"),
    ("numpy; rm -rf .", "is no requirement"),
    ("$(touch touched)", "is no requirement"),
    ("numpy && touch touched", "is no requirement"),
    ("${NAME}==1", "is no requirement"),
    ("numpy\0", "is no requirement"),
    ("numpy=" + "1" * 100_000, "is no requirement"),
    ("numpy" + " " * 100_000 + "pandas", "is no requirement"),
    ("--hash=sha256:00", "has an option that uv does not know"),
    ("-U numpy", "has an option that uv does not know"),
    ("--no-deps", "has an option that uv does not know"),
    ("numpy --global-option=x", "has '--global-option=x', which uv does not know"),
    ("--index-url", "lacks what the option is about"),
    ("-r more.txt", "is a file or a folder"),
    ("--index-url foo", "is a file or a folder"),
    ("--extra-index-url=foo", "is a file or a folder"),
    ("--find-links foo", "is a file or a folder"),
    ("--constraint=more.txt", "is a file or a folder"),
    ("-e .", "is a file or a folder"),
    ("./package", "is a file or a folder"),
    ("package-1.0-py3-none-any.whl", "is a file or a folder"),
    ("package @ file:package", "is a file or a folder"),
    ("FILE:///etc/passwd", "is a file or a folder"),
    ("numpy @ FILE:///x", "is a file or a folder"),
    ("-e File:///x", "is a file or a folder"),
    ("HTTPS://example.org/a-1.0-py3-none-any.whl", "is a file or a folder"),
    ("--index-url=https://me:secret@h bogus", "'--index-url=https://***@h bogus' names no server"),
    ("--extra-index-url https://me:secret@", "names no server"),
    ("-r https://h bogus", "names no server"),
    ("-e git+https://example.org/package", "cannot be editable"),
    ("hg+https://me:secret@example.org/package", "'hg+https://***@example.org/package' is an address that uv cannot"),
)

# What a folder of the checkout holds in place of what it had: bytes, nothing at all, or what this makes of the path.
Content = bytes | None | Callable[[Path], object]


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One mistake, as a person makes it.

    Attributes:
        name: what it is, in a word or two.
        words: what is typed after `invoke`.
        variables: what the shell's environment holds.
        env: lines that `.env` has in addition.
        files: what files of the checkout are instead of what they were.
        says: how the one line begins.
        hint: words of the line below it.
    """

    name: str
    words: tuple[str, ...] = ("config",)
    variables: Mapping[str, str] = field(default_factory=dict)
    env: str = ""
    files: Mapping[str, Content] = field(default_factory=dict)
    says: str
    hint: str


BUILD = ("build-only", "--dry-run")
# What earlier templates had, and what to write today. CC and CCC are understood on the command line.
OLD_NAMES = (
    ("CC", "CCA"),
    ("CCC", "CCA"),
    ("TORCH_CUDA_ARCH_LIST", "CCA"),
    ("TORCH_URL", "PYTORCH_URL"),
    ("VISION_URL", "TORCHVISION_URL"),
    ("USE_NNPACK", "TORCH_BUILD_FLAGS='USE_NNPACK=1'"),
    ("BUILD_TEST", "TORCH_BUILD_FLAGS='BUILD_TEST=1'"),
    ("USE_FFMPEG", "COMPANION_BUILD_FLAGS='USE_FFMPEG=1'"),
)
OTHER_PROJECT = b"services: { other: { image: other } }\n"

MISTAKES = (
    # The command line.
    Mistake(
        name="an unknown service",
        words=("config", "--service", "gpu"),
        says="there is no service 'gpu'",
        hint="the services are cpu, deploy, devel, full, ",
    ),
    Mistake(name="a misspelt task", words=("biuld",), says="there is no task 'biuld'", hint="did you mean build?"),
    Mistake(name="no such task", words=("zzz", "--dry-run"), says="there is no task 'zzz'", hint="invoke --list"),
    *(
        Mistake(name=f"invoke {' '.join(words)}", words=words, says=says, hint=hint)
        for words, says, hint in (
            (("build", "--servcie", "cpu"), "build: there is no option '--servcie'", "did you mean --service?"),
            (("up", "--zzz"), "up: there is no option '--zzz'", "invoke --help up"),
            (("build", "exce"), "build: 'exce' is no option and no task", "did you mean exec?"),
            (("config", "--json=yes"), "config: 'yes' is no option and no task", "invoke --help config"),
            (("exec", "--command"), "exec: --command lacks its value", "invoke --help exec"),
            (("matrix",), "matrix: no file is named", "invoke --help matrix"),
            (("--lst",), "there is no option '--lst'", "did you mean --list?"),
            (("--help", "exce"), "there is no task 'exce'", "did you mean exec?"),
        )
    ),
    Mistake(name="an empty service", words=("up", "--service", ""), says="--service: no service", hint="--service cpu"),
    Mistake(
        name="a misspelt setting",
        words=("build", "--set", "CUDA_VERISON=13.0.3"),
        says="--set: there is no setting 'CUDA_VERISON'",
        hint="did you mean CUDA_VERSION?",
    ),
    Mistake(
        name="no such setting",
        words=("build", "--set", "ZZZ=1"),
        says="--set: there is no setting 'ZZZ'",
        hint="invoke config",
    ),
    Mistake(
        name="no =", words=("up", "--set", "NETWORK"), says="--set: 'NETWORK' is not NAME=VALUE", hint="like --set"
    ),
    Mistake(name="no name", words=("up", "--set", "=1"), says="--set: '=1' is not NAME=VALUE", hint="like --set"),
    Mistake(name="nothing to set", words=("up", "--set"), says="--set: '' is not NAME=VALUE", hint="like --set"),
    Mistake(
        name="a preset",
        words=("config", "--service", "cpu", "--set", "USE_CUDA=1"),
        says="--set USE_CUDA: the service cpu fixes it to '0'",
        hint="another --service",
    ),
    *(
        Mistake(
            name=f"{tag} without compiling",
            words=("config", "--set", f"{name}={tag}"),
            says=f"{name} (from --set): '{tag}' is not a release",
            hint="like v2.14.1",
        )
        for name, tag in (
            ("PYTORCH_VERSION_TAG", "main"),
            ("PYTORCH_VERSION_TAG", "V2.13.0"),
            ("TORCHVISION_VERSION_TAG", "nightly"),
        )
    ),
    *(
        Mistake(
            name=f"{name}, which is {base}",
            words=(*BUILD, "--service", service, "--set", f"{name}={base}"),
            says=f"{name} (from --set): '{base}' is {what}",
            hint=hint,
        )
        for name, service, base, what, hint in (
            ("SIMPLE_IMAGE", "simple", "scratch", "no image", "like debian"),
            ("NGC_IMAGE", "ngc", "ngc-base", "a stage of the Dockerfile", "like ngc-base:latest"),
            ("PLAIN_IMAGE", "cpu", "train", "a stage of the Dockerfile", "like train:latest"),
        )
    ),
    Mistake(
        name="compiling for no GPU",
        words=(*BUILD, "--set", "BUILD_MODE=include"),
        says="BUILD_MODE=include with USE_CUDA=1 needs CCA",
        hint="nvidia-smi --query-gpu=compute_cap",
    ),
    Mistake(
        name="the number of a conda package as MAGMA's version",
        words=(
            *BUILD,
            "--set=BUILD_MODE=include",
            "--set=CCA=8.6",
            "--set=MAGMA_MODE=source",
            "--set=MAGMA_VERSION=121",
        ),
        says="MAGMA_VERSION=121 is a CUDA's number, not a release of MAGMA",
        hint="like v2.9.0",
    ),
    *(
        Mistake(
            name=f"{name}, an old name, by --set",
            words=("config", "--set", f"{name}=1"),
            says=f"--set: {name} is an old name",
            hint=f"write {hint}",
        )
        for name, hint in OLD_NAMES
        if name not in {"CC", "CCC"}
    ),
    Mistake(
        name="a folder that is not there",
        words=(*BUILD, "--set", "WHEELHOUSE=/nowhere"),
        says="WHEELHOUSE (from --set): there is no folder /nowhere",
        hint="name another",
    ),
    Mistake(
        name="a folder of code that is not there",
        words=(*BUILD, "--service", "deploy", "--set", "DEPLOY_PROJECT=nowhere"),
        says="DEPLOY_PROJECT (from --set): there is no folder nowhere",
        hint="name another",
    ),
    Mistake(
        name="another shell for deploy",
        words=("config", "--service", "deploy", "--set", "COMMAND=zsh"),
        says="--set COMMAND: the service deploy fixes it to 'sh'",
        hint="another --service",
    ),
    Mistake(
        name="a folder whose name no disk takes",
        words=(*BUILD, "--set", f"HOST_ROOT=/{300 * 'x'}"),
        says=f"HOST_ROOT (from --set): /{300 * 'x'} cannot be looked into: File name too long",
        hint="name another",
    ),
    # What belongs together.
    *(
        Mistake(name=f"{' '.join(words)}", words=("env", "--update", *words), says=says, hint=hint)
        for words, says, hint in (
            (("--torch", "two"), "--torch: 'two' is no release", "like 2.6"),
            (("--torch", "2.6", "--cuda", "12.7"), "--cuda: '12.7' is no CUDA", "like 12.7.0"),
            (("--python", "2.7"), "PYTHON_VERSION (from --python): '2.7'", "3.6 or newer"),
            (("--cca", "8,6"), "CCA (from --cca): '8,6'", "write 8.6"),
            (("--torch", "2.6", "--set", "PYTORCH_VERSION_TAG=v2.6.0"), "--set PYTORCH_VERSION_TAG is", "leave one"),
            (("--torch", "2.14", "--python", "3.9"), "PyTorch 2.14.1 and Python 3.9 do not", "3.10 to 3.14"),
            (("--torch", "2.15", "--cca", "6.1"), "no CUDA that has official wheels serves 6.1", "BUILD_MODE=include"),
            (
                ("--service", "ngc", "--torch", "2.6"),
                "the service ngc takes PyTorch from its base",
                "another --service",
            ),
            (("--service", "cpu", "--cuda", "12.4"), "--cuda: the service cpu is without", "--service train"),
        )
    ),
    Mistake(
        name="a release of no table", words=("versions", "--torch", "0.4"), says="PyTorch 0.4.0 is not", hint="add"
    ),
    Mistake(name="no release", words=("versions", "--torch", "x"), says="--torch: 'x' is no release", hint="like 2.6"),
    Mistake(
        name="doctor of what", words=("doctor", "--service", "gpu"), says="there is no service", hint="cpu, deploy"
    ),
    *(
        Mistake(name=f"what fails: {what}", words=(*BUILD, "--set", what), says=says, hint="--force")
        for what, says in (
            ("PYTHON_VERSION=3.9", "PyTorch 2.14.1 and Python 3.9 do not go together"),
            ("TORCHVISION_VERSION_TAG=v0.20.1", "torchvision 0.20.1 and PyTorch 2.14.1 do not go together"),
            ("CUDNN_VERSION=9", "nvidia/cuda:13.0.3-cudnn9-devel-ubuntu24.04 never was"),
            ("DISTRO_VERSION=18.04", "nvidia/cuda:13.0.3-cudnn-devel-ubuntu18.04 never was"),
            ("LINUX_DISTRO=alpine", "nvidia/cuda:13.0.3-cudnn-devel-alpine24.04 has neither apt nor dnf"),
        )
    ),
    # .env.
    *(
        Mistake(name=f".env is {what}, {' '.join(words)}", words=words, files={".env": content}, says=says, hint=hint)
        for what, content, says, hint in (
            ("a folder", Path.mkdir, ".env is a folder", "mv .env .env.old"),
            ("a pipe", os.mkfifo, ".env is no ordinary file", "mv .env .env.old"),
            ("a device", lambda path: path.symlink_to("/dev/null"), ".env is no ordinary file", "mv .env .env.old"),
            ("a link to itself", lambda path: path.symlink_to(".env"), ".env cannot be read: ", "ls -l .env"),
            ("not UTF-8", b"UID=1\nUSR=M\xfcller\n", ".env:2 is not UTF-8", "iconv -f LATIN1"),
            ("UTF-16", "USR=me".encode("utf-16"), ".env is not UTF-8", "iconv -f UTF-16"),
        )
        for words in (("config",), ("env",), ("env", "--update"), BUILD, ("up",), ("down",))
    ),
    Mistake(name=".env is missing", words=("up",), files={".env": None}, says=".env is missing", hint="invoke env"),
    Mistake(name="a misspelt name in .env", env="GPUSS=1", says=".env: there is no setting 'GPUSS'", hint="GPUS?"),
    *(
        Mistake(name=f"{name}, an old name", env=f"{name}=1", says=f".env: {name} is an old name", hint=f"write {hint}")
        for name, hint in OLD_NAMES
    ),
    Mistake(name="a dash", env="CUDA-VERSION=13.0.3", says=".env: there is no setting", hint="CUDA_VERSION?"),
    Mistake(name="small letters", env="cuda_version=1", says=".env: there is no setting", hint="CUDA_VERSION?"),
    Mistake(name="a blank in a name", env="A B=1", says=".env:4: key cannot contain a space", hint="write NAME=VALUE"),
    Mistake(name="no = in .env", env="hello world", says=".env:4: key cannot contain a space", hint="NAME=VALUE"),
    Mistake(name="an open quote", env="USR='me\nB=1", says=".env:4: unterminated quoted value", hint="NAME='VALUE'"),
    Mistake(name="an open brace", env="USR=${X", says=".env: Invalid template", hint="NAME='VALUE'"),
    Mistake(name="a misspelt name behind quotes", env="A='b\nc' GPUSS=1", says=".env: there is no", hint="GPUS?"),
    Mistake(
        name="a size in .env that Compose refuses, naming any service",
        env="SHM_SIZE=lots",
        says="SHM_SIZE (from .env): 'lots' is not a size",
        hint="8gb",
    ),
    Mistake(
        name="a size in the shell that Compose refuses, naming any service",
        words=("up",),
        variables={"SHM_SIZE": "lots"},
        says="SHM_SIZE (from shell): 'lots' is not a size",
        hint="8gb",
    ),
    Mistake(
        name="a project's name with a blank",
        variables={"COMPOSE_PROJECT_NAME": "My Project"},
        says="COMPOSE_PROJECT_NAME (from shell): 'My Project' is not a project's name",
        hint="small letters",
    ),
    # The requirement files.
    Mistake(
        name="no requirement file",
        words=BUILD,
        files={"reqs/pip-train.requirements.txt": None},
        says="reqs/pip-train.requirements.txt is missing",
        hint="git checkout",
    ),
    Mistake(
        name="a requirement file that is not UTF-8",
        words=BUILD,
        files={"reqs/apt-train.requirements.txt": b"# f\xfcr\ngit\n"},
        says="reqs/apt-train.requirements.txt:1 is not UTF-8",
        hint="iconv -f LATIN1 -t UTF-8 reqs/apt-train.requirements.txt",
    ),
    Mistake(
        name="a pip line",
        words=BUILD,
        files={"reqs/pip-train.requirements.txt": b"\xef\xbb\xbf# mine\r\nnumpy\r\n\r\nnumpy=1.26\r\n"},
        says="reqs/pip-train.requirements.txt:4: 'numpy=1.26' is no requirement",
        hint="numpy==2.1",
    ),
    Mistake(
        name="a line of what is compiled",
        words=BUILD,
        files={"reqs/pip-build.requirements.txt": b"# mine\nflash-attn --no-build-isolation\n"},
        says="reqs/pip-build.requirements.txt:2: 'flash-attn --no-build-isolation' has '--no-build-isolation'",
        hint="leave it out",
    ),
    Mistake(
        name="an apt line",
        words=BUILD,
        files={"reqs/apt-train.requirements.txt": b"git nano\n$(touch touched)\n"},
        says="reqs/apt-train.requirements.txt:2: '$(touch' is no package",
        hint="name=version",
    ),
    Mistake(
        name="a dnf line",
        words=BUILD,
        files={"reqs/dnf-train.requirements.txt": b"git nano\ngit=2.0\n"},
        says="reqs/dnf-train.requirements.txt:2: 'git=2.0' is no package",
        hint="name-version",
    ),
    Mistake(
        name="a package of NVIDIA's to uninstall",
        words=(*BUILD, "--service", "ngc"),
        files={"reqs/pip-ngc-uninstall.requirements.txt": b"# one\ntorch==2.0\n"},
        says="reqs/pip-ngc-uninstall.requirements.txt:2: 'torch==2.0' is no package's name",
        hint="the name alone",
    ),
    Mistake(
        name="an ngc.Dockerfile without an argument",
        files={"ngc.Dockerfile": b"FROM debian\n"},
        says="ngc.Dockerfile lacks ARG NGC_YEAR",
        hint="git checkout -- ngc.Dockerfile",
    ),
    Mistake(
        name="a requirement file that is a folder",
        words=BUILD,
        files={"reqs/pip-train.requirements.txt": Path.mkdir},
        says="reqs/pip-train.requirements.txt is a folder",
        hint="move it away",
    ),
    Mistake(
        name="a requirement file that a build cannot reach",
        words=BUILD,
        files={"reqs/pip-train.requirements.txt": lambda path: path.symlink_to("/etc/hostname")},
        says="reqs/pip-train.requirements.txt is a link out of its folder",
        hint="put the file itself there",
    ),
    # Compose's files.
    Mistake(
        name="a compose file that is no YAML",
        files={"docker-compose.yaml": b"services:\n\tcpu:\n"},
        says="docker compose: yaml: line 2",
        hint="docker-compose.yaml",
    ),
    Mistake(
        name="no compose file",
        files={"docker-compose.yaml": None},
        says="docker-compose.yaml is missing",
        hint="git checkout",
    ),
    Mistake(
        name="a compose file without services",
        files={"docker-compose.yaml": b"x-cresset: { SERVICE: cpu }\n"},
        says="docker-compose.yaml lacks services",
        hint="git checkout -- docker-compose.yaml",
    ),
    Mistake(
        name="a compose file without a setting",
        files={"docker-compose.yaml": b"x-cresset: { SERVICE: cpu }\nservices: { cpu: { image: x } }\n"},
        says="docker-compose.yaml lacks COMMAND in x-cresset",
        hint="git checkout -- docker-compose.yaml",
    ),
    Mistake(
        name="a Dockerfile without an argument",
        files={"Dockerfile": b"FROM debian\n"},
        says="Dockerfile lacks ARG PROJECT_ROOT",
        hint="git checkout -- Dockerfile",
    ),
    Mistake(
        name="an override file that is no YAML",
        words=("over",),
        files={"docker-compose.override.yaml": b"services: [\n"},
        says="docker compose: yaml: line 1",
        hint="override",
    ),
    Mistake(
        name="an override file with a key that is none",
        words=("up",),
        files={"docker-compose.override.yaml": b"services: { cpu: { ipcc: host } }\n"},
        says="docker compose: ",
        hint="override",
    ),
    Mistake(
        name="a service of the person's own is built",
        words=(*BUILD, "--service", "other"),
        files={"docker-compose.override.yaml": OTHER_PROJECT},
        says="the service other is not built from this Dockerfile",
        hint="docker compose --profile other",
    ),
    # The shell.
    Mistake(
        name="a user name with a domain",
        variables={"USR": r"CORP\name"},
        says=r"USR (from shell): 'CORP\name' is not an account name",
        hint="letters",
    ),
    Mistake(
        name="a proxy that is none",
        variables={"HTTP_PROXY": "not a url"},
        says="HTTP_PROXY (from shell): 'not a url' is not the address of a proxy",
        hint="http://proxy.example:3128",
    ),
    Mistake(
        name="a proxy of .env that is none",
        env="https_proxy=ftp://me:secret@proxy.example",
        says="https_proxy (from .env): 'ftp://***@proxy.example' is not",
        hint="like http://",
    ),
    Mistake(
        name="a compose file of another project",
        variables={"COMPOSE_FILE": "other.yaml"},
        files={"other.yaml": OTHER_PROJECT},
        says="docker compose reads files without this checkout's docker-compose.yaml",
        hint="COMPOSE_FILE",
    ),
    Mistake(
        name="a compose file that is not there",
        variables={"COMPOSE_FILE": "/nowhere.yaml"},
        says="docker compose: ",
        hint="docker-compose.yaml",
    ),
    Mistake(
        name="settings that are not there",
        variables={"COMPOSE_ENV_FILES": "/nowhere"},
        says="docker compose: ",
        hint=".env",
    ),
    Mistake(
        name="a context that is not there",
        words=("exec",),
        variables={"DOCKER_CONTEXT": "nowhere"},
        says="docker: ",
        hint="unset DOCKER_CONTEXT",
    ),
    Mistake(
        name="a host that is none",
        words=("exec",),
        variables={"DOCKER_HOST": "garbage://nowhere"},
        says="docker: ",
        hint="unset DOCKER_HOST",
    ),
    Mistake(
        name="a host where no daemon answers",
        words=("exec",),
        variables={"DOCKER_HOST": "tcp://127.0.0.1:1"},
        says="no Docker daemon answers: ",
        hint="unset DOCKER_HOST",
    ),
)


def _by_each_door() -> list[Mistake]:
    first = {name: (value, hint) for name, value, hint in reversed(VALUES)}
    made = []
    for name, (value, hint) in first.items():
        told: list[tuple[str, tuple[str, ...], dict[str, str], str]] = [
            ("--set", ("config", "--set", f"{name}={value}"), {}, ""),
            ("shell", ("config",), {name: value}, ""),
            (".env", ("config",), {}, f"{name}='{value}'"),
        ]
        made += [
            Mistake(
                name=f"{name} from {door}",
                words=words,
                variables=variables,
                env=env,
                says=f"{name} (from {door}): {mask(value)!r} is not ",
                hint=hint,
            )
            for door, words, variables, env in told
        ]
    return made


ALL = (*MISTAKES, *_by_each_door())
