"""Which official wheels are to be had from this host: on the index of PyTorch's wheels, or in the wheelhouse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from packaging.version import Version

from cresset import env_file, files, host
from cresset.configuration import Configuration
from cresset.env_file import Choice
from cresset.errors import CressetError
from cresset.host import Host
from cresset.versions import knowledge, wheels
from cresset.versions.compat import label_of, release_of
from cresset.versions.wheels import Lack, Wheel

# Where a pull without a registry in its name goes.
_REGISTRY = "https://registry-1.docker.io/v2/"

# The source of a value that the tables chose.
CHOSEN = "tables"

_PACKAGES = {
    "PYTORCH_VERSION_TAG": "torch",
    "TORCHVISION_VERSION_TAG": "torchvision",
    "TORCHAUDIO_VERSION_TAG": "torchaudio",
    "TORCHTEXT_VERSION_TAG": "torchtext",
}


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where wheels come from.

    Attributes:
        index: the index of PyTorch's wheels with a slash at its end, or a page of links to all of them.
        answers: whether it does.
        house: the wheelhouse.
        label: the variant that the settings ask for, like cpu.
        machine: the processor.
        ca_bundle: the certificates to trust; empty for the usual ones.
    """

    index: str
    answers: bool
    house: str
    label: str
    machine: str
    ca_bundle: str

    def find(self, package: str, *, python: str, version: str = "") -> Wheel | None:
        """Return the newest wheel of a package for a Python (empty for any), or the one of that version."""
        url = _page(self.index, package)
        page = host.fetch(url, ca_bundle=self.ca_bundle) if self.answers else None
        offered = (*wheels.read(host.wheels(self.house)), *wheels.listed(page or ""))
        return self.pick(offered, package, python=python, version=version)

    def pick(self, offered: Iterable[Wheel], package: str, *, python: str, version: str) -> Wheel | None:
        """Return the newest one of those offered, or the one of that version, that fits."""
        return wheels.newest(
            offered, name=package, python=python, machine=self.machine, variant=self.label, version=version
        )


def has_torch(house: str, resolved: Configuration, *, machine: str, python: str = "") -> bool:
    """Return whether a wheelhouse has the PyTorch of the settings, for a processor and a Python (empty for any)."""
    release, label = release_of(resolved["PYTORCH_VERSION_TAG"]), label_of(resolved["PYTORCH_VERSION_TAG"])
    label = label or wheels.variant(use_cuda=resolved["USE_CUDA"], cuda_version=resolved["CUDA_VERSION"])
    offered, python = wheels.read(host.wheels(house)), ".".join(python.split(".")[:2])
    found = wheels.newest(offered, name="torch", python=python, machine=machine, variant=label, version=release)
    return found is not None


def find_lacks(resolved: Configuration, *, machine: str, seconds: float) -> list[Lack] | None:
    """Return the wheels that a build of these settings will not find; None where it looks for none by version.

    Args:
        resolved: the configuration.
        machine: the processor.
        seconds: how long to wait for the index.
    """
    is_fetched = resolved["BUILD_MODE"] == "exclude" and resolved["PYTORCH_FETCH_NIGHTLY"] == "0"
    if not is_fetched or not resolved.has_torch_by_tag:
        return None
    label = wheels.variant(use_cuda=resolved["USE_CUDA"], cuda_version=resolved["CUDA_VERSION"])
    # What a build takes them from: pip's folder of wheels counts only where it is in the settings.
    sources = Sources(
        index=_index(resolved, label),
        answers=False,
        house=str(files.ROOT / resolved["WHEELHOUSE"]),
        label=label,
        machine=machine,
        ca_bundle=resolved["CA_BUNDLE"] or host.own_certificates(),
    )
    python = ".".join(resolved["PYTHON_VERSION"].split(".")[:2])
    found: list[Lack] = []
    for setting, package in _PACKAGES.items():
        version = release_of(resolved[setting])
        sources = replace(sources, label=label_of(resolved[setting]) or label)
        if not version or sources.find(package, python=python, version=version):
            continue
        is_silent = bool(found) and not found[-1].is_sure  # then it is not waited for again
        url = _page(sources.index, package)
        page = None if is_silent else host.fetch(url, ca_bundle=sources.ca_bundle, seconds=seconds)
        if page is None or not sources.pick(wheels.listed(page), package, python=python, version=version):
            place = f"{sources.index} {'does not answer' if page is None else 'has none either'}"
            what = f"{package} {version} for Python {python} ({sources.label}, {machine})"
            message = f"{what} is not in {resolved['WHEELHOUSE']}, and {place}"
            found.append(Lack(message=message, is_sure=page is not None))
    return found


