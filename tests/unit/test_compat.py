"""The tables: how they are read, and that they agree with each other and with what else rests on them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from cresset import env_file, forms, hardware, plain_yaml
from cresset.errors import CressetError
from cresset.versions import compat

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "cresset" / "data" / "compat.yaml").read_text()
TABLES = compat.read(TEXT)
OWN = "releases: [{torch: 2.99.0, vision: 0.99.0, audio: '', text: '', python: [3.11, 3.20], cuda: [cu140]}]"


def test_the_images_pins_are_those_of_the_table() -> None:
    file = ROOT / "misc" / "image" / "pins.txt"
    if os.environ.get("CRESSET_RENEW"):
        file.write_text(compat.pins_table(TABLES))
    assert file.read_text() == compat.pins_table(TABLES)


def test_old_releases_are_on_one_page_of_links() -> None:
    assert TABLES.index("1.10.2")["form"] == "find-links"
    assert TABLES.index("1.11.0")["url"].endswith("/whl/{variant}")


def test_ones_own_rows_come_first() -> None:
    tables = compat.read(TEXT, OWN)
    assert tables.release("2.99.0")["python"] == ["3.11", "3.20"]  # type: ignore[index]


@pytest.mark.parametrize("own", ["releases: {torch: 2}", "release: []", "- 1", "a: [", "releases: [1]"])
def test_rows_that_cannot_be_meant_are_refused(own: str) -> None:
    with pytest.raises(CressetError, match=r"misc/compat\.yaml"):
        compat.read(TEXT, own)


@pytest.mark.parametrize("own", ["", "# nothing yet\n"])
def test_an_empty_file_of_ones_own_is_none(own: str) -> None:
    assert compat.read(TEXT, own).rows == TABLES.rows


def test_what_is_newer_is_told_whatever_row_stands_first() -> None:
    tables = compat.read(TEXT, OWN.replace("2.99.0", "2.6.9"))
    assert tables.is_newer("2.15.1")
    assert not tables.is_newer("2.6.10")
    assert tables.place("2.15.1").endswith("whose newest is 2.15.0")


def test_every_table_names_its_sources() -> None:
    assert all(TABLES.sources[name.split(".", maxsplit=1)[0]] for name in TABLES.rows)


def test_every_release_has_build_requirements_and_an_index() -> None:
    for row in TABLES.rows["releases"]:
        assert TABLES.requirements(row["torch"])
        assert TABLES.index(row["torch"])


def test_a_build_fetches_wheels_from_where_the_table_says() -> None:
    script = (ROOT / "misc" / "image" / "fetch-wheels.sh").read_text()
    for row in TABLES.rows["indexes"]:
        url = row["url"].replace("/{variant}", "$channel/$variant")
        assert f"official={url} ;;" in script
    assert TABLES.index("1.8.2")["url"].endswith("/lts/1.8/torch_lts.html")
    assert TABLES.index("1.8.1")["url"].endswith("/torch_stable.html")


def test_ranges_are_readable() -> None:
    for table in ("build_requirements", "indexes", "wheel_architectures"):
        for row in TABLES.rows[table]:
            SpecifierSet(row["torch"])
    for row in TABLES.rows["toolkits"]:
        assert Version(row["cuda"]) > Version("9")


@pytest.mark.parametrize("item", ["8.6", "9.0a", "12.0+PTX", "10.0a+PTX", "86", "8.6a+ptx", "sm_86", "8.60", ""])
def test_a_capability_is_what_the_tables_source_reads(item: str) -> None:
    pattern = plain_yaml.read(TEXT, "", "")["compute_capabilities"]["item"]
    assert forms.CAPABILITIES.accepts(item) == bool(re.match(pattern, item))


def test_the_oldest_drivers_are_those_of_the_table() -> None:
    for row in TABLES.rows["toolkits.drivers"]:
        assert hardware.oldest_driver(f"{row['cuda']}.0") == int(row["driver"])


def test_the_pythons_of_the_distributions_are_known_in_one_way() -> None:
    for name, python in env_file.PYTHON_OF.items():
        row = TABLES.distribution(f"debian:{name}-slim" if ":" not in name else name)
        assert row, name
        assert row["python"] == python


@pytest.mark.parametrize(
    ("image", "system"),
    [
        ("nvidia/cuda:13.0.3-cudnn-devel-ubuntu24.04", "ubuntu24.04"),
        ("debian:bookworm-slim", "debian12"),
        ("cresset-base:trixie", "debian13"),
        ("registry.example.org/team/base:jammy-1", "ubuntu22.04"),
        ("registry.example.org/jammy/base:1", ""),
        ("ignoble:1", ""),
        ("nvidia/cuda:13.0.3-cudnn-devel-rockylinux9", "rhel9"),
        ("nvidia/cuda:13.0.3-cudnn-devel-ubi10", "rhel10"),
        ("rockylinux/rockylinux:9.4-minimal", "rhel9"),
        ("amazonlinux:2", "amzn2"),
        ("amazonlinux:2023", ""),
    ],
)
def test_a_distribution_is_told_by_a_word_of_the_name(image: str, system: str) -> None:
    assert (TABLES.distribution(image) or {}).get("system", "") == system


@pytest.mark.parametrize(
    ("image", "has_packages"),
    [
        ("nvidia/cuda:13.0.3-cudnn-devel-rockylinux9", True),
        ("nvidia/cuda:13.0.0-cudnn-devel-opensuse15", False),
        ("python:3.12-alpine3.20", False),
        ("nvidia/cuda:12.9.0-devel-azl3", False),
        ("alpinist:1", True),
        ("alpine/debian:12", True),
        ("debian:bookworm-slim", True),
    ],
)
def test_where_packages_can_be_installed_is_told_by_a_word_of_the_name(image: str, *, has_packages: bool) -> None:
    assert TABLES.has_packages(image) == has_packages


RELEASE = "torch: 2.99.0, vision: '', audio: '', text: '', cuda: [cu130]"


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ("releases: [{torch: 2.13.0}]", "releases, row 1: audio is missing"),
        ("releases: [{}]", "is missing"),
        (f"releases: [{{{RELEASE}, python: 3.10}}]", 'python cannot be "3.10"'),
        (f"releases: [{{{RELEASE}, python: [3.10, 3.11, 3.12]}}]", "python cannot be"),
        (f"releases: [{{{RELEASE}, python: [a, b]}}]", "python cannot be"),
        (f"releases: [{{{RELEASE}, python: {{a: 3.10}}}}]", "python cannot be"),
        (f"releases: [{{{RELEASE.replace('2.99.0', 'v2.99.0')}, python: [3.10, 3.14]}}]", "torch cannot be"),
        (f"releases: [{{{RELEASE}, python: [3.10, 3.14], commit: nonsense}}]", "commit cannot be"),
        (f"releases: [{{{RELEASE.replace('cu130', 'banana')}, python: [3.10, 3.14]}}]", "row 1: cuda cannot be"),
        (f"releases: [{{{RELEASE.replace('cu130', '')}, python: [3.10, 3.14]}}]", "row 1: cuda cannot be empty"),
        ("toolkits: [{cuda: 13.0.3}]", "is missing"),
        ("toolkits: [{cuda: 13.0.3, cca: 7.5, gcc: '15', driver: '580'}]", "cca cannot be"),
        ("toolkits: [{cuda: 13.0.3, cca: [x, y], gcc: '15', driver: '580'}]", "cca cannot be"),
        ("toolkits.added: [{cca: 8.6}]", "cuda is missing"),
        ("releases: " + 3000 * "[" + 3000 * "]", "misc/compat.yaml"),
    ],
)
def test_a_row_of_another_kind_is_refused_with_its_number(own: str, says: str) -> None:
    with pytest.raises(CressetError) as refused:
        compat.read(TEXT, own)
    assert "misc/compat.yaml" in str(refused.value)
    assert says in str(refused.value)
