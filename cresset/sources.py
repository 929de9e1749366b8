"""Which commits the source tags mean: asked of the repositories before a build, so that a moved branch rebuilds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from os.path import commonprefix
from pathlib import PurePath

from cresset.errors import CressetError
from cresset.versions.compat import Tables, release_of

# The folder of sources' own folder of repositories, laid out like GitHub.
MIRROR = "mirror"
# Asks a repository: its URL to the names and commits of `git ls-remote`, or why it does not answer.
Asker = Callable[[str], "Mapping[str, str] | str"]


@dataclass(frozen=True, kw_only=True)
class Repository:
    """One of the sources.

    Attributes:
        prefix: of its settings: PYTORCH for PYTORCH_URL, PYTORCH_COMMIT, PYTORCH_VERSION_TAG.
        tree: its folder's name in the folder of sources.
    """

    prefix: str
    tree: str


REPOSITORIES = (
    Repository(prefix="PYTORCH", tree="torch"),
    Repository(prefix="TORCHVISION", tree="vision"),
    Repository(prefix="TORCHAUDIO", tree="audio"),
    Repository(prefix="TORCHTEXT", tree="text"),
)


def resolve(
    values: Mapping[str, str],
    *,
    own: frozenset[str],
    tables: Tables,
    ask: Asker,
    last: Mapping[str, str] | None = None,
) -> tuple[dict[str, str], list[str]]:
    """Return the commits to build, as arguments, and warnings.

    Args:
        values: the settings.
        own: the trees that the person's folder of sources has; nothing is cloned for them.
        tables: the commits of official releases.
        ask: asks a repository.
        last: what tags meant when they were last asked for, as `remembered` returns it: the same build while a host
            is away is found in the cache.

    Raises:
        CressetError: a repository answers and has no such tag, branch or commit, or the tag is another commit.
    """
    commits: dict[str, str] = {}
    warnings: list[str] = []
    for repository in REPOSITORIES:
        prefix, tag = repository.prefix, values[f"{repository.prefix}_VERSION_TAG"]
        url, given = values[f"{prefix}_URL"], values[f"{prefix}_COMMIT"]
        if not tag or repository.tree in own:
            continue
        answer = ask(url)
        if isinstance(answer, str):
            known = "" if given else (last or {}).get(_key(url, tag)) or _official(prefix, tag, url, tables)
            taken = f"taken to be {known}" if known else "not checked"
            warnings.append(f"{url} does not answer ({answer}): {prefix}_VERSION_TAG={tag} is {taken}")
            if known:
                commits[f"{prefix}_COMMIT"] = known
            continue
        commit = _commit(tag, answer)
        if commit is None:
            raise _missing(prefix, tag, url, answer)
        expected = given or _official(prefix, tag, url, tables)
        if expected and commit not in {"", expected}:
            raise CressetError(
                f"{prefix}_VERSION_TAG {tag} at {url} is commit {commit}, not {expected}",
                f"take it as it is: --set {prefix}_COMMIT={commit}" if not given else f"correct {prefix}_COMMIT",
            )
        if commit and not given:
            commits[f"{prefix}_COMMIT"] = commit
    return commits, warnings


def require_any(found: Collection[str], folder: str) -> None:
    """Refuse a folder of sources that has none.

    Args:
        found: the folders in it.
        folder: its name.

    Raises:
        CressetError: it has neither a tree nor a mirror.
    """
    trees = [*(one.tree for one in REPOSITORIES), "magma"]
    if {*trees, MIRROR} & set(found):
        return
    place = PurePath(folder)
    hint = "docs/source-builds.md, 'Without GitHub', says how it is laid out"
    if "pytorch" in found:
        hint = f"call it {place.parent / MIRROR}, and SOURCES the folder above it: {place.parent}"
        if place.name == MIRROR:
            hint = f"name the folder above it: {place.parent}"
    raise CressetError(f"SOURCES: {folder} has neither a folder {MIRROR} nor a tree ({', '.join(trees)})", hint)


def refuse_links(found: Collection[str], folder: str) -> None:
    """Refuse a tree or a mirror that is a link or a file: a build would pass it over, and compile another source.

    Args:
        found: what is no folder in the folder of sources.
        folder: its name.

    Raises:
        CressetError: with what to do.
    """
    for name in sorted({MIRROR, "magma", *(one.tree for one in REPOSITORIES)} & set(found)):
        raise CressetError(
            f"SOURCES: {folder}/{name} is no folder but a link or a file, and a build follows no link",
            "put the folder itself there, or mount it: mount --bind",
        )


def remembered(values: Mapping[str, str], commits: Mapping[str, str]) -> dict[str, str]:
    """Return the commits by repository and tag, to be kept for a day when a host is away."""
    prefixes = [one.prefix for one in REPOSITORIES if f"{one.prefix}_COMMIT" in commits]
    return {_key(values[f"{it}_URL"], values[f"{it}_VERSION_TAG"]): commits[f"{it}_COMMIT"] for it in prefixes}


def _key(url: str, tag: str) -> str:
    return f"{url} {tag}"


def _commit(tag: str, references: Mapping[str, str]) -> str | None:
    """Return the commit of a tag or branch; empty for what looks like a commit itself; None where there is none."""
    for name in (f"refs/tags/{tag}", f"refs/tags/v{tag}", f"refs/heads/{tag}"):
        if name in references:
            return references[name]
    return "" if len(tag) >= 7 and set(tag) <= set("0123456789abcdef") else None  # noqa: PLR2004 - as git abbreviates


def _official(prefix: str, tag: str, url: str, tables: Tables) -> str:
    # No tag has a local label, like a wheel's +cu130.
    is_tag = "+" not in tag
    release = (
        tables.release(release_of(tag)) if is_tag and prefix == "PYTORCH" and "github.com/pytorch/" in url else None
    )
    return str((release or {}).get("commit", ""))


def _missing(prefix: str, tag: str, url: str, references: Mapping[str, str]) -> CressetError:
    names = [name.split("/", 2)[2] for name in references if name.startswith(("refs/tags/", "refs/heads/"))]
    near = get_close_matches(tag, names, n=10)
    # Of versions that are as near, the one of the same minor release.
    nearest = max(near, key=lambda name: len(commonprefix([name, tag])), default="")  # noqa: RUF071 - by letters
    hint = f"did you mean {nearest}?" if nearest else f"git ls-remote {url} lists them"
    return CressetError(f"{prefix}_VERSION_TAG: {url} has no tag or branch {tag!r}", hint)
