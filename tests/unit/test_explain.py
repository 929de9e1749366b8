"""What will be executed, and why: BuildKit's rules as measured, and a person's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, replace

import pytest

from cresset import dockerfile
from cresset.foresight import causes, explain, history, inputs, keys, verdicts
from cresset.foresight.explain import Forecast
from cresset.foresight.history import Build
from cresset.foresight.inputs import Image, Inputs
from cresset.foresight.steps import Key, Place, Step
from cresset.foresight.tree import Entry, Tree

BASE = Image(reference="debian", identity="layers", environment=(("PATH", "/bin"),))


class Files:
    """A folder whose files are in memory."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files: Tree = {
            name: Entry(kind="file", mode=0o644, digest=text, origin=name) for name, text in files.items()
        }
        folders = {name.rpartition("/")[0] for name in files} - {""}
        self._files = {**self._files, **{name: Entry(kind="folder", mode=0o755) for name in folders}}

    def add(self, name: str, entry: Entry) -> None:
        self._files = {**self._files, name: entry}

    def find(self, pattern: str) -> Tree:  # noqa: ARG002 - it has no more than that
        return self._files


def steps(
    text: str,
    files: Mapping[str, str] | None = None,
    *,
    target: str = "",
    base: Image = BASE,
    contexts: Mapping[str, Files | Image] | None = None,
    links: bool = False,
    **arguments: str,
) -> tuple[Step, ...]:
    return keys.compute(
        Inputs(
            recipe=dockerfile.parse(text),
            target=target,
            arguments=arguments,
            context=Files(files or {}),
            contexts=contexts or {},
            images={"debian": base},
            platform=inputs.platform_of("x86_64"),
            links=links,
        )
    )


def built(made: tuple[Step, ...], **seconds: float) -> Build:
    """Return the record of a build in which each step of those stages was executed and took so long."""
    forecast = explain.foretell(made, [])
    executed = {(step.stage, step.i): seconds.get(step.stage.replace("-", "_"), 0.0) for step in made}
    return Build(
        record="20260101T000000Z-cpu-1",
        builder="default@1",
        address="",
        name="image",
        target="",
        steps=explain.came(explain.plan(forecast), executed),
        wrong=(),
    )


def states(forecast: Forecast) -> str:
    """Return the first letter of each verdict."""
    return "".join(verdict.state[0] for verdict in forecast.verdicts)


HEAD = "FROM debian AS one\n"


