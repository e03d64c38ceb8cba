"""Images that a registry holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.images.dockerfile import base_image
from cdk_airflow_ecs.images.names import check_release, check_tag, moves
from cdk_airflow_ecs.plan import Option
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from aws_cdk import aws_ecr as ecr
    from aws_cdk import aws_secretsmanager as secretsmanager
    from constructs import Construct

# What apache/airflow images start with (docker-stack documentation, "Entrypoint").
OFFICIAL_ENTRYPOINT = ("/usr/bin/dumb-init", "--", "/entrypoint")

Architecture = Literal["x86_64", "arm64"]


@dataclass(frozen=True, slots=True)
class AirflowImage:
    """The image that every Airflow container runs. It must hold the Airflow release that ``version=`` names.

    Use :meth:`official`, :meth:`build`, :meth:`registry` or :meth:`ecr`.

    Args:
        name: the image's name with tag or digest; None is the official image of the cluster's version.
        repository: an ECR repository instead of a name.
        tag: tag or digest in *repository*.
        credentials: login to a private registry.
        entrypoint: what the image starts with; each container's command follows it. The default is the official
            image's. Airflow must be on PATH, and a command whose first word is "python" must reach Python unchanged.
        architecture: the processor that tasks run on.
    """

    name: str | None = None
    repository: ecr.IRepository | None = None
    tag: str | None = None
    credentials: secretsmanager.ISecret | None = None
    entrypoint: Sequence[str] = OFFICIAL_ENTRYPOINT
    architecture: Architecture = "x86_64"

    def __post_init__(self) -> None:
        entrypoint = validation.items("AirflowImage entrypoint", self.entrypoint, '["/usr/bin/dumb-init", "--"]')
        if not all(isinstance(word, str) for word in entrypoint):
            raise ValueError(f"AirflowImage entrypoint is a list of words, got {self.entrypoint!r}")
        object.__setattr__(self, "entrypoint", entrypoint)
        if self.architecture not in ("x86_64", "arm64"):
            raise ValueError(f'AirflowImage architecture is "x86_64" or "arm64", got {self.architecture!r}')
        validation.text("AirflowImage name", self.name, "ghcr.io/acme/airflow:3.3.2-1")
        validation.text("AirflowImage tag", self.tag, "3.3.2-1")
        if self.name is not None and not is_token(self.name) and any(c.isspace() for c in self.name):
            raise ValueError(f"AirflowImage: {self.name!r} is no image name")
        validation.construct("AirflowImage repository", self.repository, "repository_arn", "an ecr.IRepository")
        validation.secret("AirflowImage credentials", self.credentials)
        if (self.repository is None) != (self.tag is None) or (self.repository is not None and self.name is not None):
            raise ValueError(
                "AirflowImage takes a name, or a repository with a tag: write AirflowImage.registry(name) or"
                " AirflowImage.ecr(repository, tag)"
            )
        if self.tag is not None:
            check_tag("AirflowImage tag", self.tag)
        if self.name is not None and ".dkr.ecr." in self.name:
            raise ValueError(
                f"AirflowImage: {self.name!r} is in Amazon ECR, where the name alone admits nobody; use"
                " AirflowImage.ecr(repository, tag)"
            )
        if self.repository is not None and self.credentials is not None:
            raise ValueError(
                "AirflowImage credentials are for other registries; ECR asks the execution roles, which may pull from"
                " the repository already: leave them out"
            )

    @classmethod
    def official(cls, *, architecture: Architecture = "x86_64") -> AirflowImage:
        """The image that the Apache Airflow project publishes on Docker Hub for the cluster's version.

        Args:
            architecture: "arm64" is a fifth cheaper on Fargate.
        """
        return cls(architecture=architecture)

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
        validation.text("AirflowImage.registry name", name, "ghcr.io/acme/airflow:3.3.2-1", required=True)
        return cls(name, credentials=credentials, entrypoint=entrypoint, architecture=architecture)

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
        validation.construct(
            "AirflowImage.ecr repository", repository, "repository_arn", "an ecr.IRepository", required=True
        )
        validation.text("AirflowImage.ecr tag", tag, "3.3.2-1", required=True)
        return cls(repository=repository, tag=tag, entrypoint=entrypoint, architecture=architecture)

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
        from cdk_airflow_ecs.images.built import build_image  # noqa: PLC0415 - few clusters need it

        return build_image(directory, base=base, entrypoint=entrypoint, architecture=architecture)

    @property
    def is_official(self) -> bool:
        """Whether it is the image that the Apache Airflow project publishes."""
        return self.name is None and self.repository is None

    def platform(self) -> ecs.RuntimePlatform:
        """Give CDK what the image was built for."""
        arm = self.architecture == "arm64"
        return ecs.RuntimePlatform(
            cpu_architecture=ecs.CpuArchitecture.ARM64 if arm else ecs.CpuArchitecture.X86_64,
            operating_system_family=ecs.OperatingSystemFamily.LINUX,
        )

    @property
    def in_ecr(self) -> bool:
        """Whether it is pulled from Amazon ECR, even if the cluster adds nothing to it."""
        return self.repository is not None

    @property
    def takes_requirements(self) -> bool:
        """Whether the cluster may add Python packages and modules to it: it is built then, when CDK deploys."""
        return self.is_official

    @property
    def has_dags(self) -> bool:
        """Whether it is known to come with DAGs."""
        return False

    @property
    def options(self) -> Mapping[Option, str]:
        """Airflow options that come with the image, and count like those of ``config=``."""
        return {}

    @property
    def options_source(self) -> str:
        """Where :attr:`options` come from, as the user knows it."""
        return "image="

    def has_newer(self, package: str, version: tuple[int, ...]) -> bool | None:
        """Whether it has *version* of *package* or newer, when its Airflow comes with an older one; None if unknown."""
        del package, version
        return False if self.is_official else None

    @property
    def moves(self) -> bool:
        """Whether its name may be another image tomorrow."""
        return self.tag == "latest" or (self.name is not None and moves(self.name))

    def check(self, version: AirflowVersion, files: Iterable[str] = ()) -> None:
        """Refuse what contradicts the cluster's release, or the *files* that the cluster adds."""
        del files
        if self.name is not None:
            check_release("AirflowImage", self.name, version)

    def with_dags(self, folder: str | None) -> AirflowImage:
        """The image for a cluster that reads its DAGs from *folder* of the image, or from elsewhere.

        Raises:
            ValueError: if there are none in the image.
        """
        if folder is not None and self.is_official:
            raise ValueError(
                "dags=ImageDags() needs an image that holds your DAGs, and the official image holds none; pass"
                ' image=AirflowImage.build("airflow/") or image=AirflowImage.registry("…"), or use dags=S3Dags()'
            )
        return self

    def container_image(
        self,
        scope: Construct,
        *,
        version: AirflowVersion,
        architecture: Architecture,
        requirements: tuple[str, ...] = (),
        files: Mapping[str, str] | None = None,
    ) -> ecs.ContainerImage:
        """Give CDK the image.

        Args:
            scope: where the asset of a built image is made, once for each architecture.
            version: the cluster's release.
            architecture: the processor that it must run on; an image in a registry is taken for what it is.
            requirements: Python packages that the cluster needs, as in requirements.txt. An image that does not take
                them must have them.
            files: Python modules that the cluster needs, by file name. Airflow finds them by their plain names.
        """
        if self.repository is not None:
            return ecs.ContainerImage.from_ecr_repository(self.repository, self.tag)
        if self.name is not None:
            return ecs.ContainerImage.from_registry(self.name, credentials=self.credentials)
        if requirements or files:
            from cdk_airflow_ecs.images.built import derived_image  # noqa: PLC0415 - few clusters need it

            return derived_image(
                scope, version=version, architecture=architecture, requirements=requirements, files=files or {}
            )
        return ecs.ContainerImage.from_registry(base_image(version, "official"), credentials=self.credentials)
