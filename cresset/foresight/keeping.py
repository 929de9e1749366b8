"""What a build has compiled is put into the store, and no compile runs for it."""

from __future__ import annotations

from contextlib import suppress

from rich import filesize
from rich.console import Console
from rich.text import Text

from cresset import bake, dockerfile
from cresset.bake import Product
from cresset.configuration import Configuration
from cresset.credentials import mask
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.foresight import explain, store
from cresset.foresight.outlook import Outlook
from cresset.screen.progress import Build, Outcome
from cresset.screen.rawjson import Decoder


def keep(
    resolved: Configuration,
    engine: Engine,
    product: Product,
    outlook: Outlook | None,
    *,
    outcome: Outcome | None,
    console: Console,
    quiet: bool = False,
) -> None:
    """Keep what was compiled for a build as an image, where there is none yet; what hinders that is said, and no error.

    Args:
        resolved: the configuration.
        engine: where it was built, with the values of the secrets.
        product: what was built.
        outlook: what was foretold of it.
        outcome: what came of it; None where BuildKit had the screen.
        console: where to say it.
        quiet: say only what hinders it.
    """
    if engine.dry_run or outlook is None or not outlook.shelf or outlook.kept:
        return
    seconds = _seconds(resolved, product, outlook, outcome)
    copy = Product(
        name=outlook.shelf,
        target=store.STAGE,
        tags=[outlook.shelf],
        arguments=product.arguments,
        contexts=product.contexts,
        labels={store.SECONDS: str(round(seconds))} if seconds else {},
    )
    watch = _Watch()
    problem = ""
    try:
        definition = bake.define(resolved.model, resolved.service, copy, compose_version=engine.compose_version())
        if exit_code := engine.bake(definition, feed=watch.feed):
            problem = watch.build.outcome(exit_code, 0.0).error or f"exit code {exit_code}"
    except _LostError:
        return  # the engine has dropped it since, and to compile it once more is not what this is for
    except CressetError as error:
        if error.code > 128:  # noqa: PLR2004 - told to end
            raise
        problem = str(error)
    if problem:
        _warn(problem, console=console)
    elif not quiet:
        _say(outlook.shelf, engine, console=console)


def _seconds(resolved: Configuration, product: Product, outlook: Outlook, outcome: Outcome | None) -> float | None:
    """Return what it takes to compile it, as it was measured now or earlier."""
    arguments = {**resolved.service.arguments, **product.arguments}
    needed = dockerfile.needed(resolved.recipe, store.STAGE, arguments, replaced=product.contexts)
    executed = {(step.stage, step.i): step.seconds for step in (outcome.executed if outcome else ())}
    return explain.took(outlook.forecast, {str(stage.name) for stage in needed}, executed)


def _say(shelf: str, engine: Engine, *, console: Console) -> None:
    with suppress(LookupError, ValueError):
        kept = store.read([shelf], engine.inspect_images([shelf])[shelf])
        text = f"What was compiled is kept: {shelf}, {filesize.decimal(kept.size)}; `invoke prune --store` lists it"
        console.print(Text(text), soft_wrap=True)


def _warn(problem: str, *, console: Console) -> None:
    reason = mask(problem.splitlines()[0].removeprefix("ERROR: "))
    text = f"Warning: what was compiled is in the build cache only, the store could not take it: {reason}"
    console.print(Text(text, style="yellow"), soft_wrap=True)


class _LostError(Exception):
    """A step would be executed once more."""


class _Watch:
    """Follows a build that is to find everything in the cache."""

    def __init__(self) -> None:
        self.build = Build()
        self._decoder = Decoder()

    def feed(self, chunk: bytes) -> None:
        """Take what came through the pipe.

        Raises:
            _LostError: a command is being executed.
        """
        for item in self._decoder.feed(chunk):
            self.build.update(item)
        for vertex in self.build.vertices.values():
            if vertex.text.startswith("RUN ") and vertex.spans and not vertex.cached:
                raise _LostError
