"""YAML whose every scalar is the text that stands there: 2.10 is not 2.1, and `no` is no."""

from __future__ import annotations

from typing import Any

import yaml

from cresset.errors import CressetError


def read(text: str, name: str, hint: str) -> Any:  # noqa: ANN401 - YAML
    """Return the lists, mappings and texts of a file; None where it holds nothing.

    Raises:
        CressetError: it is no YAML; `name` is what to call it, `hint` how to write it.
    """
    try:
        return yaml.load(text, yaml.CBaseLoader)  # noqa: S506 - it makes texts, lists and mappings only
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise CressetError(f"{name} is no YAML: {line}{error.problem or error.context}", hint) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise CressetError(f"{name} is no YAML: {str(error).splitlines()[0]}", hint) from None
