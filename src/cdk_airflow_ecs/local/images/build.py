"""Interprets a Dockerfile based on an official Airflow image, without building it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Final

from cdk_airflow_ecs.local.images.dockerfile import Instruction, instructions
from cdk_airflow_ecs.local.images.image import HOME, USER_HOME, AirflowImageParts, ImageBuild, kind_of, official_image
from cdk_airflow_ecs.local.images.image_files import copied, copied_from_stage, resolved
from cdk_airflow_ecs.local.images.run_commands import follow_run
from cdk_airflow_ecs.local.refusal import Refusal

# Ignored instructions; ports and health checks are in the task definition.
_WITHOUT_EFFECT: Final = frozenset({"LABEL", "EXPOSE", "HEALTHCHECK", "MAINTAINER", "VOLUME"})
_SHELLS: Final = ("sh", "bash", "dash", "ash")
_SHELL: Final = (
    "/bin/bash",
    "-o",
    "pipefail",
    "-o",
    "errexit",
    "-o",
    "nounset",
    "-o",
    "nolog",
    "-c",
)  # the official image's shell
_USERS: Final = ("airflow", "50000")
# Variables of official images whose values depend on the build date.
_UNKNOWN: Final = frozenset({
    "PYTHON_VERSION", "PYTHON_SHA256", "GPG_KEY", "BUILD_ID", "COMMIT_SHA", "AIRFLOW_PIP_VERSION",
    "AIRFLOW_UV_VERSION",
})  # fmt: skip
PATH: Final = "/home/airflow/.local/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of the official images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The state of a Dockerfile stage after one of its instructions.

    Args:
        parts: content of the stage's image.
        variables: set by ENV or the official image.
        arguments: build arguments declared by ARG; None means no value.
        user: set by USER.
        shell: set by SHELL.
        triggers: ONBUILD instructions for stages based on this one.
    """

    build: ImageBuild
    parts: AirflowImageParts
    variables: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, str | None] = field(default_factory=dict)
    user: str = "airflow"
    shell: tuple[str, ...] = _SHELL
    triggers: tuple[Instruction, ...] = ()

    def lookup(self, name: str) -> str | None:
        """Return the value of a Dockerfile variable; ENV overrides ARG.

        Raises:
            ValueError: if the value is set by the official image and unknown here.
        """
        if name in self.variables:
            return self.variables[name]
        if self.arguments.get(name) is not None:
            return self.arguments[name]
        if name in _UNKNOWN:
            raise ValueError(f"the value of {name} in the official image is unknown")
        return None


def read_image(image: str, build: ImageBuild | None = None) -> AirflowImageParts:
    """Return the content of an official image, or of the one that *build* creates.

    Raises:
        Refusal: if the image or its Dockerfile is not supported.
    """
    return official_image(image) if build is None else _Dockerfile(build).target()


