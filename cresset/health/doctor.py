"""Doctor: host, engine and configuration judged together. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from cresset.health import doctor_engine, doctor_host, doctor_versions
from cresset.health.findings import Facts, Finding

# Every check, in the order in which they are shown.
NAMES = (
    "engine",
    "compose",
    "buildx",
    "permission",
    "context",
    "docker-config",
    "gpu-runtime",
    "driver",
    "gpu-arch",
    "wheel-arch",
    "toolkit-arch",
    "torch-cuda",
    "torch-python",
    "companions",
    "wheels",
    "base-image",
    "compiler",
    "distribution",
    "disk",
    "memory",
    "builder-gc",
    "shm",
    "user",
    "env-keys",
    "vscode-server",
    "proxy-ca",
)
# Of docker and `.env` alone; then those that need a configuration too.
_ALWAYS = (
    doctor_engine.engine,
    doctor_engine.plugins,
    doctor_engine.context,
    doctor_engine.docker_config,
    doctor_host.env_keys,
)
_OF_PROJECT = (
    doctor_engine.platform,
    doctor_engine.gpu_runtime,
    doctor_versions.driver,
    doctor_versions.architectures,
    doctor_versions.versions,
    doctor_versions.wheels,
    doctor_versions.base_images,
    doctor_engine.room,
    doctor_engine.memory,
    doctor_engine.builder_gc,
    doctor_host.shm,
    doctor_host.user,
    doctor_host.mounts,
    doctor_host.proxy_ca,
)


def examine(facts: Facts) -> list[Finding]:
    """Return what every check found, in the order of their names; a check that has nothing to look at finds nothing."""
    found = [finding for check in _ALWAYS for finding in check(facts)]
    if project := facts.project:
        found += [finding for check in _OF_PROJECT for finding in check(facts, project)]
    return in_order(found)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in the order of their checks."""
    return sorted(findings, key=lambda finding: NAMES.index(finding.check))


def of(findings: Iterable[Finding], severity: str) -> list[Finding]:
    """Return the findings of a severity."""
    return [finding for finding in findings if finding.severity == severity]
