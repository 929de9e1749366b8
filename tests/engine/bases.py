"""Base images that no registry gives to a test, made of the plain one."""

from __future__ import annotations

import uuid
from pathlib import Path

from tests.engine.checkout import ROOT, Checkout, Result, run

INSTALL = (
    "RUN --mount=from=scripts,target=/run/cresset --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt"
    ",sharing=locked --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror sh /run/cresset/install-packages.sh"
)


def make(context: Path, dockerfile: str, checkout: Checkout) -> str:
    """Build an image from a folder, with what a checkout knows of the network, and return its name."""
    name = f"cresset-test-base:{uuid.uuid4().hex[:8]}"
    (context / "Dockerfile").write_text(dockerfile)
    build(checkout, "--load", "--tag", name, "--build-context", f"scripts={ROOT}/misc/image", str(context))
    return name


def build(checkout: Checkout, *words: str, check: bool = True) -> Result:
    """Run a build in a checkout, with its secrets of the network; BuildKit's plain progress is returned."""
    bundle = checkout.setting("CA_BUNDLE") or "/dev/null"
    secrets = ["--secret", f"id=ca,src={bundle}", "--secret", "id=apt_mirror,env=DEB_NEW"]
    return run(
        ["docker", "buildx", "build", "--progress", "plain", *secrets, *words],
        cwd=checkout.path,
        check=check,
        DEB_NEW=checkout.setting("DEB_NEW"),
    )
