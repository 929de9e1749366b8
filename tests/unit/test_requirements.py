from __future__ import annotations

import pytest

from cresset import requirements
from cresset.errors import CressetError
from tests import bad_input


@pytest.mark.parametrize(
    "line",
    [
        "git",
        "g++",
        "libstdc++6",
        "git=1:2.39.5-0+deb12u2",
        "git==1:2.39*",
        "libc6:i386",
        "git/bookworm-backports",
        "git  nano\tless",
        "git\ngit",
        "",
        "# x y!",
        "  nano  # ok",
    ],
)
def test_packages_are_taken(line: str) -> None:
    requirements.check_apt(f"# first\r\n{line}\r\n", "apt.txt")


@pytest.mark.parametrize(("line", "problem"), bad_input.APT_LINES, ids=lambda text: ascii(text[:30]))
def test_what_is_no_package_is_refused_with_its_place(line: str, problem: str) -> None:
    with pytest.raises(CressetError) as refusal:
        requirements.check_apt(f"git\n\n{line}\n", "apt.txt")
    assert str(refusal.value).startswith("apt.txt:3: ")
    assert problem in str(refusal.value)
    assert len(str(refusal.value)) < 120


@pytest.mark.parametrize(
    "line",
    [
        "git",
        "gcc-c++",
        "git-2.43.0",
        "git-2.43.0-1.el9",
        "git-1:2.4~rc1^git1-1.el9.x86_64",
        "glibc.i686",
        "php-*",
        "@dev",
    ],
)
def test_packages_of_the_rhel_family_are_taken(line: str) -> None:
    requirements.check_dnf(f"# first\r\n{line}  # why\r\n", "dnf.txt")


@pytest.mark.parametrize(("line", "problem"), bad_input.DNF_LINES, ids=lambda text: ascii(text[:30]))
def test_what_is_no_package_of_the_rhel_family_is_refused(line: str, problem: str) -> None:
    with pytest.raises(CressetError) as refusal:
        requirements.check_dnf(f"git\n\n{line}\n", "dnf.txt")
    assert str(refusal.value) == f"dnf.txt:3: {problem}"
    assert "name-version" in refusal.value.hint


@pytest.mark.parametrize(("line", "problem"), bad_input.GONE_LINES)
def test_only_names_are_uninstalled(line: str, problem: str) -> None:
    requirements.check_names("# first\ntorch-tensorrt\nA.b_c\n", "gone.txt")
    with pytest.raises(CressetError) as refusal:
        requirements.check_names(f"a\n{line}\n", "gone.txt")
    assert str(refusal.value) == f"gone.txt:2: {problem}"


def check_pip(text: str) -> None:
    requirements.check_pip(text, "pip.txt", is_here=lambda path: path.startswith("/home/"))


# uv 0.13 accepts each of these.
@pytest.mark.parametrize(
    "text",
    [
        "numpy",
        "  Numpy_2.x",
        "numpy == 1.26 , <2",
        "numpy (>=1.0)",
        "numpy>=1.0,",
        "numpy==1.*",
        "numpy==v1.0+local",
        "numpy!=1!2.0rc1.dev2",
        "numpy\u3000>=1",
        "numpy\xa0>=1",
        "jupyterlab[a, b]>=4",
        "jupyterlab []",
        "a; python_version<'3.9'",
        "a;python_implementation=='x' or (python_version>\"3\" and os_name!='nt')",
        "a; sys_platform not in 'win32 darwin'",
        'a;"3.9"<python_version',
        "",
        "   ",
        "# numpy=1",
        "numpy # numpy=1",
        "numpy\t# numpy=1",
        "numpy==1.0 --hash=sha256:00",
        "numpy==1.0 \\\n    --hash=sha256:00 \\\n    --hash sha256:01\npandas",
        "# a comment \\\nnumpy",
        "-r https://example.org/more.txt",
        "-c /opt/constraints.txt",
        "--constraint=https://example.org/more.txt",
        "--index-url https://example.org/simple",
        "-i https://example.org/simple",
        "--extra-index-url=https://example.org/simple",
        "--extra-index-url https://${TOKEN}@example.org/simple",
        "-f https://example.org/wheels.html",
        "--find-links /wheels",
        "--no-index",
        "--no-binary :all:",
        "--only-binary=numpy",
        "--pre",
        "--prefer-binary",
        "--require-hashes",
        "--trusted-host example.org",
        "--use-feature=fast-deps",
        "https://example.org/a-1.0-py3-none-any.whl",
        "https://example.org/a-1.0.tar.gz#sha256=00 --hash=sha256:00",
        "https://example.org/a-1.0-py3-none-any.whl ; python_version>'3'",
        "https://${TOKEN}@example.org/a-1.0-py3-none-any.whl",
        "git+https://example.org/a/b@main#egg=b",
        "git+ssh://git@example.org/a/b",
        "b @ git+https://example.org/a/b",
        "a[x]@https://example.org/a-1.0.tar.gz; python_version<'3.9'",
        # Of the base image, perhaps.
        "/wheels/a-1.0-py3-none-any.whl",
        "a @ file:///wheels/a-1.0-py3-none-any.whl",
        "-e /workspace/a",
    ],
)
def test_what_uv_reads_is_taken(text: str) -> None:
    check_pip(text)
    check_pip(f"numpy\r\n{text}\r\n".replace("\\\n", "\\\r\n"))


