"""What this checkout left behind on the disk: say it, ask, remove it; nothing of another project, nothing in use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from rich import filesize
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cresset import files, inventory
from cresset.configuration import Configuration
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.foresight import store
from cresset.inventory import Container, UnnamedImage, Usage
from cresset.screen.rawjson import Record, records

_KEPT_RECORDS = 3
_WITHOUT = "Without it, the next build compiles what the build cache has lost."


@dataclass(frozen=True, kw_only=True)
class Leftovers:
    """What may be removed, in the order of removal: an image can go once its containers have."""

    containers: tuple[Container, ...]
    images: tuple[UnnamedImage, ...]
    records: tuple[Record, ...]

    @property
    def size(self) -> int:
        """The bytes that are theirs alone; what images share among each other is not counted."""
        images = sum(image.size - image.shared for image in self.images)
        return images + sum(one.size for one in self.containers) + sum(record.size for record in self.records)

    def __bool__(self) -> bool:
        """Return whether there is anything."""
        return bool(self.containers or self.images or self.records)


def prune(resolved: Configuration, engine: Engine, *, console: Console, yes: bool) -> None:
    """Show what this checkout left behind, and remove it if the person agrees.

    Args:
        resolved: the configuration, for the project's name.
        engine: where to look; a dry run only shows.
        console: where the list goes.
        yes: the person agrees beforehand.

    Raises:
        CressetError: no daemon answers, nothing could be removed, or the person interrupts; what was not yet removed
            stays.
    """
    project = resolved.model.project
    usage = inventory.usage(engine, project)
    left = choose(usage, project=project, records=records(files.RECORDS)[_KEPT_RECORDS:])
    if not left:
        _say(console, f"Nothing is left behind by {project}. {about_cache(usage.cache, images=False)}")
        return
    _say(console, f"Left behind by {project}:")
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "left", "right", "left"):
        table.add_column(justify=justify, overflow="fold")
    for row in rows(left):
        table.add_row(*map(Text, row))
    console.print(table)
    _say(console, about_total(left))
    _say(console, about_cache(usage.cache, images=bool(left.images)))
    _ask(lambda: _remove(left, console=console), engine, console=console, yes=yes, again="invoke prune")


def prune_store(engine: Engine, *, console: Console, yes: bool, older: timedelta | None, larger: float | None) -> None:
    """Show what this host has kept of compiles, and remove it if the person agrees.

    Args:
        engine: where to look; a dry run only shows.
        console: where the list goes.
        yes: the person agrees beforehand.
        older: only what was compiled longer ago.
        larger: only what has more bytes.

    Raises:
        CressetError: no daemon answers, nothing could be removed, or the person interrupts.
    """
    everything = [store.read(names, raw) for names, raw in inventory.named(engine, store.REPOSITORY)]
    chosen = store.choose(everything, now=datetime.now(timezone.utc), older=older, larger=larger)
    if not chosen:
        others = f" that is as old and as large ({len(everything)} are there)" if everything else ""
        _say(console, f"The store holds nothing{others}.")
        return
    _say(console, "Kept of what was compiled on this host, by whatever checkout:")
    for one in chosen:
        what, made = store.rows(one)
        _say(console, f"  {what}")
        _say(console, f"      {filesize.decimal(one.size)}, {made}")
    size = filesize.decimal(sum(one.size for one in chosen))
    _say(console, f"Together {size}, of which the build cache and other images may hold a part. {_WITHOUT}")

    def remove() -> None:
        removed = sum(
            _report(f"image {one.references[0]}", inventory.remove_names(one.references), console) for one in chosen
        )
        _conclude(removed, len(chosen), console=console, again="invoke prune --store")

    _ask(remove, engine, console=console, yes=yes, again="invoke prune --store")


def choose(usage: Usage, *, project: str, records: Sequence[Record]) -> Leftovers:
    """Return what of a disk's contents a project left behind; an image that any other container has is in use."""
    stopped = tuple(one for one in usage.containers if one.project == project and one.stopped)
    used = {one.image for one in usage.containers if one not in stopped}
    unused = tuple(image for image in usage.images if image.id not in used)
    return Leftovers(containers=stopped, images=unused, records=tuple(records))


def rows(left: Leftovers) -> list[tuple[str, str, str, str]]:
    """Return the list as the person sees it: what, its name, its size, and a remark."""
    listed = [("  container", one.name, filesize.decimal(one.size), one.status) for one in left.containers]
    for image in left.images:
        shared = f"and {filesize.decimal(image.shared)} that other images share" if image.shared else ""
        name = f"{_short(image)} {image.service}".strip()
        listed.append(("  image", name, filesize.decimal(image.size - image.shared), shared))
    if left.records:
        size = filesize.decimal(sum(record.size for record in left.records))
        listed.append(("  records", f"{len(left.records)} of builds", size, f"the newest {_KEPT_RECORDS} stay"))
    return listed


def about_total(left: Leftovers) -> str:
    """Return what removing everything is worth."""
    total = f"Together {filesize.decimal(left.size)}"
    # Two images that share a layer with each other only: it goes with the second, but the engine does not say so.
    return f"{total}, and what only these images share." if len(left.images) > 1 else f"{total}."


def about_cache(size: int, *, images: bool) -> str:
    """Return what the build cache means for the disk; it goes on holding the layers of a removed image (measured)."""
    stays = "The build cache stays, and on the disk what it holds of these images. " if images else ""
    return f"{stays}`docker builder prune` would free {filesize.decimal(size)} of build cache now, for all projects."


def _ask(remove: Callable[[], None], engine: Engine, *, console: Console, yes: bool, again: str) -> None:
    """Remove what was shown, if the person agrees."""
    if engine.dry_run:
        return
    if not yes and not _has_terminal():
        _say(console, "To remove these, add --yes.")
        return
    try:
        if yes or _agrees():
            remove()
        else:
            _say(console, "Everything stays.")
    except KeyboardInterrupt:
        raise CressetError("interrupted", f"what was not yet removed stays: see `{again}`", code=130) from None


def _agrees() -> bool:
    try:
        return input("Remove these? [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        print()
        return False


def _remove(left: Leftovers, *, console: Console) -> None:
    removed = 0
    # While a container is being replaced, its successor looks like one that has stopped.
    with files.turn("up"):
        for container in left.containers:
            removed += _report(f"container {container.name}", inventory.remove_container(container.id), console)
        for image in left.images:
            removed += _report(f"image {_short(image)}", inventory.remove_image(image.id), console)
    for record in left.records:
        removed += _report(f"record {record.paths[0].name}", _unlink(*record.paths), console)
    number = len(left.containers) + len(left.images) + len(left.records)
    _conclude(removed, number, console=console, again="invoke prune")


def _conclude(removed: int, number: int, *, console: Console, again: str) -> None:
    if not removed:
        raise CressetError(f"none of these {number} could be removed", f"mend what is said above, then: {again}")
    _say(console, f"Removed {removed} of {number}.")


def _unlink(*paths: Path) -> str:
    try:
        for path in paths:
            path.unlink(missing_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _report(what: str, reason: str, console: Console) -> bool:
    """Say why something stays, if it does, and return whether it went."""
    if reason:
        _say(console, f"The {what} stays: {reason}")
    return not reason


def _short(image: UnnamedImage) -> str:
    return image.id.removeprefix("sha256:")[:12]


def _say(console: Console, text: str) -> None:
    # One line is one line, however narrow the terminal.
    console.print(Text(text), soft_wrap=True)


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
