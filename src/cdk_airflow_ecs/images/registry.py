"""Existing images in registries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.images.base import ImageSource, other_airflow
from cdk_airflow_ecs.images.names import check_name, check_release, check_tag, in_ecr, moves, on_docker_hub
from cdk_airflow_ecs.images.registry_login import image_with_login
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.plan import Architecture

if TYPE_CHECKING:
    from aws_cdk import aws_ecr as ecr
    from aws_cdk import aws_secretsmanager as secretsmanager
    from constructs import Construct


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryImage(ImageSource):
    """An image in a registry that requires no AWS permission, pulled with the credentials *login*."""

    name: str
    login: secretsmanager.ISecret | None = None

    def __post_init__(self) -> None:
        validation.text("AirflowImage.registry name", self.name, "ghcr.io/acme/airflow:3.3.2-1", required=True)
        validation.secret("AirflowImage credentials", self.login)
        if in_ecr(self.name):
            raise IncompatibleArgumentsError(
                f"AirflowImage: {validation.shown(self.name)} is in Amazon ECR, which requires permissions. Use"
                " AirflowImage.ecr(repository, tag)"
            )
        check_name("AirflowImage.registry name", self.name, "ghcr.io/acme/airflow:3.3.2-1")

    @property
    def moves(self) -> bool:
        """See :attr:`ImageSource.moves`."""
        return moves(self.name)

    @property
    def credentials(self) -> secretsmanager.ISecret | None:
        """See :attr:`ImageSource.credentials`."""
        return self.login

    def anonymous_on_docker_hub(self, version: AirflowVersion) -> str | None:
        """See :meth:`ImageSource.anonymous_on_docker_hub`."""
        del version
        return self.name if self.login is None and on_docker_hub(self.name) else None

    def check(self, version: AirflowVersion, files: Iterable[str] = ()) -> None:
        """See :meth:`ImageSource.check`."""
        del files
        check_release("AirflowImage", self.name, version)

    def advice(self, version: AirflowVersion) -> Sequence[Advice]:
        """See :meth:`ImageSource.advice`."""
        return other_airflow("AirflowImage.registry", self.name, version)

    def container_image(
        self,
        scope: Construct,
        *,
        version: AirflowVersion,
        architecture: Architecture,
        requirements: tuple[str, ...] = (),
        files: Mapping[str, str] | None = None,
    ) -> ecs.ContainerImage:
        """See :meth:`ImageSource.container_image`."""
        del version, architecture, requirements, files
        return image_with_login(scope, self.name, self.login)


@dataclass(frozen=True, slots=True, kw_only=True)
class EcrImage(ImageSource):
    """An image in Amazon ECR. *tag* is a tag, or a digest that starts with "sha256:"."""

    repository: ecr.IRepository
    tag: str

    def __post_init__(self) -> None:
        validation.construct(
            "AirflowImage.ecr repository", self.repository, "repository_arn", "an ecr.IRepository", required=True
        )
        validation.text("AirflowImage.ecr tag", self.tag, "3.3.2-1", required=True)
        check_tag("AirflowImage.ecr tag", self.tag)

    @property
    def in_ecr(self) -> bool:
        """See :attr:`ImageSource.in_ecr`."""
        return True

    @property
    def moves(self) -> bool:
        """See :attr:`ImageSource.moves`."""
        return self.tag == "latest"

    def container_image(
        self,
        scope: Construct,
        *,
        version: AirflowVersion,
        architecture: Architecture,
        requirements: tuple[str, ...] = (),
        files: Mapping[str, str] | None = None,
    ) -> ecs.ContainerImage:
        """See :meth:`ImageSource.container_image`."""
        del scope, version, architecture, requirements, files
        return ecs.ContainerImage.from_ecr_repository(self.repository, self.tag)
