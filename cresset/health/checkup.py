"""`invoke doctor`: look, judge, mend what is safe, show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from cresset import env_entries, environment, files, project, settings
from cresset.configuration import Configuration, Request
from cresset.errors import CressetError
from cresset.health import doctor, probes
from cresset.health.findings import Facts, Finding, Remedy
from cresset.versions import knowledge

_ROUNDS = 2
_STYLES = {"ok": "green", "info": "dim", "warning": "yellow", "error": "bold red"}


def examine(
    request: Request,
    *,
    console: Console,
    as_json: bool = False,
    fix: bool = False,
    mistake: CressetError | None = None,
) -> None:
    """Judge host, engine and configuration together, and show what was found.

    Args:
        request: the command line.
        console: where to show it.
        as_json: as one JSON object on standard output.
        fix: mend what is safe first, and say what was done.
        mistake: what is wrong with the command line; None where nothing is.

    Raises:
        CressetError: something is an error.
    """
    # What a script reads is the findings alone.
    said = Console(stderr=True) if as_json else console
    try:
        if mistake:
            raise mistake
        found = _find(request, console=said, fix=fix)
    except CressetError as error:
        if not as_json:
            raise
        found = _find_beside(error)
    if as_json:
        rows = [{key: value for key, value in asdict(one).items() if key != "remedy"} for one in found]
        print(json.dumps({"findings": rows}, indent=2))
    else:
        _show(found, console=console)
    if errors := doctor.of(found, "error"):
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        raise CressetError(f"doctor found {count}: {', '.join(sorted({one.check for one in errors}))}")


def _find(request: Request, *, console: Console, fix: bool) -> list[Finding]:
    facts = _look(request)
    found = doctor.examine(facts)
    return _mend(found, facts, request, console=console) if fix else found


def _find_beside(mistake: CressetError) -> list[Finding]:
    """Return what is wrong with the command line, and what is found without a configuration."""
    found = [Finding(check="env-keys", severity="error", message=str(mistake), hint=mistake.hint)]
    try:
        found += doctor.examine(probes.look(knowledge.tables(), lambda: (None, ("", ""))))
    except CressetError:  # the tables cannot be read, and that is the mistake
        return found
    return doctor.in_order(found)


def _look(request: Request) -> Facts:
    return probes.look(knowledge.tables(), lambda: _configuration(request))


def _configuration(request: Request) -> tuple[Configuration | None, tuple[str, str]]:
    """Return the configuration, or why there is none.

    Raises:
        CressetError: what the command line asks for cannot be.
    """
    try:
        return project.load(request, needs_env=False)[0], ("", "")
    except CressetError as error:
        if (request.service or request.overrides) and _configuration(Request())[0]:
            raise
        return None, (str(error), error.hint)


def _mend(found: list[Finding], facts: Facts, request: Request, *, console: Console) -> list[Finding]:
    """Do what is safe about the findings, say what was done, and return what is found then."""
    if request.dry_run:
        for one in found:
            if one.remedy:
                console.print(Text(f"Would mend: {one.message}"), soft_wrap=True)
        return found
    # A name that is mended may be what kept the rest from being looked at.
    for _ in range(_ROUNDS):
        done = _apply({one.remedy for one in found}, facts, console=console)
        for line in done:
            console.print(Text(f"Mended: {line}"), soft_wrap=True)
        if not done:
            break
        facts = _look(request)
        found = doctor.examine(facts)
    return found


def _apply(remedies: set[Remedy], facts: Facts, *, console: Console) -> list[str]:
    """Do what is safe, and return a line for each thing that was done."""
    done = _rename() if "rename" in remedies else []
    if "env" in remedies:
        former = files.read(".env")
        environment.write_env(Request(), console=console, update=True)
        done += ["what this host needs is in .env."] if files.read(".env") != former else []
    if "mode" in remedies:
        (files.ROOT / ".env").chmod(0o600)
        done.append(".env is yours alone to read.")
    if "folders" in remedies:
        missing = [path for path, owner in facts.machine.folders.items() if owner is None]
        done += [f"{path} is made." for path in missing if files.make_folder(path)]
    return done


def _rename() -> list[str]:
    """Give settings of `.env` that have an old name their new one, where that is not set as well."""
    former = files.read(".env") or ""
    text, done = former, []
    for old, new in settings.RENAMED.items():
        set_names = env_entries.names(text)
        if old in set_names and new in settings.NAMES and new not in set_names:
            text = env_entries.rename(text, old, new)
            done.append(f"{old} is called {new} in .env.")
    if text != former:
        files.write(".env", text, former=former)
    return done


def _show(found: Sequence[Finding], *, console: Console) -> None:
    for one in found:
        style = "dim" if one.severity in {"ok", "info"} else ""
        line = Text.assemble((f"{one.severity:8}", _STYLES[one.severity]), f"{one.check:14} ", (one.message, style))
        console.print(line, soft_wrap=True)
        if one.hint:
            console.print(Text(f"{'':23}-> {one.hint}", style=style), soft_wrap=True)
