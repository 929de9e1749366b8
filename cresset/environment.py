"""What is true of this host and checkout: the configuration, `.env`, the override file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cresset import (
    configuration,
    devices,
    env_entries,
    env_file,
    files,
    hardware,
    host,
    inventory,
    override_file,
    project,
)
from cresset.configuration import Configuration, Request
from cresset.credentials import mask
from cresset.engine import Engine
from cresset.env_file import Choice
from cresset.errors import CressetError
from cresset.versions import availability, choice, gate, knowledge
from cresset.versions.wish import Wish

_NOTHING = Wish()
# What the tables know something of, when it is set one by one.
_JUDGED = {
    *("PYTORCH_VERSION_TAG", "TORCHVISION_VERSION_TAG", "TORCHAUDIO_VERSION_TAG", "TORCHTEXT_VERSION_TAG"),
    *("CUDA_VERSION", "CUDNN_VERSION", "LINUX_DISTRO", "DISTRO_VERSION", "BUILD_IMAGE", "TRAIN_IMAGE"),
    *("PYTHON_VERSION", "CCA", "BUILD_MODE", "USE_CUDA"),
}


def ensure_env(request: Request, *, console: Console) -> None:
    """Write `.env` where there is none, saying so."""
    if request.dry_run or _has_env():
        return
    with files.turn("env"):
        if not _has_env():
            console.print("There is no .env yet: looking at this host.")
            _write_env(request, console=console)


def _has_env() -> bool:
    return bool((files.read(".env") or "").strip())


def write_env(request: Request, *, console: Console, update: bool = False, wish: Wish = _NOTHING) -> None:
    """Write `.env` for this host; an existing one is never overwritten, at most added to.

    Args:
        request: the command line; what it sets is written too.
        console: where the choices are shown.
        update: add what an existing file lacks.
        wish: what to choose a consistent set of versions for.

    Raises:
        CressetError: an unknown service, a value that cannot be, a version that is not to be had or goes with nothing.
    """
    # What goes with nothing is refused before anything is made; where somebody else wrote meanwhile, writing is.
    if request.dry_run or wish.settings:
        _write_env(request, console=console, update=update, wish=wish)
        return
    files.read(".env")  # one that cannot be read is refused before anything is made, even a lock
    with files.turn("env"):
        _write_env(request, console=console, update=update, wish=wish)


def _write_env(request: Request, *, console: Console, update: bool = False, wish: Wish = _NOTHING) -> None:
    former = files.read(".env")
    blank = not (former or "").strip()
    if not blank and not update:
        if request.overrides or wish.settings:
            raise CressetError(".env is there already and stays as it is", "edit it, or add --update to change it")
        console.print(".env is there already and stays as it is; --update adds what it lacks.")
        return
    proposal = _propose(request, former or "", wish)
    if request.dry_run:
        print(proposal.text)
        # Not among what may be written to a file.
        _show_notes(proposal, console=Console(stderr=True))
        return
    files.write(".env", proposal.text, former=former, mode=0o600)
    _show(proposal, before=frozenset() if blank else env_entries.names(former or ""), console=console)


@dataclass(frozen=True, kw_only=True)
class _Proposal:
    """An `.env`: its text, what was chosen in it and why, the GPUs, and what the person should know besides.

    `asked` are the names of what was asked for: an existing file is changed there.
    """

    text: str
    choices: dict[str, Choice]
    gpus: Sequence[hardware.Gpu]
    notes: list[str]
    asked: Sequence[str] = ()


def _propose(request: Request, former: str, wish: Wish) -> _Proposal:
    facts = host.look()
    service = request.service or request.overrides.get("SERVICE") or _service(facts, former, wish)
    resolved, _ = project.load(Request(service=service, overrides=request.overrides), needs_env=False)
    implied = {"SERVICE": "--service"} if request.service else {}
    usable, unusable = env_file.host_choices(facts, service=service, path=str(files.ROOT))
    system = env_file.system_choices(facts, shm_size=resolved["SHM_SIZE"])
    # Whoever names a CUDA wants it, if for another host.
    no_cuda = env_file.choose_use_cuda(facts, service=service, wanted=resolved.values["USE_CUDA"])
    if wish.names_gpu and resolved.values["USE_CUDA"].value == "0" and resolved.values["USE_CUDA"].source == ".env":
        request = request.having(USE_CUDA="1")
        implied["USE_CUDA"] = "--cuda" if wish.cuda else "--cca" if wish.cca else "--driver"
        resolved, _ = project.load(Request(service=service, overrides=request.overrides), needs_env=False)
    without = [] if wish.names_gpu else no_cuda
    planned = _settle(request, service, without, wish) if without else resolved
    gpus = facts.gpus if planned["USE_CUDA"] == "1" and not wish.driver else ()
    versions = _choose_versions(planned, facts, wish)
    tables, named = knowledge.tables(), planned.values["CUDA_VERSION"]
    cuda, too_old = ([], "") if versions else env_file.choose_cuda(gpus, named, tables)
    cuda = [*without, *cuda]
    # Which wheels there are depends on the CUDA.
    settled = _settle(request, service, [*cuda, *versions], wish) if cuda or versions else resolved
    if versions:
        chosen = replace(settled.values["CUDA_VERSION"], source=availability.CHOSEN)
        _, too_old = env_file.choose_cuda(gpus, chosen, tables)
    found, none_found = availability.choose_wheels(settled, facts)
    doubts: list[str] = []
    if versions:
        doubts = gate.after_choice(_settle(request, service, [*cuda, *versions, *found], wish), facts)
    if _JUDGED & request.overrides.keys():
        planned = _settle(request, service, [*cuda, *versions, *found], wish)
        doubts += gate.doubts(planned, facts, named=request.overrides)
    said = [one for one in _said(resolved, request, os.environ) if one.name not in wish.settings]
    said = [replace(one, reason=implied.get(one.name, one.reason)) for one in said]
    capabilities = env_file.capability_choices(gpus)
    usable = [replace(one, reason=implied.get(one.name, one.reason)) for one in usable]
    choices = {one.name: one for one in (*usable, *system, *cuda, *capabilities, *versions, *found, *said)}
    changed = {*request.overrides, *(one.name for one in versions)}
    # Which service it is, is asked for by --service, and by what the former one cannot have.
    changed |= {"SERVICE", "COMPOSE_PROFILES"} if request.service or wish.names_gpu else set()
    asked = [one.name for one in choices.values() if one.name in changed]
    unset, _ = project.load(Request(service=service), needs_env=False, dotenv=False)
    defaults = configuration.defaults(unset.model, project.read_recipes())
    if former.strip():
        text = env_file.add_missing(former, choices.values(), defaults)
        for name in asked:
            text = env_file.record(text, choices[name])
    else:
        text = env_file.compose_text(choices.values(), defaults)
    notes = [f"Warning: {warning}" for warning in (too_old, none_found, *doubts) if warning]
    notes += _notes(facts)
    notes += [f"Not used: {odd.name} = {mask(odd.value)} ({odd.reason})." for odd in unusable]
    written = [one for one in choices.values() if one.name in asked or one.name not in env_entries.names(former)]
    env_file.refuse_unread(written, _read_back(text, written))
    return _Proposal(text=text, choices=choices, asked=asked, gpus=facts.gpus, notes=notes)


def _read_back(text: str, choices: Sequence[Choice]) -> dict[str, str]:
    """Return what Compose makes of an `.env`, whatever the shell says."""
    names = [one.name for one in choices]
    shell = {name: value for name, value in os.environ.items() if name not in names}
    return Engine().read_settings(names, env_text=text, shell=shell)


def _said(resolved: Configuration, request: Request, shell: Mapping[str, str]) -> list[Choice]:
    """Return what was said for this host by hand, in the shell or on the command line: it holds from now on.

    An empty variable of the shell is for one call: often it is a script's, for what it does not know.
    """
    named = [value for value in resolved.values.values() if value.source == "shell" and shell.get(value.name)]
    return [
        *(Choice(name=value.name, value=value.value, reason="shell") for value in named),
        *(
            # As it was said: an IMAGE_NAME that is empty makes one for each service.
            Choice(name=value.name, value=request.overrides[value.name], reason="--set")
            for value in resolved.values.values()
            if value.source == "--set"
        ),
    ]


def _choose_versions(resolved: Configuration, facts: host.Host, wish: Wish) -> list[Choice]:
    if not wish.settings and not wish.driver:
        return []
    tables, gpus = knowledge.tables(), () if wish.driver else facts.gpus
    return choice.choose_for(resolved, tables=tables, wish=wish, gpus=gpus, machine=facts.machine)


def _settle(request: Request, service: str, choices: Sequence[Choice], wish: Wish) -> Configuration:
    """Return the configuration that choices lead to; what --cuda, --python and --cca say counts as set by hand."""
    planned = {**request.overrides, **{one.name: one.value for one in choices}}
    settled, _ = project.load(Request(service=service, overrides=planned), needs_env=False)
    by_hand = wish.settings - {"PYTORCH_VERSION_TAG"} | request.overrides.keys()
    chosen = {one.name for one in choices} - by_hand
    values = {
        name: replace(value, source=availability.CHOSEN) if name in chosen else value
        for name, value in settled.values.items()
    }
    return replace(settled, values=values)


def _notes(facts: host.Host) -> list[str]:
    """Return what a person should know of this host, each in one line."""
    notes = [
        f"Not used: {url}, because a build sees no folder of this host but the wheelhouse."
        for url in facts.hidden_indexes
    ]
    if facts.gpu_complaint == hardware.NO_ANSWER:
        notes.append(f"{hardware.NO_ANSWER}: what GPUs this host has is not known")
    elif facts.gpu_complaint:
        notes.append(f"Without a GPU: nvidia-smi is there and says: {facts.gpu_complaint}")
    if hardware.is_remote(facts.engine):
        notes.append(
            f"The engine is at {mask(facts.engine)}: "
            "containers get HOST_ROOT and CA_BUNDLE from that machine, not from this one."
        )
    return notes


def _service(facts: host.Host, env_text: str, wish: Wish) -> str:
    if "SERVICE" in env_entries.names(env_text):
        former, _ = project.load(Request())
        is_without = former.values["USE_CUDA"].value == "0" and former.values["USE_CUDA"].source == "service"
        return "train" if wish.names_gpu and is_without else former.service.name
    # Whoever names a CUDA or a GPU wants it, if for another host.
    return "train" if facts.has_gpu or wish.names_gpu else "cpu"


def _show(proposal: _Proposal, *, before: frozenset[str], console: Console) -> None:
    for gpu in proposal.gpus:
        console.print(Text(str(gpu)), soft_wrap=True)
    new = [one for one in proposal.choices.values() if one.name not in before or one.name in proposal.asked]
    head = "Changed in .env, or added to it:" if before & {one.name for one in new} else "Added to .env:"
    console.print((head if before else "Wrote .env:") if new else ".env lacks nothing.")
    table = Table.grid(padding=(0, 2))
    for _ in ("setting", "value", "reason"):
        table.add_column(overflow="fold")
    for one in new:
        shown = Text(mask(one.value) or "(none)")
        table.add_row(f"  {one.name}", shown, Text(one.reason, style="dim"))
    console.print(table)
    _show_notes(proposal, console=console)


def _show_notes(proposal: _Proposal, *, console: Console) -> None:
    for note in proposal.notes:
        console.print(Text(note))


def write_override(request: Request, *, console: Console) -> None:
    """Write docker-compose.override.yaml, or add a service to it and leave the rest alone.

    Raises:
        CressetError: the file is no YAML that a service can be added to.
    """
    resolved, engine = project.load(request)
    service = resolved.service.name
    # Compose reads the first of them that there is.
    name = next((name for name in override_file.NAMES if files.read(name) is not None), override_file.NAMES[0])
    former = files.read(name)
    if former is not None and service in override_file.services(former):
        console.print(Text(f"{name} has the service {service} already and stays as it is."))
        return
    text = override_file.add_service(former, service, devices=_devices_to_pass(resolved, engine))
    if request.dry_run:
        print(text)
        return
    files.write(name, text, former=former)
    console.print(Text(f"{'Wrote' if former is None else f'Added {service} to'} {name}."))


def _devices_to_pass(resolved: Configuration, engine: Engine) -> devices.Devices | None:
    """Return the devices of a service that reserves GPUs where the engine does not know what that is."""
    if not resolved.service.reserves_gpus or not (found := devices.look()).paths or inventory.knows_gpus(engine):
        return None
    return found


def show(request: Request, *, console: Console, as_json: bool = False) -> None:
    """Print every setting with its value, where it came from and what it means."""
    resolved, _ = project.load(request, needs_env=False)
    if as_json:
        rows = [
            {"name": value.name, "value": value.value, "source": value.source, "help": value.meaning}
            for value in resolved.values.values()
        ]
        print(json.dumps(rows, indent=2))
        return
    for value in resolved.values.values():
        style = "dim" if value.source == "default" else "bold"
        shown = f"{value.name} = {mask(value.value) or '(empty)'}"
        console.print(Text.assemble((shown, style), f"  ({value.source})"), soft_wrap=True)
        console.print(Text(f"    {value.meaning}"))