# Each was measured on Engine 26.1: what BuildKit did with the last step when the first text had been built.
@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("ARG A=1\nRUN true", "ARG A=2\nRUN true", "R"),
        ("ARG A\nRUN true", "RUN true", "C"),
        ("ARG A=\nRUN true", "ARG A\nRUN true", "R"),
        ("ARG A=1\nARG B=2\nRUN true", "ARG B=2\nARG A=1\nRUN true", "R"),
        ("ENV A=1\nENV B=2\nRUN true", "ENV B=2\nENV A=1\nRUN true", "R"),
        ("ENV A=1\nENV B=2\nRUN true", "ENV A=1 B=2\nRUN true", "C"),
        ("ENV A=1\nRUN true", "ARG A=1\nRUN true", "C"),
        ("ARG A=1\nENV A=2\nRUN true", "ARG A=3\nENV A=2\nRUN true", "C"),
        ("ENV A=2\nARG A=1\nRUN true", "ENV A=2\nARG A=3\nRUN true", "R"),
        ("ARG A=1 B=$A\nRUN true", "ARG A=1 B=1\nRUN true", "R"),
        ("ENV A=1 B=$A\nRUN true", "ENV A=1 B=\nRUN true", "C"),
        ("ARG A=1\nFROM one\nRUN true", "ARG A=2\nFROM one\nRUN true", "R"),
        ("ARG A=1\nFROM one\nCOPY x /$A", "ARG A=2\nFROM one\nCOPY x /$A", "R"),
        ("ARG A=1\nCOPY x /x", "ARG A=2\nCOPY x /x", "C"),
        ("USER 1\nCOPY x /x", "USER 2\nCOPY x /x", "C"),
        ("USER 1\nWORKDIR /a", "USER 2\nWORKDIR /a", "R"),
        ("WORKDIR /\nRUN true", "RUN true", "C"),
        ("WORKDIR //a", "WORKDIR a/.", "C"),
        ("RUN true", "USER root\nRUN true", "R"),
        ("RUN true", 'SHELL ["/bin/sh", "-c"]\nRUN true', "C"),
        ("RUN true", 'RUN ["/bin/sh", "-c", "true"]', "C"),
        ("RUN true", "run  \\\n# a comment\n true", "C"),
        ("RUN true", "RUN true # words", "R"),
        ("RUN true", "LABEL a=b\nEXPOSE 80\nRUN true", "C"),
        ("RUN <<A\ntrue\nA", "RUN <<B\ntrue\nB", "C"),
        ("RUN <<A\n#!/bin/sh\nA", 'SHELL ["/bin/sh", "-ec"]\nRUN <<A\n#!/bin/sh\nA', "R"),
        ("RUN sh <<-A\n\ttrue\nA", "RUN sh <<-A\n\t\ttrue\nA", "R"),
        (
            "FROM one\nRUN --mount=from=one,source=/a,target=/x true",
            "FROM one\nRUN --mount=from=one,source=/b,target=/x true",
            "C",
        ),
        ("ONBUILD RUN a\nFROM one\nRUN true", "ONBUILD RUN b\nFROM one\nRUN true", "R"),
        ("ONBUILD ARG A=1\nFROM one\nRUN true", "ONBUILD ARG A=2\nFROM one\nRUN true", "R"),
        ("ONBUILD RUN a\nFROM one\nFROM stage-1\nRUN b", "ONBUILD RUN a\nFROM one\nFROM stage-1\nRUN b", "C"),
        ("RUN <<A\ntrue\nA", "RUN <<-A\n\ttrue\nA", "C"),
        ("RUN <<A\ntrue\nA", "RUN true", "R"),
        ("COPY <<A /h\na\nA", "COPY <<B /h\na\nB", "R"),
        ("COPY <<A /h\n$X\nA", 'COPY <<"A" /h\n$X\nA', "R"),
        ("COPY x /q/", "ADD x /q/", "R"),
        ("COPY d/x /q/", "COPY e/x /q/", "C"),
        ("COPY d /q/", "COPY e /q/", "R"),
        ("COPY d/x /q/x", "COPY d/x /q/", "R"),
        ("WORKDIR /q\nCOPY x ./", "WORKDIR /q\nCOPY x /q/", "C"),
        ("COPY --chmod=755 x /q/", "COPY --chmod=0755 x /q/", "C"),
        ("COPY x /q/", "COPY --chown=0:0 x /q/", "R"),
        ("COPY x /q/", "COPY --link x /q/", "C"),
        ("RUN --mount=source=x,target=/y true", "RUN --mount=source=z,target=/y true", "C"),
        ("RUN --mount=source=x,target=/y true", "RUN --mount=source=x,target=/y,rw true", "R"),
        ("RUN --mount=type=cache,target=/y true", "RUN --mount=type=cache,target=/y,id=q true", "R"),
        (
            "RUN --mount=type=cache,target=/y,id=q true",
            "RUN --mount=type=cache,target=/y,id=r,sharing=locked true",
            "C",
        ),
        ("RUN --mount=type=secret,id=a true", "RUN --mount=type=secret,id=a,mode=0444 true", "R"),
        ("RUN --mount=type=secret,id=a true", "RUN --mount=type=secret,id=a,required=true true", "C"),
        ("RUN --mount=type=secret,id=a true", "RUN --mount=target=/run/secrets/a,type=secret,id=a true", "C"),
        (
            "RUN --mount=source=x,target=/a --mount=source=d/y,target=/b true",
            "RUN --mount=source=d/y,target=/a --mount=source=x,target=/b true",
            "C",
        ),
        ("RUN true", "RUN --network=default true", "C"),
        ("RUN true", "RUN --network=none true", "R"),
        ("RUN true a\nRUN true", "RUN true b\nRUN true", "R"),
        # The engine compares all files below a step that a secret is mounted for, however they were made.
        ("RUN true a\nRUN --mount=type=secret,id=a true", "RUN true b\nRUN --mount=type=secret,id=a true", "M"),
        ("RUN true a\nRUN --mount=type=tmpfs,target=/t true", "RUN true b\nRUN --mount=type=tmpfs,target=/t true", "R"),
    ],
)
def test_the_last_step_is_foretold_as_it_was_measured(before: str, after: str, verdict: str) -> None:
    files = {"x": "1", "z": "1", "d/x": "1", "d/y": "2", "e/x": "1", "e/y": "2"}
    past = built(steps(HEAD + before, files))
    assert states(explain.foretell(steps(HEAD + after, files), [past]))[-1] == verdict


