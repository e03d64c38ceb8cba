"""A container of yours that DAGs start with EcsRunTaskOperator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import jsii
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.capacity.fargate import Fargate
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.capacity.task_size import TaskSize
from cdk_airflow_ecs.environment import split_environment
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.options import variables
from cdk_airflow_ecs.plan import TASK_CLUSTER, Architecture, Component, Container, Json, Ref
from cdk_airflow_ecs.secret_detection import refuse_command

if TYPE_CHECKING:
    from cdk_airflow_ecs.airflow import AirflowVersion
    from cdk_airflow_ecs.render_context import RenderedComponent

# The task definition of EcsExecutor has this name.
_TAKEN: Final = "executor"


@dataclass(frozen=True, slots=True, kw_only=True)
class EcsTask(TaskSize):
    """What ``AirflowCluster.add_ecs_task`` was told; its arguments are described there."""

    name: str
    image: ecs.ContainerImage | None = None
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    spot: bool = False
    architecture: Architecture | None = None
    environment: Mapping[str, str | ecs.Secret] = field(default_factory=dict)
    task_role: iam.IRole | None = None

    def __post_init__(self) -> None:
        validation.name("an ECS task's name", self.name)
        if self.name.lower() == _TAKEN:
            raise IncompatibleArgumentsError(
                f"an ECS task cannot be named {validation.shown(self.name)}: the tasks of EcsExecutor are"
            )
        task = f"ECS task {validation.shown(self.name)}"
        if self.image is not None:
            validation.instance(f"{task}: image", self.image, ecs.ContainerImage, "ecs.ContainerImage.from_registry(…)")
        for words in ("entrypoint", "command"):
            given = validation.items(f"{task}: {words}", getattr(self, words), '["python", "etl.py"]')
            if not all(isinstance(word, str) for word in given):
                raise ValueError(f"{task}: {words} is a list of words, got {validation.shown(getattr(self, words))}")
            refuse_command(f"{task}: {words}", given)
            object.__setattr__(self, words, given)
        self.check_size(task)
        if not isinstance(self.spot, bool):
            raise ValueError(f"{task}: spot is True or False, got {validation.shown(self.spot)}")
        if self.architecture not in (None, "x86_64", "arm64"):
            raise ValueError(f'{task}: architecture is "x86_64" or "arm64", got {validation.shown(self.architecture)}')
        validation.construct(f"{task}: task_role", self.task_role, "role_arn", "an iam.IRole")
        _ = self.service  # which checks the rest

    @property
    def component(self) -> str:
        """Its name in the plan, and its place in the construct tree."""
        return f"Tasks/{self.name}"

    @property
    def service(self) -> Service:
        """Its size and variables."""
        return Service.of(self, environment=self.environment)

    @property
    def capacity(self) -> Fargate:
        """The machines that it is started on."""
        return Fargate(spot=self.spot)

    @property
    def variable(self) -> str:
        """The Airflow variable by which DAGs know it."""
        return f"ecs_{self.name.lower().replace('-', '_')}"

    def operator_arguments(self, version: AirflowVersion) -> Json:
        """What ``EcsRunTaskOperator`` of that release must be given, but for ``task_id`` and ``overrides``."""
        # Amazon provider 9.4 has this argument, 9.2 refuses it. From 9.22 on, without it, the operator sleeps for ten
        # seconds and asks AWS. The official images of 2.10 hold 9.2 at most, those of 2.11 and 3.0 at least 9.6.
        named = {"container_name": self.name} if (version.major, version.minor) >= (2, 11) else {}
        return Json(
            {
                "cluster": Ref(TASK_CLUSTER, "name"),
                # Without its revision: a DAG that was parsed before a deploy starts what is there after it.
                "task_definition": Ref(self.component, "family"),
                **self.capacity.run_task(),
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
    """Plan a container of the user's own; it gets nothing of Airflow's.

    Args:
        task: what the user says of it.
        architecture: the processor of the cluster's image.
        secrets: the secrets that the user has given so far.
    """
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
        capacity=task.capacity,
        image="airflow" if task.image is None else task.component,
        architecture=task.architecture or architecture,
    )


@jsii.implements(ec2.IConnectable, iam.IGrantable)
class EcsTaskHandle:
    """An ECS task of yours, to grant to and to connect: ``bucket.grant_read(etl)``.

    Args:
        part: what was rendered.
        variable: the Airflow variable that DAGs pass to ``EcsRunTaskOperator``.
    """

    def __init__(self, part: RenderedComponent, variable: str) -> None:
        self._part = part
        self.variable = variable

    @property
    def connections(self) -> ec2.Connections:
        """Its security group: ``etl.connections.allow_to_default_port(warehouse)``."""
        return ec2.Connections(security_groups=[self._part.peer])

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """Its task role."""
        return self._part.task_role.grant_principal

    @property
    def task_role(self) -> iam.IRole:
        """Its task role, for resource policies."""
        return self._part.task_role

    @property
    def task_definition(self) -> ecs.TaskDefinition:
        """Its task definition."""
        return self._part.task_definition
