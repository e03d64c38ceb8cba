"""The image of the Airflow containers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.images.base import OFFICIAL_ENTRYPOINT, ImageSource
from cdk_airflow_ecs.images.built import build_image
from cdk_airflow_ecs.images.official import OfficialImage
from cdk_airflow_ecs.images.registry import EcrImage, RegistryImage
from cdk_airflow_ecs.plan import Architecture
from cdk_airflow_ecs.secret_detection import refuse_command

if TYPE_CHECKING:
    from aws_cdk import aws_ecr as ecr
    from aws_cdk import aws_secretsmanager as secretsmanager


@dataclass(frozen=True, slots=True, kw_only=True)
class AirflowImage:
    """The image of every Airflow container, with the Airflow release of ``version=``.

    Use :meth:`official`, :meth:`build`, :meth:`registry` or :meth:`ecr`.

    Args:
        source: the default is the official image of the cluster's version.
        entrypoint: words that precede each container's command. The default is the official image's entry point.
            Airflow must be on PATH, and commands that start with "python" must reach Python unchanged.
        architecture: processor architecture of tasks.
    """

    source: ImageSource = field(default_factory=OfficialImage)
    entrypoint: Sequence[str] = OFFICIAL_ENTRYPOINT
    architecture: Architecture = "x86_64"

    def __post_init__(self) -> None:
        validation.instance("AirflowImage source", self.source, ImageSource, "the one of AirflowImage.official()")
        entrypoint = validation.items("AirflowImage entrypoint", self.entrypoint, '["/usr/bin/dumb-init", "--"]')
        if not all(isinstance(word, str) for word in entrypoint):
            raise ValueError(
                f"AirflowImage entrypoint must be a list of words, got {validation.shown(self.entrypoint)}"
            )
        refuse_command("AirflowImage entrypoint", entrypoint)
        object.__setattr__(self, "entrypoint", entrypoint)
        if self.architecture not in ("x86_64", "arm64"):
            raise ValueError(
                f'AirflowImage architecture must be "x86_64" or "arm64", got {validation.shown(self.architecture)}'
            )

    @classmethod
    def official(
        cls, *, credentials: secretsmanager.ISecret | None = None, architecture: Architecture = "x86_64"
    ) -> AirflowImage:
        """Use the official image of the cluster's version on Docker Hub.

        Args:
            credentials: secret with username and password for Docker Hub. Without login, which is the default, Docker
                Hub allows 100 pulls in six hours per IP address.
            architecture: "arm64" is a fifth cheaper on Fargate.
        """
        return cls(source=OfficialImage(login=credentials), architecture=architecture)

    @classmethod
    def registry(
        cls,
        name: str,
        *,
        credentials: secretsmanager.ISecret | None = None,
        entrypoint: Sequence[str] = OFFICIAL_ENTRYPOINT,
        architecture: Architecture = "x86_64",
    ) -> AirflowImage:
        """Use your own image in a registry that requires no AWS permission.

        Args:
            name: the image's name with a digest, or a tag that never moves, such as "ghcr.io/acme/airflow:3.3.2-4".
            credentials: secret with username and password for the registry.
            entrypoint: see the class.
            architecture: architecture of the image.
        """
        source = RegistryImage(name=name, login=credentials)
        return cls(source=source, entrypoint=entrypoint, architecture=architecture)

    @classmethod
    def ecr(
        cls,
        repository: ecr.IRepository,
        tag: str,
        *,
        entrypoint: Sequence[str] = OFFICIAL_ENTRYPOINT,
        architecture: Architecture = "x86_64",
    ) -> AirflowImage:
        """Use your own image in Amazon ECR. The cluster's permissions to pull include only this repository.

        Args:
            repository: the repository.
            tag: a tag, or a digest that starts with "sha256:".
            entrypoint: see the class.
            architecture: architecture of the image.
        """
        source = EcrImage(repository=repository, tag=tag)
        return cls(source=source, entrypoint=entrypoint, architecture=architecture)

    @classmethod
    def build(
        cls,
        directory: str | Path,
        *,
        base: str | None = None,
        entrypoint: Sequence[str] | None = None,
        architecture: Architecture = "x86_64",
    ) -> AirflowImage:
        """Use an image that CDK builds from a local directory at deploy time. Synthesis needs no Docker.

        The directory can contain ``requirements.txt``; ``packages.txt``, one Debian package per line; ``airflow.cfg``,
        with options like ``config=``; ``plugins/``; ``dags/``, for ``dags=ImageDags()``; ``config/``, with Python
        modules such as ``airflow_local_settings.py``; and ``entrypoint.sh``. With a ``Dockerfile``, CDK builds it
        unchanged; of the other files, only ``airflow.cfg`` is read.

        Args:
            directory: the directory.
            base: "official", the default, is the full image, with the providers of its release; "slim" has only the
                providers that the cluster needs; or the name of an image derived from either.
            entrypoint: see the class. The default is ``entrypoint.sh`` if it exists, else the official image's.
            architecture: architecture of the image and of tasks.

        Raises:
            ValueError: if the directory does not exist, or its contents are missing or unsupported.

        Examples:
            >>> from pathlib import Path
            >>> from tempfile import mkdtemp
            >>> directory = Path(mkdtemp())
            >>> _ = (directory / "requirements.txt").write_text("pandas")
            >>> AirflowImage.build(directory, architecture="arm64").architecture
            'arm64'
        """
        source = build_image(directory, base=base, entrypoint=entrypoint)
        return cls(source=source, entrypoint=source.entrypoint, architecture=architecture)

    def with_dags(self, folder: str | None) -> AirflowImage:
        """Return the image for a cluster whose DAGs are in *folder* of the image; None means that they are elsewhere.

        Raises:
            ValueError: if the image is known to have no DAGs there.
        """
        return replace(self, source=self.source.with_dags(folder))