def test_back_to_what_was_built_before_is_cached() -> None:
    one, other = steps(HEAD + "ARG A\nRUN true", A="1"), steps(HEAD + "ARG A\nRUN true", A="2")
    past = [built(one), built(other)]
    assert states(explain.foretell(one, past)) == "C"


SCRIPTS = "FROM scratch AS scripts\nCOPY --chmod=755 d /\nFROM debian\n"


def test_what_passes_through_a_scratch_stage_is_known_file_by_file() -> None:
    text = (
        SCRIPTS + "RUN --mount=from=scripts,source=/a,target=/a true\nRUN --mount=from=scripts,source=/b,target=/b true"
    )
    past = built(steps(text, {"d/a": "1", "d/b": "1"}))
    assert states(explain.foretell(steps(text, {"d/a": "1", "d/b": "2"}), [past])) == "RCR"


def test_a_stage_that_is_built_again_may_come_out_the_same() -> None:
    text = HEAD + "RUN {}\nFROM debian\nCOPY --from=one /out /out\nRUN true"
    past = built(steps(text.format("make")))
    assert states(explain.foretell(steps(text.format("make -j")), [past])) == "RMM"


def test_a_stage_whose_files_are_no_longer_known_may_hold_the_same() -> None:
    text = "FROM scratch AS files\nCOPY d /{}\nFROM debian\nRUN --mount=from=files,source=/x,target=/x true\nRUN {}"
    files = {"d/x": "1"}
    known = steps(text.format("", "a"), files)
    unknown = steps(text.format("", "a").replace("COPY", "ADD"), files)
    assert states(explain.foretell(unknown, [built(known)])) == "RMM"
    assert states(explain.foretell(known, [built(unknown)])) == "RMM"
    other = steps(text.format("", "b").replace("COPY", "ADD"), files)
    assert states(explain.foretell(other, [built(known)])) == "RMR"


def test_a_change_of_its_own_is_certain_whatever_the_stage_comes_to() -> None:
    text = HEAD + "RUN {}\nFROM debian\nCOPY --from=one /out /{}\nRUN true"
    past = built(steps(text.format("make", "a")))
    assert states(explain.foretell(steps(text.format("make -j", "b")), [past])) == "RRR"


def test_where_others_have_built_nothing_is_certain_to_be_executed() -> None:
    past = built(steps(HEAD + "RUN a\nRUN b"))
    forecast = explain.foretell(steps(HEAD + "RUN a\nRUN c"), [past], is_complete=False)
    assert states(forecast) == "CM"
    assert verdicts.describe(forecast, "image")[1].endswith("likely cached")


def test_stages_that_the_target_does_not_need_are_not_told_of() -> None:
    text = "FROM debian AS one\nRUN one\nFROM debian AS two\nRUN two"
    assert [step.stage for step in steps(text, target="one")] == ["one"]


def test_a_named_context_takes_a_stages_place() -> None:
    text = "FROM debian AS one\nRUN one\nFROM debian AS two\nCOPY --from=one /x /x"
    image = Image(reference="made", identity="its layers")
    made = steps(text, contexts={"one": image})
    assert [step.stage for step in made] == ["two"]
    other = steps(text, contexts={"one": replace(image, identity="other layers")})
    assert states(explain.foretell(other, [built(made)])) == "M"


def test_a_folder_as_context_counts_by_its_files() -> None:
    text = "FROM scratch AS wheels\nFROM debian\nRUN --mount=from=wheels,target=/w true"
    past = built(steps(text, contexts={"wheels": Files({"a.whl": "1"})}))
    assert states(explain.foretell(steps(text, contexts={"wheels": Files({"a.whl": "1"})}), [past])) == "C"
    assert states(explain.foretell(steps(text, contexts={"wheels": Files({"a.whl": "2"})}), [past])) == "R"


def test_a_base_image_counts_by_its_layers_and_its_environment() -> None:
    past = built(steps(HEAD + "RUN true"))
    moved = steps(HEAD + "RUN true", base=replace(BASE, identity="others"))
    forecast = explain.foretell(moved, [past])
    assert states(forecast) == "R"
    assert verdicts.describe(forecast, "image")[1].startswith("the base image debian has moved, first seen by RUN")
    other = steps(HEAD + "RUN true", base=replace(BASE, environment=(("PATH", "/other"),)))
    assert states(explain.foretell(other, [past])) == "R"


