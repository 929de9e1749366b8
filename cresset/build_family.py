"""Source builds by name: the image family pytorch_source, each member made from the one before it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cresset import build as builds
from cresset import contents, family, remedies
from cresset.bake import Product
from cresset.configuration import Configuration
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.screen.display import Mode


def make(
    resolved: Configuration,
    engine: Engine,
    names: Sequence[str],
    *,
    full: bool,
    clean: bool,
    console: Console,
    mode: Mode = "auto",
    force: bool = False,
) -> None:
    """Make members of the family: install, torch, train.

    Args:
        resolved: the configuration.
        engine: where to build.
        names: which members, in their order.
        full: say distribution, CUDA, cuDNN and Python in the images' names.
        clean: run every step once more, the compiler cache kept, and say whether the result differs.
        console: where to show it.
        mode: as for `build.build`.
        force: go past what is known to fail.

    Raises:
        CressetError: a build failed, or the torch image that was named is none.
    """
    members = family.members(resolved, full=full)
    family.require_distinct({name: members[name] for name in names})
    nonce = {"CLEAN": time.strftime("%Y%m%dT%H%M%S", time.gmtime())} if clean else {}
    for name in names:
        member = members[name]
        product = Product(name=member.reference, target=member.target, tags=[member.reference], arguments=nonce)
        if name == "train":
            product = _on_torch(resolved, engine, product, members["torch"].reference, console=console)
            if product.contexts:
                family.require_distinct({key: members[key] for key in ("torch", "train")})
        if not engine.dry_run:
            _require_kind(engine, member)
        before = contents.read(engine, member.reference) if clean and not engine.dry_run else None
        builds.build(resolved, engine, console=console, mode=mode, product=product, force=force)
        if before is not None:
            _compare(before, contents.read(engine, member.reference) or {}, member.reference, console=console)
    if clean and not engine.dry_run:
        console.print(
            Text(f"The next build takes the cache of before, unless .env keeps this one: CLEAN={nonce['CLEAN']}"),
            soft_wrap=True,
        )
    if "train" in names and not engine.dry_run:
        console.print(Text(f"To work in it: invoke up --train-name {members['train'].reference}"), soft_wrap=True)


def require(resolved: Configuration, engine: Engine) -> None:
    """Refuse to start a container of a train image that is not here.

    Raises:
        CressetError: there is no such image.
    """
    image = resolved.service.image
    if not engine.dry_run and engine.labels(image) is None:
        name = image.removeprefix(f"{family.REPOSITORY}:")
        raise CressetError(f"there is no image {image}", f"make it: invoke build-train --train-name {name}")


def _require_kind(engine: Engine, member: family.Member) -> None:
    """Refuse to take the name of an image of another kind: with its name it would lose what keeps it."""
    stage = (engine.labels(member.reference) or {}).get(family.STAGE, member.target)
    if stage != member.target:
        raise CressetError(
            f"{member.reference} is there, and is the stage {stage}, not {member.target}",
            f"choose another name, or remove it: docker image rm {member.reference}",
        )


def _on_torch(resolved: Configuration, engine: Engine, product: Product, torch: str, *, console: Console) -> Product:
    """Return the product, made from the torch image of that name where there is one, and not through build stages."""
    if resolved["TORCH_NAME"]:
        made = family.arguments_of(_labels(engine, torch), torch, resolved.recipe)
    else:
        labels = engine.labels(torch)
        if labels is None:
            return product
        made = family.arguments_of(labels, torch, resolved.recipe)
        # Nobody named it: it is taken if it is what would be built.
        if unlike := [name for name, value in made.items() if not _is_as_wanted(resolved, name, value)]:
            console.print(
                Text(f"{torch} was made with another {', '.join(unlike)}: what is asked for is built."), soft_wrap=True
            )
            return product
    if found := family.differences(resolved, made, torch):
        table = Table("setting", "given", "from", "made with, which counts", box=None, pad_edge=False)
        for one in found:
            table.add_row(one.name, Text(one.given or "(empty)"), one.source, Text(one.made or "(empty)"))
        console.print(Text(f"{torch} was made with other settings than are given here:"))
        console.print(table)
    console.print(Text(f"Taking PyTorch from {torch}"))
    return replace(
        product,
        arguments={**made, **product.arguments},
        # The build stages' base image need not be there: BuildKit would look for it, though it runs none of them.
        contexts={**product.contexts, **dict.fromkeys(("dist", "build-python"), f"docker-image://{torch}")},
    )


def _is_as_wanted(resolved: Configuration, name: str, value: str) -> bool:
    wanted = resolved.values.get(name)
    # A commit is what a tag was when the image was made.
    return wanted is None or wanted.value == value or (name.endswith("_COMMIT") and not wanted.value)


def _labels(engine: Engine, image: str) -> dict[str, str]:
    labels = engine.labels(image)
    if labels is None and "/" in image and engine.dry_run:
        raise CressetError(f"{image} is not here, and a dry run pulls nothing", f"docker pull {image}")
    if labels is None and "/" in image:
        if reason := engine.pull(image):
            raise CressetError(
                f"{image} is neither here nor to be pulled: {reason}",
                f"see to its name and the network; where it asks who you are: docker login {remedies.registry(image)}",
            )
        labels = engine.labels(image)
    if labels is None:
        raise CressetError(f"there is no image {image}", "make it: invoke build-torch, or name another: --torch-name")
    return labels


def _compare(before: dict[str, str], after: dict[str, str], image: str, *, console: Console) -> None:
    lines = contents.differences(before, after)
    if not lines:
        console.print(Text(f"{image}: the same {len(after)} packages and wheels as before."), soft_wrap=True)
        return
    console.print(Text(f"{image} differs from the one before:"), soft_wrap=True)
    for line in lines:
        console.print(Text(f"  {line}"), soft_wrap=True)