class _Dockerfile:
    """The stages of a Dockerfile; like BuildKit, interprets only the stages that the target uses."""

    def __init__(self, build: ImageBuild) -> None:
        self._build = build
        self._file = build.folder / build.file
        if not self._file.is_file():
            raise Refusal(f"{build.folder} does not contain {build.file}")
        self._arguments: dict[str, str | None] = _platform_arguments(build)
        self._stages: list[tuple[str, str, list[Instruction]]] = []
        self._followed: dict[int, Stage] = {}
        self._read()

    def _read(self) -> None:
        own: list[Instruction] | None = None
        for each in instructions(self._file.read_text(encoding="utf-8"), str(self._file)):
            if each.word == "FROM":
                name, _, alias = each.rest.partition(" ")
                label = alias.split()[-1].lower() if alias.split() else ""
                own = [each]
                self._stages.append((label, each.expanded(name, self._arguments.get), own))
            elif own is not None:
                own.append(each)
            elif each.word == "ARG":
                for name, default in each.declared(self._arguments.get):
                    self._arguments[name] = self._build.arguments.get(name, default)
            else:
                raise each.refusal("a Dockerfile must begin with ARG or FROM")
        if not self._stages:
            raise Refusal(f"{self._file} has no FROM")

    def target(self) -> AirflowImageParts:
        wanted = self._build.target.lower()
        number = len(self._stages) - 1 if not wanted else self._number(wanted, len(self._stages))
        if number is None:
            raise Refusal(f"{self._file} has no stage {self._build.target!r}")
        stage = self.follow(number)
        differences = list(stage.parts.differences)
        if stage.user.partition(":")[0] not in _USERS:
            differences.append(f"the image runs as user {stage.user}; local containers run as your user")
        if resolved(stage.parts, stage.parts.workdir) is None:
            differences.append(f"the image starts in {stage.parts.workdir}; local containers start in their home")
        return replace(stage.parts, differences=tuple(dict.fromkeys(differences)))

    def _number(self, name: str, before: int) -> int | None:
        named = [number for number in range(before) if self._stages[number][0] == name]
        if named:
            return named[-1]
        return int(name) if name.isdigit() and int(name) < before else None

    def follow(self, number: int) -> Stage:
        if number not in self._followed:
            _, base, (first, *others) = self._stages[number]
            earlier = self._number(base.lower(), number)
            if earlier is not None:
                stage = replace(self.follow(earlier), arguments={})
                triggers, stage = stage.triggers, replace(stage, triggers=())
            else:
                stage, triggers = self._official(first, base), ()
            for each in (*triggers, *others):
                stage = self._apply(stage, each, number)
            self._followed[number] = stage
        return self._followed[number]

    def _official(self, first: Instruction, base: str) -> Stage:
        if kind_of(base) != "airflow":
            given = f"FROM {base or '(empty)'}"
            raise first.refusal(
                f"{given}: only official images, such as apache/airflow:3.3.2-python3.12, are supported"
            )
        parts = official_image(base)
        variables = {
            "AIRFLOW_VERSION": parts.version,
            "AIRFLOW_HOME": str(HOME),
            "AIRFLOW_USER_HOME_DIR": str(USER_HOME),
            "AIRFLOW_UID": "50000",
            "AIRFLOW_INSTALLATION_METHOD": "apache-airflow",
            "PYTHON_BASE_IMAGE": f"python:{parts.python}-slim-bookworm",
            "PATH": PATH,
            "DUMB_INIT_SETSID": "1",
            "LD_LIBRARY_PATH": "/usr/local/lib",
            **dict.fromkeys(("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES"), "C.UTF-8"),
        }
        return Stage(build=self._build, parts=parts, variables=variables)

    def _apply(self, stage: Stage, each: Instruction, number: int) -> Stage:  # noqa: PLR0911, PLR0912  # a table
        parts, word = stage.parts, each.word
        if word in _WITHOUT_EFFECT:
            return stage
        if word == "ARG":
            return self._argument(stage, each)
        if word == "ENV":
            pairs = each.pairs(stage.lookup)
            own = {**dict(parts.environment), **dict(pairs)}
            variables = {**stage.variables, **dict(pairs)}
            return replace(stage, variables=variables, parts=replace(parts, environment=tuple(own.items())))
        if word == "WORKDIR":
            return replace(stage, parts=replace(parts, workdir=parts.workdir / each.expanded(each.rest, stage.lookup)))
        if word == "USER":
            return replace(stage, user=each.expanded(each.rest, stage.lookup))
        if word == "SHELL":
            shell = tuple(each.json())
            if not shell or PurePosixPath(shell[0]).name not in _SHELLS:
                raise each.refusal("the shell must be sh, bash, dash or ash")
            return replace(stage, shell=shell)
        if word == "STOPSIGNAL":
            if each.expanded(each.rest, stage.lookup).upper().removeprefix("SIG") not in ("TERM", "15"):
                raise each.refusal("only SIGTERM is supported")
            return stage
        if word in ("COPY", "ADD"):
            source = next((flag.partition("=")[2] for flag in each.flags if flag.startswith("--from=")), None)
            if source is not None:
                return replace(stage, parts=self._copy_from(stage, each, source, number))
            return replace(stage, parts=copied(parts, each, stage.lookup, stage.build.folder))
        if word in ("ENTRYPOINT", "CMD"):
            words = tuple(each.json()) if each.rest.startswith("[") else (*stage.shell, each.rest)
            changed = {"command": words} if word == "CMD" else {"entrypoint": words, "command": ()}
            return replace(stage, parts=replace(parts, **changed))  # type: ignore[arg-type]  # both are tuples
        if word == "RUN":
            lookup = partial(_shell_variable, stage)
            return replace(stage, parts=follow_run(parts, each, lookup, stage.build.folder))
        if word == "ONBUILD":
            (trigger,) = instructions(each.rest, each.file)
            return replace(stage, triggers=(*stage.triggers, replace(trigger, line=each.line, escape=each.escape)))
        raise each.refusal(f"instruction {word} is not supported")

    def _argument(self, stage: Stage, each: Instruction) -> Stage:
        arguments = dict(stage.arguments)
        for name, default in each.declared(stage.lookup):
            fallback = self._arguments.get(name) if default is None else default
            arguments[name] = self._build.arguments.get(name, fallback)
            stage = replace(stage, arguments=arguments)
        return stage

    def _copy_from(self, stage: Stage, each: Instruction, source: str, number: int) -> AirflowImageParts:
        """Interpret COPY --from; ignore uv's image, because uv is installed locally."""
        name = each.expanded(source, stage.lookup)
        earlier = self._number(name.lower(), number)
        if earlier is not None and (base := self.follow(earlier).parts):
            return copied_from_stage(stage.parts, base, each, stage.lookup)
        if name.partition(":")[0].partition("@")[0] in ("ghcr.io/astral-sh/uv", "astral/uv"):
            return stage.parts
        raise each.refusal(f"files of another image ({name}) are not available")


def _platform_arguments(build: ImageBuild) -> dict[str, str | None]:
    system, _, machine = build.platform.partition("/")
    found: dict[str, str | None] = {}
    for which in ("TARGET", "BUILD"):
        found |= {
            f"{which}PLATFORM": build.platform,
            f"{which}OS": system,
            f"{which}ARCH": machine,
            f"{which}VARIANT": "",
        }
    return found


def _shell_variable(stage: Stage, name: str) -> str | None:
    if name == "HOME":
        return "/root" if stage.user.partition(":")[0] in ("root", "0") else str(USER_HOME)
    return stage.lookup(name)