def test_links_are_joined_only_by_a_store_that_can() -> None:
    text = "FROM debian AS one\nRUN {}\nCOPY --link x /x"
    for links, verdict in ((False, "R"), (True, "M")):
        past = built(steps(text.format("a"), {"x": "1"}, links=links))
        assert states(explain.foretell(steps(text.format("b"), {"x": "1"}, links=links), [past]))[-1] == verdict


def test_what_is_fetched_is_never_known() -> None:
    text = HEAD + "ADD https://example.org/x /x"
    assert states(explain.foretell(steps(text), [built(steps(text))])) == "M"


def test_what_is_taken_from_a_stage_that_fetches_is_never_known_either() -> None:
    text = (
        HEAD + "ADD https://example.org/x /x\nFROM debian\nCOPY --from=one /x /x\nRUN --mount=from=one,target=/o true"
    )
    assert states(explain.foretell(steps(text), [built(steps(text))])) == "MMM"


def test_without_a_record_nothing_is_certain() -> None:
    forecast = explain.foretell(steps(HEAD + "RUN true"), [])
    assert states(forecast) == "M"
    assert "no build by this builder is on record" in verdicts.describe(forecast, "image")[0]


TORCH = """\
ARG PYTORCH_VERSION_TAG=v2.8.0
FROM debian AS build-torch
ARG PYTORCH_VERSION_TAG
RUN compile
FROM debian AS train
COPY --from=build-torch /dist /dist
"""


def test_a_forgotten_argument_is_named_with_both_values_the_stage_and_the_hours() -> None:
    past = built(steps(TORCH, PYTORCH_VERSION_TAG="v2.9.1"), build_torch=7500.0)
    lines = verdicts.describe(explain.foretell(steps(TORCH), [past]), "image")
    assert lines == [
        "image: 1 step will be executed, 1 may be, about 2 h 05 min if it takes what it took",
        "ARG PYTORCH_VERSION_TAG v2.9.1 → v2.8.0, first seen by RUN at line 4 of stage build-torch",
        "  REBUILD build-torch (2 h 05 min)",
        "  MAYBE   train (0.0 s)",
    ]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("RUN a\nRUN b", "RUN a\nRUN c", "Dockerfile line 3 edited"),
        ("RUN a", "RUN a\nRUN b", "Dockerfile line 3 is new"),
        ("RUN a\nRUN b\nRUN c", "RUN a\nRUN c", "RUN that was at Dockerfile line 3 removed"),
        ("ENV A=1\nRUN a", "RUN a", "ENV A 1 → (unset)"),
        ("RUN a", "ARG A=\nRUN a", "ARG A (unset) → (empty)"),
        ("ARG A=1\nARG B\nRUN a", "ARG B\nARG A=1\nRUN a", "the order of ARG B, ARG A"),
        ("RUN a", "USER me\nRUN a", "USER (unset) → me"),
        ("RUN a", "ARG A=https://me:secret@host/\nRUN a", "ARG A (unset) → https://***@host/"),
        ("COPY x /x", "COPY d /d", "Dockerfile line 2 edited, d/x: new, x: removed"),
        ("COPY x /x", "ADD x /x", "Dockerfile line 2 edited"),
    ],
)
def test_the_cause_is_said_in_words(before: str, after: str, words: str) -> None:
    files = {"x": "1", "d/x": "1"}
    past = built(steps(HEAD + before, files, B="2"))
    lines = verdicts.describe(explain.foretell(steps(HEAD + after, files, B="2"), [past]), "image")
    assert lines[1].startswith(f"{words}, first seen by "), lines


