"""What goes with what: the tables of data/compat.yaml, and what they say of a combination. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from cresset.errors import CressetError

Status = Literal["supported", "known bad", "unknown"]

# The companions: the column of `releases`, the package, the setting.
COMPANIONS = (
    ("vision", "torchvision", "TORCHVISION_VERSION_TAG"),
    ("audio", "torchaudio", "TORCHAUDIO_VERSION_TAG"),
    ("text", "torchtext", "TORCHTEXT_VERSION_TAG"),
)
# Wheels without a pin on one torch: the first version that is so, and the first torch it runs with.
_UNPINNED = {"torchaudio": ("2.11.0", "2.11"), "torchvision": ("0.29.1", "2.14")}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the tables say of one point of a configuration.

    Attributes:
        check: the point: torch-python, companions, torch-cuda, toolkit-arch or toolkit-torch.
        status: supported; known bad; or unknown, which is never a reason to refuse.
        message: a sentence.
        hint: what to set instead; empty where nothing is wrong.
        source: the table, and where its facts are from.
    """

    check: str
    status: Status
    message: str
    hint: str = ""
    source: str = ""


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

    def toolkit(self, cuda: str) -> Mapping[str, Any] | None:
        """Return the row of a CUDA toolkit, or else the newest of its minor version; None where there is none."""
        rows = self.rows["toolkits"]
        minor = ".".join(cuda.split(".")[:2])
        same = [row for row in rows if row["cuda"].startswith(f"{minor}.")]
        return next((row for row in rows if row["cuda"] == cuda), same[-1] if same else None)

    def requirements(self, torch: str) -> Mapping[str, Any] | None:
        """Return what compiling a release takes, None where nothing is known."""
        return next(self._of_torch("build_requirements", torch), None)

    def index(self, torch: str) -> Mapping[str, Any]:
        """Return where the wheels of a release are: `form` index or find-links, `url` with {variant} in it."""
        return next(self._of_torch("indexes", torch))

    def source(self, table: str) -> str:
        """Return the first source of a table, with the file that has them all."""
        return f"{table} in cresset/data/compat.yaml, from {next(iter(self.sources.get(table, ())), 'your own file')}"

    def _of_torch(self, table: str, torch: str) -> Iterator[Mapping[str, Any]]:
        version = Version(torch)
        return (row for row in self.rows[table] if SpecifierSet(row["torch"]).contains(version, prereleases=True))


def read(text: str, own: str = "", own_name: str = "misc/compat.yaml") -> Tables:
    """Return the tables of the data file's text, with the rows of the person's own before them.

    Raises:
        CressetError: their file is no YAML, or has a table that there is not, or rows that are no mappings.
    """
    rows: dict[str, list[Mapping[str, Any]]] = {}
    sources: dict[str, Sequence[str]] = {}
    for name, table in _parse(text).items():
        sources[name] = table.get("source", ())
        rows |= {_path(name, part): value for part, value in table.items() if part != "source" and _is_rows(value)}
    for name, added in _own(own, own_name).items():
        if name not in rows or not _is_rows(added) or not all(isinstance(row, dict) for row in added):
            raise CressetError(
                f"{own_name}: {name!r} is no table of rows", f"the tables are {', '.join(sorted(rows))}, each a list"
            )
        rows[name] = [*added, *rows[name]]
    return Tables(rows=rows, sources=sources)


def judge(tables: Tables, values: Mapping[str, str]) -> list[Verdict]:
    """Return what the tables say of the settings, point by point."""
    torch = release_of(values["PYTORCH_VERSION_TAG"])
    if not torch:
        return [_unknown("torch", f"{values['PYTORCH_VERSION_TAG']} is no release, so no table says what goes with it")]
    release = tables.release(torch)
    if not release:
        newest = tables.rows["releases"][0]["torch"]
        return [_unknown("torch", f"PyTorch {torch} is not in the tables, whose newest is {newest}")]
    found = [_python(tables, release, values["PYTHON_VERSION"]), *_companions(tables, release, values)]
    if values["USE_CUDA"] == "1":
        found += (
            _compiled(tables, torch, values) if values["BUILD_MODE"] == "include" else _fetched(tables, release, values)
        )
    return found


