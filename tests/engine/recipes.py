"""Dockerfiles to edit at random: each is small, and shaped like something that people write.

`NONCE` stands where no earlier build may have been. Add one to RECIPES, and the tests edit it too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cresset import dockerfile
from cresset.instructions import Instruction
from tests.engine.checkout import ROOT


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A Dockerfile and the files that it is built with.

    Attributes:
        text: the Dockerfile; BASE is the image that it is FROM.
        files: of its folder, by path; NONCE is put in front of each.
        folders: named contexts, each with its files.
        arguments: what an edit may set each argument to; None for unset.
        targets: the stages that are built.
    """

    text: str
    files: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    arguments: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    targets: tuple[str, ...] = ("",)


_PLAIN = """\
ARG BASE
FROM ${BASE}
ARG VERSION=1
RUN true
ARG NAME
ENV LANGUAGE=C TOOLS=/opt/tools
COPY app/main.py ${TOOLS}/
RUN true --version $VERSION
# a comment
WORKDIR /srv/${NAME:-app}
COPY app lib ./
LABEL version=${VERSION}
RUN <<END
set -eu
true "${NAME-}"
END
CMD ["sh"]
"""

_STAGES = """\
ARG BASE
ARG FLAVOUR=one
FROM scratch AS scripts
COPY --chmod=755 scripts /

FROM ${BASE} AS build
ARG VERSION=1
RUN --mount=from=scripts,source=/compile.sh,target=/run/compile.sh true
RUN mkdir -p /out && touch /out/wheel
ARG NUMBER

FROM build AS build-one
RUN --mount=from=scripts,source=/test.sh,target=/run/test.sh true one

FROM build AS build-two
ARG EXTRA=none
RUN true two

FROM build-${FLAVOUR} AS built

FROM ${BASE} AS run
RUN --mount=from=scripts,source=/compile.sh,target=/run/compile.sh true
COPY --from=built /out /opt/out
COPY --from=scripts --chmod=644 /test.sh /opt/
RUN true
"""

_SHARED = """\
ARG BASE
ARG VERSION=1
FROM ${BASE} AS left
ARG VERSION
RUN true shared
RUN true left

FROM ${BASE} AS right
ARG VERSION
RUN true shared
RUN true right

FROM ${BASE}
ENV PATH=/opt/bin:$PATH
COPY --from=0 /etc/passwd /tmp/left
COPY --from=right /etc/group /tmp/right
ARG TAIL
WORKDIR /work
USER 1000
RUN true
"""

_IGNORED = """\
ARG BASE
FROM ${BASE} AS all
COPY . /all/
RUN true

FROM scratch AS some
COPY docs/*.md /docs/
ADD --chmod=600 data/table.csv /data/

FROM all AS last
ARG MODE=fast
COPY --chown=1:1 data /data
RUN --mount=target=/context true
RUN --mount=from=some,target=/some true
COPY --from=some /docs /docs
"""

_MOUNTS = """\
ARG BASE
FROM scratch AS wheelhouse

FROM scratch AS requirements
COPY --chmod=644 reqs/*.txt /

FROM ${BASE} AS pick
ARG RELEASE=1
RUN --mount=from=wheelhouse,target=/wheels mkdir /picked

FROM ${BASE} AS install
RUN --mount=from=requirements,source=/apt.txt,target=/run/apt.txt \\
    --mount=type=cache,id=apt,target=/var/cache/apt,sharing=locked \\
    true
RUN --mount=from=pick,source=/picked,target=/run/picked \\
    --mount=from=requirements,source=/pip.txt,target=/run/pip.txt \\
    --mount=type=secret,id=ca --mount=type=tmpfs,target=/scratch \\
    true
ARG HTTP_PROXY
RUN --network=none --mount=source=reqs/pip.txt,target=/pip.txt,rw true
"""

_SHELLS = """\
ARG BASE
FROM ${BASE} AS shells
SHELL ["/bin/sh", "-e", "-c"]
RUN true first
ARG GREETING=hello
COPY <<one <<two /tmp/notes/
$GREETING NONCE
one
second
two
RUN ["/bin/true", "word"]
RUN <<-EOT cat > /tmp/made
	text
EOT
USER 1:1
WORKDIR home
RUN true

FROM shells AS more
ENV EDITOR=vi PAGER=more
ENV EDITOR=ed
RUN true
COPY <<"end" plain
$not expanded
end
"""

