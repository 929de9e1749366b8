"""The plain base image: here, pulled, or made from the host's own package mirror."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from cresset import dockerfile, env_file, files, host, remedies
from cresset.configuration import Configuration
from cresset.engine import Engine
from cresset.env_file import Choice
from cresset.errors import CressetError


def ensure(resolved: Configuration, engine: Engine, *, console: Console) -> bool:
    """See that the plain base image is here; return whether `.env` has changed for it.

    A plain base that cannot be pulled is made from the host's own package mirror. CUDA bases are BuildKit's to pull:
    nothing could take their place.

    Raises:
        CressetError: the person chose a base that is not to be had.
    """
    base, service = resolved["PLAIN_IMAGE"], resolved.service
    target = service.build.get("target")
    is_needed = target and base in dockerfile.bases(resolved.recipe, target, service.arguments)
    if engine.dry_run or not is_needed or engine.labels(base) is not None:
        return False
    if base.startswith(env_file.MADE_HERE):
        make(engine, base.removeprefix(env_file.MADE_HERE))
        return False
    console.print(Text(f"Pulling the base image {base} ..."))
    reason = engine.pull(base)
    if not reason:
        return False
    if resolved.values["PLAIN_IMAGE"].source != "default":
        cause = "see to the network" if remedies.is_of_network(reason) else "log in to its registry (docker login)"
        raise CressetError(
            f"PLAIN_IMAGE: {base} is not here and cannot be pulled: {reason.splitlines()[-1]}",
            f"{cause}, choose another, or make one: invoke base-image",
        )
    console.print(Text(f"{base} cannot be pulled: {reason.splitlines()[-1]}"))
    record(engine, console=console)
    return True


def record(engine: Engine, *, console: Console, suite: str = "") -> None:
    """Make a base image from the host's own package mirror and write its name into `.env`.

    Raises:
        CressetError: no daemon answers, this host has no such mirror, or making it failed.
    """
    engine.ready()
    codename = suite or host.codename()
    if not codename:
        raise CressetError(
            "a base image can only be made on Debian or Ubuntu",
            "load one from another machine (docker save, docker load) and name it: PLAIN_IMAGE=... in .env",
        )
    name = make(engine, codename)
    if engine.dry_run:
        return
    choice = Choice(name="PLAIN_IMAGE", value=name, reason="made from this host's package mirror by invoke base-image")
    former = files.read(".env")
    files.write(".env", env_file.record(former or "", choice), former=former, mode=0o600)
    console.print(Text(f"Wrote PLAIN_IMAGE={name} to .env."))


def make(engine: Engine, codename: str) -> str:
    """Make the base image of a distribution's release, unless it is there, and return its name."""
    name = env_file.MADE_HERE + codename
    engine.run([str(files.ROOT / "misc" / "base_image.sh"), name, codename])
    return name
