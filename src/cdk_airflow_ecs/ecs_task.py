"""ECS tasks that DAGs start with EcsRunTaskOperator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import jsii
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.capacity.base import Capacity
from cdk_airflow_ecs.capacity.choice import chosen_capacity
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.capacity.task_size import TaskSize
from cdk_airflow_ecs.environment import split_environment
from cdk_airflow_ecs.images.registry import RegistryImage
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.options import variables
from cdk_airflow_ecs.plan import TASK_CLUSTER, Architecture, Component, Container, Json, Ref
from cdk_airflow_ecs.run_task_permissions import PROPAGATE_TAGS
from cdk_airflow_ecs.secret_detection import refuse_command

if TYPE_CHECKING:
    from aws_cdk import aws_secretsmanager as secretsmanager

    from cdk_airflow_ecs.airflow import AirflowVersion
    from cdk_airflow_ecs.render_context import RenderedComponent

# The name of EcsExecutor's task definition.
_TAKEN: Final = "executor"


@dataclass(frozen=True, slots=True, kw_only=True)
class EcsTask(TaskSize):
    """The arguments of ``AirflowCluster.add_ecs_task``, which documents them."""

    name: str
    image: ecs.ContainerImage | str | None = None
    credentials: secretsmanager.ISecret | None = None
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    spot: bool = False
    capacity: Capacity | None = None
    architecture: Architecture | None = None
    environment: Mapping[str, str | ecs.Secret] = field(default_factory=dict)
    task_role: iam.IRole | None = None

    def __post_init__(self) -> None:
        validation.name("an ECS task's name", self.name)
        if self.name.lower() == _TAKEN:
            raise IncompatibleArgumentsError(
                f"an ECS task cannot be named {validation.shown(self.name)}: EcsExecutor uses that name. Choose another"
            )
        task = f"ECS task {validation.shown(self.name)}"
        if isinstance(self.image, str):
            _ = self.registry_image  # which checks the name and the credentials
        elif self.credentials is not None:
            raise IncompatibleArgumentsError(
                f"{task}: credentials= requires image= to be the name of an image in a registry, such as"
                ' "ghcr.io/acme/etl:1"'
            )
        elif self.image is not None:
            example = 'ecs.ContainerImage.from_asset(…), or the name of an image such as "ghcr.io/acme/etl:1"'
            validation.instance(f"{task}: image", self.image, ecs.ContainerImage, example)
        for words in ("entrypoint", "command"):
            given = validation.items(f"{task}: {words}", getattr(self, words), '["python", "etl.py"]')
            if not all(isinstance(word, str) for word in given):
                raise ValueError(
                    f"{task}: {words} must be a list of strings, got {validation.shown(getattr(self, words))}"
                )
            refuse_command(f"{task}: {words}", given)
            object.__setattr__(self, words, given)
        self.check_size(task, self.machines)
        if self.architecture not in (None, "x86_64", "arm64"):
            raise ValueError(
                f'{task}: architecture must be "x86_64" or "arm64", got {validation.shown(self.architecture)}'
            )
        validation.construct(f"{task}: task_role", self.task_role, "role_arn", "an iam.IRole")
        _ = self.service  # checks the other arguments

    @property
    def registry_image(self) -> RegistryImage | None:
        """The image in a registry, if *image* is a name."""
        return RegistryImage(name=self.image, login=self.credentials) if isinstance(self.image, str) else None

    @property
    def component(self) -> str:
        """The name and construct path of the task's component."""
        return f"Tasks/{self.name}"

    @property
    def service(self) -> Service:
        """The size and environment variables of the task."""
        return Service.of(self, environment=self.environment)

    @property
    def machines(self) -> Capacity:
        """The capacity of the task."""
        owner = f"ECS task {validation.shown(self.name)}"
        return chosen_capacity(owner, self.spot, self.capacity).within(TASK_CLUSTER)

    @property
    def variable(self) -> str:
        """The name of the Airflow variable with the operator's arguments."""
        return f"ecs_{self.name.lower().replace('-', '_')}"

    def operator_arguments(self, version: AirflowVersion) -> Json:
        """Return arguments of ``EcsRunTaskOperator`` in *version*, except ``task_id`` and ``overrides``."""
        # Amazon provider 9.2, in official images up to Airflow 2.10, rejects ``container_name``. Providers since 9.22,
        # if the argument is missing, wait ten seconds and ask AWS for the name.
        named = {"container_name": self.name} if (version.major, version.minor) >= (2, 11) else {}
        return Json(
            {
                "cluster": Ref(TASK_CLUSTER, "name"),
                # The family has no revision, so that DAGs start the newest one.
                "task_definition": Ref(self.component, "family"),
                **self.machines.run_task(),
                **PROPAGATE_TAGS,
                "network_configuration": {
                    "awsvpcConfiguration": {
                        "subnets": Ref("Network", "task_subnet_list"),
                        "securityGroups": [Ref(self.component, "security_group_id")],
                        "assignPublicIp": Ref("Network", "assign_public_ip_word"),
                    }
                },
                **named,
                "awslogs_group": Ref("ContainerLogs", "name"),
                "awslogs_region": Ref("Stack", "region"),
                "awslogs_stream_prefix": f"{self.name}/{self.name}",
            }
        )


def task_component(task: EcsTask, *, architecture: Architecture, secrets: Mapping[str, ecs.Secret]) -> Component:
    """Return the component of an ECS task; *architecture* is the default, *secrets* are all secrets of the user."""
    plain, found = split_environment(task.component, task.environment, dict(secrets))
    waits_for_nothing = {"CONNECTION_CHECK_MAX_COUNT": "0"} if task.image is None else {}
    return Component(
        name=task.component,
        path=task.component,
        containers=(
            Container(
                name=task.name,
                entrypoint=tuple(task.entrypoint),
                command=tuple(task.command),
                environment={**waits_for_nothing, **plain, **variables(found)},
            ),
        ),
        cpu=task.cpu,
        memory_mib=task.memory_mib,
        kind="ECS task",
        ephemeral_storage_gib=task.ephemeral_storage_gib,
        capacity=task.machines,
        image="airflow" if task.image is None else task.component,
        architecture=task.architecture or architecture,
    )


@jsii.implements(ec2.IConnectable, iam.IGrantable)
class EcsTaskHandle:
    """The target of grants and connections for an ECS task: ``bucket.grant_read(etl)``.

    Args:
        part: the rendered component.
        variable: the Airflow variable with arguments for ``EcsRunTaskOperator``.
    """

    def __init__(self, part: RenderedComponent, variable: str) -> None:
        self._part = part
        self.variable = variable

    @property
    def connections(self) -> ec2.Connections:
        """The task's security group: ``etl.connections.allow_to_default_port(warehouse)``."""
        return ec2.Connections(security_groups=[self._part.peer])

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The task role, as a principal for grants."""
        return self._part.task_role.grant_principal

    @property
    def task_role(self) -> iam.IRole:
        """The task role, for resource policies."""
        return self._part.task_role

    @property
    def task_definition(self) -> ecs.TaskDefinition:
        """The ECS task definition."""
        return self._part.task_definition
