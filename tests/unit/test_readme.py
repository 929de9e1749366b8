"""README and docs agree with the code; `CRESSET_RENEW=1 pytest tests/unit/test_readme.py` renews the table."""

from __future__ import annotations

import os
import re
from pathlib import Path

import yaml

from cresset import configuration, dockerfile, settings
from cresset.configuration import Value

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
BETWEEN = re.compile(r"(?<=<!-- settings: begin -->\n).*?(?=<!-- settings: end -->)", re.DOTALL)


def table() -> str:
    """Return the settings as README has them, from the lines that are their home."""
    homes = {name: dockerfile.parse((ROOT / name).read_text()) for name in configuration.RECIPES}
    arguments = {name: {argument.name: argument for argument in home.arguments} for name, home in homes.items()}
    own = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["x-cresset"]
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for row in settings.SETTINGS:
        if row.is_argument:
            argument = arguments[row.home][row.name]
            default, meaning = argument.default or "", argument.description or ""
        else:
            default, meaning = re.sub(r"^\$\{\w+:?-(.*)\}$", r"\1", own.get(row.name, "")), row.help
        shown = f"`{default}`" if default else ""
        value = Value(name=row.name, value=default, source="default", help=meaning)
        lines.append(f"| `{row.name}` | {shown} | {value.meaning} |")
    return "\n".join(lines) + "\n"


def test_the_settings_table_is_the_one_of_the_code() -> None:
    text = README.read_text()
    if os.environ.get("CRESSET_RENEW"):
        README.write_text(BETWEEN.sub(lambda _: table(), text))
    assert BETWEEN.findall(README.read_text()) == [table()]


def test_the_page_of_the_switches_has_the_same_defaults() -> None:
    known = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", table(), re.MULTILINE))
    shown = re.findall(
        r"^\| `([A-Z_]+)` \| (.*?) \| (?:run|build|both) \|", (ROOT / "docs/switches.md").read_text(), re.MULTILINE
    )
    assert {"IPC", "NETWORK", "GPUS", "TZ", "MKL_MODE", "PRELOAD", "SUDO", "SSH"} <= dict(shown).keys()
    assert dict(shown) == {name: known[name] for name, _ in shown}


def test_readme_stays_readable() -> None:
    assert len(README.read_text().splitlines()) < 250


def test_every_link_to_a_file_leads_somewhere() -> None:
    for page in [README, *ROOT.glob("docs/*.md"), ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_task_is_in_the_readme() -> None:
    names = re.findall(r"^@task\ndef (\w+?)_?\(", (ROOT / "tasks.py").read_text(), re.MULTILINE)
    missing = [name for name in names if f"invoke {name.replace('_', '-')}" not in README.read_text()]
    assert names
    assert missing == []
