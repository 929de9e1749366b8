"""The files of the repository agree: each value has one home, each floor looks down, no stage sees too much."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cresset import configuration, dockerfile, env_file, hardware, settings
from cresset.dockerfile import Dockerfile, Stage
from cresset.foresight.context import DiskFolder, Memory
from cresset.versions import wheels

ROOT = Path(__file__).resolve().parents[2]
RECIPES = {name: dockerfile.parse((ROOT / name).read_text(), name=name) for name in configuration.RECIPES}
RECIPE = RECIPES["Dockerfile"]
COMPOSE_TEXT = (ROOT / "docker-compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
CUDA: dict[str, Any] = yaml.safe_load((ROOT / "misc/cuda.yaml").read_text())
# What both have is the Dockerfile's.
ARGUMENTS = {argument.name: argument for recipe in reversed(RECIPES.values()) for argument in recipe.arguments}
STAGES = [(recipe, stage) for recipe in RECIPES.values() for stage in recipe.stages]

# From the ground up; a module imports only from floors below its own.
FLOORS = (
    {"credentials", "data", "errors", "hardware", "remedies"},
    {
        "devices",
        "env_entries",
        "files",
        "forms",
        "host",
        "layout",
        "plain_yaml",
        "processes",
        "rawjson",
        "refusals",
        "shell_words",
    }
    | {"tree", "vertex"},
    {"compose", "context", "engine", "history", "instructions", "pace", "progress", "settings", "steps", "wheels"},
    {"bake", "causes", "compat", "disk", "dockerfile", "inventory", "live", "override_file", "requirements"}
    | {"transcript"},
    {"combination", "configuration", "display", "explain", "findings", "inputs", "knowledge", "sources"} | {"timeline"},
    {
        "bases",
        "doctor_engine",
        "doctor_host",
        "env_file",
        "family",
        "graph",
        "keys",
        "project",
        "recovery",
        "verdicts",
        "wish",
    },
    {"availability", "store", "words"},
    {"choice", "doctor_versions", "drawing", "mermaid", "outlook", "probes"},
    {"doctor", "forecast", "gate", "keeping", "pairings"},
    {"base_image", "build", "container", "contents", "environment", "upkeep"},
    {"bench", "build_family", "checkup", "command_line", "jupyter", "matrix", "ship", "show"},
    {"ready"},
    {"tasks"},
)
# Known to the last stages only, or to no stage at all.
PERSONAL = {"UID", "GID", "USR", "GRP", "SUDO", "SSH", "TZ", "PROJECT_ROOT", "PRELOAD"}
LAST = (
    *("install-preload", "install-simple-preload", "train-user-", "train-preload-", "devel-user-"),
    *("simple-user-", "simple-preload-", "ngc-user-", "ngc-preload-"),
    *("check-user", "check-simple", "check-ngc"),
)
# BuildKit's own arguments: they are in no key.
PROXIES = {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"}


def imports(module: Path) -> set[str]:
    """Return the modules of the program that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "cresset":
            # The package, its folder of data, a package in it, or a module.
            inside = ROOT.joinpath(*node.module.split(".")).is_dir() and not node.module.endswith(".data")
            found |= {alias.name for alias in node.names} if inside else {node.module.rsplit(".", 1)[1]}
    return found


# What is in `data` runs elsewhere: in containers.
MODULES = [one for one in sorted((ROOT / "cresset").rglob("[!_]*.py")) if one.parent.name != "data"]


@pytest.mark.parametrize("module", [*MODULES, ROOT / "tasks.py"], ids=lambda m: m.stem)
def test_a_module_imports_only_from_lower_floors(module: Path) -> None:
    (floor,) = (number for number, names in enumerate(FLOORS) if module.stem in names)
    assert imports(module) - set().union(*FLOORS[:floor]) == set()


def test_every_argument_has_a_row_and_every_row_an_argument() -> None:
    assert set(ARGUMENTS) == {row.name for row in settings.SETTINGS if row.is_argument}


def test_every_argument_reaches_compose_by_its_bare_name() -> None:
    assert set(COMPOSE["x-args"]) - PROXIES == set(ARGUMENTS)
    assert set(COMPOSE["x-args"].values()) == {None}


