"""What the tags of sources mean, as the repositories answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from cresset import host, sources
from cresset.errors import CressetError
from cresset.versions import compat

ROOT = Path(__file__).resolve().parents[2]
TABLES = compat.read((ROOT / "cresset" / "data" / "compat.yaml").read_text())
OFFICIAL = "5c4886908584029761b579af026dcfb627c84070"
ANSWER = host.parse_references(
    f"{'a' * 40}\tHEAD\n{'a' * 40}\trefs/heads/main\n{'b' * 40}\trefs/tags/v2.13.0\n"
    f"{'c' * 40}\trefs/tags/v2.14.1\n{OFFICIAL}\trefs/tags/v2.14.1^{{}}\n"
)
VALUES = {
    "PYTORCH_VERSION_TAG": "v2.14.1",
    "PYTORCH_URL": "https://github.com/pytorch/pytorch.git",
    "PYTORCH_COMMIT": "",
} | {
    f"{prefix}_{part}": ""
    for prefix in ("TORCHVISION", "TORCHAUDIO", "TORCHTEXT")
    for part in ("VERSION_TAG", "URL", "COMMIT")
}


def resolve(
    values: Mapping[str, str],
    *,
    own: frozenset[str] = frozenset(),
    answer: Mapping[str, str] | str = ANSWER,
    last: Mapping[str, str] | None = None,
) -> tuple[dict[str, str], list[str]]:
    return sources.resolve({**VALUES, **values}, own=own, tables=TABLES, ask=lambda _: answer, last=last)


def test_an_annotated_tag_is_the_commit_that_it_points_to() -> None:
    assert resolve({}) == ({"PYTORCH_COMMIT": OFFICIAL}, [])


def test_a_branch_is_its_commit_of_today() -> None:
    assert resolve({"PYTORCH_VERSION_TAG": "main"})[0] == {"PYTORCH_COMMIT": "a" * 40}


def test_a_release_may_be_written_without_its_v() -> None:
    assert resolve({"PYTORCH_VERSION_TAG": "2.14.1"})[0] == {"PYTORCH_COMMIT": OFFICIAL}


def test_a_commit_is_taken_as_it_is() -> None:
    assert resolve({"PYTORCH_VERSION_TAG": "0123456789abcdef"}) == ({}, [])


def test_a_missing_tag_gets_the_nearest_one() -> None:
    with pytest.raises(CressetError) as refusal:
        resolve({"PYTORCH_VERSION_TAG": "v2.13.1"})
    assert "has no tag or branch 'v2.13.1'" in str(refusal.value)
    assert "v2.13.0" in refusal.value.hint


def test_a_tag_that_is_another_commit_than_wanted_is_refused() -> None:
    with pytest.raises(CressetError, match=r"is commit b{40}, not d{40}"):
        resolve({"PYTORCH_VERSION_TAG": "v2.13.0", "PYTORCH_COMMIT": "d" * 40})


def test_an_official_tag_that_has_moved_is_refused() -> None:
    with pytest.raises(CressetError, match=OFFICIAL) as refusal:
        resolve({}, answer={"refs/tags/v2.14.1": "e" * 40})
    assert "PYTORCH_COMMIT=" + "e" * 40 in refusal.value.hint


def test_a_fork_may_have_a_tag_of_the_same_name() -> None:
    fork = {"PYTORCH_URL": "https://example.org/pytorch.git"}
    assert resolve(fork, answer={"refs/tags/v2.14.1": "e" * 40})[0] == {"PYTORCH_COMMIT": "e" * 40}


def test_a_host_that_does_not_answer_is_a_warning() -> None:
    commits, warnings = resolve({"PYTORCH_VERSION_TAG": "main"}, answer="no route to host")
    assert commits == {}
    assert "no route to host" in warnings[0]
    assert warnings[0].endswith("PYTORCH_VERSION_TAG=main is not checked")


def test_of_a_host_that_is_away_a_tag_is_what_it_was_last_time() -> None:
    asked = VALUES | {"PYTORCH_VERSION_TAG": "main"}
    last = sources.remembered(asked, resolve(asked)[0])
    commits, warnings = resolve(asked, answer="no route to host", last=last)
    assert commits == {"PYTORCH_COMMIT": "a" * 40}
    assert warnings[0].endswith(f"PYTORCH_VERSION_TAG=main is taken to be {'a' * 40}")
    assert resolve({"PYTORCH_VERSION_TAG": "topic"}, answer="no route to host", last=last)[0] == {}
    # Nobody's word is needed for an official release, and the person's own stands.
    assert resolve({}, answer="no route to host")[0] == {"PYTORCH_COMMIT": OFFICIAL}
    assert resolve(asked | {"PYTORCH_COMMIT": "d" * 40}, answer="no route to host", last=last)[0] == {}


def test_nothing_is_asked_for_a_tree_of_ones_own() -> None:
    assert resolve({"PYTORCH_VERSION_TAG": "nothing"}, own=frozenset({"torch"})) == ({}, [])


@pytest.mark.parametrize(
    ("found", "folder", "hint"),
    [
        ({"pytorch"}, "/srv/mirror", "name the folder above it: /srv"),
        ({"pytorch"}, "/srv/github", "call it /srv/mirror, and SOURCES the folder above it: /srv"),
        ({"code"}, "/srv/sources", "says how it is laid out"),
    ],
)
def test_a_folder_of_sources_without_any_is_refused(found: set[str], folder: str, hint: str) -> None:
    with pytest.raises(CressetError, match="has neither a folder mirror nor a tree") as refused:
        sources.require_any(found, folder)
    assert hint in refused.value.hint


def test_a_link_among_the_sources_is_refused() -> None:
    with pytest.raises(CressetError, match=r"/srv/sources/torch is no folder but a link or a file"):
        sources.refuse_links({"torch", "README.md"}, "/srv/sources")
    sources.refuse_links({"README.md"}, "/srv/sources")


@pytest.mark.parametrize("found", [{"mirror"}, {"vision"}, {"magma", "other"}])
def test_a_folder_of_sources_with_one_is_taken(found: set[str]) -> None:
    sources.require_any(found, "/srv/sources")
