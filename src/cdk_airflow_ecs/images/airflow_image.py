"""AirflowImage, the argument that says which image Airflow's containers run."""

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
    """The image that every Airflow container runs. It must hold the Airflow release that ``version=`` names.

    Use :meth:`official`, :meth:`build`, :meth:`registry` or :meth:`ecr`.

    Args:
        source: where the image comes from. The default is the official image of the cluster's version.
        entrypoint: what the image starts with; each container's command follows it. The default is the official
            image's. Airflow must be on PATH, and a command whose first word is "python" must reach Python unchanged.
        architecture: the processor that tasks run on.
    """

    source: ImageSource = field(default_factory=OfficialImage)
    entrypoint: Sequence[str] = OFFICIAL_ENTRYPOINT
    architecture: Architecture = "x86_64"

    def __post_init__(self) -> None:
        validation.instance("AirflowImage source", self.source, ImageSource, "the one of AirflowImage.official()")
        entrypoint = validation.items("AirflowImage entrypoint", self.entrypoint, '["/usr/bin/dumb-init", "--"]')
        if not all(isinstance(word, str) for word in entrypoint):
            raise ValueError(f"AirflowImage entrypoint is a list of words, got {validation.shown(self.entrypoint)}")
        refuse_command("AirflowImage entrypoint", entrypoint)
        object.__setattr__(self, "entrypoint", entrypoint)
        if self.architecture not in ("x86_64", "arm64"):
            raise ValueError(
                f'AirflowImage architecture is "x86_64" or "arm64", got {validation.shown(self.architecture)}'
            )

    @classmethod
    def official(
        cls, *, credentials: secretsmanager.ISecret | None = None, architecture: Architecture = "x86_64"
    ) -> AirflowImage:
        """The image that the Apache Airflow project publishes on Docker Hub for the cluster's version.

        Args:
            credentials: a secret with username and password for Docker Hub. The default pulls without a login, which
                Docker Hub admits a hundred times in six hours from one address.
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
        """An image of yours in any registry that needs no AWS permission.

        Args:
            name: such as "ghcr.io/acme/airflow:3.3.2-4". A digest or a tag that never moves, so that each deploy says
                what it runs.
            credentials: a secret with username and password for the registry.
            entrypoint: what the image starts with.
            architecture: the processor it was built for.
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
        """An image of yours in Amazon ECR; every component may pull from this repository alone.

        Args:
            repository: the repository.
            tag: a tag, or a digest that starts with "sha256:".
            entrypoint: what the image starts with.
            architecture: the processor it was built for.
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
        """An image that CDK builds from a directory of yours when it deploys. Synthesis needs no Docker.

        Each of these is optional: ``requirements.txt``; ``packages.txt``, Debian packages, one a line; ``airflow.cfg``,
        whose options count like those of ``config=``; ``plugins/``; ``dags/``, for ``dags=ImageDags()``; ``config/``,
        Python modules such as ``airflow_local_settings.py``; ``entrypoint.sh``. A ``Dockerfile`` is built as it is; of
        the rest the cluster then reads ``airflow.cfg`` alone.

        Args:
            directory: the directory.
            base: what the image starts from. The default is "official", the full image: its providers are the ones that
                this release was tested with. "slim" has only those that the cluster needs itself. Or the name of an
                image made from either, such as a copy in a registry of yours.
            entrypoint: what the image starts with. The default is ``entrypoint.sh`` if there is one, else the official
                image's. Each container's command follows it.
            architecture: the processor that the image is built for and tasks run on.

        Raises:
            ValueError: if the directory is missing, has nothing for an image, or holds what cannot become one.

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
        """Return the image for a cluster that reads its DAGs from *folder* of the image; None if from elsewhere.

        Raises:
            ValueError: if the image is known to have none there.
        """
        return replace(self, source=self.source.with_dags(folder))
