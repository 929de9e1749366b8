"""Names and passwords in addresses: nothing that is shown or written down has them. Pure."""

from __future__ import annotations

import re


def mask(value: str) -> str:
    """Return a value without the credentials of the addresses in it, for a screen."""
    return re.sub(r"(?<=://)[^/@\s]+@", "***@", value)
