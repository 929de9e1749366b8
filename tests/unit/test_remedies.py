"""What engines, apt, pip, uv and compilers really say, and what a person is told to do about it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from cresset import remedies

VALUES = {
    "root": "/var/lib/docker",
    "USE_CUDA": "1",
    "CUDA_VERSION": "13.0.3",
    "BUILD_IMAGE": "nvidia/cuda:13.0.3-cudnn-devel-ubuntu24.04",
    "TRAIN_IMAGE": "nvidia/cuda:13.0.3-cudnn-devel-ubuntu24.04",
    "DEPLOY_IMAGE": "nvidia/cuda:13.0.3-cudnn-runtime-ubuntu24.04",
    "SIMPLE_IMAGE": "nvidia/cuda:13.0.3-cudnn-devel-ubuntu24.04",
    "PLAIN_IMAGE": "debian:bookworm-slim",
    "NGC_YEAR": "26",
    "NGC_MONTH": "09",
    "NGC_IMAGE": "nvcr.io/nvidia/pytorch:26.09-py3",
    "PYTHON_VERSION": "3.12",
    "CA_BUNDLE": "",
    "DEB_NEW": "",
    "UV_VERSION": "0.13.8",
}
CPU = {"USE_CUDA": "0", "BUILD_IMAGE": "debian:bookworm-slim", "TRAIN_IMAGE": "debian:bookworm-slim"}
REQUIREMENTS = {
    "apt-train.requirements.txt": "# editors\nvim\nnosuch-tool=1.0 # libfoo\ntree=9.9\n",
    "dnf-train.requirements.txt": "# nosuch-tool\nvim-enhanced\nnosuch-tool\n",
    "pip-train.requirements.txt": "numpy\n# einops\neinops>=99\nscikit_learn[x]==99\ntorch==1.0\n",
}
CUDA = "nvidia/cuda:13.0.3-cudnn-devel-ubuntu24.04"
UNTRUSTED = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate chain"


def failed(image: str, reason: str) -> str:
    """Return BuildKit's words for a base image that it cannot have."""
    return f"ERROR: failed to solve: {image}: failed to resolve source metadata for {image}: {reason}"


def advise(text: str, **values: str) -> str:
    """Return the advice for a failure with some settings of one's own."""
    found = remedies.find(text, values={**VALUES, **values})
    return found.text if found else ""


def head(image: str, reason: str) -> str:
    return failed(image, f'failed to do request: Head "https://example.org/v2/x/manifests/1": {reason}')


def answered(image: str, status: str) -> str:
    return failed(image, f"unexpected status from HEAD request to https://example.org/v2/x/manifests/1: {status}")


class Case(NamedTuple):
    """What is said, by whatever failed; the name of that; and what the advice has to contain."""

    text: str
    name: str
    advice: str


