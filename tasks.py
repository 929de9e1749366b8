"""The tasks: `invoke --list` shows them, `invoke --help TASK` explains one. The work is done in `cresset/`."""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.tasks import Task
from rich.console import Console

from cresset import container, project
from cresset.command_line import console, guard_output, refuse_mistakes, task, whole_number
from cresset.configuration import Request
from cresset.errors import CressetError

if TYPE_CHECKING:
    from cresset.matrix import Case
    from cresset.screen.progress import Outcome

# The exit code of `explain` where a build would do anything.
WOULD_BUILD = 10


@task
def env(  # noqa: PLR0917 - Invoke passes them by name
    request: Request,
    update: bool = False,
    torch: str = "",
    cuda: str = "",
    python: str = "",
    cca: str = "",
    driver: str = "",
) -> None:
    """Write .env for this host: who you are, what it has, and every other setting as a comment."""
    from cresset import environment
    from cresset.versions import wish

    asked = wish.read(request, torch=torch, cuda=cuda, python=python, cca=cca, driver=driver)
    environment.write_env(request, console=console, update=update, wish=asked)


@task
def versions(_: Request, torch: str = "", driver: str = "") -> None:
    """Show what goes with what: PyTorch, its companions, Python, CUDA; and what this host can run."""
    from cresset.versions import pairings

    pairings.show(console=console, torch=torch, driver=driver)


@task
def doctor(request: Request, json: bool = False, fix: bool = False, mistake: CressetError | None = None) -> None:
    """Judge host, engine and configuration together: what will fail, and what to do about it."""
    from cresset.health import checkup

    checkup.examine(request, console=console, as_json=json, fix=fix, mistake=mistake)


@task
def over(request: Request) -> None:
    """Write docker-compose.override.yaml, for what only this host has: folders, ports, devices."""
    from cresset import environment

    environment.write_override(request, console=console)


@task
def config(request: Request, json: bool = False) -> None:
    """Show every setting: its value, where that comes from, what it means."""
    from cresset import environment

    environment.show(request, console=console, as_json=json)


@task
def base_image(request: Request, suite: str = "") -> None:
    """Make a plain base image from this host's package mirror, for hosts that reach no registry."""
    from cresset import base_image as base_images
    from cresset import environment, ready

    environment.ensure_env(request, console=console)
    resolved, engine = project.load(request, needs_env=not request.dry_run)
    ready.refuse_platform(resolved, engine)
    base_images.record(engine, console=console, suite=suite)


@task
def build(request: Request, progress: str = "auto", force: bool = False) -> None:
    """Build the image and start a fresh container of it."""
    from cresset import build as builds
    from cresset import ready
    from cresset.screen import display
    from cresset.versions import gate

    mode = display.mode(progress)
    resolved, engine = ready.to_build(request, console=console)
    if not request.dry_run:
        gate.before_start(resolved, console=console, force=force)
    builds.build(resolved, engine, console=console, mode=mode, force=force)
    container.up(resolved, engine)


@task
def build_only(request: Request, progress: str = "auto", force: bool = False) -> None:
    """Build the image and leave the container as it is."""
    from cresset import build as builds
    from cresset import ready
    from cresset.screen import display

    mode = display.mode(progress)
    builds.build(*ready.to_build(request, console=console), console=console, mode=mode, force=force)


@task
def explain(request: Request, target: str = "", json: bool = False, audit: bool = False) -> None:
    """Say what a build would do again, why, and how long it takes; exit code 10 where it would do anything."""
    from cresset import build as builds
    from cresset.foresight import forecast

    if audit:
        forecast.audit(console=console)
        return
    outlook = builds.foresee(*project.load(request, needs_env=False), target=target)
    forecast.tell(outlook, console=console, as_json=json)
    if outlook.forecast.pending:
        raise Exit(code=WOULD_BUILD)


@task
def graph(
    request: Request,
    format: str = "svg",  # noqa: A002 - the option's name
    target: str = "",
    timeline: bool = False,
) -> None:
    """Draw the stages of a build with what becomes of each, or what ran when in the last one: `> graph.svg`."""
    from cresset.picture import show

    picture = show.draw(*project.load(request, needs_env=False), kind=format, target=target, by_time=timeline)
    print(picture, end="")


@task
def up(request: Request, train_name: str = "", progress: str = "auto", force: bool = False) -> None:
    """Start a fresh container of the image; what was changed in the former one is gone."""
    from cresset import ready
    from cresset.screen import display

    mode = display.mode(progress)
    container.up(*ready.to_start(request, mode, console=console, train_name=train_name, force=force))


@task
def start(request: Request) -> None:
    """Start the stopped container as it was."""
    container.start(*project.load(request))


@task
def stop(request: Request) -> None:
    """Stop the container and keep it."""
    container.stop(*project.load(request))


@task
def exec_(request: Request, command: str = "") -> None:
    """Enter the running container, or run a command in it."""
    container.enter(*project.load(request), command=command)


@task
def run(request: Request, command: str = "", progress: str = "auto", force: bool = False) -> None:
    """Run the shell or a command in a container of its own, for debugging; it is removed afterwards."""
    from cresset import ready
    from cresset.screen import display

    mode = display.mode(progress)
    container.run(*ready.to_start(request, mode, console=console, force=force), command=command)


@task
def jupyter(request: Request, port: str = "") -> None:
    """Run JupyterLab in the running container, and print its address on this machine; Ctrl-C ends it."""
    from cresset import jupyter as jupyters

    jupyters.serve(*project.load(request), port=whole_number("--port", port), console=console)


