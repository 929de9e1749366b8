"""What every task shares at the command line: its options, what they mean, and how an error ends it."""

from __future__ import annotations

import atexit
import errno
import inspect
import os
import re
import sys
from collections.abc import Callable
from difflib import get_close_matches
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit, ParseError
from invoke.parser import Parser
from invoke.program import Program
from invoke.tasks import Task
from invoke.tasks import task as invoke_task
from rich.console import Console

from cresset import files, processes, settings
from cresset.configuration import Request
from cresset.credentials import quoted
from cresset.errors import CressetError

if TYPE_CHECKING:
    from invoke.parser.context import ParserContext

HELP = {
    "against": "figures of another environment, as --json prints them: how many times as fast this one is",
    "at_once": "how many builds at a time; 0 for one a processor",
    "audit": "how often the forecasts of builds were right, instead",
    "cca": "the compute capabilities to serve, like 8.6",
    "clean": "run every step once more, the compiler cache kept, and say whether the result differs",
    "command": "what to run instead of the setting COMMAND; a shell reads it where it needs one",
    "cuda": "a CUDA, like 12.4; otherwise the newest that goes with the rest and with this host",
    "dest": "the folder to put them into",
    "driver": "the NVIDIA driver of another host, like 535, instead of this host's driver and GPUs",
    "dry_run": "print the docker commands instead of running them",
    "file": "a YAML list of configurations: a name, and settings",
    "fix": "first mend what is safe, and say what was done",
    "follow": "go on until Ctrl-C",
    "force": "go past what is known to fail; the build's record says so",
    "format": "svg, html (a page with both pictures) or mermaid (text)",
    "full": "say distribution, CUDA, cuDNN and Python in the images' names",
    "images": "the images of this checkout instead, with size and age",
    "install_name": "the image with the compilers, instead of pytorch_source:build_install",
    "json": "the same as JSON, for scripts",
    "larger_than": "of the store only images of more bytes, like 2GB",
    "markdown": "the same as a table for a page",
    "older_than": "of the store only what was compiled longer ago, like 12h, 30d or 8w",
    "port": "of this machine's loopback; otherwise a free one",
    "progress": "how a build is shown: auto; plain or tty, which are docker's own; quiet, failures only",
    "python": "a version of Python, like 3.12; otherwise the one that the base image has",
    "quick": "only see whether it works: tiny data, a few steps",
    "service": "a service of docker-compose.yaml; otherwise the setting SERVICE says which",
    "set_": "NAME=VALUE, a setting for this call; repeatable; `env` writes it",
    "store": "what was compiled and is kept, of every checkout, instead",
    "suite": "the release to make, like bookworm; otherwise this host's own",
    "target": "a stage of the Dockerfile instead of the service's image",
    "timeline": "what ran when in the last build of the service, and what its end had to wait for",
    "torch": "a release of PyTorch, like 2.6 or 2.6.0",
    "torch_name": "the image with the wheels, instead of pytorch_source:build_torch-TAG",
    "train_name": "the image to work in, instead of pytorch_source:train",
    "update": "add what an existing .env does not set; of what it sets, only what this call asks for is changed",
    "yes": "remove without asking",
}

# A terminal that lacks a character gets a question mark, not a traceback.
for stream in filter(None, (sys.stdout, sys.stderr)):
    stream.reconfigure(errors="replace")
# A terminal without a size says 0, which Rich would believe.
for measure in ("COLUMNS", "LINES"):
    if os.environ.get(measure, "x").strip("0") == "":
        del os.environ[measure]


class Screen(Console):
    """Where tasks print."""

    def on_broken_pipe(self) -> NoReturn:
        """Leave it to the task, like every other way of printing, that nobody reads any more."""
        raise BrokenPipeError


console = Screen(highlight=False, markup=False, emoji=False)


def task(body: Callable[..., None]) -> Task[Callable[..., None]]:
    """Make a task of a function: it receives the request that the options every task takes amount to, and its own.

    A CressetError becomes two lines and an exit code. A function with a parameter `mistake` is told what is wrong with
    the options that every task takes, instead of not being run.
    """

    def guarded(
        context: Context,
        service: str | None = None,
        set_: list[str] | None = None,
        dry_run: bool = False,
        **own: object,
    ) -> None:
        builds = own.keys() & {"progress", "at_once"}
        try:
            # Docker looks for the project where it is run, and a folder below may hold one of its own.
            os.chdir(files.ROOT)
            settings.drop_empty(os.environ)
            # Invoke has an option of its own for the same, --dry.
            request, mistake = _judge_request(body, service, set_ or [], dry_run=dry_run or context.config.run.dry)
            body(request, **own, **mistake)
            if sys.stdout:
                sys.stdout.flush()
        except CressetError as error:
            raise Exit("\n  ".join(filter(None, (str(error), error.hint))), code=error.code) from None
        except KeyboardInterrupt:
            kept = f"; {processes.BUILT}" if builds else ""
            raise Exit(f"\ninterrupted{kept}", code=130) from None
        except BrokenPipeError:
            # Whoever read this has read enough; at its end Python would complain once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if builds:
                raise Exit(f"ended, because nobody reads this any more\n  {processes.BUILT}", code=141) from None
        except OSError as error:
            if error.errno == errno.ENOSPC and not error.filename:
                raise Exit(f"the output cannot be written: {error.strerror}", code=2) from None
            raise Exit(str(error), code=2) from None

    # What Invoke makes the command line from: what has to be given, the options of all tasks, those of this one.
    common = list(inspect.signature(guarded).parameters.values())[:-1]
    own = [one for one in list(inspect.signature(body).parameters.values())[1:] if one.name != "mistake"]
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


