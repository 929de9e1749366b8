#!/usr/bin/env python3
"""Print a constraint for each Python package that this Python sees, in the version that it sees."""

import re
from importlib.metadata import distributions

# A distribution's own packages may have versions that pip would stumble over.
VERSION = re.compile(
    r"(\d+!)?\d+(\.\d+)*([-_.]?(a|b|c|rc|alpha|beta|pre|post|rev|r|dev)[-_.]?\d*)*(\+[a-z0-9]+([-_.][a-z0-9]+)*)?",
    re.IGNORECASE,
)

seen = {}
for package in distributions():
    name = re.sub(r"[-_.]+", "-", package.metadata["Name"] or "").lower()
    # Of two of one name, the first is the one that is imported.
    seen.setdefault(name, package.version)
for name, version in sorted(seen.items()):
    if name and VERSION.fullmatch(version or ""):
        print(f"{name}=={version}")
