"""What an interrupted build did is remembered by the next one that looks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from cresset import files, processes
from cresset.foresight import explain, history
from cresset.foresight.history import Build
from cresset.screen import progress
from cresset.screen.progress import Outcome

_ODD = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)


def recover(builds: Sequence[Build]) -> bool:
    """Remember builds that were interrupted: what they planned and did is in their records.

    Returns:
        Whether there was any.
    """
    found = False
    known = {build.record for build in builds}
    for path in sorted(files.RECORDS.glob("*.jsonl")) if files.RECORDS.is_dir() else ():
        if path.stem in known:
            continue
        # Of a record that is not what it should be, nothing can be told.
        with suppress(OSError, *_ODD), path.open(encoding="utf-8") as file:
            header = json.loads(file.readline())
            planned = history.parse(json.dumps(header["plan"]))[0]
            if processes.is_alive(header["process"]):
                continue
            state = progress.Build()
            for line in file:
                with suppress(*_ODD):
                    item = json.loads(line)
                    if item.keys() & {"vertexes", "statuses"}:
                        state.update(item)
            history.append(complete(planned, state.outcome(1, 0.0)))
            found = True
    return found


def complete(planned: Build, outcome: Outcome) -> Build:
    """Return a build with what came of it: the steps that ended, and its result."""
    # A Dockerfile with one stage has no names in its progress.
    last = planned.steps[-1].stage
    executed = {(step.stage or last, step.i): step.seconds for step in outcome.executed}
    done = [(stage or last, i) for stage, i in outcome.done]
    steps = explain.came(planned.steps, executed, done if outcome.exit_code else None)
    return replace(planned, steps=steps, result=outcome.image)
