"""The tasks: `invoke --list` shows them, `invoke --help TASK` explains one. The work is done in `cresset/`."""

from __future__ import annotations

import inspect
import io
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task
from invoke.tasks import task as invoke_task
from rich.console import Console

from cresset import base_image as base_images
from cresset import build as builds
from cresset import build_family, container, display, environment, family, files, settings, ship, upkeep
from cresset import matrix as matrices
from cresset.configuration import Configuration, Request
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.progress import Outcome

HELP = {
    "clean": "run every step once more, the compiler cache kept, and say whether the result differs",
    "command": "what to run instead of the setting COMMAND; a shell reads it where it needs one",
    "dest": "the folder to put them into",
    "dry_run": "print the docker commands instead of running them",
    "at_once": "how many builds at a time; 0 for one a processor",
    "file": "a YAML list of configurations: a name, and settings",
    "follow": "go on until Ctrl-C",
    "full": "say distribution, CUDA, cuDNN and Python in the images' names",
    "images": "the images of this checkout instead, with size and age",
    "install_name": "the image with the compilers, instead of pytorch_source:build_install",
    "json": "for scripts: a list of objects name, value, source, help",
    "progress": "how a build is shown: auto; plain or tty, which are docker's own; quiet, failures only",
    "service": "a service of docker-compose.yaml; otherwise the setting SERVICE says which",
    "set_": "NAME=VALUE, a setting for this call; repeatable; `env` writes it",
    "suite": "the release to make, like bookworm; otherwise this host's own",
    "torch_name": "the image with the wheels, instead of pytorch_source:build_torch-TAG",
    "train_name": "the image to work in, instead of pytorch_source:train",
    "update": "add what an existing .env does not set; of what it sets, only what --set names is changed",
    "yes": "remove without asking",
}

# A terminal that lacks a character gets a question mark, not a traceback.
for stream in filter(None, (sys.stdout, sys.stderr)):
    stream.reconfigure(errors="replace")
console = Console(highlight=False, markup=False, emoji=False)


def task(body: Callable[..., None]) -> Task[Callable[..., None]]:
    """Make a task of a function: it receives the request that the options every task takes amount to, and its own.

    A CressetError becomes two lines and an exit code.
    """

    def guarded(
        context: Context,
        service: str | None = None,
        set_: list[str] | None = None,
        dry_run: bool = False,
        **own: object,
    ) -> None:
        try:
            # Docker looks for the project where it is run, and a folder below may hold one of its own.
            os.chdir(files.ROOT)
            # Invoke has an option of its own for the same, --dry.
            body(read_request(service, set_ or [], dry_run=dry_run or context.config.run.dry), **own)
            if sys.stdout:
                sys.stdout.flush()
        except CressetError as error:
            raise Exit("\n  ".join(filter(None, (str(error), error.hint))), code=error.code) from None
        except KeyboardInterrupt:
            kept = "; what was built so far is in the cache" if "progress" in own else ""
            raise Exit(f"\ninterrupted{kept}", code=130) from None
        except BrokenPipeError:
            # Whoever read this has read enough; at its end Python would complain once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            raise Exit(str(error), code=2) from None

    # What Invoke makes the command line from: what has to be given, the options of all tasks, those of this one.
    common = list(inspect.signature(guarded).parameters.values())[:-1]
    own = list(inspect.signature(body).parameters.values())[1:]
    needed = [one for one in own if one.default is inspect.Parameter.empty]
    optional = [one for one in own if one not in needed]
    guarded.__signature__ = inspect.Signature([common[0], *needed, *common[1:], *optional])  # type: ignore[attr-defined]
    guarded.__doc__ = body.__doc__
    described = {one.name.strip("_").replace("_", "-"): HELP[one.name] for one in (*common[1:], *own)}
    name = body.__name__.strip("_").replace("_", "-")
    made = invoke_task(name=name, iterable=["set_"], help=described, auto_shortflags=False)
    return made(guarded)  # type: ignore[no-any-return]


def read_request(service: str | None, assignments: list[str], *, dry_run: bool) -> Request:
    """Return what the options that every task takes ask for.

    Raises:
        CressetError: they ask for nothing that there is.
    """
    # To Invoke, a last --set without a word is none at all.
    overrides = settings.parse_assignments([*assignments, *([""] if sys.argv[-1] == "--set" else [])])
    if service == "":
        raise CressetError("--service: no service is named", "write it like --service cpu, or leave it out")
    return Request(service=service or "", overrides=overrides, dry_run=dry_run)


def ready_to_build(request: Request) -> tuple[Configuration, Engine]:
    """Return what a build needs; what is missing for it, `.env` and a plain base image, is made."""
    environment.ensure_env(request, console=console)
    resolved, engine = environment.load(request, needs_env=not request.dry_run)
    environment.require_paths(resolved)
    engine.ready()
    if base_images.ensure(resolved, engine, console=console):
        resolved, engine = environment.load(request)
    return resolved, engine


def build_image(request: Request, mode: display.Mode) -> tuple[Configuration, Engine]:
    """Build the service's image."""
    resolved, engine = ready_to_build(request)
    builds.build(resolved, engine, console=console, mode=mode)
    return resolved, engine


def ready_to_start(request: Request, mode: display.Mode) -> tuple[Configuration, Engine]:
    """Return what a new container needs, its image among it: one that is not here is built."""
    resolved, engine = environment.load(request)
    environment.require_paths(resolved)
    if not request.dry_run and (reason := container.why_build(resolved, engine)):
        console.print(reason)
        return build_image(request, mode)
    return resolved, engine


