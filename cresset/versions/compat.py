"""What goes with what: the tables of data/compat.yaml and a person's own rows. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from cresset import plain_yaml
from cresset.errors import CressetError

# What a row of a person's own may leave out.
_OPTIONAL = {"commit", "source", "unconfirmed"}
_HINT = "compare cresset/data/compat.yaml"


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The tables, those of the person's own file first.

    Attributes:
        rows: the rows of each table, by its name; `table.part` for a table within one.
        sources: of each table, where its facts are from.
    """

    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def release(self, version: str) -> Mapping[str, Any] | None:
        """Return the row of a release of PyTorch, None where there is none."""
        return next((row for row in self.rows["releases"] if row["torch"] == version), None)

    def is_newer(self, version: str) -> bool:
        """Return whether a release is newer than every one in the tables, so that nothing can be known of it."""
        return all(Version(version) > Version(row["torch"]) for row in self.rows["releases"])

    def place(self, version: str) -> str:
        """Return where among the releases in the tables one would stand that is not there: a sentence."""
        known = sorted((row["torch"] for row in self.rows["releases"]), key=Version)
        older = [one for one in known if Version(one) < Version(version)]
        if not older:
            return f"PyTorch {version} is not in the tables, whose oldest is {known[0]}"
        if len(older) == len(known):
            return f"PyTorch {version} is not in the tables, whose newest is {known[-1]}"
        return f"PyTorch {version} is not in the tables: {older[-1]} is followed by {known[len(older)]}"

    def toolkit(self, cuda: str) -> Mapping[str, Any] | None:
        """Return the row of a CUDA toolkit, or else the newest of its minor version; None where there is none."""
        rows = self.rows["toolkits"]
        minor = ".".join(cuda.split(".")[:2])
        same = [row for row in rows if row["cuda"].startswith(f"{minor}.")]
        return next((row for row in rows if row["cuda"] == cuda), same[-1] if same else None)

    def newest_patch(self, cuda: str) -> str:
        """Return the newest CUDA of a minor version that NVIDIA has images with cuDNN of; the minor version if none."""
        minor = cuda.split(".")[:2]
        rows = [
            row
            for row in self.rows["images"]
            if row["cuda"].split(".")[:2] == minor and any(name.startswith("ubuntu") for name in row["systems"])
        ]
        confirmed = [row for row in rows if "systems" not in row.get("unconfirmed", ())] or rows
        return max((row["cuda"] for row in confirmed), key=Version, default=".".join(minor))

    def requirements(self, torch: str) -> Mapping[str, Any] | None:
        """Return what compiling a release takes, None where nothing is known."""
        return next(self._of_torch("build_requirements", torch), None)

    def index(self, torch: str) -> Mapping[str, Any]:
        """Return where the wheels of a release are: `form` index or find-links, `url` with {variant} in it."""
        return next(self._of_torch("indexes", torch))

    def wheel_architectures(self, torch: str, cuda: str) -> Mapping[str, Any] | None:
        """Return what the official wheels of a release were compiled for, by processor; None where nobody knows."""
        minor = ".".join(cuda.split(".")[:2])
        rows = self._of_torch("wheel_architectures", torch)
        return next((row for row in rows if row["cuda"] in {minor, minor.split(".")[0]}), None)

    def wheel_glibc(self, torch: str) -> str:
        """Return the oldest glibc that the official wheels of a release run on."""
        return str(next(self._of_torch("wheel_platforms", torch))["glibc"])

    def distribution(self, image: str) -> Mapping[str, Any] | None:
        """Return the row of the distribution that an image's name tells, None where it tells none."""
        rows = self.rows["distributions"]
        return next(
            (row for row in rows if any(_names(image, f"{re.escape(word)}(?!\\d)") for word in row["names"])), None
        )

    def has_packages(self, image: str) -> bool:
        """Return whether a build can install packages on an image, as far as its name tells."""
        return not any(_names(image, str(word)) for word in self.rows["distributions.without_packages"])

    def source(self, table: str) -> str:
        """Return where a table and the sources of its facts are to be read."""
        return f"{table} in cresset/data/compat.yaml"

    def _of_torch(self, table: str, torch: str) -> Iterator[Mapping[str, Any]]:
        version = Version(torch)
        return (row for row in self.rows[table] if _range(row["torch"]).contains(version, prereleases=True))


