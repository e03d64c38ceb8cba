"""The contract of a source of images: what the planner must know of an image, and how CDK gets it."""

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

# The first words of apache/airflow images (docker-stack documentation, "Entrypoint").
OFFICIAL_ENTRYPOINT: Final = ("/usr/bin/dumb-init", "--", "/entrypoint")


class ImageSource(ABC):
    """The place that an image comes from: a registry, or a directory that it is built from."""

    @property
    def in_ecr(self) -> bool:
        """Whether the image is pulled from Amazon ECR, even if the cluster adds nothing to it."""
        return False

    @property
    def takes_requirements(self) -> bool:
        """Whether the cluster may add Python packages and modules to it: it is built then, when CDK deploys."""
        return False

    @property
    def has_dags(self) -> bool:
        """Whether the image is known to come with DAGs."""
        return False

    @property
    def options(self) -> Mapping[Option, str]:
        """The Airflow options that come with the image, and count like those of ``config=``."""
        return {}

    @property
    def options_source(self) -> str:
        """The place where the user wrote :attr:`options`."""
        return "image="

    @property
    def moves(self) -> bool:
        """Whether its name may be another image tomorrow."""
        return False

    @property
    def credentials(self) -> secretsmanager.ISecret | None:
        """The login to its registry."""
        return None

    def anonymous_on_docker_hub(self, version: AirflowVersion) -> str | None:
        """Return its name, if ECS pulls it from Docker Hub without a login."""
        del version
        return None

    def has_newer(self, package: str, version: tuple[int, ...]) -> bool | None:
        """Whether it has *version* of *package* or newer, when its Airflow comes with an older one; None if unknown."""
        del package, version
        return None

    def check(self, version: AirflowVersion, files: Iterable[str] = ()) -> None:  # noqa: B027 - optional by design
        """Refuse what contradicts the cluster's release, or the *files* that the cluster adds.

        Raises:
            ValueError: naming both sides.
        """

    def advice(self, version: AirflowVersion) -> Sequence[Advice]:
        """Return what the user should know about the image in a cluster of *version*."""
        del version
        return ()

    def with_dags(self, folder: str | None) -> ImageSource:
        """Return the image for a cluster that reads its DAGs from *folder* of the image; None if from elsewhere.

        Raises:
            ValueError: if the image is known to have none there.
        """
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
        """Return the image as CDK's task definitions take it.

        Args:
            scope: where the asset of a built image is made, once for each architecture.
            version: the cluster's release.
            architecture: the processor that it must run on; an image in a registry is used as it is.
            requirements: Python packages that the cluster needs, as in requirements.txt. An image that does not take
                them must have them.
            files: Python modules that the cluster needs, by file name. Airflow imports them by their plain names.
        """


def other_airflow(source: str, name: str, version: AirflowVersion) -> Sequence[Advice]:
    """Advise where the name of an image names another Airflow than the cluster has.

    Args:
        source: where the name stands, as the user knows it.
        name: the name of the image.
        version: the cluster's release.
    """
    named = other_release(name, version)
    if named is None:
        return ()
    return [
        Advice(
            f"cdk-airflow-ecs:other-airflow:{name}",
            f"{source} {name} seems to have Airflow {named}, and version= says {version}: commands, options and the"
            " database's schema are those of version=; change one of them, unless that number is not Airflow's",
        )
    ]
