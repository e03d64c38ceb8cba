"""The contract of an image source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.images.names import other_release
from cdk_airflow_ecs.plan import Architecture, Option

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs
    from aws_cdk import aws_secretsmanager as secretsmanager
    from constructs import Construct

# Entry point of apache/airflow images (docker-stack documentation, "Entrypoint").
OFFICIAL_ENTRYPOINT: Final = ("/usr/bin/dumb-init", "--", "/entrypoint")


class ImageSource(ABC):
    """A registry, or a directory from which an image is built."""

    @property
    def in_ecr(self) -> bool:
        """Whether the image is in Amazon ECR, even if the cluster adds nothing to it."""
        return False

    @property
    def takes_requirements(self) -> bool:
        """Whether the cluster can add Python packages and modules, by building the image at deploy time."""
        return False

    @property
    def has_dags(self) -> bool:
        """Whether the image is known to contain DAGs."""
        return False

    @property
    def options(self) -> Mapping[Option, str]:
        """Airflow options of the image, treated like ``config=``."""
        return {}

    @property
    def options_source(self) -> str:
        """The file or argument that sets :attr:`options`."""
        return "image="

    @property
    def moves(self) -> bool:
        """Whether the image's name can later refer to another image."""
        return False

    @property
    def credentials(self) -> secretsmanager.ISecret | None:
        """The credentials for the image's registry."""
        return None

    def anonymous_on_docker_hub(self, version: AirflowVersion) -> str | None:
        """Return the image's name if ECS pulls it from Docker Hub without credentials, else None."""
        del version
        return None

    def has_newer(self, package: str, version: tuple[int, ...]) -> bool | None:
        """Return whether the image adds *package* in *version* or newer to Airflow's packages; None if unknown."""
        del package, version
        return None

    def check(self, version: AirflowVersion, files: Iterable[str] = ()) -> None:  # noqa: B027 - optional by design
        """Raise ValueError if the image conflicts with the cluster's release, or with *files* that the cluster adds."""

    def advice(self, version: AirflowVersion) -> Sequence[Advice]:
        """Return warnings about the image in a cluster of *version*."""
        del version
        return ()

    def with_dags(self, folder: str | None) -> ImageSource:
        """See :meth:`AirflowImage.with_dags`."""
        del folder
        return self

    @abstractmethod
    def container_image(
        self,
        scope: Construct,
        *,
        version: AirflowVersion,
        architecture: Architecture,
        requirements: tuple[str, ...] = (),
        files: Mapping[str, str] | None = None,
    ) -> ecs.ContainerImage:
        """Return the image for CDK's task definitions.

        Args:
            scope: scope of a built image's asset, which is created once per architecture.
            version: the cluster's release.
            architecture: architecture of a built image.
            requirements: Python packages that the cluster needs. If :attr:`takes_requirements` is False, the image must
                contain them.
            files: Python modules that the cluster needs, by file name, importable as top-level modules.
        """


def other_airflow(source: str, name: str, version: AirflowVersion) -> Sequence[Advice]:
    """Return a warning if the image *name* in *source* seems to have another Airflow release."""
    named = other_release(name, version)
    return () if named is None else [other_airflow_advice(source, name, named, version)]


def other_airflow_advice(source: str, name: str, named: str, version: AirflowVersion) -> Advice:
    """Return the warning that *name* in *source* is of the Airflow release *named*."""
    return Advice(
        f"cdk-airflow-ecs:other-airflow:{name}",
        f"{source} {name} seems to have Airflow {named}, but version= is {version}, which determines commands, options"
        " and the database schema. Change one of them, unless the number is not Airflow's",
    )