def pins_table(tables: Tables) -> str:
    """Return misc/image/pins.txt: a line for each range of versions, the package, the range, the requirements."""
    rows = [("torch", row["torch"], row["pins"]) for row in tables.rows["build_requirements"]]
    rows += [(row["package"], row["version"], row["pins"]) for row in tables.rows["build_requirements.companions"]]
    head = (
        "# What a build environment has to hold, by version; made from cresset/data/compat.yaml, and tested to be it.\n"
    )
    return head + "".join(f"{package} {span} {' '.join(pins)}\n" for package, span, pins in rows)


def release_of(tag: str) -> str:
    """Return the release that a tag names, `2.14.1` for v2.14.1; empty for a branch, a commit or a nightly."""
    try:
        version = Version(tag)
    except InvalidVersion:
        return ""
    return str(version) if re.fullmatch(r"v?\d+\.\d+\.\d+", tag) else ""


def covers(compiled: str, wanted: str) -> bool:
    """Return whether code for a list of compute capabilities runs on a GPU of one.

    Code for X.y runs on X.z where z >= y, that for X.ya on X.y only; +PTX runs on whatever is newer
    (docs.nvidia.com/cuda/cuda-c-programming-guide, 'Application Compatibility').
    """
    want = _number(wanted)
    for item in re.split(r"[\s;]+", compiled.strip()):
        have = _number(item)
        same = have == want if "a" in item else have[0] == want[0] and have[1] <= want[1]
        if same or (item.endswith("+PTX") and have <= want):
            return True
    return False


def _python(tables: Tables, release: Mapping[str, Any], python: str) -> Verdict:
    oldest, newest = release["python"]
    given = Version(".".join(python.split(".")[:2]))
    pair = f"PyTorch {release['torch']} and Python {python}"
    source = tables.source("releases")
    if Version(oldest) <= given <= Version(newest):
        return Verdict(check="torch-python", status="supported", message=f"{pair} go together", source=source)
    hint = f"set PYTHON_VERSION to one of {oldest} to {newest}, or choose another PYTORCH_VERSION_TAG"
    return _told(
        release,
        "python",
        Verdict(
            check="torch-python", status="known bad", message=f"{pair} do not go together", hint=hint, source=source
        ),
    )


def _companions(tables: Tables, release: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Verdict]:
    torch, source = release["torch"], tables.source("releases")
    for column, package, setting in COMPANIONS:
        version = release_of(values[setting])
        if not version:
            continue
        pair = f"{package} {version} and PyTorch {torch}"
        partners = [row["torch"] for row in tables.rows["releases"] if row.get(column) == version]
        since, oldest = _UNPINNED.get(package, ("", ""))
        if not partners:
            yield _unknown("companions", f"{package} {version} is not in the tables")
        elif torch in partners or (since and Version(version) >= Version(since) and Version(torch) >= Version(oldest)):
            yield Verdict(check="companions", status="supported", message=f"{pair} go together", source=source)
        else:
            hint = (
                f"set {setting} to v{release[column]}"
                if release[column]
                else f"there is none for it: leave {setting} empty"
            )
            message = f"{pair} do not go together: it was made for {' and '.join(partners[:2])}"
            bad = Verdict(check="companions", status="known bad", message=message, hint=hint, source=source)
            yield _told(release, column, bad)


def _fetched(tables: Tables, release: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Verdict]:
    if values["PYTORCH_INDEX_URL"] or values["PYTORCH_FETCH_NIGHTLY"] == "1":
        return
    variant = "cu" + "".join(values["CUDA_VERSION"].split(".")[:2])
    source = tables.source("releases")
    what = f"PyTorch {release['torch']} for {variant}"
    if variant in release["cuda"]:
        yield Verdict(check="torch-cuda", status="supported", message=f"there are wheels of {what}", source=source)
        return
    hint = f"choose a CUDA_VERSION of {', '.join(release['cuda'])}, or compile it: --set BUILD_MODE=include"
    yield _told(
        release,
        "cuda",
        Verdict(
            check="torch-cuda", status="known bad", message=f"there are no wheels of {what}", hint=hint, source=source
        ),
    )


