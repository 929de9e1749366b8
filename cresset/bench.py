"""How fast the container's environment trains; what measures is `data/bench.py`, sent in."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cresset import container, files
from cresset.configuration import Configuration
from cresset.engine import Engine
from cresset.errors import CressetError

_SCRIPT = "cresset/data/bench.py"
# Both files are arguments: no folder has to be mounted, and the container's own terminal stays as it is.
_START = """
folder=$(mktemp -d) && trap 'rm -r "$folder"' EXIT || exit
printf %s "$1" > "$folder/bench.py" && printf %s "$2" > "$folder/against.json" || exit
[ -z "$2" ] || against=$folder/against.json
shift 2
python "$folder/bench.py" ${against:+--against "$against"} "$@"
"""


def measure(
    resolved: Configuration, engine: Engine, *, as_json: bool, markdown: bool, quick: bool, against: str
) -> None:
    """Measure in the running container, in this process's place; figures on one stream, how it goes on the other.

    Args:
        resolved: the service.
        engine: docker.
        as_json: print what `against` reads.
        markdown: print a table for a page.
        quick: only see whether it works.
        against: a file of figures from another environment; empty for none.

    Raises:
        CressetError: the container does not run, or the file has no figures.
    """
    words = [*["--json"] * as_json, *["--markdown"] * markdown, *["--quick"] * quick]
    container.enter(resolved, engine, command=("sh", "-c", _START, "bench", *_texts(against), *words))


def _texts(against: str) -> Sequence[str]:
    script = files.require(_SCRIPT)
    if not against:
        return script, ""
    hint = "a file of them is what `invoke bench --json` prints"
    found = files.read(str(files.place(against))) if files.kind(against) == "file" else None
    if found is None:
        raise CressetError(f"--against {against}: there is no such file", hint)
    try:
        report = json.loads(found)
    except ValueError:
        report = None
    if not isinstance(report, dict) or not {"environment", "results"} <= report.keys():
        raise CressetError(f"--against {against}: these are no figures", hint)
    return script, json.dumps(report)
