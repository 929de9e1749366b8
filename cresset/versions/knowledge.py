"""The tables of what goes with what, as this checkout has them."""

from __future__ import annotations

import importlib.resources

from cresset import files
from cresset.versions import compat
from cresset.versions.compat import Tables

# Rows that a person adds to them.
OWN = "misc/compat.yaml"


def tables() -> Tables:
    """Return what goes with what, the person's own rows first.

    Raises:
        CressetError: their file is not of the tables' form.
    """
    text = importlib.resources.files("cresset.data").joinpath("compat.yaml").read_text()
    return compat.read(text, files.read(OWN) or "", OWN)
