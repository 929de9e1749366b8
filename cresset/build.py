"""The order of a build: read, check, bake, report."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cresset import bake, disk, dockerfile, files, host, remedies, requirements, sources
from cresset.bake import Product
from cresset.configuration import Configuration
from cresset.credentials import mask
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.foresight import forecast, keeping
from cresset.foresight.context import DiskFolder, Memory
from cresset.foresight.outlook import Outlook, look
from cresset.screen.display import Mode, Progress
from cresset.screen.progress import Outcome
from cresset.screen.rawjson import prune_records
from cresset.versions import gate, knowledge

# What tags meant when they were last asked for.
COMMITS = ".cresset/commits.json"


def build(
    resolved: Configuration,
    engine: Engine,
    *,
    console: Console,
    mode: Mode = "auto",
    product: Product | None = None,
    force: bool = False,
) -> Outcome | None:
    """Build the service's image, show how it goes, and keep BuildKit's events and the log.

    Args:
        resolved: the configuration.
        engine: where to build.
        console: where to show it.
        mode: `plain` and `tty` hand the screen to BuildKit, and nothing is kept; `quiet` shows failures only.
        product: what to make instead of the service's own image.
        force: go past what is known to fail, and record that.

    Returns:
        What was executed; None where BuildKit had the screen, or nothing was run.

    Raises:
        CressetError: the build failed; the exit code is docker's own.
    """
    try:
        return _build(resolved, engine, console=console, mode=mode, product=product, force=force)
    except _BuildKitError:
        _warn("that is a known fault of BuildKit; once more, from the last finished step", console=console)
        return _build(resolved, engine, console=console, mode=mode, product=product, force=force)


class _BuildKitError(CressetError):
    """A build failed by a fault of BuildKit that the next attempt need not meet."""


def _build(
    resolved: Configuration, engine: Engine, *, console: Console, mode: Mode, product: Product | None, force: bool
) -> Outcome | None:
    service = resolved.service
    if "target" not in service.build:
        raise CressetError(
            f"the service {service.name} is not built from this Dockerfile",
            f"run: docker compose --profile {service.name} up --build --detach",
        )
    bake.check(service)
    product = product or bake.product_of(service)
    read = _check_requirements(resolved, product)
    forced: list[str] = []
    if resolved.has_torch_by_tag:
        forced = gate.before_build(resolved, engine, product, console=console, force=force, quiet=mode == "quiet")
    if "dist" not in product.contexts:
        product = _with_commits(resolved, product, console=console)
    secrets = {**bake.secret_values(resolved.model), **({"CRESSET_FORCE": "1"} if force else {})}
    builder = Engine(environment={**engine.environment, **secrets}, dry_run=engine.dry_run)
    is_quiet = mode == "quiet" or engine.dry_run
    root = ""
    if not is_quiet:
        console.print(Text(f"Building {product.name}"))
        _warn_of_env_file(str(service.build.get("additional_contexts", {}).get("project", "")), console=console)
    if not engine.dry_run:
        root = _check_disk(resolved, product, engine, console=console, quiet=is_quiet)
    failure = f"the build of {product.name} failed"
    # Without a cache there is nothing to foretell.
    is_foretold = not service.build.get("no_cache")
    outlook = forecast.announce(resolved, product, engine, console=console, quiet=is_quiet) if is_foretold else None
    _warn_of_owner(resolved, product, outlook, console=console, quiet=is_quiet)
    product = forecast.taking(product, outlook)
    definition = bake.define(resolved.model, service, product, compose_version=engine.compose_version())
    if engine.dry_run or mode in {"plain", "tty"}:
        if exit_code := builder.bake(definition, progress="auto" if mode == "quiet" else mode):
            raise CressetError(failure, code=exit_code)
        keeping.keep(resolved, builder, product, outlook, outcome=None, console=console)
        return None
    started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    record = files.new_record(f"{started}-{service.name}")
    name = record.stem if record else started
    arguments = bake.recorded(service, product)
    header: dict[str, object] = {"started": started, "service": service.name, "image": product.name}
    header |= {"arguments": arguments, **forecast.header(outlook, name)}
    header |= {"forced": forced} if forced else {}
    log = record.with_suffix(".log") if record else None
    if record is None:
        console.print("No record of this build is kept: .cresset/builds cannot be written.")
    pace = forecast.pace(outlook)
    with Progress(console=console, quiet=mode == "quiet", record=record, header=header, log=log, pace=pace) as progress:
        exit_code = builder.bake(definition, feed=progress.feed)
    outcome = progress.outcome(exit_code)
    forecast.settle(outlook, outcome, name=name, console=console)
    prune_records(files.RECORDS)
    if exit_code:
        raise _failure(failure, outcome, resolved, root=root, requirements=read)
    keeping.keep(resolved, builder, product, outlook, outcome=outcome, console=console, quiet=is_quiet)
    return outcome


def foresee(resolved: Configuration, engine: Engine, *, target: str = "") -> Outlook:
    """Return what a build of the service, or of another stage, would do; no host of sources is asked for it.

    Raises:
        CressetError: there is no such stage, or the service is not built from this Dockerfile.
    """
    service = resolved.service
    if "target" not in service.build:
        raise CressetError(f"the service {service.name} is not built from this Dockerfile", "name another: --service")
    product = bake.product_of(service)
    if target:
        product = Product(name=f"stage {target}", target=target)
    product = _with_commits(resolved, product, console=None)
    return look(resolved, product, engine, quickly=True)


def _with_commits(resolved: Configuration, product: Product, *, console: Console | None) -> Product:
    """Return the product with the commits that its tags mean today, where it compiles anything.

    Without a console to warn on, nobody is asked: they mean what they meant last time.
    """
    arguments = {**resolved.service.arguments, **product.arguments}
    stages = {stage.name for stage in dockerfile.needed(resolved.recipe, product.target, arguments)}
    if "clone-torch" not in stages:
        return product
    values = resolved.as_dict()
    folder = resolved["SOURCES"]
    found = files.folders(folder)
    if resolved.values["SOURCES"].source != "default":
        sources.require_any(found, folder)
    sources.refuse_links(files.links(folder), folder)
    own = frozenset(tree for tree in found if tree in {one.tree for one in sources.REPOSITORIES})
    mirror = f"{files.ROOT / folder}/{sources.MIRROR}/" if sources.MIRROR in found else ""

    def ask(url: str) -> dict[str, str] | str:
        if console is None:
            return "nobody was asked"
        return host.ask_repository(url.replace("https://github.com/", mirror) if mirror else url)

    last = _last_commits()
    commits, warnings = sources.resolve(values, own=own, tables=knowledge.tables(), ask=ask, last=last)
    if (now := last | sources.remembered(values, commits)) != last:
        files.keep(COMMITS, json.dumps(now, indent=1))
    for warning in warnings:
        if console:
            _warn(warning, console=console)
    return replace(product, arguments={**product.arguments, **commits})


def _last_commits() -> dict[str, str]:
    with suppress(ValueError, RecursionError, CressetError):
        kept = json.loads(files.read(COMMITS) or "{}")
        return {str(key): str(value) for key, value in kept.items()} if isinstance(kept, dict) else {}
    return {}


def _check_requirements(resolved: Configuration, product: Product) -> dict[str, str]:
    """Return the requirement files that the product's stages read; refuse those that are missing or cannot be meant."""
    arguments = {**resolved.service.arguments, **product.arguments}
    stages = dockerfile.needed(resolved.recipe, product.target, arguments, replaced=product.contexts)
    mounts = [value for stage in stages for step in stage.instructions for _, value in step.flags]
    names = {name for mount in mounts for name in re.findall(r"source=/([\w.-]+\.requirements\.txt)", mount)}
    read = {name: files.require(f"reqs/{name}") for name in sorted(names)}
    for name, text in read.items():
        if files.is_linked_elsewhere(f"reqs/{name}"):
            raise CressetError(
                f"reqs/{name} is a link out of its folder", "put the file itself there: a build follows none"
            )
        requirements.check_lines(text, f"reqs/{name}")
        if name.startswith("apt-"):
            requirements.check_apt(text, f"reqs/{name}")
        elif name.startswith("dnf-"):
            requirements.check_dnf(text, f"reqs/{name}")
        elif name.endswith("-uninstall.requirements.txt"):
            requirements.check_names(text, f"reqs/{name}")
        else:
            requirements.check_pip(text, f"reqs/{name}", is_here=files.is_here)
        if name.startswith("pip-build"):
            requirements.check_compiled(text, f"reqs/{name}")
    return read