RECIPES: dict[str, Recipe] = {
    "plain": Recipe(
        text=_PLAIN,
        files={"app/main.py": "main", "app/__init__.py": "", "lib/one.py": "1"},
        arguments={"VERSION": (None, "1", "2", ""), "NAME": (None, "", "a", "b"), "UNKNOWN": (None, "x")},
    ),
    "stages": Recipe(
        text=_STAGES,
        files={"scripts/compile.sh": "make", "scripts/test.sh": "test"},
        arguments={"VERSION": (None, "2"), "NUMBER": (None, "", "7"), "FLAVOUR": (None, "two"), "EXTRA": (None, "all")},
        targets=("", "built", "build-two"),
    ),
    "shared": Recipe(
        text=_SHARED,
        arguments={"VERSION": (None, "2", ""), "TAIL": (None, "1", "")},
        targets=("", "right"),
    ),
    "ignored": Recipe(
        text=_IGNORED,
        files={
            "docs/a.md": "a",
            "docs/b.md": "b",
            "docs/c.txt": "c",
            "data/table.csv": "1,2",
            "data/deep/file": "x",
            ".dockerignore": "# none\n.git\n*.log\ndata/*.tmp\n",
            "build.log": "log",
            "data/x.tmp": "temporary",
        },
        arguments={"MODE": (None, "slow")},
        targets=("", "some", "all"),
    ),
    "mounts": Recipe(
        text=_MOUNTS,
        files={"reqs/pip.txt": "numpy\n", "reqs/apt.txt": "git\n", "reqs/other.txt": "x"},
        folders={"wheelhouse": {"torch.whl": "torch", "other.whl": "other"}},
        arguments={
            "RELEASE": (None, "2"),
            "HTTP_PROXY": (None, "http://a:1", "http://b:1"),
            "https_proxy": (None, "c"),
        },
    ),
    "shells": Recipe(text=_SHELLS, arguments={"GREETING": (None, "ciao", "")}, targets=("", "shells")),
}


# What edits may set the arguments of the repository's own Dockerfiles to; one that a file lacks has no effect.
_SETTINGS: Mapping[str, tuple[str | None, ...]] = {
    "ADD_USER": (None, "exclude"),
    "BUILD_MODE": (None, "include"),
    "CCA": (None, "8.6"),
    "CLEAN": (None, "again"),
    "MAGMA_MODE": (None, "source", "prebuilt"),
    "MAX_JOBS": (None, "4"),
    "PYTORCH_VERSION_TAG": (None, "v2.13.0"),
    "TORCHVISION_VERSION_TAG": (None, ""),
    "TZ": (None, "Asia/Seoul"),
    "UID": (None, "7"),
    "USE_CUDA": (None, "0"),
}


def all_recipes() -> dict[str, Recipe]:
    """Return the recipes above and the repository's own Dockerfiles."""
    own = {name: ROOT / name for name in ("Dockerfile", "ngc.Dockerfile")}
    targets = {"Dockerfile": ("train", "dist", "install"), "ngc.Dockerfile": ("",)}
    shapes = {name: shape_of(name, targets=targets[name]) for name, path in own.items() if path.exists()}
    return {**RECIPES, **shapes}


def shape_of(name: str, *, targets: tuple[str, ...]) -> Recipe:
    """Return one of the repository's own Dockerfiles with its shape, and commands that do next to nothing."""
    text = (ROOT / name).read_text()
    recipe = dockerfile.parse(text)
    lines = text.splitlines(keepends=True)
    taken = set(re.findall(r"from=([\w-]+),source=(/[\w./-]+)|--from=([\w-]+) (?:--\S+ )*(/[\w./-]+)", text))
    wanted: dict[str, set[str]] = {}
    for stage, path, other, place in taken:
        wanted.setdefault(stage or other, set()).add(path or place)
    makers = {
        str(stage.name): sorted(wanted.get(str(stage.name), set())) for stage in recipe.stages if stage.instructions
    }
    for stage in reversed(recipe.stages):
        runs = [one for one in stage.instructions if one.keyword == "RUN"]
        for number, instruction in reversed(list(enumerate(runs))):
            paths = _paths_below(recipe, stage, makers) if number == len(runs) - 1 else []
            lines[instruction.line - 1 : instruction.end_line] = [_trivial(instruction, paths)]
    files = {
        str(path.relative_to(ROOT)): path.read_text()
        for pattern in ("reqs/*.requirements.txt", "misc/image/*")
        for path in ROOT.glob(pattern)
        if path.is_file()
    }
    files[".dockerignore"] = (ROOT / ".dockerignore").read_text()
    folders = {"wheelhouse": {"torch.whl": "torch"}, "sources": {"README": "none"}}
    return Recipe(text="".join(lines), files=files, folders=folders, arguments=_SETTINGS, targets=targets)


def _paths_below(recipe: dockerfile.Dockerfile, stage: dockerfile.Stage, makers: Mapping[str, list[str]]) -> list[str]:
    """Return what is taken from a stage or from one that is only another name of it."""
    aliases = [one for one in recipe.stages if re.sub(r"-\$\{\w+\}$", "", one.base) in str(stage.name)]
    return sorted({path for one in (stage, *aliases) for path in makers.get(str(one.name), [])} | {"/tmp/dist"})


def _trivial(instruction: Instruction, paths: list[str]) -> str:
    mounts = [f"--{name}={value}" for name, value in instruction.flags]
    made = [
        f"mkdir -p {path}" if "." not in path.rsplit("/", 1)[-1] else f"mkdir -p {path.rsplit('/', 1)[0]}; touch {path}"
        for path in paths
    ]
    return " \\\n    ".join(["RUN", *mounts, "; ".join([*made, "true"])]).replace("RUN \\\n    ", "RUN ", 1) + "\n"