def _judge_request(
    body: Callable[..., None], service: str | None, assignments: list[str], *, dry_run: bool
) -> tuple[Request, dict[str, CressetError]]:
    """Return the request, and what is wrong with it for a task that wants to know."""
    try:
        return read_request(service, assignments, dry_run=dry_run), {}
    except CressetError as mistake:
        if "mistake" not in inspect.signature(body).parameters:
            raise
        return Request(dry_run=dry_run), {"mistake": mistake}


def whole_number(option: str, text: str) -> int:
    """Return the number that an option says, 0 where it is left out.

    Raises:
        CressetError: it says none.
    """
    if not re.fullmatch(r"[0-9]{0,6}", text):
        raise CressetError(f"{option}: {quoted(text)} is no whole number", "write it like 2, or leave it out")
    return int(text or "0")


def refuse_mistakes(words: list[str], namespace: Collection) -> None:
    """Refuse what Invoke would refuse in fewer words: a task or an option that is none, a value that is missing.

    Raises:
        Exit: with the nearest name, or with what shows the names there are.
    """
    initial = Program().initial_context
    tasks = list(namespace.task_names)
    try:
        # As Invoke does it: its own options first, then the tasks with theirs.
        core = Parser(initial=initial, ignore_unknown=True).parse_argv(words)
        Parser(initial=initial, contexts=namespace.to_contexts()).parse_argv(core.unparsed)
    except ParseError as error:
        raise _refusal(str(error), error.context, tasks) from None
    helped = core[0].args["help"].value
    if isinstance(helped, str) and helped not in tasks:
        raise _no_task(helped, tasks)


def _refusal(said: str, context: ParserContext | None, tasks: list[str]) -> Exit:
    """Return what to say in place of what Invoke says of a task's words, or of its own."""
    task = (context.name if context else None) or ""
    shown = f"`invoke --help{f' {task}' if task else ''}` shows what there is"
    start = f"{task}: " if task else ""
    if found := re.search("No idea what ['\"](.*)['\"] is", said, re.DOTALL):
        word = found[1]
        if word.startswith("-"):
            near = get_close_matches(word, [*(context.flags if context else ())], n=1)
            return Exit(f"{start}there is no option {quoted(word)}\n  {_meant(near) or shown}", code=2)
        if not task:
            return _no_task(word, tasks)
        near = get_close_matches(word, tasks, n=1)
        return Exit(f"{start}{quoted(word)} is no option and no task\n  {_meant(near, ' ')}{shown}", code=2)
    if found := re.search("<Argument: ([^ >]+).*needed value", said):
        return Exit(f"{start}--{found[1]} lacks its value\n  {shown}", code=2)
    if found := re.search("required positional arguments: '(.*)'", said):
        return Exit(f"{start}no {found[1]} is named\n  {shown}", code=2)
    return Exit(f"{start}{said}\n  {shown}", code=2)


def _no_task(name: str, tasks: list[str]) -> Exit:
    hint = _meant(get_close_matches(name, tasks, n=1)) or "`invoke --list` shows them"
    return Exit(f"there is no task {quoted(name)}\n  {hint}", code=2)


def _meant(near: list[str], end: str = "") -> str:
    return f"did you mean {near[0]}?{end}" if near else ""


def guard_output() -> None:
    """Let a pipe that nobody reads and a full disk end what Invoke itself prints as they end a task."""
    sys.excepthook = _end
    atexit.register(_flush)


def _flush() -> None:
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        _end(type(error), error, None)


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not isinstance(error, OSError):
        sys.__excepthook__(kind, error, trace)
        return
    has_read_enough = isinstance(error, BrokenPipeError)
    if sys.stderr and not has_read_enough:
        sys.stderr.write(f"the output cannot be written: {error.strerror}\n  see where it goes, like `df -h .`\n")
        sys.stderr.flush()
    os._exit(0 if has_read_enough else 2)  # what is left of the output cannot be written either
