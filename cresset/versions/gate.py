"""What is asked of the tables before a build, and of this host's GPUs before a container starts."""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from cresset import files, hardware, host
from cresset.bake import Product
from cresset.configuration import Configuration
from cresset.engine import Engine
from cresset.errors import CressetError
from cresset.health import doctor_versions
from cresset.health.findings import Docker, Facts, Finding, Machine, Project
from cresset.host import Host
from cresset.versions import availability, bases, combination, knowledge
from cresset.versions.combination import Verdict
from cresset.versions.compat import Tables, release_of

_OF_COMPILING = {"toolkit-arch", "toolkit-torch", "compiler"}
_FORCE = "to go on all the same: --force"


def after_choice(settled: Configuration, facts: Host) -> list[str]:
    """Return a warning for each point of a choice of which nothing is known for sure.

    Raises:
        CressetError: what was chosen, with what was given by hand, is known to fail.
    """
    tables, values = knowledge.tables(), settled.as_dict()
    judged = _judge(tables, values)
    # A wheelhouse may hold what no index has.
    doubtful = [one for one in judged if one.status != "supported"]
    counted = [one for one in doubtful if not (one.check == "torch-cuda" and _has_torch(settled, facts))]
    # What a person asked for comes before a Python that nobody named.
    is_chosen = settled.values["PYTHON_VERSION"].source == availability.CHOSEN
    for verdict in sorted(counted, key=lambda one: is_chosen and one.check == "torch-python"):
        if verdict.status == "known bad":
            raise CressetError(verdict.message, f"{verdict.hint} ({verdict.source})")
    return [_warning(one) for one in counted]


def _warning(verdict: Verdict) -> str:
    return f"{verdict.message}; nothing says what goes with it" if verdict.check == "torch" else verdict.message


def doubts(settled: Configuration, facts: Host, *, named: Collection[str]) -> list[str]:
    """Return what is known to fail of settings that were set one by one, and which GPUs of CCA they do not serve.

    Args:
        settled: the configuration that they lead to.
        facts: the host.
        named: their names.
    """
    if not settled.has_torch_by_tag:
        return []
    tables = knowledge.tables()
    judged = (one for one in _judge(tables, settled.as_dict()) if one.status == "known bad")
    found = [
        f"{one.message}: {one.hint}" for one in judged if not (one.check == "torch-cuda" and _has_torch(settled, facts))
    ]
    if settled["USE_CUDA"] == "0" and (idle := sorted({"CCA", "CUDA_VERSION"} & set(named))):
        found.append(f"without CUDA (USE_CUDA=0) {' and '.join(idle)} say nothing: with it, --service train")
        with_cuda = replace(settled.values["USE_CUDA"], value="1")
        settled = replace(settled, values={**settled.values, "USE_CUDA": with_cuda})
    here = Facts(docker=Docker(machine=facts.machine), machine=Machine(), tables=tables, project=None)
    return [*found, *(f"{one.message}: {one.hint}" for one in _architectures(here, settled))]


def _has_torch(settled: Configuration, facts: Host) -> bool:
    """Return whether the wheelhouse, the one that was named, else pip's, has the PyTorch of the settings."""
    is_named = settled.values["WHEELHOUSE"].source != "default" or not facts.wheelhouse
    house = str(files.ROOT / settled["WHEELHOUSE"]) if is_named else facts.wheelhouse
    return availability.has_torch(house, settled, machine=facts.machine, python=settled["PYTHON_VERSION"])