def choose_wheels(resolved: Configuration, facts: Host) -> tuple[list[Choice], str]:
    """Return what to write where the defaults are not to be had from this host, and a warning, empty if all is well.

    Raises:
        CressetError: a version was asked for by name, and neither the index nor the wheelhouse has it.
    """
    if resolved["PYTORCH_FETCH_NIGHTLY"] == "1":
        return [], ""
    sources = _look(resolved, facts)
    python = ".".join(resolved["PYTHON_VERSION"].split(".")[:2])
    choices: list[Choice] = []
    if not sources.answers and resolved.values["PYTHON_VERSION"].source in {"default", CHOSEN}:
        base, choices = _choose_base(resolved, facts, sources)
        former, python = python, _choose_python(resolved, sources, base)
        is_own = python == env_file.python_of(base)
        if python and (python != former or (is_own and resolved.values["PYTHON_VERSION"].source == "default")):
            reason = f"the one that {base} has" if is_own else f"that of the wheel in {sources.house}"
            choices.append(Choice(name="PYTHON_VERSION", value=python, reason=reason))
    if resolved["BUILD_MODE"] == "include":
        return choices, ""
    _refuse_what_is_not_there(resolved, sources, python)
    if resolved.values["PYTORCH_VERSION_TAG"].source == CHOSEN:
        companions, warning = _look_for_chosen(resolved, sources, python)
        return choices + companions, warning
    if sources.answers or resolved.values["PYTORCH_VERSION_TAG"].source != "default":
        return choices, ""
    wheel = sources.find("torch", python=python)
    if wheel is None:
        warning = (
            f"{sources.index} does not answer, and {sources.house} has no torch wheel"
            f"{f' for Python {python}' if python else ''}; builds need one of them: "
            "name a folder of wheels with `invoke env --update --set WHEELHOUSE=DIR`"
        )
        return choices, warning
    reason = f"the newest wheel that fits in {sources.house}; no wheel index answers"
    return choices + env_file.wheelhouse_choices(wheel, python=python, reason=reason), ""


def _look(resolved: Configuration, facts: Host) -> Sources:
    label = wheels.variant(use_cuda=resolved["USE_CUDA"], cuda_version=resolved["CUDA_VERSION"])
    index = _index(resolved, label)
    ca_bundle = resolved["CA_BUNDLE"] or facts.ca_bundle
    # The one that was named, else pip's, else the folder of the checkout.
    named = resolved.values["WHEELHOUSE"].source != "default" or not facts.wheelhouse
    return Sources(
        index=index,
        answers=host.answers(_page(index, "torch"), ca_bundle=ca_bundle),
        house=str(files.ROOT / resolved["WHEELHOUSE"]) if named else facts.wheelhouse,
        label=label,
        machine=facts.machine,
        ca_bundle=ca_bundle,
    )


def _index(resolved: Configuration, label: str) -> str:
    """Return where wheels are looked for, as misc/image/fetch-wheels.sh does."""
    release = release_of(resolved["PYTORCH_VERSION_TAG"])
    url = str(knowledge.tables().index(release)["url"]) if release else f"{wheels.OFFICIAL_INDEX}/{{variant}}"
    official = url.format(variant=label)
    index = resolved["PYTORCH_INDEX_URL"] or official
    return index if index.endswith(".html") else index.rstrip("/") + "/"


