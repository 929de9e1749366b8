"""What BuildKit reads in a Dockerfile, we read too."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cresset.dockerfile import (
    Instruction,
    Stage,
    bases,
    expand,
    global_values,
    needed,
    pairs,
    parse,
    resolve_base,
    steps,
    used,
)
from cresset.errors import CressetError

VALUES = {"X": "value", "EMPTY": "", "FILE": "foo.tar.gz", "PATH": "a/b/c"}
quick = settings(max_examples=40, deadline=None, database=None)


def only(text: str) -> Instruction:
    """The one instruction of a stage."""
    (instruction,) = parse(f"FROM scratch\n{text}").stages[0].instructions
    return instruction


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("$X-${X}", "value-value", id="both forms"),
        pytest.param("$UNSET|${UNSET}", "|", id="unset is empty"),
        pytest.param("${EMPTY:-w}|${EMPTY-w}|${UNSET-w}", "w||w", id="default, with and without the colon"),
        pytest.param("${EMPTY:+w}|${EMPTY+w}|${UNSET+w}|${X:+w}", "|w||w", id="alternative"),
        pytest.param("${X:?needed}", "value", id="a required value that is there"),
        pytest.param("${UNSET:-${EMPTY:-$X}}", "value", id="nested"),
        pytest.param("${UNSET:-'$X'\"$X\"}", "$Xvalue", id="quotes inside a default"),
        pytest.param("${FILE#*.}|${FILE##*.}", "tar.gz|gz", id="prefix, shortest and longest"),
        pytest.param("${FILE%.*}|${FILE%%.*}", "foo.tar|foo", id="suffix, shortest and longest"),
        pytest.param("${FILE%?z}|${FILE#x*}", "foo.tar.|foo.tar.gz", id="one sign, and no match"),
        pytest.param(r"${PATH/\//-}|${PATH//\//-}", "a-b/c|a-b-c", id="replace the first, replace all"),
        pytest.param("${PATH/?/}|${PATH//*/z}", "/b/c|z", id="replace by nothing, replace everything"),
        pytest.param("'$X \"'", '$X "', id="single quotes are literal"),
        pytest.param('"$X \'"', "value '", id="double quotes expand"),
        pytest.param(r"\$X \'\"\a", "$X '\"a", id="escapes outside quotes"),
        pytest.param(r'"\$X \" \\ \a"', r"$X " + '" ' + r"\ \a", id="escapes in double quotes"),
        pytest.param("a$", "a$", id="a dollar at the end"),
        pytest.param("$1a$?", "a", id="a shell's parameters are empty"),
        pytest.param("a  b", "a  b", id="blanks stay"),
    ],
)
def test_expand(text: str, want: str) -> None:
    assert expand(text, VALUES) == want


def test_expand_with_the_other_escape() -> None:
    assert expand(r"`$X C:\dir", VALUES, "`") == r"$X C:\dir"


def test_expand_leaves_quotes_of_a_file_alone() -> None:
    assert expand('it\'s "$X"', VALUES, quotes=False) == 'it\'s "value"'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("'a", "single quote", id="single quote"),
        pytest.param('"a', "double quote", id="double quote"),
        pytest.param("${X", "unknown operator", id="brace"),
        pytest.param("${X:-a", "closing }", id="default"),
        pytest.param("${X/a}", "closing /", id="replacement"),
        pytest.param("${}", "bad substitution", id="nothing"),
        pytest.param("${X^^}", "unknown operator", id="what only a shell knows"),
        pytest.param("${UNSET:?give one}", "UNSET: give one", id="required"),
        pytest.param("${EMPTY:?}", "EMPTY: a value is needed", id="required and empty"),
        pytest.param(r"${X#\a}", "invalid escape", id="pattern"),
        pytest.param("${a:-" * 5000, "nested too deeply", id="very deep"),
    ],
)
def test_expand_refuses(text: str, words: str) -> None:
    with pytest.raises(CressetError, match=words):
        expand(text, VALUES)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("$B ${A:-$C} $B", ("B", "A", "C"), id="in order, once"),
        pytest.param("'$A' \\$B \"$C\"", ("C",), id="not the quoted, not the escaped"),
        pytest.param("${A:?x}${B%%$C}$$1", ("A", "B", "C"), id="operators"),
    ],
)
def test_used(text: str, want: tuple[str, ...]) -> None:
    assert used(text) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("RUN a \\\n b", "a  b", id="indentation of a continued line stays"),
        pytest.param("RUN a \\ \t\n b", "a  b", id="blanks after the escape"),
        pytest.param("RUN a \\\n# no\n  # no \\\n b", "a  b", id="comments between"),
        pytest.param("RUN a \\\n\n  \n b", "a  b", id="empty lines between"),
        pytest.param("RUN a \\\nb # yes", "a b # yes", id="a comment of the shell"),
        pytest.param("RUN a \\", "a", id="nothing after the last"),
        pytest.param("RUN a\\\\\nWORKDIR /", "a\\\\", id="an escaped escape continues nothing"),
        pytest.param("  run\t a  b  ", "a  b", id="blanks around"),
        pytest.param("R\\\nUN a", "a", id="inside the keyword"),
        pytest.param("RUN a\\\r\nb\r\n", "ab", id="CRLF"),
        pytest.param("RUN \\\n  a", "a", id="text on the next line"),
        pytest.param("RUN a\u2028b\x0cc", "a\u2028b\x0cc", id="only a newline ends a line"),
    ],
)
def test_lines_are_joined(text: str, want: str) -> None:
    instruction = parse(f"FROM scratch\n{text}").stages[0].instructions[0]
    assert (instruction.keyword, instruction.text) == ("RUN", want)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("# escape=`\nFROM a\nRUN x `\n y\\", "x  y\\", id="escape"),
        pytest.param("# Syntax = d/f:1 \n#ESCAPE=`\n#check=skip=all\nFROM a\nRUN x `\n y", "x  y", id="any case"),
        pytest.param("\ufeff# escape=`\r\nFROM a\r\nRUN x `\r\n y", "x  y", id="byte-order mark and CRLF"),
        pytest.param("# note\n# escape=`\nFROM a\nRUN x `", "x `", id="not after a comment"),
        pytest.param("\n# escape=`\nFROM a\nRUN x `", "x `", id="not after an empty line"),
        pytest.param("# other=1\n# escape=`\nFROM a\nRUN x `", "x `", id="not after an unknown one"),
    ],
)
def test_directives(text: str, want: str) -> None:
    assert parse(text).stages[0].instructions[0].text == want


def test_directives_are_listed() -> None:
    directives = parse("# syntax=docker/dockerfile:1\n# check=error=true\n# x=y\nFROM a").directives
    assert directives == {"syntax": "docker/dockerfile:1", "check": "error=true"}


@pytest.mark.parametrize(
    ("text", "flags", "rest"),
    [
        pytest.param(
            "RUN --mount=type=cache,target=/c --mount=from=a,target=/a --network=none x --y",
            (("mount", "type=cache,target=/c"), ("mount", "from=a,target=/a"), ("network", "none")),
            "x --y",
            id="in order, up to the first word",
        ),
        pytest.param("COPY --link --chown='1:1' a b", (("link", ""), ("chown", "1:1")), "a b", id="switch, quotes"),
        pytest.param(r'RUN --mount="target=/a b"\ c x', (("mount", "target=/a b c"),), "x", id="quotes and escapes"),
        pytest.param("COPY --link=FALSE a b", (("link", "FALSE"),), "a b", id="a switch with a value"),
        pytest.param("RUN -- --mount=x", (), "--mount=x", id="two dashes end them"),
        pytest.param("RUN --mount=type=tmpfs,target=/t \\\n  x", (("mount", "type=tmpfs,target=/t"),), "x", id="lines"),
    ],
)
def test_flags(text: str, flags: tuple[tuple[str, str], ...], rest: str) -> None:
    assert (only(text).flags, only(text).text) == (flags, rest)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param('RUN ["a", "b c"]', ("a", "b c"), id="RUN"),
        pytest.param('COPY ["a b", "c"]', ("a b", "c"), id="COPY"),
        pytest.param("CMD []", (), id="empty"),
        pytest.param("RUN [ -f x ]", None, id="a shell's test"),
        pytest.param('RUN ["a"] && b', None, id="more behind it"),
        pytest.param("RUN ['a']", None, id="wrong quotes"),
        pytest.param("RUN [NaN]", None, id="what only Python takes for JSON"),
        pytest.param("RUN " + "[" * 100_000, None, id="very deep"),
        pytest.param('ENV A=["a"]', None, id="not of ENV"),
    ],
)
def test_exec_form(text: str, want: tuple[str, ...] | None) -> None:
    assert only(text).exec_form == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("RUN <<EOF\n a\n# b\n\nEOF", [("EOF", " a\n# b\n\n", True, False)], id="plain"),
        pytest.param("RUN <<'EOF'\n$a\nEOF", [("EOF", "$a\n", False, False)], id="quoted"),
        pytest.param('RUN <<"E F"\na\nE F', [("E F", "a\n", False, False)], id="quoted, with a blank"),
        pytest.param("RUN <<-EOF\n\ta\n\tEOF", [("EOF", "\ta\n", True, True)], id="tabs"),
        pytest.param("RUN 3<<EOF cat\na\nEOF", [("EOF", "a\n", True, False)], id="with a descriptor"),
        pytest.param(
            "RUN cat <<A <<B > /x\n1\nA\n2\nB\n", [("A", "1\n", True, False), ("B", "2\n", True, False)], id="two"
        ),
        pytest.param("COPY --chmod=755 <<EOF /x\na\nEOF", [("EOF", "a\n", True, False)], id="COPY"),
        pytest.param("ADD <<EOF /x\na\nEOF", [("EOF", "a\n", True, False)], id="ADD"),
        pytest.param("ONBUILD RUN <<EOF\na\nEOF", [("EOF", "a\n", True, False)], id="ONBUILD"),
        pytest.param("RUN <<EOF \\\n && x\na\nEOF", [("EOF", "a\n", True, False)], id="after a continuation"),
        pytest.param("RUN <<EOF\r\na\r\nEOF\r\n", [("EOF", "a\r\n", True, False)], id="CRLF stays in the text"),
        pytest.param("RUN <<EOF\nEOF", [("EOF", "", True, False)], id="empty"),
        pytest.param("RUN echo '<<EOF'", [], id="in single quotes"),
        pytest.param('RUN echo "<<EOF"', [], id="in double quotes"),
        pytest.param("RUN cat <<< word", [], id="a here-string"),
        pytest.param("RUN echo $((1<<4))", [], id="a shift"),
        pytest.param('RUN ["<<EOF"]', [], id="exec form"),
        pytest.param("CMD <<EOF", [], id="not of CMD"),
        pytest.param("RUN echo it's <<EOF", [], id="a quote that is not closed"),
    ],
)
def test_heredocs(text: str, want: list[tuple[str, str, bool, bool]]) -> None:
    found = [(each.name, each.text, each.expand, each.strip_tabs) for each in only(text).heredocs]
    assert found == want


def test_a_heredoc_is_part_of_its_instruction() -> None:
    stage = parse("FROM a\nRUN <<EOF\nFROM b\nEOF\n# c\nUSER d").stages[0]
    assert [(i.keyword, i.line, i.end_line) for i in stage.instructions] == [("RUN", 2, 4), ("USER", 6, 6)]
    assert stage.instructions[0].source == "RUN <<EOF\nFROM b\nEOF\n"


def test_tabs_are_stripped_from_the_content_of_a_heredoc() -> None:
    assert only("RUN <<-EOF\n\t\ta\n b\n\tEOF").heredocs[0].content == "a\n b\n"
    assert only("RUN <<EOF\n\ta\nEOF").heredocs[0].content == "\ta\n"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("ARG A", [("A", None, None)], id="bare"),
        pytest.param("ARG A=", [("A", "", "")], id="empty"),
        pytest.param('ARG A=1 B="2 3" C', [("A", "1", "1"), ("B", "2 3", '"2 3"'), ("C", None, None)], id="several"),
        pytest.param("ARG A='$X'", [("A", "$X", "'$X'")], id="the quotes decide, so the raw form is kept"),
        pytest.param("ARG A=${X:-a}-b", [("A", "${X:-a}-b", "${X:-a}-b")], id="variables stay"),
        pytest.param(r"ARG A=a\ b", [("A", "a b", r"a\ b")], id="an escaped blank"),
    ],
)
def test_arguments(text: str, want: list[tuple[str, str | None, str | None]]) -> None:
    assert [(each.name, each.default, each.raw) for each in parse(f"{text}\nFROM a").arguments] == want
    assert [(each.name, each.default, each.raw) for each in parse(f"FROM a\n{text}").stages[0].arguments] == want


@pytest.mark.parametrize(
    ("above", "want"),
    [
        pytest.param("# A is it", "is it", id="one line"),
        pytest.param("# A is it,\n# and more", "is it, and more", id="two lines"),
        pytest.param("# intro\n#A is it", "is it", id="a line before it"),
        pytest.param("# A is it\n# hadolint ignore=DL1", "is it", id="a linter's line"),
        pytest.param("# A is it\n\n", None, id="an empty line between"),
        pytest.param("# A is it\n#", None, id="an empty comment between"),
        pytest.param("# AB is it", None, id="another name"),
        pytest.param("# a is it", None, id="another case"),
        pytest.param("ARG Z\n", None, id="no comment"),
    ],
)
def test_description_of_an_argument(above: str, want: str | None) -> None:
    arguments = parse(f"{above}\nARG A=1\nFROM x".replace("\n\n\n", "\n\n")).arguments
    assert arguments[-1].description == want


def test_several_arguments_share_a_comment() -> None:
    arguments = parse("# A is one\n# B is two,\n# or three\nARG A B\nFROM x").arguments
    assert [each.description for each in arguments] == ["is one", "is two, or three"]


def test_a_directive_describes_nothing() -> None:
    assert parse("# syntax=x\nARG syntax=1\nFROM x").arguments[0].description is None


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("ENV A=1 B='2 3'", (("A", "1"), ("B", "'2 3'")), id="pairs"),
        pytest.param("ENV A 1  2", (("A", "1  2"),), id="the old form"),
        pytest.param("ENV A b=c", (("A", "b=c"),), id="the old form with an equals sign"),
        pytest.param("ENV A==", (("A", "="),), id="equals signs"),
        pytest.param('LABEL "a b"=c', (('"a b"', "c"),), id="a quoted name"),
        pytest.param("ARG A=1 B", (("A", "1"),), id="a bare ARG sets nothing"),
        pytest.param('ENV A="a', (("A", '"a'),), id="a quote that expand will refuse"),
        pytest.param("ENV A=1 \\\n  B=2", (("A", "1"), ("B", "2")), id="lines"),
    ],
)
def test_pairs(text: str, want: tuple[tuple[str, str], ...]) -> None:
    assert pairs(only(text)) == want


STAGES = """\
ARG IMAGE=debian TAG=12
ARG REF=${IMAGE}:${TAG}
ARG MODE=fast

