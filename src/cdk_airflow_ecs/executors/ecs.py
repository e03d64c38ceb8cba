"""Each task as a Fargate task of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.capacity.fargate import Fargate
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.capacity.task_size import TaskSize
from cdk_airflow_ecs.executors.base import Executor, ExecutorContext, ExecutorPlan, Workers
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.option_owner import UserOptions, names_in
from cdk_airflow_ecs.plan import Json, Option, Ref, Value
from cdk_airflow_ecs.process import Need, Process
from cdk_airflow_ecs.run_task_permissions import may_run
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

_TASK: Final = "Tasks/executor"
_CONTAINER: Final = "task"
_SECTION: Final = "aws_ecs_executor"
# What the executor says to RunTask beyond its options of these names, or could not say beside them.
_RUN_TASK: Final = ("capacity_provider_strategy", "launch_type", "network_configuration")
# The first official image with amazon provider 8.18. In that of 2.8.1, 8.16, launch_type is FARGATE unless it is
# something else, and RunTask takes no strategy beside it.
_SPOT_SINCE: Final = AirflowVersion.of("2.8.2")
# Airflow finds them by these names in any list of executors (executor_constants.py of 2.8 to 3.3).
_AIRFLOWS_OWN: Final = tuple(
    f"{name}Executor"
    for name in ("Local", "Sequential", "Celery", "Kubernetes", "CeleryKubernetes", "LocalKubernetes", "Debug", "Mock")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EcsExecutor(Executor, TaskSize):
    """Run each task as a Fargate task of its own: nothing is paid for while nothing runs, and tasks share no machine.

    A task starts 30 to 90 seconds after it was scheduled, the time that Fargate takes to pull the image. ``queue=`` of
    a task means nothing here. Logs appear when a task ends, in S3: ``LocalLogs`` is refused.

    Args:
        cpu: CPU units of each task; 1024 is one vCPU.
        memory_mib: memory of each task in MiB.
        ephemeral_storage_gib: disk of each task, 21 to 200 GiB. The default is Fargate's 20 GiB.
        spot: run them on Fargate Spot, for up to 70 % less. AWS may stop such a task two minutes after a warning, so
            give your tasks retries.
        environment: more environment variables of the tasks, as for :class:`Service`.
        max_run_task_attempts: how often a task that did not start, or ended badly, is started.
        alias: what DAGs call it among :class:`SeveralExecutors`: ``executor="ecs"``.

    Raises:
        ValueError: if Fargate has no such machine, or another argument is impossible.

    Examples:
        >>> EcsExecutor(cpu=4096, memory_mib=16384, spot=True).alias
        'ecs'
    """

    spot: bool = False
    environment: Mapping[str, str | ecs.Secret] = field(default_factory=dict)
    max_run_task_attempts: int = 5
    alias: str = "ecs"

    def __post_init__(self) -> None:
        self.check_size("EcsExecutor")
        if not isinstance(self.spot, bool):
            raise ValueError(f"EcsExecutor spot is True or False, got {validation.shown(self.spot)}")
        validation.integer("EcsExecutor max_run_task_attempts", self.max_run_task_attempts, 1, tokens=True)
        validation.name("EcsExecutor alias", self.alias, underscores=True)
        if self.alias in _AIRFLOWS_OWN:
            raise IncompatibleArgumentsError(
                f"EcsExecutor alias {validation.shown(self.alias)} is the name of an executor of Airflow's own, and"
                ' DAGs that mean that one would get this; take another, such as "ecs"'
            )
        _ = self._service  # which checks the rest

    @property
    def _capacity(self) -> Fargate:
        return Fargate(spot=self.spot)

    @property
    def _service(self) -> Service:
        return Service.of(self, environment=self.environment)

    def plan(self, context: ExecutorContext) -> ExecutorPlan:
        """See :meth:`Executor.plan`."""
        if self.spot and context.version < _SPOT_SINCE:
            raise ValueError(
                f"EcsExecutor(spot=True) needs Airflow {_SPOT_SINCE} or newer, got {context.version}: the"
                " amazon provider of older ones asks for the launch type FARGATE as well, and ECS starts no such task"
            )
        needs: set[Need] = {"execution-api"} if context.version.major >= 3 else {"database", "fernet"}
        return ExecutorPlan(
            class_path="airflow.providers.amazon.aws.executors.ecs.ecs_executor.AwsEcsExecutor",
            alias=self.alias,
            loader_config=self._config(),
            tasks=(
                Workers(
                    path=_TASK,
                    process=Process(
                        name=_CONTAINER,
                        component=_TASK,
                        # The executor says another at each start; this one does no harm if somebody starts it by hand.
                        command=("airflow", "version"),
                        needs=frozenset({"dags", "write-logs", *needs}),
                        runs_user_code=True,
                    ),
                    service=self._service,
                    capacity=self._capacity,
                ),
            ),
            # The check at start stops a task that does not exist; a scheduler that may not does not start.
            permissions=may_run(_TASK),
        )

    def relied_upon(self, version: AirflowVersion) -> Mapping[str, Mapping[Option, Value]]:
        """See :meth:`OptionOwner.relied_upon`."""
        del version
        places = [(_SECTION, name) for name in ("launch_type", "capacity_provider_strategy")]
        return {"whose executor says where its tasks run": {o: "" for o in places if o not in self._config()}}

    def check_options(self, version: AirflowVersion, given: UserOptions) -> None:
        """See :meth:`OptionOwner.check_options`."""
        del version
        for source, options in given:
            said = options.get((_SECTION, "run_task_kwargs"), "")
            names = names_in(said)
            if not names and isinstance(said, str) and not is_token(said) and said.strip() not in ("", "{}"):
                raise ValueError(
                    f"[{_SECTION}] run_task_kwargs by {source} must be a JSON object such as"
                    ' {"enableExecuteCommand": true}, got text that is not one: the executor would not start'
                )
            ours = [*(name for _, name in self._config()), *_RUN_TASK]
            if twice := sorted(names & {spelled for name in ours for spelled in (name, _camel(name))}):
                raise IncompatibleArgumentsError(
                    f"[{_SECTION}] run_task_kwargs by {source} sets {', '.join(twice)}, which this cluster says itself;"
                    " for Fargate Spot use EcsExecutor(spot=True)"
                )

    def _config(self) -> dict[Option, Value]:
        # The option capacity_provider_strategy is of no use: the provider hands its text to an API that takes a list.
        # With neither strategy nor launch type it would call DescribeClusters.
        capacity = self._capacity
        started: dict[str, Value] = (
            {"run_task_kwargs": Json(capacity.run_task())}
            if capacity.strategy
            else {"launch_type": capacity.compatibility}
        )
        chosen: dict[str, Value] = {
            # Empty means the task role; a name would be looked up in the database first.
            "conn_id": "",
            "region_name": Ref("Stack", "region"),
            "cluster": Ref("Cluster", "name"),
            "container_name": _CONTAINER,
            # With its revision: the scheduler of a deploy that is rolled back starts the tasks of that deploy.
            "task_definition": Ref(_TASK, "task_definition_arn"),
            "platform_version": "LATEST",
            "subnets": Ref("Network", "task_subnets"),
            "security_groups": Ref(_TASK, "security_group_id"),
            "assign_public_ip": Ref("Network", "assign_public_ip"),
            "max_run_task_attempts": str(self.max_run_task_attempts),
            "check_health_on_startup": "True",
            **started,
        }
        return {(_SECTION, name): value for name, value in chosen.items()}


def _camel(name: str) -> str:
    """A name as the API of AWS has it; Airflow takes both."""
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)
