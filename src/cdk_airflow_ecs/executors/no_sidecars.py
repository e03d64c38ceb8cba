"""Nothing beside a task of an executor: what others add to its task definition is seen when the app is synthesized."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import jsii
from aws_cdk import Stack
from constructs import IValidation

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs


@jsii.implements(IValidation)
class NoSidecars:
    """Refuses a second container, whoever added it: code, an Aspect, another construct library.

    Args:
        definition: the task definition.
        own: the names of the containers that it was made with.
    """

    def __init__(self, definition: ecs.TaskDefinition, own: list[str]) -> None:
        self._definition, self._own = definition, own

    def validate(self) -> list[str]:
        """Say what is there and does not belong there."""
        made = cast("ecs.CfnTaskDefinition", self._definition.node.default_child).container_definitions
        names = [str(container["name"]) for container in Stack.of(self._definition).resolve(made)]
        others = [name for name in names if name not in self._own]
        if not others:
            return []
        return [
            f"{', '.join(others)} cannot run beside {self._own[0]}: the executor takes the end of any container for the"
            " end of its task, so a task has one container alone. Let whatever adds it leave out this task definition,"
            " or use executor=CeleryExecutor()"
        ]
