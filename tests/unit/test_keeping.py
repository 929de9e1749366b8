"""What a build has compiled goes into the store; what hinders that is said and fails nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from rich.console import Console

from cresset import compose, dockerfile
from cresset.bake import Product
from cresset.configuration import Configuration, Value
from cresset.errors import CressetError
from cresset.foresight import keeping, store
from cresset.foresight.explain import Forecast, Verdict
from cresset.foresight.outlook import Outlook
from cresset.foresight.steps import Key, Step
from cresset.screen.progress import Outcome
from cresset.screen.progress import Step as Executed

SHELF = "cresset-store:1"
TEXT = (
    "FROM scratch AS build-torch\nRUN make\nFROM scratch AS dist\nCOPY --from=build-torch /a /a\nFROM dist AS train\n"
)
BUILD = {"context": "/x", "dockerfile": "Dockerfile", "target": "train", "args": {}}


class FakeEngine:
    """Says what BuildKit would while it exports, and notes what it was asked for."""

    dry_run = False

    def __init__(self, *said: Mapping[str, Any] | str, exit_code: int = 0, error: CressetError | None = None) -> None:
        self.said = said
        self.exit_code = exit_code
        self.error = error
        self.asked: list[dict[str, Any]] = []

    def compose_version(self) -> str:
        return "2.26.1"

    def bake(self, definition: str, *, feed: Callable[[bytes], None]) -> int:
        self.asked.append(json.loads(definition)["target"]["cpu"])
        for item in self.said:
            feed(f"{item if isinstance(item, str) else json.dumps(item)}\n".encode())
        if self.error:
            raise self.error
        return self.exit_code

    def inspect_images(self, references: Sequence[str]) -> dict[str, dict[str, Any]]:
        return {name: {"Id": "1", "Created": "2026-11-20T21:17:15Z", "Size": 230_000_000} for name in references}


def vertex(text: str, *, cached: bool) -> dict[str, Any]:
    times = {"started": "2026-01-01T00:00:00Z", "completed": "2026-01-01T00:00:05Z"}
    return {"vertexes": [{"digest": text, "name": f"[build-torch 1/1] {text}", "cached": cached, **times}]}


def outlook(shelf: str = SHELF, *, is_kept: bool = False) -> Outlook:
    made = [
        Step(stage=stage, i=1, n=1, line=1, keyword=word, text="", key=Key(fine=stage, coarse=stage))
        for stage, word in (("build-torch", "RUN"), ("dist", "COPY"), ("train", "RUN"))
    ]
    verdicts = tuple(Verdict(step=step, state="REBUILD", seconds=5.0) for step in made)
    kept = store.read([SHELF], {"Id": "1", "Created": "2026-11-20T21:17:15Z"}) if is_kept else None
    return Outlook(
        forecast=Forecast(verdicts=verdicts), name="", target="train", builder="", address="", shelf=shelf, kept=kept
    )


def outcome(**seconds: float) -> Outcome:
    executed = tuple(
        Executed(stage=name.replace("_", "-"), i=1, n=1, text="", seconds=s) for name, s in seconds.items()
    )
    return Outcome(exit_code=0, seconds=1.0, executed=executed, cached=0, failed=None, error="", lines=())


def keep(engine: FakeEngine, told: Outlook | None, came: Outcome | None = None, *, quiet: bool = False) -> str:
    model = compose.Model(project="demo", services={}, secrets={}, settings={})
    service = compose.Service(name="cpu", image="cresset:cpu", build=BUILD)
    values = {"USE_CUDA": Value(name="USE_CUDA", value="0", source="default", help="")}
    resolved = Configuration(service=service, model=model, recipe=dockerfile.parse(TEXT), values=values)
    product = Product(name="cresset:cpu", target="train", tags=["cresset:cpu"], arguments={"PYTORCH_COMMIT": "1"})
    screen = io.StringIO()
    console = Console(file=screen, width=200)
    keeping.keep(resolved, engine, product, told, outcome=came, console=console, quiet=quiet)  # type: ignore[arg-type]
    return screen.getvalue()


def test_the_stage_is_exported_with_what_it_took() -> None:
    engine = FakeEngine(vertex("RUN make", cached=True))
    assert keep(engine, outlook(), outcome(build_torch=7200.0)) == (
        "What was compiled is kept: cresset-store:1, 230.0 MB; `invoke prune --store` lists it\n"
    )
    (asked,) = engine.asked
    assert (asked["target"], asked["tags"], asked["args"]) == ("dist", [SHELF], {"PYTORCH_COMMIT": "1"})
    assert asked["labels"]["cresset.seconds"] == "7200"
    assert asked["output"] == ["type=docker"]


def test_what_is_kept_or_not_compiled_is_not_exported() -> None:
    engine = FakeEngine()
    for told in (None, outlook(""), outlook(is_kept=True)):
        assert keep(engine, told, outcome()) == ""
    assert engine.asked == []


def test_nothing_is_compiled_only_to_be_kept() -> None:
    later = vertex("RUN later", cached=False)
    assert keep(FakeEngine(vertex("RUN make", cached=False), later, exit_code=1), outlook()) == ""


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        (FakeEngine("ERROR: write /x: no space left on device", exit_code=1), "write /x: no space left on device"),
        (FakeEngine("ERROR: something else", exit_code=1), "something else"),
        (FakeEngine(exit_code=1), "exit code 1"),
        (FakeEngine(error=CressetError("docker is gone")), "docker is gone"),
    ],
    ids=["disk", "another reason", "no reason", "no docker"],
)
def test_what_hinders_it_is_said_and_fails_nothing(engine: FakeEngine, words: str) -> None:
    said = keep(engine, outlook(), outcome(), quiet=True)
    assert said == (f"Warning: what was compiled is in the build cache only, the store could not take it: {words}\n")


def test_who_ends_the_program_ends_it() -> None:
    with pytest.raises(CressetError, match="SIGTERM"):
        keep(FakeEngine(error=CressetError("ended by SIGTERM", code=143)), outlook())