@task
def env(request: Request, update: bool = False) -> None:
    """Write .env for this host: who you are, what it has, and every other setting as a comment."""
    environment.write_env(request, console=console, update=update)


@task
def over(request: Request) -> None:
    """Write docker-compose.override.yaml, for what only this host has: folders, ports, devices."""
    environment.write_override(request, console=console)


@task
def config(request: Request, json: bool = False) -> None:
    """Show every setting: its value, where that comes from, what it means."""
    environment.show(request, console=console, as_json=json)


@task
def base_image(request: Request, suite: str = "") -> None:
    """Make a plain base image from this host's package mirror, for hosts that reach no registry."""
    environment.ensure_env(request, console=console)
    _, engine = environment.load(request, needs_env=not request.dry_run)
    base_images.record(engine, console=console, suite=suite)


@task
def build(request: Request, progress: str = "auto") -> None:
    """Build the image and start a fresh container of it."""
    container.up(*build_image(request, display.mode(progress)))


@task
def build_only(request: Request, progress: str = "auto") -> None:
    """Build the image and leave the container as it is."""
    build_image(request, display.mode(progress))


@task
def up(request: Request, train_name: str = "", progress: str = "auto") -> None:
    """Start a fresh container of the image; what was changed in the former one is gone."""
    if train_name:
        request = request.having(IMAGE_NAME=family.reference(train_name))
        build_family.require(*environment.load(request))
    container.up(*ready_to_start(request, display.mode(progress)))


@task
def start(request: Request) -> None:
    """Start the stopped container as it was."""
    container.start(*environment.load(request))


@task
def stop(request: Request) -> None:
    """Stop the container and keep it."""
    container.stop(*environment.load(request))


@task
def exec_(request: Request, command: str = "") -> None:
    """Enter the running container, or run a command in it."""
    container.enter(*environment.load(request), command=command)


@task
def run(request: Request, command: str = "", progress: str = "auto") -> None:
    """Run the shell or a command in a container of its own, for debugging; it is removed afterwards."""
    container.run(*ready_to_start(request, display.mode(progress)), command=command)


@task
def down(request: Request) -> None:
    """Remove this checkout's containers; with --service, that one only."""
    container.down(*environment.load(request), only=bool(request.service))


@task
def ls(request: Request, images: bool = False) -> None:
    """List all Compose projects of this host, stopped ones too, or the images of this checkout."""
    resolved, engine = environment.load(request, needs_env=images)
    if images:
        container.list_images(resolved, engine, console=console)
    else:
        container.list_projects(engine)


@task
def logs(request: Request, follow: bool = False) -> None:
    """Show what the container's main process wrote."""
    container.logs(*environment.load(request), follow=follow)


@task
def prune(request: Request, yes: bool = False) -> None:
    """Remove what this checkout left behind: unnamed images, stopped containers, old build records."""
    upkeep.prune(*environment.load(request), console=console, yes=yes)


def refuse_misspelt_task(words: list[str], known: list[str]) -> None:
    """Refuse a first word that is no task, with the nearest one; what begins with an option is left to Invoke.

    Raises:
        Exit: there is no such task.
    """
    name = words[0] if words and not words[0].startswith("-") else ""
    if name and name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "`invoke --list` shows them"
        raise Exit(f"there is no task {name!r}\n  {hint}", code=2)


@task
def wheels(request: Request, dest: str = "dist", progress: str = "auto") -> None:
    """Take the wheels of this configuration out, into a folder, with their checksums."""
    ship.wheels(*ready_to_build(request), dest=dest, console=console, mode=display.mode(progress))


@task
def matrix(request: Request, file: str, at_once: int = 0) -> None:
    """Build the configurations of a YAML file side by side, and show a table of how they ended."""
    cases = matrices.read(files.read(file), file)

    def build_case(case: matrices.Case) -> Outcome | None:
        asked = replace(request.having(**case.overrides), service=case.service or request.service)
        return builds.build(*environment.load(asked), console=Console(file=io.StringIO()), mode="quiet")

    ready_to_build(request)
    matrices.show(matrices.run(cases, build_case, console=console, at_once=at_once), console=console)


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
    ) -> None:
        names = {"INSTALL_NAME": install_name, "TORCH_NAME": torch_name, "TRAIN_NAME": train_name}
        # The family is there to be compiled, unless the command line says otherwise.
        request = request.having(
            **{"BUILD_MODE": "include", **request.overrides}, **{k: v for k, v in names.items() if v}
        )
        build_family.make(
            *ready_to_build(request),
            members,
            full=full or "full" in always,
            clean=clean or "clean" in always,
            console=console,
            mode=display.mode(progress),
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
    env, over, config, base_image, build, build_only, up, start, stop, exec_, run, down, ls, logs, prune, wheels, matrix
)
for name, (members, doc, variants) in FAMILY.items():
    ns.add_task(family_task(name, *members, doc=doc))
    for variant in variants:
        words = " and ".join(f"--{word}" for word in variant.split("-"))
        summary = f"Do what {name} {words} does."
        ns.add_task(family_task(f"{name}-{variant}", *members, doc=summary, always=frozenset(variant.split("-"))))
if sys.argv[0].endswith(("/invoke", "/inv", "/invoke/__main__.py")):
    refuse_misspelt_task(sys.argv[1:], list(ns.task_names))