def _check_disk(resolved: Configuration, product: Product, engine: Engine, *, console: Console, quiet: bool) -> str:
    """Return the folder that holds the engine's data; say it where the disk below it may be too small."""
    found = disk.look(engine)
    needed = disk.NEEDED[resolved["USE_CUDA"]]
    if not found.has(needed):
        is_first = all(engine.labels(tag) is None for tag in product.tags)
        warning = disk.check(found, needed=needed, is_first=is_first)
        if warning and not quiet:
            _warn(warning, console=console)
    return found.root


def _warn_of_owner(
    resolved: Configuration, product: Product, outlook: Outlook | None, *, console: Console, quiet: bool
) -> None:
    """Say whose image loses its name to the service's own."""
    former = outlook.former if outlook and resolved.service.image in product.tags else None
    if not quiet and former is not None and (whose := bake.former_owner(resolved.model, resolved.service, former)):
        _warn(f"{resolved.service.image} was {whose}.", console=console)


def _warn_of_env_file(folder: str, *, console: Console) -> None:
    """Say that the folder of code that an image takes along has an `.env`, and nothing leaves it out."""
    if folder and DiskFolder(Path(folder), memory=Memory()).find(".env"):
        _warn(
            f"{folder}/.env comes along, passwords too: .env in {folder}/.dockerignore leaves it out.", console=console
        )


def _failure(
    failure: str, outcome: Outcome, resolved: Configuration, *, root: str, requirements: dict[str, str]
) -> CressetError:
    """Return what to say of a build that failed; what BuildKit says is on the screen already."""
    excerpt = [line for line in outcome.lines if "| >>>" in line]
    text = "\n".join([outcome.error, *(outcome.failed.log if outcome.failed else ()), *excerpt])
    values = {name: mask(value) for name, value in resolved.as_dict().items()}
    known = remedies.find(text, values={**values, "root": root}, requirements=requirements)
    if known:
        kind = _BuildKitError if remedies.is_of_buildkit(outcome.error) else CressetError
        return kind(f"{failure}: {known.name}", known.text, code=outcome.exit_code)
    return CressetError(failure, code=outcome.exit_code)


def _warn(warning: str, *, console: Console) -> None:
    console.print(Text(f"Warning: {warning}", style="yellow"), soft_wrap=True)
