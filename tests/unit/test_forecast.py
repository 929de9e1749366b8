"""What is remembered of builds, and what is asked before them."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from cresset import files, processes
from cresset.errors import CressetError
from cresset.foresight import explain, forecast, history, recovery, store
from cresset.foresight.causes import Cause
from cresset.foresight.explain import Forecast, Verdict
from cresset.foresight.inputs import Image
from cresset.foresight.outlook import Outlook
from cresset.foresight.steps import Change, Key, Step
from cresset.screen import progress
from cresset.screen.progress import Outcome
from cresset.screen.progress import Step as Executed

NUMBER = 2**22 + 1  # no process has it


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ROOT", tmp_path)
    monkeypatch.setattr(files, "RECORDS", tmp_path / "builds")
    files.RECORDS.mkdir()


def step(i: int) -> Step:
    change = Change(kind="ARG", name="URL", value="https://me:secret@host/")
    key = Key(fine=f"fine {i}", coarse=f"coarse {i}")
    return Step(stage="one", i=i, n=2, line=i, keyword="RUN", text=str(i), key=key, changes=(change,))


def outlook(seconds: float = 0.0, words: str = "ARG A 1 → 2", *, state: explain.State = "REBUILD") -> Outlook:
    cause = None if state == "CACHED" else Cause(words=words, step=0)
    verdicts = tuple(Verdict(step=step(i), state=state, cause=cause, seconds=seconds) for i in (1, 2))
    return Outlook(
        forecast=Forecast(verdicts=verdicts),
        name="image",
        target="one",
        builder="default@1 overlay2",
        address="",
        images={"base": Image(reference="base", environment=(("PATH", "/bin"), ("INDEX", "https://me:secret@host/")))},
    )


def outcome(*executed: int, code: int = 0, done: tuple[int, ...] = (1, 2)) -> Outcome:
    return Outcome(
        exit_code=code,
        seconds=1.0,
        executed=tuple(Executed(stage="", i=i, n=2, text="RUN", seconds=float(i)) for i in executed),
        cached=0,
        failed=None,
        error="",
        lines=(),
        done=frozenset(("", i) for i in done),
    )


def settle(told: Outlook, came: Outcome) -> str:
    screen = io.StringIO()
    forecast.settle(told, came, name="record", console=Console(file=screen, width=200))
    return screen.getvalue()


def test_a_build_is_remembered_with_its_times() -> None:
    assert settle(outlook(), outcome(1, 2)) == ""
    (build,) = history.read()
    assert [(past.fine, past.seconds, past.executed) for past in build.steps] == [
        ("fine 1", 1.0, True),
        ("fine 2", 2.0, True),
    ]
    assert build.wrong == []


def test_a_running_build_is_measured_by_what_is_foretold() -> None:
    state = progress.Build()
    state.update({"vertexes": [{"digest": "1", "name": "[one 1/2] RUN", "started": "2026-01-01T00:00:00Z"}]})
    state.update({"vertexes": [{"digest": "2", "name": "[one 2/2] RUN"}]})
    chain = replace(outlook(50.0).forecast.verdicts[1], step=replace(step(2), parent=0))
    told = outlook(50.0)
    told = replace(told, forecast=Forecast(verdicts=(told.forecast.verdicts[0], chain)))
    assert forecast.pace(told).whole(state.vertices, {"1": 20.0}).seconds == 80.0
    assert forecast.pace(None).whole(state.vertices, {"1": 20.0}).seconds is None


def test_no_password_is_remembered() -> None:
    settle(outlook(), outcome(1, 2))
    text = (files.ROOT / history.PATH).read_text()
    assert "https://***@host/" in text
    assert "secret" not in text


def test_of_a_failed_build_what_came_to_a_result_is_remembered() -> None:
    settle(outlook(), outcome(1, code=1, done=(1,)))
    (build,) = history.read()
    assert [past.i for past in build.steps] == [1]
    assert build.wrong is None


def test_what_was_cached_after_all_is_one_line_and_counted() -> None:
    said = settle(outlook(), outcome())
    assert said == "2 steps were in the cache: of another checkout, or of a build that was interrupted\n"
    assert len(history.read()[0].wrong or ()) == 2


def test_what_was_foretold_wrongly_is_said_and_counted() -> None:
    assert (
        settle(outlook(state="CACHED"), outcome(2)) == "Not as foretold: one 2/2 was foretold CACHED and was executed\n"
    )
    assert history.read()[0].is_pruned
    screen = io.StringIO()
    forecast.audit(console=Console(file=screen, width=200))
    assert screen.getvalue().splitlines() == [
        "1 build, 2 steps foretold (2 CACHED, 0 REBUILD, 0 MAYBE): 1 wrong",
        "  record: one 2/2 was foretold CACHED and was executed",
    ]


def test_what_a_pruned_builder_takes_from_the_store_is_said() -> None:
    kept = store.read(["cresset-store:1"], {"Id": "1", "Created": "2026-11-20T12:00:00Z"})
    lines = settle(replace(outlook(state="CACHED"), kept=kept), outcome(2)).splitlines()
    assert lines[1:] == ["What is compiled is taken from the store: compiled on 2026-11-20"]
    assert settle(replace(outlook(state="CACHED"), kept=kept), outcome()) == ""


def announced(told: Outlook, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    screen = io.StringIO()
    monkeypatch.setattr(forecast, "look", lambda *_: told)
    console = Console(file=screen, width=200)
    forecast.announce(None, None, None, console=console, quiet=False)  # type: ignore[arg-type]
    return screen.getvalue().splitlines()


def test_a_build_says_that_it_takes_from_the_store_where_it_says_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = store.read(["cresset-store:1"], {"Id": "1", "Created": "2026-11-20T12:00:00Z"})
    said = "What is compiled is taken from the store: compiled on 2026-11-20"
    pending, cached, unknown = outlook(), outlook(state="CACHED"), outlook(state="MAYBE")
    unknown = replace(unknown, forecast=replace(unknown.forecast, is_known=False))
    assert announced(replace(pending, kept=kept), monkeypatch)[1] == said
    assert announced(replace(unknown, kept=kept), monkeypatch) == [said]
    assert announced(replace(cached, kept=kept), monkeypatch) == []
    assert announced(replace(cached, kept=kept, forecast=Forecast(verdicts=())), monkeypatch) == [said]
    assert announced(unknown, monkeypatch) == []


def test_without_an_engine_nothing_is_said_of_what_its_builder_has() -> None:
    screen = io.StringIO()
    told = replace(outlook(state="MAYBE"), builder="")
    told = replace(told, forecast=replace(told.forecast, is_known=False))
    forecast.tell(told, console=Console(file=screen, width=200))
    assert screen.getvalue() == "image: no engine answers, and no build by one at this address is on record\n"


def vertex(i: int, *, cached: bool) -> dict[str, object]:
    times = {"started": "2026-01-01T00:00:00Z", "completed": "2026-01-01T00:00:05Z"}
    return {"digest": f"sha256:{i}", "name": f"[one {i}/2] RUN", "cached": cached, **times}


def interrupted(process: int) -> None:
    """Write the record of a build that was killed in its second step."""
    header = {"service": "cpu", **forecast.header(outlook(), "killed"), "process": process}
    written = {"vertex": "sha256:1", "id": f"writing image sha256:{'a' * 64}"}
    lines: list[dict[str, object]] = [header, {"vertexes": [vertex(1, cached=False)]}, {"statuses": [written]}]
    text = "\n".join([*map(json.dumps, lines), '{"vertexes": [{"digest": "sha2'])
    (files.RECORDS / "killed.jsonl").write_text(text)


def test_an_interrupted_build_is_remembered_once() -> None:
    interrupted(NUMBER)
    recovery.recover(history.read())
    recovery.recover(history.read())
    (build,) = history.read()
    assert [(past.i, past.seconds) for past in build.steps] == [(1, 5.0)]
    assert build.result == f"sha256:{'a' * 64}"


def test_a_build_that_runs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "is_alive", lambda number: number == NUMBER)
    interrupted(NUMBER)
    recovery.recover(history.read())
    assert history.read() == ()


def test_records_of_other_kinds_are_passed_over() -> None:
    (files.RECORDS / "old.jsonl").write_text('{"service":"cpu"}\n')
    (files.RECORDS / "empty.jsonl").write_text("")
    (files.RECORDS / "odd.jsonl").write_text('{"plan": {}, "process": 1}\n')
    recovery.recover(())
    assert history.read() == ()


def test_records_that_are_not_what_they_should_be_are_passed_over() -> None:
    plan = json.loads(json.dumps(forecast.header(outlook(), "odd")))["plan"]
    for name, header in {
        "none": None,
        "folders": {"plan": {**plan, "folders": None}, "process": NUMBER},
        "process": {"plan": plan, "process": 10**40},
        "steps": {"plan": {**plan, "steps": [1]}, "process": NUMBER},
    }.items():
        (files.RECORDS / f"{name}.jsonl").write_text(f"{json.dumps(header)}\n")
    interrupted(NUMBER)
    with (files.RECORDS / "killed.jsonl").open("a") as file:
        file.write('\n[]\n{"vertexes": [1]}\n{"vertexes": null}\n')
    recovery.recover(())
    assert [build.record for build in history.read()] == ["killed"]


def test_the_history_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_LARGEST", 5000)
    for _ in range(40):
        settle(outlook(), outcome(1, 2))
    assert (files.ROOT / history.PATH).stat().st_size < 10_000
    assert len(history.read()) > 1


def test_what_follows_a_line_that_was_cut_short_is_read() -> None:
    settle(outlook(), outcome(1, 2))
    with (files.ROOT / history.PATH).open("a") as file:
        file.write('{"record": "cut')
    settle(outlook(), outcome(1, 2))
    assert len(history.read()) == 2


def test_builds_that_end_at_once_are_all_remembered() -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: settle(outlook(), outcome(1, 2)), range(40)))
    assert len(history.read()) == 40


def ask(told: Outlook, answer: str, monkeypatch: pytest.MonkeyPatch, *, terminal: bool = True) -> list[str]:
    """Return the questions that were asked."""
    asked: list[str] = []

    def reply(_self: Console, question: object) -> str:
        asked.append(str(question))
        if answer == "Ctrl-D":
            raise EOFError
        return answer

    monkeypatch.setattr(Console, "input", reply)
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"isatty": lambda _: terminal})())
    forecast._confirm(told, console=Console(file=io.StringIO(), force_terminal=terminal))
    return asked


def test_a_long_stage_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(outlook(3600.0), "y", monkeypatch) == ["one took 2 h 00 min last time. Build it again? [y/N] "]
    for answer in ("", "n", "Ctrl-D"):
        with pytest.raises(CressetError, match="not built"):
            ask(outlook(3600.0), answer, monkeypatch)


def test_a_long_stage_that_may_be_built_again_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    told = outlook(3600.0, state="MAYBE")
    assert ask(told, "y", monkeypatch) == ["one took 2 h 00 min last time. It may be built again. Go on? [y/N] "]
    with pytest.raises(CressetError, match="not built"):
        ask(told, "", monkeypatch)


@pytest.mark.parametrize(
    ("told", "terminal"),
    [
        (outlook(3600.0), False),
        (outlook(10.0), True),
        (outlook(3600.0, "ARG CLEAN (empty) → 2026"), True),
    ],
    ids=["no terminal", "short", "asked for"],
)
def test_otherwise_nobody_is_asked(told: Outlook, monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> None:
    assert ask(told, "", monkeypatch, terminal=terminal) == []


def test_nothing_is_remembered_of_an_unknown_builder() -> None:
    settle(replace(outlook(), builder=""), outcome(1, 2))
    assert history.read() == ()
