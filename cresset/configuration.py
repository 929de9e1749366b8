"""What a task acts on: the settings, each with its value and where it came from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cresset import compose, dockerfile, forms, settings
from cresset.compose import Model, Service
from cresset.dockerfile import Dockerfile
from cresset.errors import CressetError
from cresset.settings import Setting

# The homes of the arguments' defaults. What both have is the first one's.
RECIPES = ("Dockerfile", "ngc.Dockerfile")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the person asked for on the command line.

    Attributes:
        service: `--service`; empty takes the setting SERVICE.
        overrides: `--set NAME=VALUE`, checked.
        dry_run: print the docker commands instead of running them.
    """

    service: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False

    def having(self, **overrides: str) -> Request:
        """Return the request with further overrides, checked."""
        for name, value in overrides.items():
            settings.find(name, "the command line").check(value, "the command line")
        return replace(self, overrides={**self.overrides, **overrides})


@dataclass(frozen=True, kw_only=True)
class Value:
    """A setting's value.

    Attributes:
        name: the setting.
        value: its value; never None.
        source: `--set`, shell, .env, service (a preset) or default.
        help: the setting's meaning, a sentence without its subject.
    """

    name: str
    value: str
    source: str
    help: str

    @property
    def meaning(self) -> str:
        """The help without its verb, for a table."""
        return self.help.removeprefix("is ").removeprefix("are ")


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The project as Compose resolves it for one service.

    Attributes:
        service: the service that the task acts on.
        model: the whole project.
        recipe: the Dockerfile that the service is built from.
        values: every setting, by name.
    """

    service: Service
    model: Model
    recipe: Dockerfile
    values: Mapping[str, Value]

    @property
    def has_torch_by_tag(self) -> bool:
        """Whether the versions of PyTorch and its companions are those of the settings."""
        stages = dockerfile.needed(self.recipe, self.service.build.get("target", ""), self.service.arguments)
        return "PYTORCH_VERSION_TAG" in {argument.name for stage in stages for argument in stage.arguments}

    @property
    def base_images(self) -> frozenset[str]:
        """What the service's stages begin with."""
        return dockerfile.bases(self.recipe, self.service.build.get("target", ""), self.service.arguments)

    def __getitem__(self, name: str) -> str:
        """Return a setting's value."""
        return self.values[name].value

    def as_dict(self) -> dict[str, str]:
        """Return every setting's value, by name."""
        return {name: value.value for name, value in self.values.items()}


def environment(request: Request, service: str) -> dict[str, str]:
    """Return what a docker command's environment has to hold for this request, besides the process's own."""
    return {**request.overrides, "SERVICE": service, "COMPOSE_PROFILES": service}


def require_whole(model: Model) -> None:
    """Refuse a docker-compose.yaml that lacks what every task reads.

    Raises:
        CressetError: with the first thing that it lacks.
    """
    read = [row.name for row in settings.SETTINGS if not row.is_argument and not row.name.startswith("COMPOSE_")]
    lacking = [f"{name} in x-cresset" for name in read if name not in model.settings]
    if lacking := lacking if model.services else ["services"]:
        raise _incomplete("docker-compose.yaml", lacking[0])


def _incomplete(name: str, lacking: str) -> CressetError:
    return CressetError(f"{name} lacks {lacking}", f"bring it back: git checkout -- {name}")


