"""Nothing in the repository switches a check off, and every download is named with what verifies it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
# All that runs on a host or in an image; not the tests, whose servers have no certificates.
SOURCES = sorted(
    path
    for pattern in (
        "*Dockerfile",
        "docker-compose*.yaml",
        "tasks.py",
        "pyproject.toml",
        "cresset/**/*",
        "misc/**/*",
        "reqs/*",
        ".ci/*",
        ".devcontainer/**/*",
        "docs/examples/**/*",
    )
    for path in ROOT.glob(pattern)
    if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".whl"
)

SWITCHED_OFF = re.compile(
    r"""
    verify\s*=\s*False | CERT_NONE | _create_unverified_context | check_hostname\s*=\s*False
    | --insecure\b | \bcurl\b[^|;\n]*\s-[a-zA-Z]*k[a-zA-Z]*\b | --no-check-certificate
    | GIT_SSL_NO_VERIFY | sslVerify["\s=]*(?:false|0) | NODE_TLS_REJECT_UNAUTHORIZED
    | --no-check-gpg | --allow-unauthenticated | AllowUnauthenticated | trusted=yes | AllowInsecureRepositories
    | Verify-(?:Peer|Host)["\s=]*(?:false|0) | ssl_verify["\s:=]*false | --nogpgcheck | gpgcheck\s*=\s*0
    | [\w-]*[-_](?:trusted|TRUSTED|insecure|INSECURE)[-_](?:host|HOST)\b
    """,
    re.VERBOSE,
)
PASSWORD = re.compile(r"\bchpasswd\b|\bpasswd --stdin|\buseradd\b[^\n]*\s(?:-p|--password)\b|\bARG PASSWD\b")
# The one exception is a setting, which a person has to name a host in.
BY_SETTING = {
    ("misc/image/network.sh", "PIP_TRUSTED_HOST"),
    ("misc/image/network.sh", "UV_INSECURE_HOST"),
    ("docker-compose.yaml", "PIP_TRUSTED_HOST"),
    ("docker-compose.yaml", "UV_INSECURE_HOST"),
    # pip's own option in a requirement file, which the person writes.
    ("cresset/requirements.py", "--trusted-host"),
}
DOWNLOAD = re.compile(
    r"\b(?:curl|wget) -|\bdebootstrap\" |\battempt git "
    r"|\bapt-get .*\b(?:install|download)\b|\"\$\{apt\[@\]\}\" update|\bpip\"? .*\b(?:install|download)\b|\buv venv\b"
    r"|^ADD https?:|^\s*fetch "
)


@pytest.mark.parametrize(
    "line",
    [
        "requests.get(url, verify=False)",
        "curl -fksSL https://example.org | sh",
        "curl --insecure https://example.org",
        "wget --no-check-certificate https://example.org",
        "export GIT_SSL_NO_VERIFY=1",
        "git -c http.sslVerify=false fetch",
        "pip install --trusted-host example.org torch",
        "apt-get install --allow-unauthenticated zsh",
        "deb [trusted=yes] http://example.org stable main",
        "ssl_verify: false",
    ],
)
def test_the_pattern_knows_how_checks_are_switched_off(line: str) -> None:
    assert SWITCHED_OFF.search(line)


@pytest.mark.parametrize("line", ["curl -fsSL --connect-timeout 5 -o kept", "curl --fail --silent", "Verify-Peer=true"])
def test_the_pattern_knows_what_is_harmless(line: str) -> None:
    assert not SWITCHED_OFF.search(line)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_check_is_switched_off_and_no_password_set(path: Path) -> None:
    name, text = str(path.relative_to(ROOT)), path.read_text()
    assert {(name, match.group()) for match in SWITCHED_OFF.finditer(text)} - BY_SETTING == set()
    assert PASSWORD.search(text) is None


def test_every_file_that_downloads_is_on_the_page() -> None:
    downloading = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        for line in path.read_text().splitlines()
        if not line.lstrip().startswith("#")
        if ("urlopen(" in line if path.suffix == ".py" else path.suffix == ".sh" and DOWNLOAD.search(line))
    }
    table = PAGE.split("## What is downloaded")[1].split("\n## ")[0]
    assert downloading - set(re.findall(r"`([\w./-]+\.(?:sh|py))`", table)) == set()
    assert "misc/image/install-uv.sh" in downloading