CASES = {
    "no such builder": Case('ERROR: no builder "nope" found', "no such builder", "unset BUILDX_BUILDER"),
    "a time that is none": Case(
        'ERROR: failed to solve: invalid SOURCE_DATE_EPOCH: x: strconv.ParseInt: parsing "x": invalid syntax',
        "a time that is none",
        "SOURCE_DATE_EPOCH is x, and has to be seconds since 1970: unset",
    ),
    "a build after one that was ended": Case(
        "ERROR: failed to solve: failed to compute cache key: failed to get edge: inconsistent graph state",
        "BuildKit lost its thread",
        "run it again",
    ),
    "a build beside another": Case(
        "ERROR: failed to solve: failed to compute cache key: failed to get state for index 2 on [one 1/1] RUN",
        "BuildKit lost its thread",
        "run it again",
    ),
    "disk full while copying": Case(
        "ERROR: failed to solve: failed to copy files: copy file range failed: no space left on device",
        "no space left on device",
        "/var/lib/docker is full",
    ),
    "disk full in uv": Case(
        "  cause: failed to create directory `/root/.cache/uv/.tmp/sleef`: No space left on device (os error 28)",
        "no space left on device",
        "invoke prune",
    ),
    "disk full before anything": Case(
        "ERROR: failed to solve: failed to read dockerfile: failed to create temp dir: "
        "mkdir /data/tmp/buildkit-mount2249037866: no space left on device",
        "no space left on device",
        "docker builder prune",
    ),
    "disk full where the build was begun": Case(
        "ERROR: failed to update builder last activity time: write /home/me/.docker/buildx/activity/.tmp-default1: "
        "no space left on device",
        "no space left on device",
        "the disk that holds /home/me/.docker/",
    ),
    "a compiler killed": Case(
        "c++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.",
        "out of memory",
        "memory",
    ),
    "nvcc killed": Case("nvcc error   : 'cicc' died due to signal 9 (Kill signal)", "out of memory", "memory"),
    "a step killed": Case(
        'ERROR: failed to solve: process "/bin/sh -c x" did not complete successfully: exit code: 137\nKilled',
        "out of memory",
        "Docker Desktop",
    ),
    "a registry with a certificate of its own": Case(
        head("reg.lan:5000/x:1", "tls: failed to verify certificate: x509: certificate signed by unknown authority"),
        "the registry's certificate is not trusted",
        "/etc/docker/certs.d/reg.lan:5000/ca.crt",
    ),
    "a login server with a certificate of its own": Case(
        failed(
            "reg.lan/x:1",
            'failed to authorize: failed to fetch anonymous token: Get "https://auth.lan/token": tls: failed to verify '
            "certificate: x509: certificate signed by unknown authority",
        ),
        "the registry's certificate is not trusted",
        "/etc/docker/certs.d/reg.lan/ca.crt",
    ),
    "pip behind a proxy that inspects TLS": Case(
        f"WARNING: Retrying (Retry(total=4, ...)) after connection broken by 'SSLError(SSLCertVerificationError(1, "
        f"'{UNTRUSTED} (_ssl.c:992)'))': /simple/torch/\n"
        "ERROR: Could not find a version that satisfies the requirement torch==99 (from versions: none)\n"
        "ERROR: No matching distribution found for torch==99",
        "a certificate is not trusted",
        "CA_BUNDLE (not set)",
    ),
    "uv behind a proxy that inspects TLS": Case(
        "error: Failed to fetch: https://index.example.org/simple/iniconfig/\n"
        "  cause: error sending request for url (https://index.example.org/simple/iniconfig/)\n"
        "  cause: client error (Connect)\n  cause: invalid peer certificate: UnknownIssuer",
        "a certificate is not trusted",
        "--set CA_BUNDLE=FILE",
    ),
    "uv before a server that signs for itself": Case(
        "  cause: invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
        "a certificate is not trusted",
        "--set CA_BUNDLE=FILE",
    ),
    "apt behind a proxy that inspects TLS": Case(
        "E: Failed to fetch https://apt.example.org/debian/dists/bookworm/InRelease  Certificate verification failed: "
        "The certificate is NOT trusted. The certificate issuer is unknown.",
        "a certificate is not trusted",
        "CA_BUNDLE",
    ),
    "git behind a proxy that inspects TLS": Case(
        "fatal: unable to access 'https://github.com/a/b/': server certificate verification failed. CAfile: none",
        "a certificate is not trusted",
        "CA_BUNDLE",
    ),
    "Docker Hub's limit": Case(
        failed(
            "docker.io/library/debian:bookworm-slim",
            "unexpected status from HEAD request to https://registry-1.docker.io/v2/library/debian/manifests/"
            "bookworm-slim: 429 Too Many Requests\ntoomanyrequests: You have reached your unauthenticated pull rate "
            "limit. https://www.docker.com/increase-rate-limit",
        ),
        "too many downloads",
        "docker login docker.io",
    ),
    "no such registry": Case(
        head("nosuch.invalid/x:1", "dial tcp: lookup nosuch.invalid on 127.0.0.53:53: no such host"),
        "the registry does not answer",
        "does not reach nosuch.invalid",
    ),
    "a registry that is down": Case(
        head("localhost:1/x:1", "dial tcp 127.0.0.1:1: connect: connection refused"),
        "the registry does not answer",
        "does not reach localhost:1:",
    ),
    "a registry behind a firewall": Case(
        head(f"docker.io/{CUDA}", "dial tcp 54.1.2.3:443: i/o timeout"),
        "the registry does not answer",
        "build without CUDA: --service cpu",
    ),
    "a registry in trouble": Case(
        answered("reg.lan/x:1", "503 Service Unavailable"),
        "the registry does not answer",
        "reg.lan",
    ),
    "a registry without TLS": Case(
        head("localhost:5000/x:1", "tls: first record does not look like a TLS handshake"),
        "plain HTTP instead of HTTPS",
        "`docker pull localhost:5000/x:1`",
    ),
    "a registry that wants a login": Case(
        answered("reg.lan/team/x:1", "401 Unauthorized"),
        "the registry asks who you are",
        "docker login reg.lan;",
    ),
    "NVIDIA's registry without a login": Case(
        failed(
            "nvcr.io/nvidia/pytorch:26.09-py3",
            "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to "
            "https://nvcr.io/proxy_auth?scope=repository%3Anvidia%2Fpytorch%3Apull: 401 Unauthorized",
        ),
        "NVIDIA's registry asks who you are",
        "docker login nvcr.io, with the user name $oauthtoken",
    ),
    "a release that NVIDIA has not made": Case(
        failed("nvcr.io/nvidia/pytorch:26.13-py3", "nvcr.io/nvidia/pytorch:26.13-py3: not found"),
        "NVIDIA has no such release",
        "NGC_YEAR (now 26) and NGC_MONTH (09)",
    ),
    "a private image of Docker Hub, or none": Case(
        failed(
            "docker.io/team/x:1",
            "pull access denied, repository does not exist or may require authorization: server message: "
            "insufficient_scope: authorization failed",
        ),
        "the registry asks who you are",
        "docker login docker.io",
    ),
    "a tag that NVIDIA deleted": Case(
        failed(f"docker.io/{CUDA}", f"docker.io/{CUDA}: not found"),
        "NVIDIA's tag is gone",
        "CUDA_VERSION (now 13.0.3)",
    ),
    "another image that is gone": Case(
        failed("reg.lan/x:1", "reg.lan/x:1: not found"),
        "the base image is gone",
        "reg.lan has no reg.lan/x:1",
    ),
    "an image for another processor": Case(
        failed("docker.io/team/x:1", "no match for platform in manifest: not found"),
        "another processor",
        "docker.io/team/x:1 is not made for",
    ),
    "a program for another processor": Case("exec /bin/sh: exec format error", "another processor", CUDA),
    "a GPU too new": Case(
        "nvcc fatal   : Unsupported gpu architecture 'compute_120'",
        "a GPU that nvcc does not know",
        "CUDA 13.0.3 does not know compute_120",
    ),
    "a SHELL that is not there": Case(
        'ERROR: failed to solve: process "/nowhere -c true" did not complete successfully: exit code: 1\n'
        "runc run failed: unable to start container process: "
        'exec: "/nowhere": stat /nowhere: no such file or directory',
        "the base image lacks a shell",
        "SHELL and PATH",
    ),
    "an image of a single program": Case(
        'ERROR: failed to solve: process "/bin/sh -c true" did not complete successfully: unable to find user 0: '
        "invalid argument",
        "the base image lacks a shell",
        "distroless",
    ),
    "a PATH without programs": Case(
        'ERROR: failed to solve: process "/bin/sh -c mkdir /x" did not complete successfully: exit code: 127\n'
        "/bin/sh: 1: mkdir: not found",
        "the base image lacks a shell",
        "SHELL and PATH",
    ),
    "a Python that uv cannot use": Case(
        "error: Failed to inspect Python interpreter from provided path at `/usr/bin/python`\n"
        "  cause: Can't use Python at `/usr/bin/python`\n"
        "  cause: Python executable does not support `-I` flag. Please use Python 3.6 or newer.",
        "the base image's Python is too old",
        "uv 0.13.8 cannot use",
    ),
    "a base that leaves a command to others": Case(
        'ERROR: failed to solve: process "/bin/sh -c make x" did not complete successfully: exit code: 1\n'
        "   1 | >>> # The stages, from what rarely changes to what changes daily.",
        "the base image's ONBUILD fails",
        "the failed step is not the Dockerfile's",
    ),
    "a base that leaves a copy to others": Case(
        "ERROR: failed to solve: failed to compute cache key: failed to calculate checksum of ref e7168004::r094jrf3: "
        '"/package.json": not found\n   1 | >>> # The stages, from what rarely changes to what changes daily.',
        "the base image's ONBUILD fails",
        "variant of the image without it",
    ),
    "no Python to fetch": Case(
        "error: Failed to download `https://github.com/astral-sh/python-build-standalone/releases/download/x.tar.gz`\n"
        "  cause: error sending request for url (https://github.com/astral-sh/python-build-standalone/x.tar.gz)\n"
        "  cause: dns error\n  cause: failed to lookup address information: Name or service not known",
        "no such Python",
        "PYTHON_MIRROR",
    ),
    "no such Python": Case(
        "error: No interpreter found for Python 3.99 in managed installations or search path\n\nhint: uv embeds "
        "available Python downloads and may require an update to install new versions.",
        "no such Python",
        "uv 0.13.8 knows none",
    ),
    "a Python too old for uv": Case(
        "error: Invalid version request: Python <3.6 is not supported but 2.7 was requested.",
        "no such Python",
        "choose another PYTHON_VERSION",
    ),
    "no wheel of that version": Case(
        "ERROR: No matching distribution found for torchvision===0.99.0\n"
        "cresset: torchvision 0.99.0 (cpu) for Python 3.11: no wheel in the wheelhouse, none at https://wheels.lan/cpu",
        "no wheel of PyTorch",
        "torchvision 0.99.0 (cpu) for Python 3.12: choose another TORCHVISION_VERSION_TAG",
    ),
    "no wheel anywhere": Case(
        "WARNING: Retrying (Retry(total=0, ...)) after connection broken by 'NewConnectionError('<...>: Failed to "
        "establish a new connection: [Errno -2] Name or service not known')': /whl/cpu/torch/\n"
        "cresset: torch 9 (cpu) for Python 3.11: no wheel in the wheelhouse, no answer from "
        "https://download.pytorch.org/whl/cpu",
        "no wheel of PyTorch",
        "WHEELHOUSE=DIR",
    ),
    "an index that wants a login, by pip": Case(
        "ERROR: 401 Client Error: Unauthorized for url: https://index.lan/simple/einops/",
        "an index asks who you are",
        "INDEX_URL",
    ),
    "an index that wants a login, by uv": Case(
        "  cause: HTTP status client error (401 Unauthorized) for url (https://index.lan/simple/einops/)",
        "an index asks who you are",
        "INDEX_URL",
    ),
    "apt without names": Case(
        "W: Failed to fetch http://apt.example.org/debian/dists/bookworm/InRelease  Temporary failure resolving "
        "'apt.example.org'\nW: Some index files failed to download. They have been ignored, or old ones used instead.\n"
        "E: Unable to locate package zsh",
        "no network",
        "does not reach apt.example.org:",
    ),
    "uv without a server": Case(
        "error: Failed to fetch: http://127.0.0.1:1/simple/iniconfig/\n"
        "  cause: error sending request for url (http://127.0.0.1:1/simple/iniconfig/)\n"
        "  cause: client error (Connect)\n  cause: tcp connect error\n  cause: Connection refused (os error 111)",
        "no network",
        "does not reach 127.0.0.1:1:",
    ),
    "pip without names": Case(
        "WARNING: Retrying (Retry(total=0, ...)) after connection broken by 'NewConnectionError('<...>: Failed to "
        "establish a new connection: [Errno -2] Name or service not known')': /simple/iniconfig/\n"
        "ERROR: No matching distribution found for iniconfig",
        "no network",
        "a server",
    ),
    "git without names": Case(
        "fatal: unable to access 'https://github.com/a/b/': Could not resolve host: github.com",
        "no network",
        "does not reach github.com:",
    ),
    "a mirror in motion": Case(
        "E: Failed to fetch http://m/InRelease  File has unexpected size (1 != 2). Mirror sync in progress?\n"
        "E: Failed to fetch http://m/x.deb  Hash Sum mismatch",
        "a damaged download",
        "DEB_NEW",
    ),
    "a wheel that was cut off": Case(
        "ERROR: Wheel 'uv' located at /tmp/pip-unpack-f715bh58/uv-0.13.8-py3-none-any.whl is invalid.",
        "a damaged download",
        "build again",
    ),
    "a wheel that was cut off, its hash known": Case(
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package",
        "a damaged download",
        "it broke off",
    ),
    "an index with a password that does not answer": Case(
        "  cause: error sending request for url (https://me:****@index.lan/simple/einops/)",
        "no network",
        "does not reach index.lan:",
    ),
    "a misspelt apt package": Case(
        "E: Unable to locate package nosuch-tool",
        "no such apt package",
        "reqs/apt-train.requirements.txt, line 3: ",
    ),
    "an apt version that is gone": Case(
        "E: Version '1.0' for 'nosuch-tool' was not found",
        "no such version of an apt package",
        "reqs/apt-train.requirements.txt, line 3: ",
    ),
    "a virtual apt package": Case(
        "E: Package 'vim' has no installation candidate",
        "no such apt package",
        "reqs/apt-train.requirements.txt, line 2: ",
    ),
    "an apt package without that version": Case(
        "E: Version '9.9' for 'tree' was not found",
        "no such version of an apt package",
        "reqs/apt-train.requirements.txt, line 4: ",
    ),
    "an apt package that we ask for ourselves": Case(
        "E: Unable to locate package python3-venv",
        "no such apt package",
        "DEB_NEW (not set)",
    ),
    "a misspelt package, by dnf": Case(
        "No match for argument: nosuch-tool\nError: Unable to find a match: nosuch-tool",
        "no such package of the RHEL family",
        "reqs/dnf-train.requirements.txt, line 3: ",
    ),
    "a misspelt package, by microdnf": Case(
        "error: No package matches 'nosuch-tool'",
        "no such package of the RHEL family",
        "reqs/dnf-train.requirements.txt, line 3: ",
    ),
    "a misspelt package, by yum": Case(
        "No package nosuch-tool available.\nError: Nothing to do",
        "no such package of the RHEL family",
        "reqs/dnf-train.requirements.txt, line 3: ",
    ),
    "a package that we ask for ourselves, by dnf": Case(
        "Error: Unable to find a match: libwebp-devel", "no such package of the RHEL family", "docs/distributions.md"
    ),
    "an instruction that the processor lacks": Case(
        "cresset: torch 2.6.0+cpu ends Python while it is imported (signal 4)",
        "a package ends Python",
        "often AVX, which old and emulated processors are without: choose an older PYTORCH_VERSION_TAG",
    ),
    "a package that crashes": Case(
        "cresset: torchvision 0.21.0+cu124 ends Python while it is imported (signal 11)",
        "a package ends Python",
        "torchvision 0.21.0+cu124 ends Python as it is imported (signal 11), mostly for a library",
    ),
    "a package that exits": Case(
        "cresset: torch 2.6.0 ends Python while it is imported (exit code 4)",
        "a package ends Python",
        "(exit code 4), mostly for a library",
    ),
    "an old pip, and no newer one": Case(
        "  Could not find a version that satisfies the requirement pip<21,>=20 (from versions: )\n"
        "No matching distribution found for pip<21,>=20\n"
        "cresset: the base image's pip 9 is too old to install uv, and the index gives no pip 20",
        "pip is too old for uv",
        "INDEX_URL",
    ),
    "no such uv": Case(
        "ERROR: Could not find a version that satisfies the requirement uv==99.0.0 (the newest: 0.13.8)\n"
        "ERROR: No matching distribution found for uv==99.0.0",
        "no such uv",
        "UV_VERSION",
    ),
    "another PyTorch than the chosen": Case(
        "  cause: Because you require torch==1.0 and torch==2.13.0, we can conclude that your requirements are",
        "the PyTorch of .env stays",
        "reqs/pip-train.requirements.txt, line 5: torch is 2.13.0 by PYTORCH_VERSION_TAG",
    ),
    "another version than NVIDIA's": Case(
        "ERROR: Cannot install numpy==1.0 because these package versions have conflicting dependencies.\n\nThe "
        "conflict is caused by:\n    The user requested numpy==1.0\n    The user requested (constraint) numpy==2.1.0\n"
        "ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/",
        "NVIDIA's version stays",
        "numpy is 2.1.0 in the base image",
    ),
    "another wheel than its name says": Case(
        "cresset: torch is 2.5.1+cu124, asked for 2.6.0\ncresset: the CUDA of torch is 12.4, asked for none",
        "not what was asked for",
        "torch is 2.5.1+cu124 in the image, 2.6.0 by the settings",
    ),
    "a thin base image": Case(
        "cresset: torch needs libcupti.so.12, which is nowhere in the image (torch/lib/libtorch_cpu.so)",
        "a library is missing",
        "torch was made where there is a libcupti.so.12, and the image has none",
    ),
    "a misspelt Python package": Case(
        "  cause: Because einops was not found in the package registry and you require einops>=99, we can conclude",
        "no such Python package",
        "reqs/pip-train.requirements.txt, line 3: the index has no package einops: check how it is spelt",
    ),
    "a Python package that another one needs": Case(
        "  cause: Because other was not found in the package registry and einops==1 depends on other, we can conclude",
        "no such Python package",
        "another one asks for",
    ),
    "no such Python package, by pip": Case(
        "ERROR: Could not find a version that satisfies the requirement einops (from versions: none)\n"
        "ERROR: No matching distribution found for einops",
        "no such Python package",
        "reqs/pip-train.requirements.txt, line 3: the index has no package einops: check how it is spelt",
    ),
    "no such version, by uv": Case(
        "error: No solution found when resolving dependencies\n  cause: Because there is no version of einops>=99 and "
        "you require einops>=99, we can conclude that your requirements are unsatisfiable.",
        "no such version of a Python package",
        "reqs/pip-train.requirements.txt, line 3: ",
    ),
    "no such version, the name written otherwise": Case(
        "  cause: Because there is no version of scikit-learn[x]==99 and you require scikit-learn[x]==99, we can",
        "no such version of a Python package",
        "reqs/pip-train.requirements.txt, line 4: ",
    ),
    "no such version, by pip": Case(
        "ERROR: No matching distribution found for einops>=99",
        "no such version of a Python package",
        "reqs/pip-train.requirements.txt, line 3: ",
    ),
    "versions that do not go together": Case(
        "error: No solution found when resolving dependencies\n  cause: Because fastai==2.5.0 depends on "
        "torch>=1.7.0,<1.10 and torch==2.13.0, we can conclude that fastai==2.5.0 cannot be used.\n         And "
        "because you require fastai==2.5.0, we can conclude that your requirements are unsatisfiable.",
        "versions that do not go together",
        "PYTORCH_VERSION_TAG",
    ),
}


