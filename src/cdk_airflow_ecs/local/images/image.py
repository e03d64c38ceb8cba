"""Supported images: official ones, and Dockerfiles based on them."""

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
# Image folders that map to the container's local home.
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
    """The inputs of `docker build`: *file* is relative to *folder*, an empty *target* means the last stage."""

    folder: Path
    file: str = "Dockerfile"
    arguments: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    platform: str = "linux/amd64"


@dataclass(frozen=True, slots=True, kw_only=True)
class AirflowImageParts:
    """The supported content of an Airflow image.

    Args:
        requirements: requirements and requirements files that its Dockerfile installs.
        constraints: the user's constraints files.
        files: files or folders of the build context, with their image paths.
        script: file copied to /entrypoint.sh.
        entrypoint: ENTRYPOINT; None means the official one.
        environment: variables set by its Dockerfile, with image paths.
        packages: Debian packages that its Dockerfile installs, which may be missing locally.
        differences: other differences from the image, as messages for the user.
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
        """The image folders that map to a container's home; longest first."""
        own = PurePosixPath(dict(self.environment).get("AIRFLOW_HOME", str(HOME)))
        return tuple(sorted({*HOMES, own}, key=lambda path: (-len(path.parts), path)))


def kind_of(image: str) -> Kind | None:
    """Return "airflow", "postgres" or "redis" for an image name, or None.

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
    """Parse the name of an official Airflow image; raises a Refusal for others.

    Examples:
        >>> official_image("apache/airflow:slim-2.8.1-python3.11").version
        '2.8.1'
    """
    match = _OFFICIAL.fullmatch(image)
    if match is None:
        raise Refusal(
            f"the image {image} is not supported locally: it must be an official image (apache/airflow:X.Y.Z) or built"
            f" by your app. Otherwise pass `--image {image}=DIR`, where DIR contains its Dockerfile"
        )
    return AirflowImageParts(
        version=match["version"],
        python=match["python"] or _default_python(match["version"]),
        slim=bool(match["slim"]),
    )


def _default_python(version: str) -> str:
    """Return the Python version of an official tag that names none (docker-stack documentation)."""
    return "3.8" if version.startswith("2.8") else "3.12"
