"""The container images of components."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs.images.registry_login import image_with_login
from cdk_airflow_ecs.render_context import Image

if TYPE_CHECKING:
    from constructs import Construct

    from cdk_airflow_ecs.plan import Component
    from cdk_airflow_ecs.settings import Settings


class ContainerImages:
    """The images of components. Components with the same image and architecture share one object."""

    def __init__(self, scope: Callable[[str], Construct]) -> None:
        """Create the collection. *scope* returns the construct at a path, the parent of the assets of built images."""
        self._scope = scope
        self._made: dict[tuple[str, str], Image] = {}

    def find(self, settings: Settings, component: Component) -> Image:
        """Return the image of *component*."""
        place = component.image, component.architecture
        if place not in self._made:
            self._made[place] = self._make(settings, component)
        return self._made[place]

    def _make(self, settings: Settings, component: Component) -> Image:
        task = {task.component: task for task in settings.ecs_tasks}.get(component.image)
        if task is not None and isinstance(task.image, ecs.ContainerImage):
            # All other images are ECR repositories, or assets, which CDK pushes to ECR.
            return Image(container_image=task.image, in_ecr=not isinstance(task.image, ecs.RepositoryImage))
        if task is not None and task.registry_image is not None:
            login = task.credentials
            made = image_with_login(self._scope(f"Images/{component.image.replace('/', '-')}"), str(task.image), login)
            return Image(container_image=made, login_key=None if login is None else login.encryption_key)
        if component.is_store:
            return Image(container_image=ecs.ContainerImage.from_registry(component.image))
        executor = settings.executor_plan()
        image = settings.images()[component.image]
        source = image.source
        made = source.container_image(
            self._scope(f"Images/{component.image.replace('/', '-')}"),
            version=settings.version,
            architecture=component.architecture,
            requirements=executor.requirements,
            files=executor.image_files,
        )
        in_ecr = source.in_ecr or bool(source.takes_requirements and (executor.requirements or executor.image_files))
        login = None if in_ecr else source.credentials
        key = None if login is None else login.encryption_key
        return Image(container_image=made, entrypoint=image.entrypoint, in_ecr=in_ecr, login_key=key)