@pytest.mark.parametrize(
    ("edited", "words"),
    [
        ({"d/x": Entry(kind="file", mode=0o600, digest="1", origin="d/x")}, "d/x: mode 644 → 600"),
        ({"d/x": Entry(kind="file", mode=0o600, digest="2", origin="d/x")}, "d/x: changed"),
        ({"d": Entry(kind="folder", mode=0o700, origin="d/")}, "d/: mode 755 → 700"),
        ({"d/e": Entry(kind="folder", mode=0o755, origin="d/e/")}, "d/e/: new"),
        (
            {
                "d/e": Entry(kind="folder", mode=0o755, origin="d/e/"),
                "d/e/x": Entry(kind="file", mode=0o644, digest="1", origin="d/e/x"),
            },
            "d/e/x: new",
        ),
    ],
    ids=["mode", "content and mode", "mode of a folder", "empty folder", "folder"],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_what_of_a_file_has_changed_is_said(edited: Tree, words: str, *, backwards: bool) -> None:
    usual = {
        "d": Entry(kind="folder", mode=0o755, origin="d/"),
        "d/x": Entry(kind="file", mode=0o644, digest="1", origin="d/x"),
    }
    one, other = (
        Place(key=Key(fine="", coarse=""), tree=tree).take("d", named=False)[1] for tree in (usual, {**usual, **edited})
    )
    if backwards:
        one, other = other, one
        words = words.replace("new", "removed")
        words = re.sub(r"(\d+) → (\d+)", r"\2 → \1", words)
    assert causes._differing_files(one, other, {}, {}) == [words]


def test_a_line_of_a_requirement_file_is_named() -> None:
    text = HEAD + "COPY reqs /reqs"
    name = "reqs/pip-train.requirements.txt"
    past = replace(built(steps(text, {name: "numpy"})), texts={name: ("numpy", "pandas")})
    forecast = explain.foretell(steps(text, {name: "both"}), [past], texts={name: ("numpy", "einops")})
    assert forecast.pending[0].cause
    assert forecast.pending[0].cause.words == f"{name}: +einops -pandas"


class TestWithWhatItIsCompared:
    """With the build that differs least from this one, not simply with the last."""

    TEXT = HEAD + "ARG A=1\nRUN a\nCOPY x /x\nRUN b"

    @staticmethod
    def causes(made: tuple[Step, ...], *builds: Build) -> list[str]:
        forecast = explain.foretell(made, builds)
        return list(dict.fromkeys(one.cause.words for one in forecast.pending if one.cause))

    def test_what_a_failed_build_did_not_come_to_is_not_new(self) -> None:
        whole = built(steps(self.TEXT, {"x": "1"}))
        failed = built(steps(self.TEXT, {"x": "1"}, A="2"))
        failed = replace(failed, steps=failed.steps[:1], wrong=None)
        assert self.causes(steps(self.TEXT, {"x": "2"}), whole, failed) == ["x: changed"]
        assert self.causes(steps(self.TEXT, {"x": "1"}, A="3"), whole, failed) == ["ARG A 2 → 3"]
        assert self.causes(steps(self.TEXT, {"x": "1"}, A="2"), failed) == ["not built before"]

    def test_what_only_one_build_had_is_no_cause(self) -> None:
        usual, other = built(steps(self.TEXT, {"x": "1"})), built(steps(self.TEXT, {"x": "1"}, A="2"))
        assert self.causes(steps(self.TEXT.replace("RUN a", "RUN c"), {"x": "1"}), usual, other) == [
            "Dockerfile line 3 edited"
        ]
        assert self.causes(steps(self.TEXT, {"x": "2"}), usual, other) == ["x: changed"]

    def test_what_was_edited_and_put_back_is_no_cause(self) -> None:
        text, edited = HEAD + "COPY x /x", HEAD + "COPY --chmod=600 x /x"
        usual, other = built(steps(text, {"x": "1"})), built(steps(edited, {"x": "1"}))
        assert self.causes(steps(text, {"x": "2"}), usual, other) == ["x: changed"]

    def test_a_line_that_was_added_is_new(self) -> None:
        usual = built(steps(self.TEXT, {"x": "1"}))
        assert self.causes(steps(f"{self.TEXT}\nRUN c", {"x": "1"}), usual) == ["Dockerfile line 6 is new"]


def test_what_a_step_may_have_written_to_is_sent_anew() -> None:
    text = HEAD + "RUN --mount=target=/mnt,rw true\nRUN --mount=from=house,target=/mnt true"
    past = replace(built(steps(text, contexts={"house": Files({})})), folders={"": {"a": 0o700}, "house": {"b": 0o700}})
    assert history.folder_modes([past]) == {"house": {"b": 0o700}}
    (again,) = history.parse(history.dump(past))
    assert (again.steps, again.folders) == (past.steps, past.folders)
    cached = replace(past, steps=tuple(replace(step, executed=False) for step in past.steps))
    assert history.folder_modes([past, cached]) == past.folders


def test_a_build_with_its_images_is_read_as_it_was_written() -> None:
    image = replace(BASE, triggers=("RUN a",))
    past = replace(built(steps(HEAD + "RUN b", base=image)), images={"debian": asdict(image)})
    (again,) = history.parse(history.dump(past))
    assert again.images["debian"].keys() == asdict(image).keys()


def test_what_an_image_has_put_off_is_carried_out_and_counted() -> None:
    base = replace(BASE, triggers=("RUN a", "ENV A=1"))
    made = steps(HEAD + "RUN b", base=base)
    assert [(step.label, step.keyword) for step in made] == [("one 2/3", "RUN"), ("one 3/3", "RUN")]
    other = steps(HEAD + "RUN b", base=replace(BASE, triggers=("RUN a", "ENV A=2")))
    assert states(explain.foretell(other, [built(made)])) == "CR"


def test_an_argument_of_the_platform_that_is_declared_bare_above_the_stages_is_none() -> None:
    text = "FROM debian AS one\nARG TARGETARCH\nRUN true"
    assert states(explain.foretell(steps(text), [built(steps(f"ARG TARGETARCH\n{text}"))])) == "R"


def test_another_platform_is_another_base() -> None:
    past = built(steps(HEAD + "RUN true"))
    assert states(explain.foretell(steps("FROM --platform=$BUILDPLATFORM debian AS one\nRUN true"), [past])) == "C"
    assert states(explain.foretell(steps("FROM --platform=linux/arm64 debian AS one\nRUN true"), [past])) == "R"


def test_a_link_in_a_stage_of_files_leads_to_what_may_have_changed() -> None:
    def made(content: str) -> tuple[Step, ...]:
        folder = Files({"real": content, "other": "1"})
        folder.add("tool", Entry(kind="link", mode=0o777, digest="real", origin="tool"))
        text = "FROM scratch AS files\nCOPY --from=host / /\n" + HEAD
        mounts = [f"RUN --mount=from=files,source=/{name},target=/x true" for name in ("tool", "other")]
        return steps(text + "\n".join(reversed(mounts)), contexts={"host": folder})

    assert states(explain.foretell(made("2"), [built(made("1"))])) == "RCM"


def test_an_image_that_a_stage_is_named_after_is_looked_for() -> None:
    recipe = dockerfile.parse("FROM debian AS debian\nRUN true\nFROM other\nCOPY --from=debian / /")
    assert inputs.images_needed(recipe, "", {}, {}) == ["debian", "other"]


def test_steps_that_are_equal_are_counted_once() -> None:
    text = HEAD + "RUN a\nFROM debian AS two\nRUN a\nCOPY --from=one /x /y"
    assert explain.foretell(steps(text), []).counts() == {"CACHED": 0, "REBUILD": 0, "MAYBE": 2}


def test_very_many_files_are_one() -> None:
    text = HEAD + "COPY d /d"
    names = [f"d/{number}" for number in range(500)]
    past = built(steps(text, dict.fromkeys(names, "1")))
    forecast = explain.foretell(steps(text, dict.fromkeys(names, "2")), [past])
    assert verdicts.describe(forecast, "image")[1].startswith("d/*: changed, first seen by COPY")


def test_an_argument_that_chooses_stages_is_the_cause_of_new_ones() -> None:
    text = "ARG MODE=a\nFROM debian AS with-a\nRUN a\nFROM debian AS with-b\nRUN b\nFROM with-${MODE} AS end"
    past = replace(built(steps(text)), choices={"MODE": "a"})
    forecast = explain.foretell(steps(text, MODE="b"), [past], choices={"MODE": "b"})
    assert verdicts.describe(forecast, "image")[1].startswith("ARG MODE a → b, first seen by RUN")


def test_an_argument_that_chose_stages_of_another_target_is_no_cause() -> None:
    text = "ARG MODE=a\nFROM debian AS with-a\nRUN a\nFROM with-${MODE} AS one\nFROM debian AS two\nRUN b"
    past = replace(built(steps(text, target="one")), target="one", choices={"MODE": "z"})
    forecast = explain.foretell(steps(text, target="two"), [past], target="two", choices={"MODE": "a"})
    assert verdicts.describe(forecast, "image")[1].startswith("not built before, first seen by RUN")


def test_a_time_that_is_not_known_of_every_step_is_the_least() -> None:
    text = "FROM debian AS one\nARG A\nRUN one\nFROM one AS two\nRUN two"
    past = built(steps(text, target="one", A="1"), one=7.0)
    said = verdicts.describe(explain.foretell(steps(text, A="2"), [past]), "image")[0]
    assert said == "image: 2 steps will be executed, at least 7.0 s if it takes what it took"


def test_where_most_were_never_timed_there_is_no_figure() -> None:
    text = "FROM debian AS one\nARG A\nRUN one\nFROM one AS two\nRUN two\nCOPY x /\nRUN three"
    past = built(steps(text, target="one", A="1"), one=7.0)
    said = verdicts.describe(explain.foretell(steps(text, {"x": "1"}, A="2"), [past]), "image")[0]
    assert said == "image: 4 steps will be executed, 2 of them never timed"


def test_what_a_pruned_builder_had_is_no_longer_certain() -> None:
    text = "FROM debian AS one\nRUN a\nFROM debian AS two\nRUN b"
    one, both = steps(text, target="one"), steps(text)
    past = [built(both), replace(built(one), is_pruned=True)]
    assert states(explain.foretell(both, past)) == "M"
    assert states(explain.foretell(one, past)) == "C"


def test_a_wrong_forecast_is_found_either_way() -> None:
    text = "FROM debian AS one\nRUN a\nRUN b"
    forecast = explain.foretell(steps(text.replace("RUN b", "RUN c")), [built(steps(text))])
    assert explain.judge(forecast, {("one", 3): 1.0}) == ()
    assert explain.judge(forecast, {}) == ("one 3/3 was foretold REBUILD and was cached",)
    assert explain.judge(forecast, {("one", 2): 1.0, ("one", 3): 1.0}) == (
        "one 2/3 was foretold CACHED and was executed",
    )


def test_of_equal_steps_one_is_executed_and_both_are_known() -> None:
    text = "FROM debian AS one\nRUN a\nFROM debian AS two\nRUN a\nRUN --mount=from=one,target=/one b"
    made = steps(text)
    forecast = explain.foretell(made, [built(steps(text.replace("a\n", "c\n")))])
    executed = {("one", 2): 5.0, ("two", 3): 1.0}
    assert explain.judge(forecast, executed) == ()
    kept = explain.came(explain.plan(forecast), executed, done=list(executed))
    assert [(step.stage, step.i, step.seconds) for step in kept] == [("one", 2, 5.0), ("two", 2, 5.0), ("two", 3, 1.0)]


def test_the_time_is_that_of_the_longest_way() -> None:
    text = "FROM debian AS one\nRUN {0}\nFROM debian AS two\nRUN {0}2\n"
    text += "FROM debian\nCOPY --from=one / /\nCOPY --from=two / /"
    past = built(steps(text.format("a")), one=10.0, two=30.0)
    assert explain.foretell(steps(text.format("b")), [past]).seconds == 30.0


@pytest.mark.parametrize(
    ("was", "came"),
    [
        ('"folders":{}', '"folders":null'),
        ('"folders":{}', '"folders":{"":[]}'),
        ('"images":{}', '"images":[]'),
        ('"images":{}', '"images":{"a":{"user":null}}'),
        ('"counts":{}', '"counts":{"CACHED":"x"}'),
        ('"texts":{}', '"texts":{"a":null}'),
        ('"choices":{}', '"choices":[]'),
        ('"wrong":[]', '"wrong":[1]'),
        (",2.5,", ',"x",'),
        (",2.5,", ",Infinity,"),
        (",2.5,", ",NaN,"),
        (",2.5,", ",-1,"),
        (",2.5,", f",1{'0' * 400},"),
        (',"RUN",', ",null,"),
    ],
    ids=lambda text: text[:40],
)
def test_a_line_of_the_history_that_is_not_what_it_should_be_is_passed_over(was: str, came: str) -> None:
    line = history.dump(built(steps(HEAD + "RUN true"), one=2.5))
    assert was in line
    assert len(history.parse(line)) == 1
    assert history.parse(line.replace(was, came)) == ()


def test_history_keeps_a_build_whole_and_passes_over_what_was_cut_short() -> None:
    build = replace(built(steps(HEAD + "ARG A=1\nRUN true\nCOPY x /", {"x": "1"}), one=2.0), choices={"A": "1"})
    line = history.dump(build)
    again = history.parse(f"{line[:100]}\n{line}\n[]\n{line[:-1]}")
    assert [history.dump(one) for one in again] == [line]
    assert states(explain.foretell(steps(HEAD + "ARG A=1\nRUN true\nCOPY x /", {"x": "1"}), again)) == "CC"
