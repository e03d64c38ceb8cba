"""A check that executor tasks have no sidecar containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import jsii
from aws_cdk import Stack
from constructs import IValidation

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs


@jsii.implements(IValidation)
class NoSidecars:
    """Rejects containers that other code, such as an Aspect, added to the containers *own* of a task definition."""

    def __init__(self, definition: ecs.TaskDefinition, own: list[str]) -> None:
        self._definition, self._own = definition, own

    def validate(self) -> list[str]:
        """Return an error if the task definition has other containers."""
        made = cast("ecs.CfnTaskDefinition", self._definition.node.default_child).container_definitions
        names = [str(container["name"]) for container in Stack.of(self._definition).resolve(made)]
        others = [name for name in names if name not in self._own]
        if not others:
            return []
        return [
            f"{', '.join(others)} cannot run beside {self._own[0]}: the executor considers a task finished when any of"
            " its containers ends, so a task must have only one container. Exclude this task definition from the"
            " code that adds the container, or use executor=CeleryExecutor()"
        ]
