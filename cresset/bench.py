"""How fast the container's environment trains; what measures is `data/bench.py`, sent in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cresset import container, files
from cresset.configuration import Configuration
from cresset.engine import Engine
from cresset.errors import CressetError

_SCRIPT = "cresset/data/bench.py"
_HINT = "a file of them is what `invoke bench --json` prints"
_LONGEST = 128_000  # bytes; Linux takes 128 KiB as an argument
_LARGEST = 16 * 1024 * 1024  # bytes of a file that could be figures
# What of an environment is shown: on a GPU, and on a processor.
_OF_GPU = ("torch", "python", "gpu", "capability", "driver", "cuda", "cudnn")
_OF_PROCESSOR = ("torch", "python", "processor", "threads")
# Both files are arguments: no folder has to be mounted, and the input is free to say when this ends.
_START = """
command -v python > /dev/null || {
    echo 'the container has no Python.' >&2
    echo '  where there is a PyTorch to measure: invoke bench --service train' >&2
    exit 2
}
python -c 'import sys; sys.exit(sys.version_info < (3, 7))' || {
    echo "$(python --version 2>&1) is too old to measure with: Python 3.7 is the oldest." >&2
    echo '  set PYTHON_VERSION, and build anew' >&2
    exit 2
}
folder=$(mktemp -d) && trap 'rm -r "$folder"' EXIT || exit
printf %s "$1" > "$folder/bench.py" && printf %s "$2" > "$folder/against.json" || exit
[ -z "$2" ] || against=$folder/against.json
shift 2
python "$folder/bench.py" --end-with-input ${against:+--against "$against"} "$@"
"""


def measure(
    resolved: Configuration, engine: Engine, *, as_json: bool, markdown: bool, quick: bool, against: str
) -> None:
    """Measure in the running container; figures on one stream, how it goes on the other.

    Whatever ends this process ends the measurement too.

    Args:
        resolved: the service.
        engine: docker.
        as_json: print what `against` reads.
        markdown: print a table for a page.
        quick: only see whether it works.
        against: a file of figures from another environment; empty for none.

    Raises:
        CressetError: the container does not run, the file has no figures, or measuring failed.
    """
    if as_json and markdown:
        raise CressetError("--json and --markdown: there is one output", "leave one of them out")
    words = [*["--json"] * as_json, *["--markdown"] * markdown, *["--quick"] * quick]
    container.attend(resolved, engine, command=("sh", "-c", _START, "bench", *_texts(against), *words))


def _texts(against: str) -> Sequence[str]:
    script = files.require(_SCRIPT)
    if not against:
        return script, ""
    return script, _comparable(against)


def _comparable(against: str) -> str:
    """Return what is compared of a file of figures, as JSON.

    Raises:
        CressetError: there is none, or it is something else.
    """
    path = files.place(against)
    if files.kind(against) != "file":
        what = "there is no such file" if files.is_missing(str(path)) else "that is no file"
        raise CressetError(f"--against {against}: {what}", _HINT)
    try:
        # Not as a text of the checkout: that would be told how to be one.
        report = json.loads(path.read_bytes()) if path.stat().st_size <= _LARGEST else None
        kept = json.dumps(_compared(report), separators=(",", ":"))
    except OSError as error:
        raise CressetError(f"--against {against}: {error.strerror}", _HINT) from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise CressetError(f"--against {against}: these are no figures", _HINT) from None
    if len(kept) > _LONGEST:
        message = f"--against {against}: {len(kept) // 1000} kB of figures, and {_LONGEST // 1000} fit"
        raise CressetError(message, "take out of its `results` what is not to be compared")
    return kept


def _compared(report: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a file has
    """Return the fields that `data/bench.py` compares and shows.

    Raises:
        KeyError, TypeError, ValueError: they are not all there, or not what they should be.
    """
    where = _one_of(_one_of(report, dict)["environment"], dict)
    names = _OF_GPU if "gpu" in where else _OF_PROCESSOR
    environment = {name: _one_of(where[name], str, int, float, type(None)) for name in names}
    results = [
        {
            **{name: _one_of(one[name], str) for name in ("model", "shape", "mode")},
            "median_ms": _milliseconds(one["median_ms"]),
            "quartiles_ms": [_milliseconds(number) for number in _pair(one["quartiles_ms"])],
        }
        for one in _one_of(report["results"], list)
    ]
    busy = _one_of(report["busy_percent"], int, float, type(None))
    return {"environment": environment, "busy_percent": busy, "results": results, "quick": report.get("quick") is True}


def _one_of(value: Any, *kinds: type) -> Any:  # noqa: ANN401 - whatever a file has
    if type(value) not in kinds:
        raise TypeError
    return value


def _pair(value: Any) -> tuple[Any, Any]:  # noqa: ANN401 - whatever a file has
    low, high = _one_of(value, list)
    return low, high


def _milliseconds(value: Any) -> Any:  # noqa: ANN401 - whatever a file has
    if not 0 < _one_of(value, int, float) < 1e9:  # noqa: PLR2004 - eleven days; neither is what is no number
        raise ValueError
    return value