@task
def bench(request: Request, json: bool = False, markdown: bool = False, quick: bool = False, against: str = "") -> None:
    """Measure how fast the running container trains: networks by precisions, median and spread."""
    from cresset import bench as benches

    resolved, engine = project.load(request)
    benches.measure(resolved, engine, as_json=json, markdown=markdown, quick=quick, against=against)


@task
def down(request: Request) -> None:
    """Remove this checkout's containers; with --service, that one only."""
    container.down(*project.load(request), only=bool(request.service))


@task
def ls(request: Request, images: bool = False) -> None:
    """List all Compose projects of this host, stopped ones too, or the images of this checkout."""
    resolved, engine = project.load(request, needs_env=images)
    if images:
        container.list_images(resolved, engine, console=console)
    else:
        container.list_projects(engine)


@task
def logs(request: Request, follow: bool = False) -> None:
    """Show what the container's main process wrote."""
    container.logs(*project.load(request), follow=follow)


@task
def prune(
    request: Request, yes: bool = False, store: bool = False, older_than: str = "", larger_than: str = ""
) -> None:
    """Remove what this checkout left behind: unnamed images, stopped containers, old build records."""
    from cresset import upkeep
    from cresset.foresight import store as stores

    older, larger = stores.age(older_than), stores.size(larger_than)
    if store:
        _, engine = project.load(request, needs_env=False)
        upkeep.prune_store(engine, console=console, yes=yes, older=older, larger=larger)
        return
    if older_than or larger_than:
        raise CressetError("--older-than and --larger-than choose from the store", "add --store, or leave them out")
    upkeep.prune(*project.load(request), console=console, yes=yes)


@task
def wheels(request: Request, dest: str = "dist", progress: str = "auto", force: bool = False) -> None:
    """Take the wheels of this configuration out, into a folder, with their checksums."""
    from cresset import ready, ship
    from cresset.screen import display

    mode = display.mode(progress)
    resolved, engine = ready.to_build(request, console=console)
    ship.wheels(resolved, engine, dest=dest, console=console, mode=mode, force=force)


@task
def matrix(request: Request, file: str, at_once: str = "", force: bool = False) -> None:
    """Build the configurations of a YAML file side by side, and show a table of how they ended."""
    from cresset import build as builds
    from cresset import files, ready
    from cresset import matrix as matrices

    workers = whole_number("--at-once", at_once)
    cases = matrices.read(files.read(file) if files.kind(file) == "file" else None, file)

    def build_case(case: Case) -> Outcome | None:
        asked = replace(request.having(**case.overrides), service=case.service or request.service)
        resolved, engine = project.load(asked)
        project.require_paths(resolved)
        return builds.build(resolved, engine, console=Console(file=io.StringIO()), mode="quiet", force=force)

    ready.to_build(request, console=console)
    results = matrices.run(cases, build_case, console=console, at_once=workers)
    matrices.show(results, console=console)


def family_task(name: str, *members: str, doc: str, always: frozenset[str] = frozenset()) -> Task[Callable[..., None]]:
    """Make a task that builds members of the image family; what it always does is no option of it."""

    def body(  # noqa: PLR0917 - Invoke passes them by name
        request: Request,
        install_name: str = "",
        torch_name: str = "",
        train_name: str = "",
        full: bool = False,
        clean: bool = False,
        progress: str = "auto",
        force: bool = False,
    ) -> None:
        from cresset import build_family, environment, ready
        from cresset.screen import display

        # What this one call is for is not what `.env` is to hold.
        environment.ensure_env(request, console=console)
        names = {"INSTALL_NAME": install_name, "TORCH_NAME": torch_name, "TRAIN_NAME": train_name}
        # The family is there to be compiled, unless the command line says otherwise.
        request = request.having(
            **{"BUILD_MODE": "include", **request.overrides}, **{k: v for k, v in names.items() if v}
        )
        build_family.make(
            *ready.to_build(request, console=console),
            members,
            full=full or "full" in always,
            clean=clean or "clean" in always,
            console=console,
            mode=display.mode(progress),
            force=force,
        )

    signature = inspect.signature(body)
    kept = [one for key, one in signature.parameters.items() if key not in always]
    body.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    body.__name__, body.__doc__ = name, doc
    return task(body)


# Each with what it makes and says of itself, and the variants that its name is known with.
FAMILY = {
    "all": (("install", "torch", "train"), "Compile PyTorch: build-install, build-torch, build-train.", ("full",)),
    "build-install": (("install",), "Make the image with compilers and what PyTorch's build asks for.", ("full",)),
    "build-torch": (("torch",), "Compile PyTorch and its companions; the image holds their wheels.", ("full",)),
    "build-train": (
        ("train",),
        "Make the image to work in from a torch image, whoever compiled it.",
        ("full", "clean", "full-clean"),
    ),
}

ns = Collection(
    *(
        env,
        versions,
        doctor,
        over,
        config,
        base_image,
        build,
        build_only,
        up,
        start,
        stop,
        exec_,
        run,
        jupyter,
        bench,
        down,
        ls,
        logs,
        prune,
    ),
    *(explain, graph, wheels, matrix),
)
for name, (members, doc, variants) in FAMILY.items():
    ns.add_task(family_task(name, *members, doc=doc))
    for variant in variants:
        words = " and ".join(f"--{word}" for word in variant.split("-"))
        summary = f"Do what {name} {words} does."
        ns.add_task(family_task(f"{name}-{variant}", *members, doc=summary, always=frozenset(variant.split("-"))))
if sys.argv[0].endswith(("/invoke", "/inv", "/invoke/__main__.py")):
    guard_output()
    refuse_mistakes(sys.argv[1:], ns)