@pytest.mark.parametrize(("text", "name", "advice"), CASES.values(), ids=CASES)
def test_a_known_failure_has_its_advice(text: str, name: str, advice: str) -> None:
    found = remedies.find(text, values=VALUES, requirements=REQUIREMENTS)
    assert found
    assert found.name == name
    assert advice in found.text
    assert "\n" not in found.text
    assert "{" not in found.text


def test_the_page_lists_every_failure_in_the_order_in_which_it_is_looked_for() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/trouble.md").read_text().split("\n\n\n")[1]
    listed = re.findall(r"^\| (.+?) \|", page, re.MULTILINE)[1:]
    assert listed == list(dict.fromkeys(remedy.name for remedy in remedies.REMEDIES))


def test_every_failure_has_a_case() -> None:
    assert {remedy.name for remedy in remedies.REMEDIES} - {"the base image is not to be had"} == {
        name for _, name, _ in CASES.values()
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        'ERROR: failed to solve: process "/bin/sh -c x" did not complete successfully: exit code: 1\n  21 | >>> RUN x',
        "ERROR: failed to solve: the command did not complete successfully: exit code: 1",
        "killed the process 12",
    ],
)
def test_of_another_failure_nothing_is_said(text: str) -> None:
    assert remedies.find(text, values=VALUES) is None


