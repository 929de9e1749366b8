"""What a build will do: told before it starts, compared with what it did, and remembered."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace

from rich.console import Console
from rich.text import Text

from cresset.bake import Product
from cresset.configuration import Configuration
from cresset.credentials import mask
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.foresight import explain, history, store, verdicts
from cresset.foresight.history import Build
from cresset.foresight.inputs import Image
from cresset.foresight.outlook import Outlook, look
from cresset.foresight.recovery import complete
from cresset.screen.live import duration
from cresset.screen.pace import Expected, Pace
from cresset.screen.progress import Outcome

_LONG = 600.0  # seconds that a stage took, from which a person is asked before it is built again
_SHOWN = 6  # lines of a forecast above a build


def announce(
    resolved: Configuration, product: Product, engine: Engine, *, console: Console, quiet: bool
) -> Outlook | None:
    """Say before a build what of it is not cached, in a few lines; ask where that would be costly.

    Returns:
        What is foretold; None where nothing can be, for which no build should fail.

    Raises:
        CressetError: the person would rather not build.
    """
    outlook = None
    with suppress(CressetError, OSError, ValueError, LookupError):
        outlook = look(resolved, product, engine)
    if outlook is None or quiet:
        return outlook
    if not outlook.forecast.pending or not outlook.forecast.is_known:
        if outlook.kept and not (outlook.forecast.is_known and outlook.forecast.verdicts):
            console.print(Text(store.about(outlook.kept)), soft_wrap=True)
        return outlook
    lines = _describe(outlook)
    for line in lines[:_SHOWN]:
        console.print(Text(line), soft_wrap=True)
    if len(lines) > _SHOWN:
        console.print(Text("... `invoke explain` has the rest"))
    _confirm(outlook, console=console)
    return outlook


def taking(product: Product, outlook: Outlook | None) -> Product:
    """Return the product, made with what the store has of it."""
    return replace(product, contexts={**product.contexts, **outlook.contexts}) if outlook else product


def _describe(outlook: Outlook) -> list[str]:
    if not outlook.builder and outlook.forecast.verdicts:
        return [f"{outlook.name}: no engine answers, and no build by one at this address is on record"]
    taken = store.about(outlook.kept) if outlook.kept else ""
    return verdicts.describe(outlook.forecast, outlook.name, taken)


def _confirm(outlook: Outlook, *, console: Console) -> None:
    """Ask before a stage is built again that took long; where nobody can answer, the build goes on.

    Raises:
        CressetError: the person would rather not.
    """
    if not console.is_terminal or not sys.stdin.isatty():
        return
    long = [
        (state, seconds or 0.0, stage, group.cause.words)
        for group in verdicts.group(outlook.forecast)
        for stage, (state, seconds) in group.stages.items()
        # Who sets CLEAN has asked for it.
        if (seconds or 0.0) > _LONG and not group.cause.words.startswith("ARG CLEAN ")
    ]
    if not long:
        return
    # What is sure comes before what may be.
    state, seconds, stage, cause = next((one for one in long if one[0] == "REBUILD"), long[0])
    question = "Build it again?" if state == "REBUILD" else "It may be built again. Go on?"
    answer = ""
    with suppress(EOFError):
        answer = console.input(Text(f"{stage} took {duration(seconds)} last time. {question} [y/N] "))
    if answer.strip().lower() not in {"y", "yes"}:
        raise CressetError("not built", f"the cause: {cause}")


def _plan(outlook: Outlook, name: str) -> Build:
    """Return a build as it is to be remembered, before it has begun.

    Args:
        outlook: what is foretold.
        name: of its record.
    """
    forecast = outlook.forecast
    return Build(
        record=name,
        builder=outlook.builder,
        address=outlook.address,
        name=outlook.name,
        target=outlook.target,
        steps=explain.plan(forecast),
        texts=outlook.texts,
        choices=outlook.choices,
        counts=forecast.counts() if forecast.is_known else {},
        images={name: asdict(image) for name, image in outlook.images.items() if not _has_secret(image)},
        folders=outlook.folders,
    )


def header(outlook: Outlook | None, name: str) -> dict[str, object]:
    """Return what the first line of a build's record has to say, for `recover`."""
    taken = {"store": outlook.shelf} if outlook and outlook.kept else {}
    if not outlook or not outlook.forecast.verdicts:
        return {**taken}
    return {"process": os.getpid(), "plan": history.as_data(_plan(outlook, name)), **taken}


