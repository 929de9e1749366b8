"""Names and passwords in addresses: nothing that is shown or written down has them. Pure."""

from __future__ import annotations

import re

# What a password may hold is for a person's typing error to show: a slash, a blank, an @. Up to the last @ of the
# address all is masked, rather too much than too little.
_NAME_AND_PASSWORD = re.compile(r"(?<=://)[^\s/@:]+:(?!\d+(?:[/\s]|$))(?:(?!://)[^\n])*@")
_UP_TO_AT = re.compile(r"(?<=://)((?:[^\s'\"]|['\"](?![\s,;)\]]|$))*)@")
_WITHOUT_SCHEME = re.compile(r"(?<![^\s='\"(,])[^\s/@:='\"(,]+:(?!//)\S*@(?!sha256:)")
_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)+(?::\d+)?/")
_LONGEST = 80  # characters of a value in a message


def mask(value: str) -> str:
    """Return a value without the credentials of the addresses in it, for a screen."""
    value = _NAME_AND_PASSWORD.sub("***@", value)
    # Behind a host and a slash, an @ is part of a path, as in git+https://example.org/package@v1.
    value = _UP_TO_AT.sub(lambda found: found[0] if _HOST.match(found[1]) else "***@", value)
    return _WITHOUT_SCHEME.sub("***@", value)


def quoted(value: str) -> str:
    """Return a value for one line of a screen: in quotes, without credentials, cut, its control characters escaped."""
    shown = mask(value)
    shown = repr(shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "...")
    return shown.replace("\\\\", "\\")  # what was written is to be recognised, as CORP\name