def _compiled(tables: Tables, torch: str, values: Mapping[str, str]) -> Iterator[Verdict]:
    cuda = values["CUDA_VERSION"]
    needs = tables.requirements(torch) or {}
    oldest, newest = needs.get("cuda", "0"), needs.get("cuda_max", "")
    source = tables.source("build_requirements")
    minor = Version(".".join(cuda.split(".")[:2]))
    if minor < Version(oldest) or (newest and minor > Version(newest)):
        span = f"{oldest} to {newest}" if newest else f"{oldest} or newer"
        yield Verdict(
            check="toolkit-torch",
            status="known bad",
            message=f"PyTorch {torch} does not compile with CUDA {cuda}",
            hint=f"set CUDA_VERSION to {span}",
            source=source,
        )
    else:
        yield Verdict(
            check="toolkit-torch",
            status="supported",
            message=f"PyTorch {torch} compiles with CUDA {cuda}",
            source=source,
        )
    yield from _capabilities(tables, cuda, values["CCA"])


def _capabilities(tables: Tables, cuda: str, cca: str) -> Iterator[Verdict]:
    toolkit = tables.toolkit(cuda)
    if not toolkit:
        yield _unknown("toolkit-arch", f"CUDA {cuda} is not in the tables")
        return
    source = tables.source("toolkits")
    low, high = map(_number, toolkit["cca"])
    added = {row["cca"]: row["cuda"] for row in tables.rows["toolkits.added"]}
    for item in re.split(r"[\s;]+", cca.strip()):
        bare = item.removesuffix("+PTX")
        late = bare in added and Version(added[bare]) > Version(".".join(cuda.split(".")[:2]))
        if low <= _number(bare) <= high and not late:
            yield Verdict(
                check="toolkit-arch", status="supported", message=f"CUDA {cuda} compiles for {bare}", source=source
            )
            continue
        since = (
            f"CUDA {added[bare]} is the first that does"
            if late
            else f"it does for {toolkit['cca'][0]} to {toolkit['cca'][1]}"
        )
        yield Verdict(
            check="toolkit-arch",
            status="known bad",
            message=f"CUDA {cuda} does not compile for {bare} (CCA): {since}",
            hint="choose another CUDA_VERSION, or take it out of CCA",
            source=source,
        )


def _told(row: Mapping[str, Any], cell: str, verdict: Verdict) -> Verdict:
    """Return the verdict, or that nothing is known where the cell it rests on is unconfirmed."""
    return (
        _unknown(verdict.check, f"{verdict.message}, as far as is known")
        if cell in row.get("unconfirmed", ())
        else verdict
    )


def _unknown(check: str, message: str) -> Verdict:
    return Verdict(check=check, status="unknown", message=message)


def _number(capability: str) -> tuple[int, int]:
    major, minor = re.match(r"(\d+)\.(\d+)", capability).groups()  # type: ignore[union-attr] # CCA is checked
    return int(major), int(minor)


def _parse(text: str) -> Any:  # noqa: ANN401 - YAML
    # Every scalar stays the text it is: 2.10 is not 2.1.
    return yaml.load(text, yaml.CBaseLoader)  # noqa: S506 - it makes texts, lists and mappings only


def _own(text: str, name: str) -> Mapping[str, Any]:
    try:
        tables = _parse(text)
    except yaml.YAMLError as error:
        raise CressetError(
            f"{name} is no YAML: {str(error).splitlines()[0]}", "compare cresset/data/compat.yaml"
        ) from None
    if not isinstance(tables or {}, dict):
        raise CressetError(f"{name} is no mapping of tables", "compare cresset/data/compat.yaml")
    return tables or {}


def _path(table: str, part: str) -> str:
    return table if part == "rows" else f"{table}.{part}"


def _is_rows(value: object) -> bool:
    return isinstance(value, list)