def pace(outlook: Outlook | None) -> Pace:
    """Return what the steps of a build took before."""
    return Pace(
        [
            Expected(
                stage=step.stage,
                i=step.i,
                name=step.key.fine or step.label,
                # Copies and folders are a matter of seconds.
                seconds=0.0 if verdict.seconds is None and step.keyword != "RUN" else verdict.seconds,
                is_run=verdict.step.keyword == "RUN",
                is_cached=verdict.state == "CACHED",
                before=(*step.sources, *([] if step.parent is None else [step.parent])),
            )
            for verdict in (outlook.forecast.verdicts if outlook else ())
            for step in (verdict.step,)
        ]
    )


def settle(outlook: Outlook | None, outcome: Outcome, *, name: str, console: Console) -> None:
    """Remember a build that has ended, and say what of it came otherwise than was foretold.

    Args:
        outlook: what was foretold.
        outcome: what came.
        name: of its record.
        console: where to say it.
    """
    planned = _plan(outlook, name) if outlook else None
    if not outlook or not planned or not planned.steps or not outlook.builder:
        return
    build = complete(planned, outcome)
    executed = {(step.stage, step.i): step.seconds or 0.0 for step in build.steps if step.executed}
    wrong = explain.judge(outlook.forecast, executed) if not outcome.exit_code else None
    is_pruned = explain.is_pruned(outlook.forecast, executed)
    history.append(replace(build, wrong=wrong, is_pruned=is_pruned))
    for line in _summarize(wrong or ()):
        console.print(Text(line), soft_wrap=True)
    if is_pruned and outlook.kept:  # of what seemed to be cached nothing was said beforehand
        console.print(Text(store.about(outlook.kept)), soft_wrap=True)


def _summarize(wrong: Sequence[str]) -> list[str]:
    """Return what came otherwise in lines for a person: what was cached after all is good news, and one line."""
    lines = [f"Not as foretold: {line}" for line in wrong if not line.endswith(explain.CACHED_AFTER_ALL)]
    if cached := len(wrong) - len(lines):
        steps = "1 step was" if cached == 1 else f"{cached} steps were"
        lines.append(f"{steps} in the cache: of another checkout, or of a build that was interrupted")
    return lines


def _has_secret(image: Image) -> bool:
    return any(mask(value) != value for _, value in image.environment)


def audit(*, console: Console) -> None:
    """Show how often the forecasts of this checkout were right."""
    builds = [one for one in history.read() if one.wrong is not None and one.counts]
    told = {state: sum(one.counts.get(state, 0) for one in builds) for state in ("CACHED", "REBUILD", "MAYBE")}
    wrong = sum(len(one.wrong or ()) for one in builds)
    steps = ", ".join(f"{count} {state}" for state, count in told.items())
    counted = "1 build" if len(builds) == 1 else f"{len(builds)} builds"
    console.print(Text(f"{counted}, {sum(told.values())} steps foretold ({steps}): {wrong} wrong"))
    for one in builds:
        for line in one.wrong or ():
            console.print(Text(f"  {one.record}: {line}"), soft_wrap=True)


def tell(outlook: Outlook, *, console: Console, as_json: bool = False) -> None:
    """Show all that is foretold."""
    if as_json:
        taken = store.as_data(outlook.kept) if outlook.kept else None
        print(json.dumps({**verdicts.as_data(outlook.forecast, outlook.name), "store": taken}, indent=2))
    else:
        for line in _describe(outlook):
            console.print(Text(line), soft_wrap=True)