@pytest.mark.parametrize("use_cuda", ["", "0", "1"])
@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_every_service_passes_every_argument(name: str, use_cuda: str) -> None:
    service = COMPOSE["services"][name]
    passed = set(service["build"]["args"])
    if "extends" in service:
        assert service["extends"] == {"file": "misc/cuda.yaml", "service": "cuda-${USE_CUDA-}"}
        further = set(CUDA["services"][f"cuda-{use_cuda}"]["build"]["args"])
        # What the service says itself, even if it is nothing, would come before it.
        assert passed & further == set()
        passed |= further
    assert passed == set(COMPOSE["x-args"])


def test_what_use_cuda_means_has_the_defaults_of_compose() -> None:
    text = (ROOT / "misc/cuda.yaml").read_text()
    written = re.findall(r"\$\{(\w+):-([^}$]+)\}", text)
    assert {name for name, _ in written} == {"GPUS", "PLAIN_IMAGE"}
    for name, default in written:
        assert COMPOSE["x-cresset"][name] == f"${{{name}:-{default}}}"


def test_every_other_setting_is_in_x_cresset_or_composes_own() -> None:
    others = {row.name for row in settings.SETTINGS if not row.is_argument}
    assert others == set(COMPOSE["x-cresset"]) | {"COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES"}


def test_no_mount_makes_a_folder_of_roots() -> None:
    mounts = [one for service in COMPOSE["services"].values() for one in service["volumes"] if one["type"] == "bind"]
    assert mounts
    assert all(mount["bind"] == {"create_host_path": False} for mount in mounts)


def test_every_service_is_in_the_profile_of_its_name() -> None:
    assert {name: service["profiles"] for name, service in COMPOSE["services"].items()} == {
        name: [name] for name in COMPOSE["services"]
    }


PLAIN = {"USE_CUDA": "0", "BUILD_IMAGE": "plain:1", "DEPLOY_IMAGE": "plain:2"}
READS = {
    "train": {"apt-train", "dnf-train", "pip-build", "pip-train"},
    "cpu": {"apt-train", "dnf-train", "pip-build", "pip-train"},
    "full": {"apt-train", "dnf-train", "pip-build", "pip-train"},
    "devel": set(),
    "deploy": {"apt-deploy", "dnf-deploy", "pip-build", "pip-deploy"},
    "simple": {"apt-simple", "dnf-simple", "pip-simple"},
    "ngc": {"apt-ngc", "pip-ngc", "pip-ngc-uninstall"},
}


def target(service: str) -> str:
    """Return the stage that a service is."""
    name: str = COMPOSE["services"][service]["build"]["target"]
    return name


@pytest.mark.parametrize("service", READS)
def test_a_service_reads_its_own_requirement_files(service: str) -> None:
    text = "\n".join(str(instruction) for stage in stages_of(service) for instruction in stage.instructions)
    assert set(re.findall(r"source=/([\w-]+)\.requirements\.txt", text)) == READS[service]


def stages_of(service: str) -> tuple[Stage, ...]:
    """Return the stages that a service is built from, its presets given."""
    build = COMPOSE["services"][service]["build"]
    presets = {name: value for name, value in build["args"].items() if value}
    return dockerfile.needed(
        RECIPES[build.get("dockerfile", "Dockerfile")], target(service), {**PLAIN, **presets, "BUILD_MODE": "exclude"}
    )


@pytest.mark.parametrize(
    ("service", "bases"),
    [("deploy", {"plain:1", "plain:2"}), ("devel", {"plain:1"}), ("simple", {"any:1"})],
)
def test_a_service_takes_the_base_images_it_has_to(service: str, bases: set[str]) -> None:
    assert dockerfile.bases(RECIPE, target(service), {**PLAIN, "SIMPLE_IMAGE": "any:1"}) == bases


@pytest.mark.parametrize(("first", "second"), [("train-python", "deploy-python"), ("make-env", "make-deploy-env")])
def test_what_two_stages_do_alike_is_one_step(first: str, second: str) -> None:
    steps = [
        [(instruction.keyword, instruction.flags, instruction.text) for instruction in stage.instructions]
        for stage in RECIPE.stages
        if stage.name in {first, second}
    ]
    assert steps[0] == steps[1]