def _page(index: str, package: str) -> str:
    return index if index.endswith(".html") else urljoin(index, f"{package}/")


def _refuse_what_is_not_there(resolved: Configuration, sources: Sources, python: str) -> None:
    for setting, package in _PACKAGES.items():
        tag = resolved.values[setting]
        asked = tag.source in {"--set", "shell"} and tag.value
        if asked and not sources.find(package, python=python, version=tag.value.removeprefix("v")):
            index = "has none" if sources.answers else "does not answer"
            raise CressetError(
                f"{package} {tag.value} for Python {python} ({sources.label}, {sources.machine}) is not to be had: "
                f"{sources.index} {index}, nor has {sources.house}",
                "choose another version, or name a folder that has the wheel: --set WHEELHOUSE=DIR",
            )


def _look_for_chosen(resolved: Configuration, sources: Sources, python: str) -> tuple[list[Choice], str]:
    """Return the chosen companions that are not to be had, as left out; or a warning where nothing can be asked.

    Raises:
        CressetError: the index answers, and has no such PyTorch.
    """

    def lacks(setting: str) -> bool:
        version = resolved[setting].removeprefix("v")
        return bool(version) and not sources.find(_PACKAGES[setting], python=python, version=version)

    tag = resolved["PYTORCH_VERSION_TAG"]
    if lacks("PYTORCH_VERSION_TAG"):
        message = f"torch {tag} for Python {python} is not in {sources.house}, and {sources.index}"
        if sources.answers:
            raise CressetError(f"{message} has none either", "choose another release: invoke versions")
        return [], f"{message} does not answer: whether it is to be had there is not known"
    where = f"neither {sources.index} nor {sources.house} has it"
    return [
        Choice(name=setting, value="", reason=where if sources.answers else f"not in {sources.house}; no index answers")
        for setting in _PACKAGES
        if resolved.values[setting].source == CHOSEN and lacks(setting)
    ], ""


def _choose_python(resolved: Configuration, sources: Sources, base: str) -> str:
    """Return the Python that goes with the PyTorch where no index answers; empty where a wheel has to tell.

    That of the base image comes first: another one would have to be fetched, most likely from where nothing answers.
    """
    setting, own = resolved.values["PYTHON_VERSION"], env_file.python_of(base)
    former = ".".join(setting.value.split(".")[:2])
    version = release_of(resolved["PYTORCH_VERSION_TAG"])
    release = knowledge.tables().release(version)
    # Instead of the default release whatever there is a wheel of is taken.
    if release is None or resolved.values["PYTORCH_VERSION_TAG"].source == "default":
        return own or (former if setting.source == CHOSEN else "")
    oldest, newest = map(Version, release["python"])
    of_wheel = sources.find("torch", python="", version=version) if resolved["BUILD_MODE"] == "exclude" else None
    known = [own, former, *(of_wheel.pythons if of_wheel else ())]
    fitting = [one for one in known if one and oldest <= Version(one) <= newest]
    housed = [one for one in fitting if of_wheel and sources.find("torch", python=one, version=version)]
    return next(iter([*housed, *fitting, former]))


def _choose_base(resolved: Configuration, facts: Host, sources: Sources) -> tuple[str, list[Choice]]:
    """Return the base image whose interpreter counts, and what to write where no registry has it."""
    base = resolved["BUILD_IMAGE"]
    is_default = resolved.values["PLAIN_IMAGE"].source == "default"
    if base != resolved["PLAIN_IMAGE"] or not is_default or not facts.codename:
        return base, []
    if host.answers(_REGISTRY, ca_bundle=sources.ca_bundle):
        return base, []
    made = env_file.MADE_HERE + facts.codename
    return made, [Choice(name="PLAIN_IMAGE", value=made, reason="no registry answers: it is made on this host")]
