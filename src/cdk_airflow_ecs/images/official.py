"""The official image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.images.asset import asset_of
from cdk_airflow_ecs.images.base import ImageSource
from cdk_airflow_ecs.images.dockerfile import Recipe, base_image, build_context
from cdk_airflow_ecs.images.registry_login import image_with_login
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.plan import Architecture

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs
    from aws_cdk import aws_secretsmanager as secretsmanager
    from constructs import Construct


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialImage(ImageSource):
    """The full official image of the cluster's release on Docker Hub, pulled with the credentials *login*."""

    login: secretsmanager.ISecret | None = None

    def __post_init__(self) -> None:
        validation.secret("AirflowImage.official credentials", self.login)

    @property
    def credentials(self) -> secretsmanager.ISecret | None:
        """See :attr:`ImageSource.credentials`."""
        return self.login

    def anonymous_on_docker_hub(self, version: AirflowVersion) -> str | None:
        """See :meth:`ImageSource.anonymous_on_docker_hub`."""
        return base_image(version, "official") if self.login is None else None

    @property
    def takes_requirements(self) -> bool:
        """See :attr:`ImageSource.takes_requirements`."""
        return True

    def has_newer(self, package: str, version: tuple[int, ...]) -> bool | None:
        """See :meth:`ImageSource.has_newer`."""
        del package, version
        return False

    def with_dags(self, folder: str | None) -> ImageSource:
        """See :meth:`ImageSource.with_dags`."""
        if folder is not None:
            raise IncompatibleArgumentsError(
                "dags=ImageDags() requires an image with your DAGs, but the official image has none. Pass"
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
        """See :meth:`ImageSource.container_image`."""
        if not requirements and not files:
            return image_with_login(scope, base_image(version, "official"), self.login)
        recipe = Recipe(version=version, requirements=requirements, folders=("config",) if files else ())
        return asset_of(scope, architecture, build_context(recipe, files or {}))