@pytest.mark.parametrize("service", ["train", "simple", "ngc"])
@pytest.mark.parametrize("library", ["none", "jemalloc", "tcmalloc", "libiomp5"])
def test_a_preload_is_the_same_in_each_service(service: str, library: str) -> None:
    def said(name: str) -> list[str]:
        (stage,) = (stage for _, stage in STAGES if stage.name == f"{name}-preload-{library}")
        return [instruction.text for instruction in stage.instructions if instruction.keyword == "ENV"]

    assert said(service) == said("train")
    assert bool(said(service)) == (library != "none")


def test_only_deploy_sees_nothing_of_the_host() -> None:
    mounted = {
        name: [volume["target"] for volume in service["volumes"] if volume["type"] == "bind"]
        for name, service in COMPOSE["services"].items()
    }
    certificates = "/etc/ssl/certs/host-ca-certificates.crt"
    assert mounted.pop("deploy") == [certificates]
    assert {*map(tuple, mounted.values())} == {("${PROJECT_ROOT:-/opt/project}", certificates)}


@pytest.mark.parametrize("argument", ARGUMENTS.values(), ids=lambda argument: argument.name)
def test_an_argument_has_one_default_and_says_what_it_is(argument: dockerfile.Argument) -> None:
    assert argument.default is not None
    assert argument.description
    for _, stage in STAGES:
        assert [again.default for again in stage.arguments if again.name == argument.name] in ([], [None])


@pytest.mark.parametrize("row", [row for row in settings.SETTINGS if row.is_argument], ids=lambda row: row.name)
def test_an_argument_is_at_home_in_its_file(row: settings.Setting) -> None:
    assert ARGUMENTS[row.name] in RECIPES[row.home].arguments


def test_what_two_dockerfiles_have_is_explained_in_one_and_of_one_default() -> None:
    # BuildKit lets no file read another.
    for again in RECIPES["ngc.Dockerfile"].arguments:
        if not again.name.startswith("NGC_"):
            assert (again.default, again.description) == (ARGUMENTS[again.name].default, None)


def test_a_default_is_in_compose_or_in_the_dockerfile_never_in_both() -> None:
    in_compose = dict(re.findall(r"\$\{(\w+):?-([^}$][^}]*)\}", COMPOSE_TEXT))
    # The container's folder has to be known to both: where the code is mounted, and where a shell begins.
    assert in_compose.pop("PROJECT_ROOT") == ARGUMENTS["PROJECT_ROOT"].default
    assert set(in_compose) & set(ARGUMENTS) == set()


def test_no_default_is_written_twice_in_compose() -> None:
    written = [name for name, _ in re.findall(r"\$\{(\w+):?-([^}$][^}]*)\}", COMPOSE_TEXT)]
    # IMAGE_NAME's default is another one for each service.
    assert sorted({name for name in written if written.count(name) > 1} - {"IMAGE_NAME"}) == []


def test_every_default_passes_its_own_check() -> None:
    for name, value in [pair for one in RECIPES.values() for pair in dockerfile.global_values(one, {}).items()]:
        settings.find(name, "default").check(value, "default")


def test_the_default_base_image_of_ngc_is_nvidias() -> None:
    defaults = dockerfile.global_values(RECIPES["ngc.Dockerfile"], {})
    assert defaults["NGC_IMAGE"] == "nvcr.io/nvidia/pytorch:26.09-py3"


@pytest.mark.parametrize(
    ("values", "image"),
    [
        (("rockylinux", "9"), "nvidia/cuda:13.0.3-cudnn-devel-rockylinux9"),
        (("ubi", "8"), "nvidia/cuda:13.0.3-cudnn-devel-ubi8"),
    ],
)
def test_the_base_image_of_the_rhel_family_is_a_tag_of_nvidias(values: tuple[str, str], image: str) -> None:
    chosen = dict(zip(("LINUX_DISTRO", "DISTRO_VERSION"), values, strict=True))
    assert dockerfile.global_values(RECIPE, chosen)["BUILD_IMAGE"] == image
    systems = yaml.safe_load((ROOT / "cresset/data/compat.yaml").read_text())["images"]["systems"]
    assert [row["to"] for row in systems if row["system"] == "".join(values)] == [""]  # to the newest


