"""A folder with a Dockerfile, edits of it at random, and what the engine makes of each."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from cresset import dockerfile
from cresset.engine import Engine
from cresset.foresight import explain, history, inputs, keys
from cresset.foresight.context import DiskFolder, Memory
from cresset.foresight.explain import Forecast
from cresset.foresight.history import Build as Past
from cresset.foresight.inputs import Image, Inputs
from cresset.screen.progress import Build
from cresset.screen.rawjson import Decoder
from tests.engine.recipes import Recipe

_WORDS = ("one", "two", "three")
# Changes what other stages take from this one.
_EFFECT = "; for at in /out /picked /tmp/dist /tmp; do test ! -d $at || echo {} > $at/made; done\n"


@dataclass(kw_only=True)
class Situation:
    """What an edit may change, apart from files."""

    text: str
    arguments: dict[str, str | None]
    target: str
    files: dict[str, tuple[str, int]]
    links: dict[str, str] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)

    def copy(self) -> Situation:
        return replace(
            self,
            arguments=dict(self.arguments),
            files=dict(self.files),
            links=dict(self.links),
            folders=dict(self.folders),
        )


@dataclass(kw_only=True)
class Project:
    """A recipe in a folder, and the builds that were made of it."""

    recipe: Recipe
    folder: Path
    base: Image
    nonce: str
    chance: random.Random
    past: list[Past] = field(default_factory=list)
    situations: list[Situation] = field(default_factory=list)
    sent: dict[str, dict[str, int]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        # What is called the same shares in the engine what it has got: others that build at this time would, too.
        self.context = self.folder / f"context-{self.nonce.replace(' ', '-')}"
        files = {name: (self._own(text), 0o644) for name, text in self.recipe.files.items()}
        for folder, inside in self.recipe.folders.items():
            files |= {f"../{folder}/{name}": (self._own(text), 0o644) for name, text in inside.items()}
            (self.folder / folder).mkdir(parents=True)
        self.now = Situation(
            text=self.recipe.text.replace("NONCE", self.nonce),
            arguments=dict.fromkeys(self.recipe.arguments),
            target=self.recipe.targets[0],
            files=files,
        )
        self.context.mkdir(parents=True)
        self.write()

    def _own(self, text: str) -> str:
        return text if text.startswith("# none") or "**\n" in text else f"# {self.nonce}\n{text}"

    def write(self) -> None:
        """Make the folder what the situation says."""
        (self.folder / "Dockerfile").write_text(self.now.text)
        wanted = {(self.context / name).resolve() for name in self.now.files}
        for place in (self.context, *(self.folder / name for name in self.recipe.folders)):
            for path in sorted(place.rglob("*"), reverse=True):
                if path.is_symlink() or (path.is_file() and path not in wanted):
                    path.unlink()
                elif path.is_dir() and not any(path.iterdir()):
                    path.rmdir()
        for name, (text, mode) in self.now.files.items():
            path = (self.context / name).resolve()
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
            path.chmod(mode)
        for name, target in self.now.links.items():
            (self.context / name).parent.mkdir(parents=True, exist_ok=True)
            (self.context / name).symlink_to(target)
        for path in self.context.rglob("*"):
            if path.is_dir():
                path.chmod(self.now.folders.get(str(path.relative_to(self.context)), 0o755))

    def arguments(self) -> dict[str, str]:
        given = {name: value for name, value in self.now.arguments.items() if value is not None}
        bases = dict.fromkeys(("BASE", "BUILD_IMAGE", "TRAIN_IMAGE", "NGC_IMAGE"), self.base.reference)
        return {**{name: value for name, value in bases.items() if f"ARG {name}" in self.now.text}, **given}

    def foretell(self) -> Forecast:
        """Return what is foretold of a build of the folder as it is."""
        memory = Memory(history.folder_modes(self.past))
        context = DiskFolder(self.context, memory=memory)
        named = {name: DiskFolder(self.folder / name, name=name, memory=memory) for name in self.recipe.folders}
        steps = keys.compute(
            Inputs(
                recipe=dockerfile.parse(self.now.text),
                target=self.now.target,
                arguments=self.arguments(),
                context=context,
                contexts=named,
                images={self.base.reference: self.base},
                platform=inputs.platform_of(os.uname().machine),
            )
        )
        self.sent = {one.name: sent for one in (context, *named.values()) if (sent := one.sent()) is not None}
        return explain.foretell(steps, self.past)

    def build(self, forecast: Forecast) -> tuple[dict[tuple[str, int], float], str]:
        """Build the folder as it is; return what was executed, with its seconds, and why it failed."""
        arguments = [word for name, value in self.arguments().items() for word in ("--build-arg", f"{name}={value}")]
        contexts = [
            word for name in self.recipe.folders for word in ("--build-context", f"{name}={self.folder / name}")
        ]
        target = ["--target", self.now.target] if self.now.target else []
        file = ["--file", str(self.folder / "Dockerfile"), "--output", "type=cacheonly", "--progress", "rawjson"]
        done = subprocess.run(
            ["docker", "buildx", "build", *file, *target, *arguments, *contexts, str(self.context)],
            env={**os.environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"},
            stderr=subprocess.PIPE,
            check=False,
        )
        decoder, state = Decoder(), Build()
        for item in [*decoder.feed(done.stderr), *decoder.close()]:
            state.update(item)
        outcome = state.outcome(done.returncode, 0.0)
        last = forecast.verdicts[-1].step.stage if forecast.verdicts else ""
        executed = {(step.stage or last, step.i): step.seconds for step in outcome.executed}
        ended = frozenset(
            (vertex.stage or last, vertex.i) for vertex in state.vertices.values() if vertex.is_step and vertex.is_done
        )
        self.past.append(
            Past(
                record="",
                builder="",
                address="",
                name="",
                target=self.now.target,
                folders=self.sent,
                steps=explain.came(explain.plan(forecast), executed, ended if done.returncode else None),
            )
        )
        return executed, outcome.error if done.returncode else ""

    def edit(self) -> str:
        """Make one edit; return what it was."""
        self.situations.append(self.now.copy())
        name, change = self.chance.choice(_EDITS)
        said = change(self)
        self.write()
        return f"{name} {said}"

    def undo(self) -> None:
        self.now = self.situations.pop()
        self.write()

    def replace_lines(self, start: int, end: int, new: list[str]) -> None:
        lines = self.now.text.splitlines(keepends=True)
        lines[start:end] = new
        self.now.text = "".join(lines)


def _set_argument(project: Project) -> str:
    if not project.recipe.arguments:
        return "none"
    name = project.chance.choice(sorted(project.recipe.arguments))
    project.now.arguments[name] = project.chance.choice(project.recipe.arguments[name])
    return f"{name}={project.now.arguments[name]}"


def _edit_instruction(project: Project) -> str:
    """Edit the last line of an instruction, whatever it is."""
    known = [one for one in dockerfile.parse(project.now.text).instructions if one.keyword not in {"FROM", "ARG"}]
    one = project.chance.choice(known)
    lines = project.now.text.splitlines(keepends=True)
    at = one.line - 1 if one.heredocs else one.end_line - 1
    word = project.chance.choice(_WORDS)
    edits: dict[str, Callable[[str], str]] = {
        "RUN": lambda line: line.rstrip("\n") + project.chance.choice([f" # {word}\n", _EFFECT.format(word)]),
        "ENV": lambda line: line.rstrip("\n") + f" {word.upper()}={word}\n",
        "LABEL": lambda line: line.rstrip("\n") + f" {word}={word}\n",
        "WORKDIR": lambda line: line.rstrip("\n") + f"/{word}\n",
        "COPY": lambda line: line.replace("COPY ", f"COPY --chown={len(word)} ", 1) if "--chown" not in line else line,
        "ADD": lambda line: line.replace("--chmod=600", "--chmod=644"),
        "USER": lambda _: f"USER {len(word)}\n",
        "SHELL": lambda line: line.replace('"-e", ', ""),
        "CMD": lambda _: f'CMD ["{word}"]\n',
    }
    if one.heredocs and one.keyword == "RUN":
        project.replace_lines(one.line, one.line, [f"true {word}\n"])
    elif one.keyword == "RUN" and one.exec_form:
        project.replace_lines(at, at + 1, [f'RUN ["/bin/true", "{word}"]\n'])
    elif one.keyword in edits and not (one.heredocs and one.keyword != "COPY"):
        project.replace_lines(at, at + 1, [edits[one.keyword](lines[at])])
    return f"{one.keyword} at {one.line}"


def _insert(project: Project) -> str:
    word = project.chance.choice(_WORDS)
    line = project.chance.choice(
        [
            f"ARG {word.upper()}",
            f"ARG {word.upper()}={word}",
            f"ENV {word.upper()}={word}",
            f"LABEL {word}={word}",
            "USER root",
            f"WORKDIR /{word}",
            "WORKDIR /",
            f"RUN true {word}",
            f"RUN true {word}",
            f"RUN <<EOT\ntrue {word}\nEOT",
            f"COPY <<EOT /tmp/{word}\n{word}\nEOT",
            "RUN --mount=type=cache,target=/var/cache/any true",
            'SHELL ["/bin/sh", "-c"]',
            f"# {word}",
            "",
            "EXPOSE 80",
            f'ENTRYPOINT ["{word}"]',
            "ARG TARGETARCH",
            f"ARG {word.upper()}=$TWO",
            f"ENV ANY=${{{word.upper()}:-none}} OTHER=$ANY",
            f"WORKDIR {word}",
            f'RUN ["/bin/true", "{word}"]',
            f"RUN --mount=type=secret,id={word} true",
            f"RUN --mount=type=cache,target=/var/cache/{word},id=any true",
            f"RUN --mount=target=/mnt/{word} true",
            f"RUN --mount=target=/mnt/{word},rw true",
            f"RUN <<A cat > /dev/null <<B\ntrue\nA\n{word}\nB",
            f"ADD <<EOT /tmp/\n{word}\nEOT",
            f"COPY --link --chmod=600 <<EOT /tmp/{word}\n{word}\nEOT",
            f"USER {len(word)}:{len(word)}",
        ]
    )
    recipe = dockerfile.parse(project.now.text)
    stage = project.chance.choice([one for one in recipe.stages if one.base != "scratch"])
    ends = [stage.line, *(one.end_line for one in stage.instructions)]
    at = project.chance.choice(ends)
    project.replace_lines(at, at, [f"{line}\n"])
    return f"{line!r} after {at}"


def _remove(project: Project) -> str:
    known = [one for one in dockerfile.parse(project.now.text).instructions if one.keyword not in {"FROM", "ARG"}]
    one = project.chance.choice(known)
    project.replace_lines(one.line - 1, one.end_line, [])
    return f"{one.keyword} at {one.line}"


def _swap(project: Project) -> str:
    """Swap two neighbouring instructions of a stage, as of two ARG."""
    recipe = dockerfile.parse(project.now.text)
    couples = [
        (one, other)
        for stage in recipe.stages
        for one, other in zip(stage.instructions, stage.instructions[1:], strict=False)
        if one.keyword in {"ARG", "ENV", "LABEL"} or other.keyword in {"ARG", "ENV", "LABEL"}
    ]
    if not couples:
        return "none"
    one, other = project.chance.choice(couples)
    project.replace_lines(one.line - 1, other.end_line, [_whole(other.source), _whole(one.source)])
    return f"{one.keyword} and {other.keyword} at {one.line}"


def _whole(source: str) -> str:
    return source if source.endswith("\n") else f"{source}\n"


def _spell(project: Project) -> str:
    """Write an instruction another way that means the same."""
    known = [one for one in dockerfile.parse(project.now.text).instructions if not one.heredocs]
    one = project.chance.choice(known)
    lines = project.now.text.splitlines(keepends=True)
    keyword = lines[one.line - 1].split(" ")[0]
    project.replace_lines(one.line - 1, one.line, [f"{keyword.swapcase()}  {lines[one.line - 1][len(keyword) + 1 :]}"])
    return f"{one.keyword} at {one.line}"


def _edit_file(project: Project) -> str:
    names = sorted(project.now.files)
    if not names:
        return "none"
    name = project.chance.choice(names)
    text, mode = project.now.files[name]
    project.now.files[name] = f"{text}{project.chance.choice(_WORDS)}\n", mode
    return name


def _change_mode(project: Project) -> str:
    names = sorted(project.now.files)
    if not names:
        return "none"
    name = project.chance.choice(names)
    text, mode = project.now.files[name]
    project.now.files[name] = text, project.chance.choice([0o644, 0o664, 0o755])
    return f"{name} {mode:o}"


def _change_folder(project: Project) -> str:
    """Change the mode of a folder, which the engine may or may not see."""
    names = sorted({name.rpartition("/")[0] for name in project.now.files if not name.startswith("../")} - {""})
    if not names:
        return "none"
    name = project.chance.choice(names)
    project.now.folders[name] = project.chance.choice([0o755, 0o700])
    return f"{name} {project.now.folders[name]:o}"


def _link(project: Project) -> str:
    """Put a link beside a file."""
    names = sorted(name for name in project.now.files if "/" in name and not name.startswith("../"))
    if not names:
        return "none"
    folder, _, name = project.chance.choice(names).rpartition("/")
    project.now.links[f"{folder}/link.txt"] = project.chance.choice([name, "nowhere"])
    return f"{folder}/link.txt"


def _touch(project: Project) -> str:
    for path in project.folder.rglob("*"):
        os.utime(path, follow_symlinks=False)
    return ""


def _add_file(project: Project) -> str:
    names = sorted(project.now.files) or ["file"]
    like = project.chance.choice(names)
    name = f"{like.rsplit('/', 1)[0]}/{project.chance.choice(_WORDS)}.txt" if "/" in like else "extra.txt"
    project.now.files[name] = f"{project.nonce} new\n", 0o644
    return name


def _remove_file(project: Project) -> str:
    names = sorted(set(project.now.files) - set(project.recipe.files)) or sorted(project.now.files)
    if not names:
        return "none"
    name = project.chance.choice(names)
    del project.now.files[name]
    return name


def _ignore(project: Project) -> str:
    text, mode = project.now.files.get(".dockerignore", ("# none\n", 0o644))
    line = project.chance.choice(
        ["*.txt", "!docs/c.txt", "data/deep", "**/*.csv", "!**/table.csv", "nothing", "docs/b*"]
    )
    if "**\n" in text:
        line = project.chance.choice(["nothing", "misc/image/pins.txt"])
    project.now.files[".dockerignore"] = f"{text}{line}\n", mode
    return line


def _choose_target(project: Project) -> str:
    project.now.target = project.chance.choice(project.recipe.targets)
    return project.now.target


def _go_back(project: Project) -> str:
    """A, B and A again."""
    project.now = project.chance.choice(project.situations).copy()
    return ""


_EDITS: list[tuple[str, Callable[[Project], str]]] = [
    ("argument", _set_argument),
    ("argument", _set_argument),
    ("argument", _set_argument),
    ("instruction", _edit_instruction),
    ("instruction", _edit_instruction),
    ("insert", _insert),
    ("insert", _insert),
    ("remove", _remove),
    ("swap", _swap),
    ("spelling", _spell),
    ("file", _edit_file),
    ("file", _edit_file),
    ("mode", _change_mode),
    ("folder", _change_folder),
    ("link", _link),
    ("touch", _touch),
    ("new file", _add_file),
    ("file away", _remove_file),
    ("ignore", _ignore),
    ("target", _choose_target),
    ("back", _go_back),
]


def image_of(reference: str) -> Image:
    """Return what steps on an image depend on."""
    return inputs.read_image(reference, Engine().inspect_images([reference])[reference])


def remove(project: Project) -> None:
    shutil.rmtree(project.folder)