def test_the_cpu_has_ways_out_of_its_own() -> None:
    text = head("docker.io/library/debian:bookworm-slim", "dial tcp: lookup registry-1.docker.io: no such host")
    advice = advise(text, **CPU)
    assert "PLAIN_IMAGE" in advice
    assert "invoke base-image" in advice


def test_the_image_of_the_last_stages_is_named_by_its_own_setting() -> None:
    text = failed("reg.lan/x:1", "reg.lan/x:1: not found")
    assert "TRAIN_IMAGE" in advise(text, TRAIN_IMAGE="reg.lan/x:1")
    assert "SIMPLE_IMAGE" in advise(text, SIMPLE_IMAGE="reg.lan/x:1")


def test_a_registry_that_does_not_answer_asks_for_no_login() -> None:
    unknown = 'Error response from daemon: Get "https://x.invalid/v2/": dial tcp: lookup x.invalid: no such host'
    assert remedies.is_of_network(unknown)
    assert not remedies.is_of_network("Error response from daemon: manifest for x:1 not found: manifest unknown")
    assert not remedies.is_of_network("Error response from daemon: pull access denied for x")


def test_a_setting_is_named_only_where_it_exists() -> None:
    text = "c++: fatal error: Killed signal terminated program cc1plus"
    assert "MAX_JOBS" not in advise(text)
    assert "MAX_JOBS is 8" in advise(text, MAX_JOBS="8")


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("debian:bookworm-slim", "docker.io"),
        (CUDA, "docker.io"),
        ("docker.io/team/x", "docker.io"),
        ("localhost/x", "localhost"),
        ("localhost:5000/x:1", "localhost:5000"),
        ("reg.lan/team/x@sha256:0", "reg.lan"),
    ],
)
def test_a_registry_is_what_the_engine_takes_for_one(image: str, registry: str) -> None:
    assert remedies.registry(image) == registry
