"""What BuildKit knows each step of a Dockerfile by, as far as that can be told before it runs. Pure.

Measured with Engine 26.1: `docs/explain.md` has the rules.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cresset import dockerfile
from cresset.dockerfile import Stage, expand, pairs, used
from cresset.errors import CressetError
from cresset.foresight.inputs import SHELL, Image, Inputs, mounts_of
from cresset.foresight.steps import UNKNOWN, Change, Key, Place, Step, join
from cresset.foresight.tree import Entry, Tree, clean, copied, digest, with_folder
from cresset.instructions import Instruction
from cresset.shell_words import find_heredocs

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_REMOTE = ("http://", "https://", "git@", "git://")
_SCRATCH = Key(fine="scratch", coarse="scratch", loose="scratch")


def compute(inputs: Inputs) -> tuple[Step, ...]:
    """Return the steps that a target needs, in the order of the file, each with its key.

    Raises:
        CressetError: the Dockerfile cannot be expanded with these arguments.
    """
    return tuple(_Builder(inputs).run())


def identify(inputs: Inputs) -> tuple[Key, str]:
    """Return what the target is known by, and a name for all that it is made of.

    The name is one on every builder and in every checkout, and says nothing of what only the engine knows. It is empty
    where something that counts cannot be known beforehand.

    Raises:
        CressetError: the Dockerfile cannot be expanded with these arguments.
    """
    builder = _Builder(inputs)
    builder.run()
    last = builder.states[max(builder.states)]
    key = last.place.key
    # What the stage's labels say counts too: whoever takes the image reads them.
    return key, digest(key.fine, last.environment, sorted(inputs.platform.items())) if key.fine else ""


@dataclass(frozen=True, kw_only=True)
class _State:
    """A stage, as far as it has come."""

    place: Place
    environment: tuple[tuple[str, str], ...] = (("PATH", _PATH),)
    user: str = ""
    folder: str = "/"
    shell: tuple[str, ...] = SHELL
    pending: tuple[Change, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    image: tuple[str, str] | None = None

    def having(self, kind: str, name: str, value: str) -> _State:
        """Return the state with a variable; the one that was set last stands last, which counts."""
        rest = tuple(pair for pair in self.environment if pair[0] != name)
        pending = tuple(one for one in self.pending if (one.kind, one.name) != (kind, name))
        return replace(
            self,
            environment=(*rest, (name, value)),
            pending=(*pending, Change(kind=kind, name=name, value=value)),
            kinds={**self.kinds, name: kind},
        )

    def saying(self, kind: str, value: str) -> _State:
        pending = tuple(one for one in self.pending if one.kind != kind)
        return replace(self, pending=(*pending, Change(kind=kind, name="", value=value)))


@dataclass(kw_only=True)
class _Taken:
    """What a COPY takes: what it does with each source, the content of each, the host's files in them, all by path."""

    actions: list[object] = field(default_factory=list)
    contents: dict[str, Key] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    chosen: list[tuple[str, Tree]] = field(default_factory=list)
    is_simple: bool = True
    is_fetched: bool = False