# base is where it begins
FROM --platform=$BUILDPLATFORM ${REF} AS Base
ARG MODE
RUN one

FROM scratch AS files
COPY a /

FROM base AS make-fast
RUN --mount=type=bind,from=files,target=/f two
FROM base AS make-slow
COPY --from=FILES /a /b
FROM make-${MODE} AS made
FROM scratch
COPY --from=0 /x /
COPY --from=example/image:1 /x /
RUN --mount=type=cache,target=/c --mount=from=made,target=/m three
WORKDIR /
ENV A=1
"""


def test_stages() -> None:
    file = parse(STAGES)
    assert [stage.name for stage in file.stages] == ["base", "files", "make-fast", "make-slow", "made", None]
    base = file.stages[0]
    assert (base.index, base.base, base.platform) == (0, "${REF}", "$BUILDPLATFORM")
    assert (base.description, base.line, base.end_line) == ("is where it begins", 6, 8)
    assert [argument.name for argument in base.arguments] == ["MODE"]
    assert [len(steps(stage)) for stage in file.stages] == [1, 1, 1, 1, 0, 4]


@pytest.mark.parametrize(
    ("index", "values", "want"),
    [
        pytest.param(0, {}, "debian:12", id="an argument from earlier ones"),
        pytest.param(0, {"TAG": "13"}, "debian:13", id="a value in a default"),
        pytest.param(0, {"REF": "x$TAG"}, "x$TAG", id="a value is not expanded"),
        pytest.param(1, {}, "scratch", id="scratch"),
        pytest.param(2, {}, "base", id="a stage"),
        pytest.param(4, {}, "make-fast", id="a stage by argument"),
        pytest.param(4, {"MODE": "slow"}, "make-slow", id="a stage by value"),
        pytest.param(4, {"MODE": "none"}, "make-none", id="no such stage is an image"),
    ],
)
def test_resolve_base(index: int, values: dict[str, str], want: str) -> None:
    file = parse(STAGES)
    base = resolve_base(file, file.stages[index], values)
    assert (base.name if isinstance(base, Stage) else base) == want


def test_from_sees_only_what_is_above_and_counts_case() -> None:
    file = parse("FROM b AS a\nFROM B AS b\nFROM a AS a\nFROM a")
    bases = [resolve_base(file, stage, {}) for stage in file.stages]
    assert bases == ["b", "B", file.stages[0], file.stages[2]]


def test_platforms_are_known_without_being_declared() -> None:
    file = parse("ARG A=x-$TARGETARCH\nFROM $A-$OTHER")
    assert resolve_base(file, file.stages[0], {"TARGETARCH": "amd64", "OTHER": "no"}) == "x-amd64-"
    assert global_values(file, {"A": "1", "OTHER": "no"}) == {"A": "1"}


@pytest.mark.parametrize(
    ("target", "values", "want"),
    [
        pytest.param("base", {}, [0], id="one"),
        pytest.param("MAKE-FAST", {}, [0, 1, 2], id="a mount, a name in any case"),
        pytest.param("made", {"MODE": "slow"}, [0, 1, 3, 4], id="COPY, another branch"),
        pytest.param("", {}, [0, 1, 2, 4, 5], id="the last stage, by number and through others"),
    ],
)
def test_needed(target: str, values: dict[str, str], want: list[int]) -> None:
    assert [stage.index for stage in needed(parse(STAGES), target, values)] == want


def test_bases_are_images_and_not_stages_nor_what_a_context_replaces() -> None:
    recipe = parse(
        "ARG B=b:1\nFROM a:1 AS a\nFROM $B AS b\nFROM scratch AS c\nCOPY --from=b / /\nFROM a AS d\nCOPY --from=c / /\n"
    )
    assert bases(recipe, "d", {"B": "b:2"}) == {"a:1", "b:2"}
    assert bases(recipe, "d", {}, replaced=("b",)) == {"a:1"}
    assert bases(recipe, "a", {}) == {"a:1"}


def test_a_mount_knows_no_numbers() -> None:
    file = parse("FROM a\nFROM b\nRUN --mount=from=0,target=/x y")
    assert [stage.index for stage in needed(file, "", {})] == [1]


@pytest.mark.parametrize(
    ("text", "target", "words"),
    [
        pytest.param("FROM a AS b", "c", "there is no stage c", id="target"),
        pytest.param("FROM a AS b\nCOPY --from=c x y\nFROM d AS c", "b", "Dockerfile:2: stage c .* above", id="later"),
        pytest.param("FROM a\nCOPY --from=9 x y", "", "Dockerfile:2: stage 9", id="number"),
        pytest.param("FROM ${X}", "", "Dockerfile:1: FROM .* names no image", id="empty"),
        pytest.param("FROM ${X:?m}", "", "Dockerfile:1: X: m", id="required"),
        pytest.param("ARG A=${\nFROM a", "", "Dockerfile:1: ", id="default"),
    ],
)
def test_needed_refuses(text: str, target: str, words: str) -> None:
    with pytest.raises(CressetError, match=words):
        needed(parse(text), target, {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "f:1: there is no stage", id="empty"),
        pytest.param("# only\n", "f:1: there is no stage", id="only a comment"),
        pytest.param("ARG A\n", "f:1: there is no stage", id="no FROM"),
        pytest.param("RUN x\nFROM a", "f:1: RUN stands before", id="RUN before FROM"),
        pytest.param("\nFORM a", "f:2: unknown instruction FORM", id="unknown"),
        pytest.param("FROM", "f:1: FROM says nothing", id="FROM without image"),
        pytest.param("FROM a b", "f:1: FROM a b", id="two words"),
        pytest.param("FROM a AS 1b", "f:1: 1b cannot name", id="name"),
        pytest.param("FROM a\nRUN <<EOF\nx\n EOF", "f:2: the heredoc EOF is not closed", id="heredoc"),
        pytest.param("FROM a\nRUN <<-E F\nx", "f:2: the heredoc E is not", id="heredoc with tabs"),
        pytest.param("FROM a\nRUN cat << EOF\nx\nEOF", "f:2: << EOF: engines differ", id="a blank after <<"),
        pytest.param("FROM a\nRUN --mont=x y", "f:2: RUN has no flag --mont", id="flag"),
        pytest.param("FROM a\nCMD --x", "f:2: CMD has no flag --x", id="flag of CMD"),
        pytest.param("FROM a\nRUN --mount type=tmpfs x", "f:2: RUN --mount lacks", id="flag without value"),
        pytest.param("FROM a\nCOPY --link=x a b", "neither true nor false", id="switch with a value"),
        pytest.param("FROM a\nCOPY --link= a b", "neither true nor false", id="switch with an empty value"),
        pytest.param("FROM a\nCOPY --from=a --from=b c d", "has --from twice", id="flag twice"),
        pytest.param("FROM a\nCOPY --from=$X c d", "from=.X: no variable", id="variable in --from"),
        pytest.param("FROM a\nRUN --mount=from=${X},target=/y z", "no variable", id="variable in a mount"),
        pytest.param("FROM a\nRUN '--mount=\"a\"b' z\nRUN --mount='\"a\"b' z", "f:3: the quotes", id="mount's quotes"),
        pytest.param("FROM a\nCOPY a", "f:2: COPY a has no destination", id="COPY"),
        pytest.param("FROM a\nWORKDIR", "f:2: WORKDIR says nothing", id="WORKDIR"),
        pytest.param("FROM a\nENV A=1 B", "f:2: ENV B: this is not NAME=value", id="ENV"),
        pytest.param("FROM a\nENV A", "f:2: ENV A: this is not", id="ENV without value"),
        pytest.param("FROM a\nLABEL =b", "f:2: LABEL =b", id="LABEL"),
        pytest.param("FROM a\nARG =b", "f:2: ARG =b: a name", id="ARG"),
        pytest.param("FROM a\nARG A='b", "f:2: .*single quote", id="ARG with a quote"),
        pytest.param("FROM a\nSHELL sh -c", "f:2: SHELL takes", id="SHELL"),
        pytest.param("FROM a\nRUN [1]", "f:2: a JSON array", id="JSON of numbers"),
        pytest.param("FROM a\nONBUILD FROM b", "f:2: ONBUILD FROM", id="ONBUILD"),
        pytest.param("# escape=x\nFROM a", "f:1: x cannot be the escape", id="escape"),
        pytest.param("# escape=`\n# escape=`\nFROM a", "f:2: the directive escape", id="directive twice"),
    ],
)
def test_parse_refuses(text: str, words: str) -> None:
    with pytest.raises(CressetError, match=words) as caught:
        parse(text, name="f")
    assert caught.value.hint


def test_a_misspelt_instruction_is_recognised() -> None:
    with pytest.raises(CressetError) as caught:
        parse("FROM a\nWORKDR /")
    assert caught.value.hint == "did you mean WORKDIR?"


# Pieces that meet in all sorts of ways; single letters alone would hardly ever make an instruction.
PIECES = (
    *("FROM a", "FROM a AS b", "RUN x", "ARG A=1", "ENV A=$B", "COPY --from=b c d", "ONBUILD ", "CMD ", "# escape=`\n"),
    *(
        "RUN <<E",
        "RUN <<-E",
        "E",
        "\tE",
        "# A is it",
        "#",
        "  ",
        "\\",
        " \\",
        "`",
        "'",
        '"',
        "<<",
        "${A",
        ":-",
        "}",
        "$",
    ),
    *("[", '["a"]', "--x", "=y", "\n", "\n", "\n", "\n", "\r\n", "\ufeff", "\t", " ", "\x1c", "\u2028"),
)
pieces = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
bodies = st.text(string.ascii_letters + " $\"'`&;|/=-#\\\t", max_size=20).map(lambda text: f"RUN x{text}")
files = st.lists(
    st.one_of(bodies, st.sampled_from(["", "# c", "  # c", "USER u", "ARG A=1", "WORKDIR /w"])), max_size=12
)


@quick
@given(st.one_of(pieces, st.text(max_size=60), pieces.map(lambda text: f"FROM a\n{text}")))
def test_parse_raises_nothing_but_its_own_error(text: str) -> None:
    try:
        file = parse(text)
        needed(file, "", {})
    except CressetError:
        return
    assert file.stages


@quick
@given(st.text("ab$:{}-+?#%/*\\'\" ", max_size=20))
def test_expand_raises_nothing_but_its_own_error(text: str) -> None:
    try:
        expand(text, {"a": "aab/b", "b": ""})
        used(text)
    except CressetError:
        pass


@quick
@given(st.text(max_size=20))
def test_single_quotes_keep_everything(text: str) -> None:
    text = text.replace("'", "")
    assert expand(f"'{text}'", {}) == text


@quick
@given(pieces.map(lambda text: f"FROM a\n{text}"))
def test_every_line_has_one_place(text: str) -> None:
    try:
        file = parse(text)
    except CressetError:
        return
    lines = text.split("\n")
    rebuilt, at = "", 0
    for instruction in file.instructions:
        between = lines[at : instruction.line - 1]
        assert all(line.lstrip("\ufeff").strip()[:1] in {"", "#"} for line in between)
        rebuilt += "".join(f"{line}\n" for line in between) + instruction.source
        at = instruction.end_line
    assert rebuilt + "\n".join(lines[at:]) == text or rebuilt == text


@quick
@given(files)
def test_line_ends_make_no_difference(lines: list[str]) -> None:
    def read(end: str) -> list[tuple[str, str, int, int]]:
        file = parse(end.join(["FROM a", *lines]))
        return [(each.keyword, each.text, each.line, each.end_line) for each in file.instructions]

    assert read("\r\n") == read("\n")