def read(text: str, own: str = "", own_name: str = "misc/compat.yaml") -> Tables:
    """Return the tables of the data file's text, with the rows of the person's own before them.

    Raises:
        CressetError: their file is no YAML, or has a table that there is not, or rows that are no mappings.
    """
    rows: dict[str, list[Mapping[str, Any]]] = {}
    sources: dict[str, Sequence[str]] = {}
    for name, table in plain_yaml.read(text, "cresset/data/compat.yaml", "").items():
        sources[name] = table.get("source", ())
        rows |= {_path(name, part): value for part, value in table.items() if part != "source" and _is_rows(value)}
    for name, added in _own(own, own_name).items():
        if name not in rows or not _is_rows(added) or not all(isinstance(row, dict) for row in added):
            raise CressetError(
                f"{own_name}: {name!r} is no table of rows", f"the tables are {', '.join(sorted(rows))}, each a list"
            )
        for number, row in enumerate(added, start=1):
            if unlike := _unlike(row, rows[name]):
                example = json.dumps({key: value for key, value in rows[name][0].items() if key not in _OPTIONAL})
                raise CressetError(f"{own_name}: {name}, row {number}: {unlike}", f"write it like {example}")
        rows[name] = [*added, *rows[name]]
    return Tables(rows=rows, sources=sources)


def pins_table(tables: Tables) -> str:
    """Return misc/image/pins.txt: a line for each range of versions, the package, the range, the requirements."""
    rows = [("torch", row["torch"], row["pins"]) for row in tables.rows["build_requirements"]]
    rows += [(row["package"], row["version"], row["pins"]) for row in tables.rows["build_requirements.companions"]]
    head = (
        "# What a build environment has to hold, by version; made from cresset/data/compat.yaml, and tested to be it.\n"
    )
    return head + "".join(f"{package} {span} {' '.join(pins)}\n" for package, span, pins in rows)


def release_of(tag: str) -> str:
    """Return the release that a tag names, `2.14.1` for v2.14.1 or 2.14.1+cu130; empty for a branch or a nightly."""
    found = re.fullmatch(r"v?([0-9]{1,4}(?:\.[0-9]{1,4}){2})(?:\+[a-z0-9.]+)?", tag)
    return str(Version(found[1])) if found else ""


def label_of(tag: str) -> str:
    """Return the label of official wheels in a tag, `cu130` for 2.14.1+cu130; empty where it has none."""
    found = re.search(r"\+(cpu|cu[0-9]{2,4})$", tag)
    return found[1] if found else ""


def _names(image: str, pattern: str) -> bool:
    """Return whether a word of an image's name, its registry and path aside, is of a pattern; digits may follow."""
    return bool(re.search(rf"(?<![a-z]){pattern}(?![a-z])", image.rsplit("/", maxsplit=1)[-1]))


@lru_cache
def _range(text: str) -> SpecifierSet:
    return SpecifierSet(text)


def _own(text: str, name: str) -> Mapping[str, Any]:
    tables = plain_yaml.read(text, name, _HINT) or {}
    if not isinstance(tables, dict):
        raise CressetError(f"{name} is no mapping of tables", _HINT)
    return tables


def _unlike(row: Mapping[str, Any], known: Sequence[Mapping[str, Any]]) -> str:
    """Return in what a person's row differs in kind from all that are known; empty where in nothing."""
    needed = set.intersection(*(set(one) for one in known)) - _OPTIONAL
    if missing := sorted(needed - row.keys()):
        return f"{missing[0]} is missing"
    for key, value in row.items():
        if value == [] and key in needed and all(one[key] for one in known):
            return f"{key} cannot be empty"
        values = [one[key] for one in known if one.get(key)]
        if values and value and not _is_alike(value, values):
            return f"{key} cannot be {json.dumps(value)}"
    return ""


def _is_alike(value: object, known: Sequence[Any]) -> bool:
    """Return whether a value is of the kind that all of them are of: a version, a range, so many of them ..."""
    if not isinstance(value, type(known[0])):
        return False
    if isinstance(value, list):
        is_as_many = len({len(one) for one in known}) > 1 or len(value) == len(known[0])
        return is_as_many and all(_is_alike(item, [part for one in known for part in one]) for item in value)
    return all(kind(value) or not all(map(kind, known)) for kind in (_is_version, _is_range, _is_commit, _is_label))


def _is_version(text: object) -> bool:
    try:
        return str(text)[:1].isdigit() and bool(Version(str(text)))
    except ValueError:  # InvalidVersion is one, and so are more digits than Python reads
        return False


def _is_range(text: object) -> bool:
    try:
        return bool(SpecifierSet(str(text)))
    except InvalidSpecifier:
        return False


def _is_label(text: object) -> bool:
    return bool(re.fullmatch("cu[0-9]{2,4}", str(text)))


def _is_commit(text: object) -> bool:
    return bool(re.fullmatch("[0-9a-f]{40}", str(text)))


def _path(table: str, part: str) -> str:
    return table if part == "rows" else f"{table}.{part}"


def _is_rows(value: object) -> bool:
    return isinstance(value, list)