@pytest.mark.parametrize(("line", "problem"), bad_input.PIP_LINES, ids=lambda text: ascii(text[:30]))
def test_what_uv_cannot_read_is_refused_with_its_place(line: str, problem: str) -> None:
    with pytest.raises(CressetError) as refusal:
        check_pip(f"# first\r\nnumpy==1.0 \\\r\n --hash=sha256:00\r\n{line}\r\nnumpy\r\n")
    assert str(refusal.value).startswith("pip.txt:4: ")
    assert problem in str(refusal.value)
    assert refusal.value.hint
    assert len(str(refusal.value)) < 160


@pytest.mark.parametrize("line", ["/home/me/a", "-e /home/me/a", "a @ file:///home/me/a", "-r /home/me/more.txt"])
def test_what_is_on_this_host_is_not_in_a_build(line: str) -> None:
    with pytest.raises(CressetError, match=r"^pip\.txt:1: .* is a file or a folder$"):
        check_pip(line)


@pytest.mark.parametrize(
    "line", ["torch", "torch @ https://example.org/torch.tar.gz", "Torch==2.6", "torchvision >= 1"]
)
def test_pytorch_is_not_compiled_against_itself(line: str) -> None:
    with pytest.raises(CressetError, match=r"reqs/x:2: .* is what these are compiled against"):
        requirements.check_compiled(f"# mine\n{line}\n", "reqs/x")
    requirements.check_compiled("torch-scatter\nflash-attn\n--no-index\n", "reqs/x")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("numpy\rsix", r"'numpy\rsix' has a carriage return inside"),
        ("# why\rsix\r", r"'# why\rsix' has a carriage return inside"),
        ("x" * 10_001, "is a line of 10001 characters"),
    ],
    ids=["a name", "a comment", "long"],
)
def test_a_line_that_nobody_can_have_meant_is_refused(line: str, problem: str) -> None:
    with pytest.raises(CressetError) as refusal:
        requirements.check_lines(f"six\r\n{line}\n", "pip.txt")
    assert str(refusal.value) == f"pip.txt:2: {problem}"


def test_lines_of_windows_are_taken() -> None:
    requirements.check_lines("\rsix\r\n\r\nnumpy\r\r\n" + "x" * 10_000, "pip.txt")


@pytest.mark.parametrize(
    ("line", "setting"),
    [
        ("--index-url foo", "INDEX_URL"),
        ("-i=./x", "INDEX_URL"),
        ("--extra-index-url x", "EXTRA_"),
        ("-f x", "WHEELHOUSE"),
    ],
)
def test_where_to_look_for_packages_is_a_setting(line: str, setting: str) -> None:
    with pytest.raises(CressetError) as refusal:
        check_pip(line)
    assert f"set {setting}" in refusal.value.hint