class _Builder:
    """Goes through the stages that a target needs."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.recipe = inputs.recipe
        # One that is declared above the stages and given no value has none, not even that of the platform.
        blank = {argument.name for argument in self.recipe.arguments if argument.raw is None}
        known = {name: value for name, value in inputs.platform.items() if name not in blank}
        self.values = {**known, **inputs.arguments}
        self.globals = {**known, **dockerfile.global_values(self.recipe, self.values)}
        self.states: dict[int, _State] = {}
        self.steps: list[Step] = []

    def run(self) -> list[Step]:
        replaced = set(self.inputs.contexts)
        for stage in dockerfile.needed(self.recipe, self.inputs.target, self.values, replaced=replaced):
            if stage.name in replaced:
                self.states[stage.index] = self._named(str(stage.name))
            else:
                self._go_through(stage)
        return self.steps

    def _go_through(self, stage: Stage) -> None:
        base = dockerfile.resolve_base(self.recipe, stage, self.values)
        state = self.states[base.index] if isinstance(base, Stage) else self._start(base, stage)
        stage = replace(stage, instructions=(*self._triggered(base, stage), *stage.instructions))
        first = int(isinstance(base, str) and base != "scratch")
        n = first + len(dockerfile.steps(stage))
        i = first
        for instruction in stage.instructions:
            try:
                state, made = self._apply(stage, state, instruction)
            except CressetError as problem:
                raise CressetError(f"{self.recipe.name}:{instruction.line}: {problem}", problem.hint) from None
            if made is not None:
                i += 1
                name = stage.name or f"stage-{stage.index}"
                self.steps.append(replace(made, stage=name, i=i, n=n, file=self.recipe.name))
        self.states[stage.index] = state

    def _triggered(self, base: Stage | str, stage: Stage) -> tuple[Instruction, ...]:
        """Return the instructions that the base has put off until something is built on it."""
        name = base if isinstance(base, str) else str(base.name)
        image = self.inputs.contexts.get(name) or (self.inputs.images.get(name) if base == name else None)
        if isinstance(base, Stage) and image is None:
            texts = [one.text for one in base.instructions if one.keyword == "ONBUILD"]
        else:
            texts = list(image.triggers) if isinstance(image, Image) else []
        put_off = dockerfile.parse("\n".join(["FROM scratch", *texts]), name=self.recipe.name).stages[0].instructions
        return tuple(replace(one, line=stage.line) for one in put_off)

    def _start(self, reference: str, stage: Stage | None = None) -> _State:
        if reference in self.inputs.contexts:
            return self._named(reference)
        if reference == "scratch":
            return _State(place=Place(key=_SCRATCH, tree={}))
        platform = expand(stage.platform, self.globals, self.recipe.escape) if stage and stage.platform else ""
        own = "" if platform == self.inputs.platform.get("TARGETPLATFORM") else platform
        return self._on_image(self.inputs.images.get(reference, Image(reference=reference)), own)

    def _on_image(self, image: Image, platform: str = "") -> _State:
        name = digest("image", image.identity or image.reference, *filter(None, [platform]))
        return _State(
            place=Place(key=image.made or Key(fine=name, coarse=name, loose=name)),
            environment=image.environment or (("PATH", _PATH),),
            user=image.user,
            folder=image.folder or "/",
            shell=image.shell or SHELL,
            image=(image.reference, digest(name, image.environment, image.user, image.folder, image.shell)[:8]),
        )

    def _named(self, name: str) -> _State:
        found = self.inputs.contexts[name]
        if isinstance(found, Image):
            return self._on_image(found)
        return _State(place=Place(key=Key(fine=digest("context", name), coarse=UNKNOWN), folder=found))

    def _apply(self, stage: Stage, state: _State, instruction: Instruction) -> tuple[_State, Step | None]:
        if instruction.keyword == "WORKDIR":
            return self._workdir(state, instruction)
        if instruction.keyword in {"ADD", "COPY"}:
            return self._copy(stage, state, instruction)
        if instruction.keyword == "RUN":
            return self._run(stage, state, instruction)
        return self._set(state, instruction), None

    def _set(self, state: _State, instruction: Instruction) -> _State:
        """Return the state after an instruction that makes no layer."""
        values = dict(state.environment)
        if instruction.keyword == "ARG":
            return self._declare(state, instruction, values)
        if instruction.keyword == "ENV":
            # A line's own names are not known to it yet.
            for pair in pairs(instruction):
                name, value = (expand(text, values, instruction.escape) for text in pair)
                state = state.having("ENV", name, value)
        if instruction.keyword == "USER":
            user = expand(instruction.text, values, instruction.escape)
            state = replace(state, user=user).saying("USER", user)
        if instruction.keyword == "SHELL":
            shell = instruction.exec_form or SHELL
            state = replace(state, shell=shell).saying("SHELL", " ".join(shell))
        return state

    def _declare(self, state: _State, instruction: Instruction, values: Mapping[str, str]) -> _State:
        for argument in instruction.arguments:
            value = None if argument.raw is None else expand(argument.raw, values, instruction.escape)
            if argument.name in self.inputs.arguments:
                value = self.inputs.arguments[argument.name]
            elif value is None:
                value = self.globals.get(argument.name)
            if value is not None:
                state = state.having("ARG", argument.name, value)
        return state

    def _step(
        self,
        state: _State,
        instruction: Instruction,
        key: Key,
        *,
        changes: tuple[Change, ...] = (),
        files: Mapping[str, str] | None = None,
        sources: tuple[int, ...] = (),
        writes: tuple[str, ...] = (),
    ) -> tuple[_State, Step]:
        made = Step(
            stage="",
            i=0,
            n=0,
            line=instruction.line,
            keyword=instruction.keyword,
            text=digest(
                instruction.keyword, instruction.flags, instruction.text, [one.content for one in instruction.heredocs]
            )[:8],
            key=key,
            parent=state.place.last,
            sources=tuple(dict.fromkeys(sources)),
            changes=changes,
            files=files or {},
            image=state.image,
            writes=writes,
        )
        place = Place(key=key, last=len(self.steps))
        return replace(state, place=place, image=None), made

    def _used(self, state: _State, instruction: Instruction) -> tuple[Change, ...]:
        """Return the variables that an instruction is written with."""
        texts = [instruction.text, *(value for _, value in instruction.flags)]
        texts += [one.content for one in instruction.heredocs if one.expand]
        names = dict.fromkeys(name for text in texts for name in used(text, instruction.escape, quotes=False))
        values = dict(state.environment)
        return tuple(
            Change(kind=state.kinds.get(name, "ENV"), name=name, value=values[name]) for name in names if name in values
        )

    def _workdir(self, state: _State, instruction: Instruction) -> tuple[_State, Step | None]:
        text = expand(instruction.text, dict(state.environment), instruction.escape)
        folder = f"/{clean(posixpath.join(state.folder, text))}"
        changes = self._used(state, instruction)
        state = replace(state, folder=folder).saying("WORKDIR", folder)
        if folder == "/":
            return state, None
        key = join("mkdir", (folder, state.user), state.place.below, ())
        tree = state.place.tree
        if state.user:
            changes = (*changes, Change(kind="USER", name="", value=state.user))
        state, made = self._step(state, instruction, key, changes=changes)
        if tree is not None:
            state = replace(state, place=replace(state.place, tree=with_folder(tree, clean(folder), state.user)))
        return state, made

    def _copy(self, stage: Stage, state: _State, instruction: Instruction) -> tuple[_State, Step]:
        values = dict(state.environment)
        *words, target = [expand(word, values, instruction.escape) for word in instruction.words()]
        target = _absolute(state.folder, target)
        flags = {name: expand(value, values, instruction.escape) for name, value in instruction.flags if name != "from"}
        mode = int(flags.pop("chmod"), 8) if flags.get("chmod", "").isdecimal() else None
        floats = flags.pop("link", "false") != "false" and self.inputs.links
        place = self._find(stage, next((name for name in instruction.flag("from") if name), ""), by_number=True)
        taken = _Taken()
        for word in words:
            self._take(word, place, state, instruction, taken)
        if flags.keys() - {"chown"}:
            # What they leave out, or where it goes, is left to the engine.
            taken.is_simple = False
            taken.contents = {path: replace(key, coarse=UNKNOWN, loose=UNKNOWN) for path, key in taken.contents.items()}
        what = (instruction.keyword, taken.actions, target, mode, sorted(flags.items()))
        parent, tree = state.place.below, state.place.tree
        if floats:
            parent = replace(parent, coarse=UNKNOWN, loose=UNKNOWN)
        contents = [[taken.contents[path]] for path in sorted(taken.contents)]
        key = join("copy", what, parent, contents, is_sure=not taken.is_fetched or "checksum" in flags)
        sources = (place.last,) if place.last is not None else ()
        changes = self._used(state, instruction)
        after, made = self._step(state, instruction, key, changes=changes, files=taken.files, sources=sources)
        if tree is not None and taken.is_simple and instruction.keyword == "COPY":  # ADD may unpack
            grown = copied(tree, taken.chosen, target, mode=mode, owner=flags.get("chown", ""))
            after = replace(after, place=replace(after.place, tree=grown))
        return after, made

    def _take(self, word: str, place: Place, state: _State, instruction: Instruction, taken: _Taken) -> None:
        """Add what one source of a COPY means: a here-document, an address, or files."""
        documents = {heredoc.name: heredoc for heredoc in instruction.heredocs}
        heredoc = next((documents[name] for name, _, _ in find_heredocs(word) if name in documents), None)
        if heredoc:
            text = heredoc.content
            if heredoc.expand:
                text = expand(text, dict(state.environment), instruction.escape, quotes=False)
            taken.actions.append((heredoc.name, text))
            taken.chosen.append((heredoc.name, {"": Entry(kind="file", mode=0o664, digest=digest(text))}))
        elif instruction.keyword == "ADD" and word.startswith(_REMOTE):
            taken.actions.append(word)
            taken.is_simple, taken.is_fetched = False, True
        else:
            key, files, found = place.take(word)
            if place.key.fine and place.key.fine == state.place.key.fine:
                key = Key(fine=clean(word), coarse=clean(word), loose=clean(word))  # its own: by how it was made
            path = f"/{clean(word)}"
            taken.actions.append(posixpath.basename(path) or "/")
            taken.contents[path] = key
            taken.files |= files
            taken.chosen += found
            taken.is_simple &= place.folder is not None or place.tree is not None

    def _run(self, stage: Stage, state: _State, instruction: Instruction) -> tuple[_State, Step]:
        mounts = sorted(
            mounts_of(instruction, dict(state.environment)), key=lambda one: _absolute(state.folder, one["target"])
        )
        parent = state.place.below
        described: list[object] = []
        inputs: dict[str, list[Key]] = {}
        files: dict[str, str] = {}
        sources: list[int] = []
        writes: list[str] = []
        for mount in mounts:
            kind = mount["type"]
            facts = {
                name: value
                for name, value in mount.items()
                if name not in {"from", "source", "id", "sharing", "required"}
            }
            facts["target"] = _absolute(state.folder, mount["target"]).rstrip("/")
            if kind in {"secret", "ssh"}:
                facts["id"] = mount.get("id", "")
            if kind == "cache":
                # The engine leaves out what an id and a sharing say, but not that they are the usual ones.
                plain = (
                    mount.get("id", mount["target"]) == mount["target"] and mount.get("sharing", "shared") == "shared"
                )
                facts["plain"] = mount["target"] if plain else ""
            if kind == "bind" or "from" in mount:
                place = self._find(stage, mount.get("from", ""))
                path = mount.get("source", "/")
                key, taken, _ = place.take(path, named=False)
                files |= taken
                sources += [place.last] if place.last is not None else []
                writes += [mount.get("from", "")] if place.folder and "rw" in mount else []
                if place.key.fine and place.key.fine == parent.fine:
                    facts["root"] = ""  # wherever in it: what the step stands on is compared as a whole
                else:
                    facts["input"] = str([*inputs, place.key.fine].index(place.key.fine))
                    inputs.setdefault(place.key.fine, []).append(key)
            described.append(sorted(facts.items()))
        what = (
            _command(state, instruction),
            state.environment,
            state.folder,
            state.user,
            [item for item in instruction.flags if item[0] != "mount" and item != ("network", "default")],
            described,
            *filter(None, [self.inputs.arguments.get("BUILDKIT_SANDBOX_HOSTNAME")]),
        )
        if any(mount["type"] in {"secret", "ssh"} for mount in mounts):
            # A secret makes the engine (26.1) compare all files below, not how they were made.
            parent = replace(parent, coarse=UNKNOWN, loose=UNKNOWN, shape="")
        # Of what is mounted from one place, the engine compares the contents and not where each goes.
        key = join("run", what, parent, [*inputs.values()])
        after, made = self._step(
            state,
            instruction,
            key,
            changes=state.pending,
            files=files,
            sources=tuple(sources),
            writes=tuple(dict.fromkeys(writes)),
        )
        return replace(after, pending=()), made

    def _find(self, stage: Stage, name: str, *, by_number: bool = False) -> Place:
        """Return what `--from` names: the build's own folder, a stage, a named context or an image."""
        if not name:
            return Place(key=Key(fine="the folder", coarse=UNKNOWN), folder=self.inputs.context)
        above = [one for one in self.recipe.stages[: stage.index] if one.name == name.lower()]
        if by_number and name.isdecimal():
            above = [self.recipe.stages[int(name)]]
        return self.states[above[-1].index].place if above else self._start(name).place


def _absolute(folder: str, path: str) -> str:
    """Return a path of a container, with its last slash."""
    path = "./" if path in {"", "."} else path
    slash = "/" if path.endswith(("/", "/.")) else ""
    return f"/{clean(posixpath.join(folder, path))}{slash}".replace("//", "/")


def _command(state: _State, instruction: Instruction) -> tuple[str, ...]:
    if instruction.exec_form is not None:
        return instruction.exec_form
    text = instruction.text
    documents = instruction.heredocs
    if len(documents) == 1 and find_heredocs(text) and " " not in text.strip():
        text = documents[0].content
        if documents[0].text.startswith("#!"):
            return (*state.shell, "#!", documents[0].name, text)
    else:
        text = "\n".join([text, *(f"{one.text}{one.name}" for one in documents)])
    return (*state.shell, text)
