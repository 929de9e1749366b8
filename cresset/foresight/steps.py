"""The steps of a build, and what each is known by. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cresset.foresight.tree import Folder, Tree, below, clean, digest, is_linked, match, summarize

UNKNOWN = "?"  # whatever it may hold
_MANY = 100  # files of one step that are told apart


@dataclass(frozen=True, kw_only=True)
class Key:
    """Four names of one result.

    Attributes:
        fine: of everything that may count. Where it was built before, it is cached. Empty where that cannot be known.
        coarse: of what counts whatever the stages that it takes files from came to. Where it was not built, it will be.
        loose: of what counts whatever any stage holds, even one whose files are known beforehand.
        shape: of which files those are. Two coarse names tell only where both know the same.
    """

    fine: str
    coarse: str
    loose: str = UNKNOWN
    shape: str = ""

    def at(self, path: str) -> Key:
        """Return the key of what is at a path of it, as far as that is known by how it was made."""
        return Key(fine=digest("in", self.fine, path) if self.fine else "", coarse=UNKNOWN, shape="made")


def join(kind: str, what: object, parent: Key, contents: Sequence[Sequence[Key]], *, is_sure: bool = True) -> Key:
    """Return the key of a step on a parent, of contents that the engine compares in groups, each in any order."""
    sure = is_sure and all([parent.fine, *(key.fine for keys in contents for key in keys)])
    return Key(
        fine=digest(kind, parent.fine, what, [sorted({key.fine for key in keys}) for keys in contents]) if sure else "",
        coarse=digest(kind, parent.coarse, what, [sorted({key.coarse for key in keys}) for keys in contents]),
        loose=digest(kind, parent.loose, what, [sorted({key.loose for key in keys}) for keys in contents]),
        shape=digest(parent.shape, [sorted({key.shape for key in keys}) for keys in contents])[:8],
    )


@dataclass(frozen=True, kw_only=True)
class Change:
    """A name whose value a step is the first to see: of an ARG, ENV, USER or SHELL."""

    kind: str
    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step that BuildKit counts, with what it depends on besides the step before it.

    Attributes:
        stage: its stage's name; `stage-N` without one.
        i: its number, as in `[stage i/n]`.
        n: how many the stage has.
        line: where it is in the Dockerfile.
        keyword: RUN, COPY, ADD or WORKDIR.
        text: a name for the instruction as written.
        key: what it is known by.
        file: the Dockerfile's name.
        parent: the step before it, by index.
        sources: the last steps of the stages whose files it takes.
        changes: the variables that it is the first to see.
        files: those of the host that it takes, each with a name for its content, a space and its mode; folders with
            their modes.
        image: what the stage is built FROM, with a name for its layers; of the first step only.
        writes: the host's folders that it may write to, by context.
    """

    stage: str
    i: int
    n: int
    line: int
    keyword: str
    text: str
    key: Key
    file: str = "Dockerfile"
    parent: int | None = None
    sources: tuple[int, ...] = ()
    changes: tuple[Change, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    image: tuple[str, str] | None = None
    writes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What progress calls it: `build-base 2/5`."""
        return f"{self.stage} {self.i}/{self.n}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """What can be copied from or built on.

    Attributes:
        key: what it is known by.
        tree: its files, None where only the engine knows them.
        folder: the folder of the host that it is.
        last: the index of its last step.
    """

    key: Key
    tree: Tree | None = None
    folder: Folder | None = None
    last: int | None = None

    @property
    def below(self) -> Key:
        """What a step on it goes by: a folder of the host has no name that outlasts a build."""
        return Key(fine="", coarse=UNKNOWN) if self.folder else self.key

    def take(self, pattern: str, *, named: bool = True) -> tuple[Key, dict[str, str], list[tuple[str, Tree]]]:
        """Return a key of the content at a path, the files of the host in it, and them by path.

        COPY counts the names of what it takes, a mount does not: it has a target.
        """
        tree = self.folder.find(pattern) if self.folder else self.tree
        paths = match(tree, pattern) if tree is not None else []
        # A link in a stage is followed by the engine; where to is not gone into here.
        if tree is None or (not self.folder and any(is_linked(tree, path) for path in (clean(pattern), *paths))):
            return self.key.at(clean(pattern)), {}, []
        found: list[tuple[str, Tree]] = [(path, below(tree, path)) for path in paths]
        names = [posixpath.basename(path) if named else "" for path in paths]
        fine = digest(*zip(names, (summarize(tree, path, exact=True) for path in paths), strict=True))
        coarse = digest(*zip(names, (summarize(tree, path, exact=False) for path in paths), strict=True))
        key = Key(fine=fine, coarse=coarse, loose=coarse if self.folder else UNKNOWN, shape="known")
        return key, _origins(found), found


def _origins(found: Sequence[tuple[str, Tree]]) -> dict[str, str]:
    """Return the files of the host with a name for the content of each, of very many for all together; and folders."""
    entries = {entry.origin: entry for _, tree in found for entry in tree.values() if entry.origin}
    folders = {origin: f"{entry.mode:o}" for origin, entry in entries.items() if entry.kind == "folder"}
    files = {
        origin: f"{digest(entry.digest, entry.owner)[:8]} {entry.mode:o}"
        for origin, entry in entries.items()
        if origin not in folders
    }
    if len(entries) <= _MANY:
        return {**files, **folders}
    every = digest(sorted(files.items()), sorted(folders))[:8]
    return {posixpath.join(posixpath.commonpath(files or folders), "*"): every}
