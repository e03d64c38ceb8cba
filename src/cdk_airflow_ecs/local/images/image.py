"""The images that this machine can replace: official ones, and folders with a Dockerfile that begins with one. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from cdk_airflow_ecs.local.refusal import Refusal

Kind = Literal["airflow", "postgres", "redis"]

HOME: Final = PurePosixPath("/opt/airflow")  # AIRFLOW_HOME of the official images
USER_HOME: Final = PurePosixPath("/home/airflow")
# Below these a container keeps files of its own: each is a folder of the container's home on this machine.
HOMES: Final = (HOME, USER_HOME)
_OFFICIAL: Final = re.compile(
    r"(?:docker\.io/|index\.docker\.io/|public\.ecr\.aws/docker/|ghcr\.io/)?apache/airflow"
    r":(?P<slim>slim-)?(?P<version>\d+\.\d+\.\d+)(?:-python(?P<python>3\.\d+))?(?:@sha256:[0-9a-f]+)?"
)
_STORE: Final = re.compile(
    r"(?:docker\.io/|index\.docker\.io/|public\.ecr\.aws/docker/|public\.ecr\.aws/|ghcr\.io/)?(?:library/)?"
    r"(?:(?P<postgres>postgres)|redis|valkey/valkey|valkey)(?::[\w.-]+)?(?:@sha256:[0-9a-f]+)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBuild:
    """What `docker build` would be given for an image.

    Args:
        folder: the context.
        file: the Dockerfile, relative to the context.
        arguments: the build arguments by name.
        target: the stage to build; the last one if it is empty.
        platform: such as "linux/arm64".
    """

    folder: Path
    file: str = "Dockerfile"
    arguments: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    platform: str = "linux/amd64"


@dataclass(frozen=True, slots=True, kw_only=True)
class AirflowImageParts:
    """The content of an image of Airflow, as far as this machine can follow.

    Args:
        version: the Airflow release.
        python: the Python of the image, such as "3.12".
        slim: whether the official image is a slim one, without the extras of the full image.
        requirements: requirements, and files of them, that its Dockerfile installs.
        constraints: files of constraints of its own.
        files: files or folders of the context, each with its absolute path in the image.
        folders: empty folders that its Dockerfile makes.
        executables: files that its Dockerfile makes executable.
        script: the file that is put at /entrypoint.sh.
        entrypoint: the ENTRYPOINT of its Dockerfile; None is the official one.
        command: the CMD of its Dockerfile.
        environment: the variables that its Dockerfile sets, with paths of the image.
        workdir: the folder in which its containers start.
        packages: Debian packages that its Dockerfile installs, and this machine does not.
        differences: what else its containers lack here, for people.
    """

    version: str
    python: str
    slim: bool = False
    requirements: tuple[Path | str, ...] = ()
    constraints: tuple[Path, ...] = ()
    files: tuple[tuple[Path, PurePosixPath], ...] = ()
    folders: tuple[PurePosixPath, ...] = ()
    executables: tuple[PurePosixPath, ...] = ()
    script: Path | None = None
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    workdir: PurePosixPath = HOME
    packages: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def homes(self) -> tuple[PurePosixPath, ...]:
        """The folders of the image that stand for a container's home; the longest first."""
        own = PurePosixPath(dict(self.environment).get("AIRFLOW_HOME", str(HOME)))
        return tuple(sorted({*HOMES, own}, key=lambda path: (-len(path.parts), path)))


def kind_of(image: str) -> Kind | None:
    """Tell which kind of image a name means; None for all others.

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


def official_image(image: str) -> AirflowImageParts:
    """Read the name of an official image of Airflow.

    Raises:
        Refusal: if it is another image.

    Examples:
        >>> official_image("apache/airflow:slim-2.8.1-python3.11").version
        '2.8.1'
    """
    match = _OFFICIAL.fullmatch(image)
    if match is None:
        raise Refusal(
            f"the image {image} cannot run here: there is no Docker. Official images (apache/airflow:X.Y.Z) and those"
            f" that your app builds can; say `--image {image}=DIR`, where DIR holds its Dockerfile"
        )
    return AirflowImageParts(
        version=match["version"],
        python=match["python"] or _default_python(match["version"]),
        slim=bool(match["slim"]),
    )


def _default_python(version: str) -> str:
    """The Python of a tag that names none (docker-stack documentation)."""
    return "3.8" if version.startswith("2.8") else "3.12"
