#!/usr/bin/env python3
"""choose-pins.py TABLE OUT NAME=VERSION...: write OUT/NAME.txt, what the build environment of each NAME has to hold.

TABLE has a line for each rule: the package and versions it is for, then requirements. PyTorch's rules hold for its
companions too. A version that is none, of a branch say, has no rules, nor has an empty one.
"""

import sys
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

table, out, *named = sys.argv[1:]
rules = [line.split() for line in Path(table).read_text().splitlines() if line and not line.startswith("#")]


def pins(name: str, version: str) -> list[str]:
    """Return the requirements of a package's version."""
    try:
        release = Version(version.removeprefix("v")).base_version
    except InvalidVersion:
        return []
    return [
        pin for package, span, *added in rules if package == name and release in SpecifierSet(span) for pin in added
    ]


versions = dict(word.split("=", 1) for word in named)
Path(out).mkdir(parents=True, exist_ok=True)
for name, version in versions.items():
    own = [] if name == "torch" else pins(name, version)
    Path(out, f"{name}.txt").write_text("".join(f"{pin}\n" for pin in [*pins("torch", versions["torch"]), *own]))
