"""Several configurations at once: what a file of them says, and their builds side by side."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cresset import files, forms, plain_yaml, processes, settings
from cresset.errors import CressetError
from cresset.screen.live import duration
from cresset.screen.progress import Outcome


@dataclass(frozen=True, kw_only=True)
class Case:
    """One configuration.

    Attributes:
        name: what to call it; its image is cresset:NAME unless it sets IMAGE_NAME.
        service: the service; empty takes the setting SERVICE.
        overrides: its settings.
    """

    name: str
    service: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Result:
    """How one configuration ended: the seconds it took, what was executed, and why it failed, empty if it did not."""

    case: Case
    seconds: float
    outcome: Outcome | None = None
    problem: str = ""


def read(text: str | None, name: str) -> list[Case]:
    """Return the configurations of a YAML list: mappings of settings, each with a `name` and perhaps a `service`.

    Raises:
        CressetError: no text, no such list, no such setting, a value it cannot have, a name that stands there twice.
    """
    if name.startswith("-"):
        raise CressetError("no file of configurations is named", "write it like: invoke matrix FILE")
    if text is None:
        raise CressetError(f"{name} is not there", "name a file; a relative path begins at the checkout")
    rows = plain_yaml.read(text, name, _HINT)
    if not isinstance(rows, list) or not rows:
        raise CressetError(f"{name} is no list of configurations", _HINT)
    cases = [_read_case(row, f"{name}, configuration {number}") for number, row in enumerate(rows, start=1)]
    names = [case.name for case in cases]
    images = [case.overrides["IMAGE_NAME"] for case in cases]
    for word in names:
        if names.count(word) > 1:
            raise CressetError(f"{name}: two configurations are called {word}", "give each a name of its own")
    for image in images:
        if images.count(image) > 1:
            raise CressetError(f"{name}: two configurations make the image {image}", "give each a name of its own")
    return cases


_HINT = "write it like: [{name: old, PYTORCH_VERSION_TAG: v2.6.0}, {name: new, PYTORCH_VERSION_TAG: v2.14.1}]"


def _read_case(row: object, place: str) -> Case:
    if not isinstance(row, dict) or not all(isinstance(value, str) for value in row.values()):
        raise CressetError(f"{place}: it is no mapping of settings", _HINT)
    given = dict(row)
    name, service = given.pop("name", ""), given.pop("service", "")
    if not forms.WORD.accepts(name):
        raise CressetError(f"{place}: its name {name!r} is not {forms.WORD.what}", forms.WORD.hint)
    overrides = {"IMAGE_NAME": f"cresset:{name.lower()}", **given}
    for key, value in overrides.items():
        settings.find(key, place).check(value, place)
    return Case(name=name, service=service, overrides=overrides)


def run(
    cases: Sequence[Case], build: Callable[[Case], Outcome | None], *, console: Console, at_once: int = 0
) -> list[Result]:
    """Build the configurations side by side; one that fails does not stop the others.

    BuildKit runs a step that several of them need once, so they share what is common.

    Args:
        cases: the configurations.
        build: builds one; a CressetError is its failure.
        console: where to show how they end.
        at_once: how many at a time; 0 for as many as there are processors.

    Raises:
        CressetError: so many builds there cannot be.
    """
    if at_once < 0:
        raise CressetError(f"--at-once: {at_once} is no number of builds", "write 1 or more, or leave it out")
    results: dict[str, Result] = {}
    console.print(Text(f"Building {len(cases)} configurations: {', '.join(case.name for case in cases)}"))
    workers = at_once or min(len(cases), os.cpu_count() or 1)
    with processes.told_to_end(kept=processes.BUILT), ThreadPoolExecutor(max_workers=workers) as pool:
        running = {pool.submit(_timed, case, build): case for case in cases}
        try:
            for done in as_completed(running):
                result = done.result()
                results[result.case.name] = result
                state = "failed" if result.problem else "done"
                console.print(Text(f"{result.case.name}: {state} after {duration(result.seconds)}"))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.cancel_others()
            raise
    return [results[case.name] for case in cases]


def show(results: Sequence[Result], *, console: Console) -> None:
    """Show the table of results.

    Raises:
        CressetError: one of them failed.
    """
    table = Table("configuration", "image", "result", "time", "steps run", box=None, pad_edge=False)
    for result in results:
        run_ = str(len(result.outcome.executed)) if result.outcome else ""
        state = Text("failed", style="red") if result.problem else Text("built", style="green")
        name, image = Text(result.case.name), Text(result.case.overrides["IMAGE_NAME"])
        table.add_row(name, image, state, duration(result.seconds), run_)
    console.print(table)
    failed = [result for result in results if result.problem]
    for result in failed:
        console.print(Text(f"{result.case.name}: {result.problem}"), soft_wrap=True)
    if failed:
        folder = files.RECORDS.relative_to(files.ROOT)
        raise CressetError(f"{len(failed)} of {len(results)} configurations failed", f"their logs are in {folder}")


def _timed(case: Case, build: Callable[[Case], Outcome | None]) -> Result:
    began = time.monotonic()
    try:
        outcome = build(case)
    except CressetError as error:
        problem = ": ".join(filter(None, (str(error), error.hint)))
        return Result(case=case, seconds=time.monotonic() - began, problem=problem)
    return Result(case=case, seconds=time.monotonic() - began, outcome=outcome)