def before_build(
    resolved: Configuration,
    engine: Engine,
    product: Product,
    *,
    console: Console,
    force: bool = False,
    quiet: bool = False,
) -> list[str]:
    """Refuse what is known to fail before it costs hours; say nothing where all is well.

    Args:
        resolved: the configuration.
        engine: asked for a base image that the tables say never was.
        product: what is made; nothing is compiled for one that has its wheels from an image.
        console: where warnings go.
        force: go past what is known to fail.
        quiet: show no warnings.

    Returns:
        What was gone past, a sentence each.

    Raises:
        CressetError: with what is known, what to set instead, and where the knowledge is from.
    """
    tables, values = knowledge.tables(), resolved.as_dict()
    if "dist" in product.contexts:
        # What that image was made with counts.
        values |= product.arguments
        values["BUILD_IMAGE"] = values["TRAIN_IMAGE"]
        judged = [one for one in _judge(tables, values) if one.check not in _OF_COMPILING]
    else:
        combination.require(values)
        judged = _judge(tables, values, images=resolved.base_images)
    known = [one for one in judged if one.status == "known bad" and not _is_excused(one, resolved, engine)]
    if known and not force:
        raise CressetError(known[0].message, f"{known[0].hint} ({known[0].source}); {_FORCE}")
    for verdict in known:
        console.print(Text(f"Going on by --force: {verdict.message}", style="yellow"), soft_wrap=True)
    if not quiet:
        for warning in _warnings(tables, resolved, judged, is_compiled="dist" not in product.contexts):
            console.print(Text(f"Warning: {warning}", style="yellow"), soft_wrap=True)
    return [f"{one.check}: {one.message}" for one in known]


def before_start(resolved: Configuration, *, console: Console, force: bool = False) -> None:
    """Refuse to start a container whose PyTorch has code for none of this host's GPUs.

    Raises:
        CressetError: with the GPU and what there is code for.
    """
    is_ours = resolved.service.reserves_gpus and resolved.has_torch_by_tag
    facts = _facts(knowledge.tables(), resolved) if is_ours else None
    if not facts or not facts.machine.gpus or hardware.is_remote(hardware.engine_address()):
        return
    for finding in _architectures(facts, resolved, starts=True):
        if finding.severity == "error" and not force:
            raise CressetError(finding.message, f"{finding.hint}; {_FORCE}")
        said = "Going on by --force" if finding.severity == "error" else "Warning"
        console.print(Text(f"{said}: {finding.message}", style="yellow"), soft_wrap=True)


def _judge(tables: Tables, values: Mapping[str, str], *, images: Collection[str] = ()) -> list[Verdict]:
    return [*combination.judge(tables, values), *bases.judge(tables, values, images=images)]


def _is_excused(verdict: Verdict, resolved: Configuration, engine: Engine) -> bool:
    """Return whether what the tables know does not hold here."""
    if verdict.check == "torch-cuda":  # a wheelhouse may hold what no index has
        house, machine = str(files.ROOT / resolved["WHEELHOUSE"]), host.wheel_machine(platform.machine())
        return availability.has_torch(house, resolved, machine=machine, python=resolved["PYTHON_VERSION"])
    if verdict.check != "base-image" or engine.dry_run:
        return False
    return all(engine.labels(image) is not None for image in resolved.base_images if image in verdict.message)


def _warnings(tables: Tables, resolved: Configuration, judged: list[Verdict], *, is_compiled: bool) -> list[str]:
    # Of a branch nobody expects that the tables know it.
    is_release = bool(release_of(resolved["PYTORCH_VERSION_TAG"]))
    named = {"torch", "torch-python"} if is_release else set()
    found = [_warning(one) for one in judged if one.check in named and one.status == "unknown"]
    # A compile takes so long that asking the driver costs nothing beside it.
    if is_compiled and resolved["BUILD_MODE"] == "include" and resolved["USE_CUDA"] == "1":
        facts = _facts(tables, resolved)
        found += [one.message for one in _architectures(facts, resolved) if one.severity != "ok"]
    return found


def _architectures(facts: Facts, resolved: Configuration, *, starts: bool = False) -> list[Finding]:
    project = Project(service=resolved.service.name, reserves_gpus=True, values=resolved.as_dict())
    found = doctor_versions.architectures(facts, project, starts=starts)
    return [finding for finding in found if finding.severity in {"warning", "error"}]


def _facts(tables: Tables, resolved: Configuration) -> Facts:
    gpus, _ = hardware.gpus() if resolved["USE_CUDA"] == "1" else ((), "")
    docker = Docker(machine=host.wheel_machine(platform.machine()))
    return Facts(docker=docker, machine=Machine(gpus=gpus), tables=tables, project=None)