def resolve(
    *,
    request: Request,
    service: str,
    model: Model,
    compose_text: str,
    recipes: Mapping[str, Dockerfile],
    shell: Mapping[str, str],
    env_file: frozenset[str],
) -> Configuration:
    """Return the configuration of a service, every value checked.

    Args:
        request: the command line.
        service: the service's name.
        model: what Compose says of the project.
        compose_text: docker-compose.yaml, for its presets.
        recipes: each of RECIPES by its name, and the service's own Dockerfile if it is another.
        shell: the process's environment.
        env_file: the names that `.env` sets.

    Raises:
        CressetError: an unknown service, a value that is not of its setting's form, `--set` of a preset.
    """
    chosen = model.service(service)
    preset = compose.own_settings(compose_text, service)
    fixed = compose.presets(compose_text, service) | preset.keys()
    for name, wanted in request.overrides.items():
        if name in fixed and wanted != (kept := {**chosen.arguments, **preset}[name]):
            raise CressetError(f"--set {name}: the service {service} fixes it to {kept!r}", "use another --service")
    for name in sorted(env_file - settings.NAMES.keys()):
        settings.refuse_misspelt(name, ".env")
    # What x-cresset cannot know.
    own = {"COMPOSE_PROJECT_NAME": model.project, "COMPOSE_PROFILES": service, "SERVICE": service}
    own |= {"IMAGE_NAME": chosen.image, **preset}
    given = {**_arguments(recipes, chosen.arguments), **model.settings, **own}
    values = {}
    for row, meaning in _meanings(recipes):
        source = _source(row.name, request=request, fixed=fixed, shell=shell, env_file=env_file)
        values[row.name] = Value(name=row.name, value=given[row.name], source=source, help=meaning)
    # What a person wrote comes first: a default may have been made of it.
    for value in sorted(values.values(), key=lambda value: value.source == "default"):
        settings.NAMES[value.name].check(value.value, value.source)
    _check_releases(values)
    refuse_stages(values, recipes)
    recipe = recipes.get(chosen.dockerfile, recipes[RECIPES[0]])
    return Configuration(service=chosen, model=model, recipe=recipe, values=values)


def refuse_stages(values: Mapping[str, Value], recipes: Mapping[str, Dockerfile]) -> None:
    """Refuse a base image that a FROM would take for a stage of its own file, or for no image at all.

    Raises:
        CressetError: with the setting, where it came from, and how an image of that name is written.
    """
    stages = {stage.name for recipe in recipes.values() for stage in recipe.stages}
    # What a service fixes may have been made of what a person wrote, which comes first.
    for value in sorted(values.values(), key=lambda value: value.source in {"default", "service"}):
        if settings.NAMES[value.name].form is not forms.IMAGE:
            continue
        written = f"{value.name} (from {value.source}): {value.value!r}"
        if value.value == "scratch":
            raise CressetError(f"{written} is no image: nothing can run on it", forms.IMAGE.hint)
        if value.value in stages:
            hint = f"write an image of that name with its tag or registry, like {value.value}:latest"
            raise CressetError(f"{written} is a stage of the Dockerfile", hint)


def defaults(model: Model, recipes: Mapping[str, Dockerfile]) -> dict[str, Value]:
    """Return every setting with the value that it has when nobody sets it, whatever the service."""
    given = {**_arguments(recipes, {}), **model.settings}
    return {
        row.name: Value(name=row.name, value=given.get(row.name, ""), source="default", help=meaning)
        for row, meaning in _meanings(recipes)
    }


def _arguments(recipes: Mapping[str, Dockerfile], values: Mapping[str, str]) -> dict[str, str]:
    """Return the value of every argument, given ones over defaults."""
    return {
        argument: value
        for name in reversed(RECIPES)
        for argument, value in dockerfile.global_values(recipes[name], values).items()
    }


def _check_releases(values: Mapping[str, Value]) -> None:
    """Refuse a branch or commit where official wheels are asked for."""
    if values["BUILD_MODE"].value == "exclude":
        for name in settings.TAGS:
            if tag := values[name].value:
                Setting(name=name, form=forms.RELEASE).check(tag, values[name].source)


def _meanings(recipes: Mapping[str, Dockerfile]) -> list[tuple[Setting, str]]:
    described: dict[str, str] = {}
    for name in reversed(RECIPES):
        home = {argument.name: argument.description for argument in recipes[name].arguments}
        for row in settings.SETTINGS:
            if row.home == name and row.name not in home:
                raise _incomplete(name, f"ARG {row.name}")
        described |= {argument: description or "" for argument, description in home.items()}
    return [(row, row.help or described[row.name]) for row in settings.SETTINGS]


def _source(
    name: str, *, request: Request, fixed: frozenset[str], shell: Mapping[str, str], env_file: frozenset[str]
) -> str:
    if name in fixed:
        return "service"
    if name in request.overrides or (name in {"SERVICE", "COMPOSE_PROFILES"} and request.service):
        return "--set" if name in request.overrides else "--service"
    if name in shell:
        return "shell"
    return ".env" if name in env_file else "default"