def test_the_default_base_image_is_nvidias() -> None:
    defaults = dockerfile.global_values(RECIPE, {})
    assert defaults["BUILD_IMAGE"] == "nvidia/cuda:13.0.3-cudnn-devel-ubuntu24.04"
    assert defaults["TRAIN_IMAGE"] == defaults["BUILD_IMAGE"]


def ancestry(recipe: Dockerfile, stage: Stage) -> list[Stage]:
    """Return a stage and the stages that it is built from, with the default settings."""
    base = dockerfile.resolve_base(recipe, stage, {})
    return [stage, *(ancestry(recipe, base) if isinstance(base, Stage) else [])]


@pytest.mark.parametrize(("recipe", "stage"), STAGES, ids=[f"{stage.name}" for _, stage in STAGES])
def test_only_the_last_stages_know_who_and_where(recipe: Dockerfile, stage: Stage) -> None:
    seen = {argument.name for ancestor in ancestry(recipe, stage) for argument in ancestor.arguments}
    if not str(stage.name).startswith(LAST) and stage.name not in {"train", "devel", "simple", "deploy", "ngc"}:
        assert seen & PERSONAL == set()


def test_letters_are_utf8_whatever_the_base_image_says() -> None:
    assert "LANG=C.UTF-8" in (ROOT / "Dockerfile").read_text().split("\nENV ")[-1].split("\nWORKDIR")[0]


def test_no_argument_is_a_secret() -> None:
    secret = {"INDEX_URL", "EXTRA_INDEX_URL", "TRUSTED_HOST", "DEB_NEW", "CA_BUNDLE", "WHEELHOUSE", "PYTHON_MIRROR"}
    assert secret & set(ARGUMENTS) == set()


def test_the_order_of_arguments_is_one_everywhere() -> None:
    # Two stages that share a step share its key only if what they declare before it stands in one order.
    for recipe, stage in STAGES:
        order = [argument.name for argument in recipe.arguments]
        names = [argument.name for argument in stage.arguments if argument.name in order]
        assert names == sorted(names, key=order.index) or stage.name == "fetch-wheels", stage.name


def test_the_program_and_the_image_ask_the_same_index() -> None:
    assert wheels.OFFICIAL_INDEX in (ROOT / "misc/image/fetch-wheels.sh").read_text()


def test_setup_and_the_program_know_the_same_drivers() -> None:
    table = re.findall(r"\[(\d+)\]=(\d+)", (ROOT / "misc/gpu.sh").read_text())
    assert {int(cuda): int(driver) for cuda, driver in table} == hardware._OLDEST_DRIVER


def test_the_build_context_is_what_the_dockerfile_copies() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert kept == ["reqs/*.requirements.txt", "misc/image/*"]


def test_every_base_that_the_program_makes_has_a_known_python() -> None:
    assert env_file.python_of(env_file.MADE_HERE + "bookworm") == "3.11"
    assert env_file.python_of("debian:bookworm-slim") == "3.11"
    assert env_file.python_of("ubuntu:24.04") == "3.12"
    assert env_file.python_of("registry.example.org/team/base:3") == ""


def test_a_build_sees_the_requirements_and_the_shell_pieces_and_nothing_else() -> None:
    allowed = ["**", "!reqs/*.requirements.txt", "!misc/image/*", "**/__pycache__", "**/*.pyc"]
    assert (ROOT / ".dockerignore").read_text().splitlines() == allowed


def test_what_python_leaves_beside_the_pieces_is_not_seen(tmp_path: Path) -> None:
    place = tmp_path / "misc" / "image"
    (place / "__pycache__").mkdir(parents=True)
    for name in ("a.py", "a.pyc", "__pycache__/a.cpython-312.pyc"):
        (place / name).touch()
    (tmp_path / ".dockerignore").write_text((ROOT / ".dockerignore").read_text())
    found = DiskFolder(tmp_path, memory=Memory()).find("misc/image")
    assert sorted(found) == ["misc/image", "misc/image/a.py"]


def test_a_checkouts_modes_are_not_among_the_sources() -> None:
    assert DiskFolder(ROOT / "misc/sources", memory=Memory()).find("/").keys() == {""}
