"""What runs again after each everyday edit of a source build: `python tests/figures/cache_efficiency.py [--write]`.

The stand-ins are compiled once; then each edit is made, built and taken back. Beside the steps that BuildKit executed
stands what is more than the least possible: the step that reads what was edited, and those whose input then differs.
With --write, or CRESSET_RENEW in the environment, the table goes into docs/source-builds.md.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from cresset import host  # noqa: E402 - a script finds the program beside it
from tests.engine import stand_in  # noqa: E402
from tests.engine.checkout import run  # noqa: E402
from tests.engine.conftest import folder  # noqa: E402
from tests.engine.source_build import SourceBuild, made  # noqa: E402

DOCUMENT = ROOT / "docs" / "source-builds.md"
BEGIN, END = "<!-- edits: begin -->", "<!-- edits: end -->"

LAST = "train-user-include check-user train"
ENVIRONMENT = f"train-env check-env {LAST}"
WHEELS = f"dist-include make-env {ENVIRONMENT}"
COMPILED = f"build-torch build-vision build-audio build-text build-extensions {WHEELS}"


@dataclass(frozen=True, kw_only=True)
class Edit:
    """An everyday edit.

    Attributes:
        what: in a person's words.
        least: the stages in which some step has to run again.
        settings: what it sets.
        lines: file to line: what it adds.
    """

    what: str
    least: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, str] = field(default_factory=dict)


def edits() -> list[Edit]:
    """Return the edits, with values that no build has seen."""
    word = uuid.uuid4().hex
    user = {"UID": "54321", "GID": "54321", "USR": f"u{word[:8]}", "GRP": f"g{word[:8]}"}
    return [
        Edit(what="the user", least=LAST, settings=user),
        Edit(what="the time zone", least="train", settings={"TZ": "Asia/Seoul"}),
        Edit(what="`PROJECT_ROOT`", least="train", settings={"PROJECT_ROOT": f"/opt/{word}"}),
        Edit(what="the shell's settings", least="scripts train", lines={"misc/image/zshrc": f"# {word}"}),
        Edit(
            what="a pip line",
            least=f"requirements {ENVIRONMENT}",
            lines={"reqs/pip-train.requirements.txt": f"iniconfig  # {word}"},
        ),
        Edit(
            what="an apt line",
            least=f"requirements pick-packages train-base {ENVIRONMENT}",
            lines={"reqs/apt-train.requirements.txt": f"file  # {word}"},
        ),
        Edit(
            what="a comment in `reqs/pip-build.requirements.txt`",
            least="requirements pick-extensions",
            lines={"reqs/pip-build.requirements.txt": f"# {word}"},
        ),
        Edit(what="the pip mirror", settings={"INDEX_URL": "https://index.example.org/simple"}),
        Edit(what="the apt mirror", settings={"DEB_NEW": "http://archive.example.org/debian"}),
        Edit(what="`MAX_JOBS`", settings={"MAX_JOBS": "1"}),
        Edit(what="a comment in the Dockerfile", lines={"Dockerfile": f"# {word}"}),
        Edit(
            what="TorchVision's tag",
            least=f"clone-vision choose-pins build-vision {WHEELS}",
            settings={"TORCHVISION_VERSION_TAG": stand_in.LATER_VISION_TAG},
        ),
        Edit(
            what="PyTorch's tag",
            least=f"clone-torch choose-pins preflight {COMPILED}",
            settings={"PYTORCH_VERSION_TAG": stand_in.LATER_TAG},
        ),
        Edit(what="`CCA`", least=f"preflight {COMPILED}", settings={"CCA": "8.6"}),
    ]


def measure(source_build: SourceBuild, edit: Edit) -> tuple[str, ...]:
    """Return the steps that are executed after an edit, which is then taken back."""
    path = source_build.checkout.path
    kept = {name: (path / name).read_text() for name in (".env", *edit.lines)}
    try:
        source_build.checkout.set(**edit.settings)
        for name, line in edit.lines.items():
            source_build.checkout.edit(name, line)
        return source_build.do("build-only", BUILD_MODE="include").steps
    finally:
        for name, text in kept.items():
            (path / name).write_text(text)


def main() -> int:
    """Print the table, write it if asked to; return 1 where an edit runs more than it has to."""
    base = f"cresset-base:{host.codename()}"
    run([str(ROOT / "misc" / "base_image.sh"), base, host.codename()])
    rows, excess = ["| edit | steps that run again |", "|---|---|"], 0
    with made(folder(), base) as source_build:
        source_build.do("build-only", BUILD_MODE="include")
        for edit in edits():
            steps = measure(source_build, edit)
            more = {step.split()[0] for step in steps} - {*edit.least.split()}
            excess += len(more)
            rows.append(f"| {edit.what} | {', '.join(_in_brief(steps)) or 'none'} |")
            print(rows[-1], f"MORE THAN NEEDED: {', '.join(sorted(more))}" if more else "", flush=True)
    if "--write" in sys.argv or os.environ.get("CRESSET_RENEW"):
        before, _, rest = DOCUMENT.read_text().partition(BEGIN)
        DOCUMENT.write_text(f"{before}{BEGIN}\n" + "\n".join(rows) + f"\n{END}{rest.partition(END)[2]}")
    return 1 if excess else 0


def _in_brief(steps: tuple[str, ...]) -> list[str]:
    """Return stages in the order in which they ran, those of which several steps ran with their number."""
    stages = [step.split()[0] for step in steps]
    return [
        f"`{one}`" + (f" ({stages.count(one)} steps)" if stages.count(one) > 1 else "") for one in dict.fromkeys(stages)
    ]


if __name__ == "__main__":
    sys.exit(main())
