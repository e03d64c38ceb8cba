"""What a container image is: an official name, or a folder with a Dockerfile that begins with one. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from cdk_airflow_ecs.local.refusal import Refusal

Kind = Literal["airflow", "postgres", "redis"]

HOME: Final = PurePosixPath("/opt/airflow")
_OFFICIAL: Final = re.compile(
    r"(?:docker\.io/|index\.docker\.io/|public\.ecr\.aws/docker/|ghcr\.io/)?apache/airflow"
    r":(?:slim-)?(?P<version>\d+\.\d+\.\d+)(?:-python(?P<python>3\.\d+))?(?:@sha256:[0-9a-f]+)?"
)
_STORE: Final = re.compile(
    r"(?:docker\.io/|index\.docker\.io/|public\.ecr\.aws/docker/|public\.ecr\.aws/|ghcr\.io/)?(?:library/)?"
    r"(?:(?P<postgres>postgres)|redis|valkey/valkey|valkey)(?::[\w.-]+)?(?:@sha256:[0-9a-f]+)?"
)
# Commands that only serve an installation, or check one.
_HARMLESS: Final = ("test", "cp", "rm", "sed", "curl", "set", "mkdir", "chmod", "chown", "echo", "cat")
_OPTION: Final = re.compile(r"--\w[\w-]*(?:=\S+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class AirflowImageParts:
    """What an image of Airflow holds, as far as this machine can follow.

    Args:
        version: the Airflow release.
        python: the Python of the image, such as "3.12".
        requirements: files of requirements, and requirements themselves, that its Dockerfile installs.
        copies: files or folders of the context, each with its place below AIRFLOW_HOME.
        script: the file that is put at /entrypoint.sh.
        entrypoint: what its Dockerfile says it starts with.
        environment: what its Dockerfile sets.
        packages: Debian packages that its Dockerfile installs, and this machine does not.
    """

    version: str
    python: str
    requirements: tuple[Path | str, ...] = ()
    copies: tuple[tuple[Path, PurePosixPath], ...] = ()
    script: Path | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: tuple[tuple[str, str], ...] = ()
    packages: tuple[str, ...] = ()


def kind_of(image: str) -> Kind | None:
    """Tell what a name stands for; None if this machine cannot know.

    Examples:
        >>> kind_of("apache/airflow:3.3.2-python3.12"), kind_of("public.ecr.aws/docker/library/postgres:17")
        ('airflow', 'postgres')
        >>> kind_of("valkey/valkey:8.0"), kind_of("ghcr.io/acme/tool:1")
        ('redis', None)
    """
    if _OFFICIAL.fullmatch(image):
        return "airflow"
    if match := _STORE.fullmatch(image):
        return "postgres" if match["postgres"] else "redis"
    return None


def read_image(image: str, context: Path | None = None) -> AirflowImageParts:
    """Follow an image down to the official one.

    Args:
        image: its name.
        context: the folder that it is built from, with a Dockerfile.

    Raises:
        Refusal: if it is no image of Airflow, or its Dockerfile does what this machine cannot.

    Examples:
        >>> read_image("apache/airflow:slim-2.8.1-python3.11").version
        '2.8.1'
    """
    if context is not None:
        return _read_dockerfile(context)
    match = _OFFICIAL.fullmatch(image)
    if match is None:
        raise Refusal(
            f"the image {image} cannot run here: there is no Docker. Official images (apache/airflow:X.Y.Z) and those"
            f" that your app builds can; say `--image {image}=DIR`, where DIR holds its Dockerfile"
        )
    return AirflowImageParts(version=match["version"], python=match["python"] or _default_python(match["version"]))


def _default_python(version: str) -> str:
    """What the tag without a Python means (docker-stack documentation)."""
    return "3.8" if version.startswith("2.8") else "3.12"


def _read_dockerfile(context: Path) -> AirflowImageParts:
    file = context / "Dockerfile"
    if not file.is_file():
        raise Refusal(f"{context} holds no Dockerfile")
    parts: AirflowImageParts | None = None
    for word, rest in _instructions(file.read_text()):
        if parts is None:
            if word == "ARG":
                continue
            if word != "FROM":
                raise Refusal(f"{file} begins with {word}, not with FROM")
            names = [each for each in rest.split() if not _OPTION.fullmatch(each)]
            if kind_of(names[0]) != "airflow":
                raise Refusal(f"{file} is FROM {names[0]}; this machine can follow official Airflow images alone")
            parts = read_image(names[0])
        else:
            parts = _apply(parts, file, word, rest)
    if parts is None:
        raise Refusal(f"{file} is empty")
    return parts


def _apply(parts: AirflowImageParts, file: Path, word: str, rest: str) -> AirflowImageParts:
    """One instruction of a Dockerfile after FROM."""
    if word in ("USER", "WORKDIR", "LABEL", "EXPOSE", "ARG", "SHELL", "CMD", "STOPSIGNAL", "HEALTHCHECK"):
        return parts  # none changes what the task definition runs: it names its command and health check itself
    if word in ("COPY", "ADD"):
        return _copy(parts, file, rest)
    if word == "ENV":
        pairs = tuple((name, value) for name, _, value in (each.partition("=") for each in shlex.split(rest)))
        return replace(parts, environment=parts.environment + pairs)
    if word == "ENTRYPOINT":
        words = json.loads(rest) if rest.startswith("[") else ["/bin/sh", "-c", rest]
        return replace(parts, entrypoint=tuple(words))
    if word == "RUN":
        return _run(parts, file, rest)
    raise Refusal(f"{file}: {word} cannot be followed on this machine, which builds no images")


def _copy(parts: AirflowImageParts, file: Path, rest: str) -> AirflowImageParts:
    words = json.loads(rest) if rest.startswith("[") else rest.split()
    if any(each.startswith("--from") for each in words):
        raise Refusal(f"{file}: COPY --from takes files of another image, which this machine does not have")
    *sources, target = [each for each in words if not _OPTION.fullmatch(each)]
    copies, script = list(parts.copies), parts.script
    for source in sources:
        path = (file.parent / source.lstrip("/")).resolve()
        if not path.is_relative_to(file.parent.resolve()) or not path.exists():
            raise Refusal(f"{file}: COPY {source}: there is no such file beside it")
        place = HOME / _expanded(target)
        if path.is_file() and (target.endswith("/") or len(sources) > 1):
            place /= path.name
        if str(place) in ("/entrypoint.sh", "/entrypoint"):
            script = path
        elif place.is_relative_to(HOME):
            copies.append((path, place.relative_to(HOME)))
        elif not _is_requirements(path):
            raise Refusal(f"{file}: COPY to {target}: only what lies below {HOME} has a place on this machine")
    return replace(parts, copies=tuple(copies), script=script)


def _run(parts: AirflowImageParts, file: Path, rest: str) -> AirflowImageParts:
    """Take what pip and apt-get install; all other commands must be of those that only serve them."""
    for command in re.split(r"&&|;|\|\|", rest):
        words = shlex.split(command, comments=True)
        while words and (_OPTION.fullmatch(words[0]) or re.fullmatch(r"\w+=.*", words[0])):
            words = words[1:]
        if not words or words[0] in _HARMLESS:
            continue
        pip = next((n for n, word in enumerate(words[:3]) if word in ("pip", "pip3", "uv")), None)
        if pip is not None and "install" in words:
            parts = replace(parts, requirements=parts.requirements + tuple(_installs(words, file, parts)))
        elif words[0] in ("apt-get", "apt"):
            names = [w for w in words[1:] if not w.startswith("-")]
            if names[:1] == ["install"]:
                parts = replace(parts, packages=parts.packages + tuple(names[1:]))
        elif pip is None or "check" not in words:
            raise Refusal(f"{file}: RUN {words[0]} cannot be followed on this machine, which builds no images")
    return parts


def _installs(words: list[str], file: Path, parts: AirflowImageParts) -> Iterator[Path | str]:
    arguments = iter(words[words.index("install") + 1 :])
    for word in arguments:
        name, has_value, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if name in ("-r", "--requirement"):
            yield _requirements_file(value if has_value else next(arguments), file, parts)
        elif name in ("-c", "--constraint", "-i", "--index-url", "--extra-index-url", "--upgrade-strategy"):
            if not has_value:
                next(arguments, None)
        elif word.startswith("-r") and len(word) > 2:
            yield _requirements_file(word[2:], file, parts)
        elif not word.startswith("-") and not re.match(r"apache-airflow(\[[^\]]*\])?==", word):
            yield word


def _requirements_file(name: str, file: Path, parts: AirflowImageParts) -> Path:
    """The file of the context that a path inside the image stands for."""
    place = PurePosixPath(_expanded(name))
    if place.is_absolute() and place.is_relative_to(HOME):
        for source, target in parts.copies:
            if target == place.relative_to(HOME):
                return source
    found = file.parent / place.name
    if not found.is_file():
        raise Refusal(f"{file} installs {name}, which is not beside it")
    return found


def _expanded(path: str) -> str:
    return path.replace("${AIRFLOW_HOME}", str(HOME)).replace("$AIRFLOW_HOME", str(HOME))


def _is_requirements(path: Path) -> bool:
    return path.is_file() and path.suffix in (".txt", ".in")


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """The instructions of a Dockerfile, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\s*\n", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word.upper(), rest.strip()
