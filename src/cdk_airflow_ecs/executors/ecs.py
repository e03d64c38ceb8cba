"""An executor that runs each task as an ECS task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.capacity.base import Capacity
from cdk_airflow_ecs.capacity.choice import chosen_capacity
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.capacity.task_size import TaskSize
from cdk_airflow_ecs.executors.base import Executor, ExecutorContext, ExecutorPlan, Workers
from cdk_airflow_ecs.executors.run_task_arguments import camel, check_run_task_arguments
from cdk_airflow_ecs.in_container import program
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.option_owner import UserOptions, json_object
from cdk_airflow_ecs.plan import Json, Option, Ref, Value
from cdk_airflow_ecs.process import Need, Process
from cdk_airflow_ecs.run_task_permissions import PROPAGATE_TAGS, may_run
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

_TASK: Final = "Tasks/executor"
_CONTAINER: Final = "task"
_CLASS: Final = "airflow.providers.amazon.aws.executors.ecs.ecs_executor.AwsEcsExecutor"
_MODULE: Final = "airflow_ecs_executor"
_SECTION: Final = "aws_ecs_executor"
_RUN_TASK_KWARGS: Final = (_SECTION, "run_task_kwargs")
# RunTask arguments that the executor derives from other options, or that conflict with its own.
_RUN_TASK: Final = ("capacity_provider_strategy", "launch_type", "network_configuration")
# The first official image with amazon provider 8.18. Provider 8.16, in Airflow 2.8.1, always sends a launch type, which
# RunTask rejects together with a capacity provider strategy.
_SPOT_SINCE: Final = AirflowVersion.of("2.8.2")
# Names that Airflow always resolves to its own executors (executor_constants.py of 2.8 to 3.3).
_AIRFLOWS_OWN: Final = tuple(
    f"{name}Executor"
    for name in ("Local", "Sequential", "Celery", "Kubernetes", "CeleryKubernetes", "LocalKubernetes", "Debug", "Mock")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EcsExecutor(Executor, TaskSize):
    """Run each task as a separate ECS task, by default on Fargate: no idle costs, no shared machines.

    Tasks start 30 to 90 seconds after they were scheduled, because Fargate pulls the image. ``queue=`` has no effect.
    Logs appear in S3 when a task ends; ``LocalLogs`` is not supported.

    Args:
        cpu: CPU units of each task; 1024 is one vCPU.
        memory_mib: memory of each task in MiB.
        ephemeral_storage_gib: disk of each task, 21 to 200 GiB. The default is 20 GiB.
        spot: use Fargate Spot, up to 70 % cheaper. AWS can stop tasks with two minutes' notice, so set retries.
        capacity: other machines than Fargate, such as ``ManagedInstances(gpu=1)``. Images then get a Python module, as
            with ``SqsBroker``.
        environment: further environment variables; see :class:`Service`.
        max_run_task_attempts: attempts to run a task that fails to start, or whose container fails.
        alias: its name in DAGs with :class:`SeveralExecutors`: ``executor="ecs"``.

    Raises:
        ValueError: if the machines do not offer the size, or another argument is invalid.

    Examples:
        >>> EcsExecutor(cpu=4096, memory_mib=16384, spot=True).alias
        'ecs'
    """

    spot: bool = False
    capacity: Capacity | None = None
    environment: Mapping[str, str | ecs.Secret] = field(default_factory=dict)
    max_run_task_attempts: int = 5
    alias: str = "ecs"

    def __post_init__(self) -> None:
        self.check_size("EcsExecutor", self._capacity)
        validation.integer("EcsExecutor max_run_task_attempts", self.max_run_task_attempts, 1, tokens=True)
        validation.name("EcsExecutor alias", self.alias, underscores=True)
        if self.alias in _AIRFLOWS_OWN:
            raise IncompatibleArgumentsError(
                f"EcsExecutor alias {validation.shown(self.alias)} is the name of one of Airflow's executors, which"
                ' Airflow would replace with this one. Use another alias, such as "ecs"'
            )
        _ = self._service  # validates the other arguments

    @property
    def _capacity(self) -> Capacity:
        return chosen_capacity("EcsExecutor", self.spot, self.capacity)

    @property
    def _on_fargate(self) -> bool:
        return self._capacity.compatibility == "FARGATE"

    @property
    def _service(self) -> Service:
        return Service.of(self, environment=self.environment)

    def plan(self, context: ExecutorContext) -> ExecutorPlan:
        """See :meth:`Executor.plan`."""
        if self._capacity.strategy and context.version < _SPOT_SINCE:
            argument = "spot=True" if self.capacity is None else "capacity=…"
            raise ValueError(
                f"EcsExecutor({argument}) requires Airflow {_SPOT_SINCE} or newer, got {context.version}: the amazon"
                " provider of older releases also sends the launch type FARGATE, which ECS rejects"
            )
        needs: set[Need] = {"execution-api"} if context.version.major >= 3 else {"database", "fernet"}
        return ExecutorPlan(
            class_path=_CLASS if self._on_fargate else f"{_MODULE}.EcsExecutorOnInstances",
            image_files={} if self._on_fargate else {f"{_MODULE}.py": program("ecs_executor_on_instances")},
            alias=self.alias,
            loader_config=self._config(),
            tasks=(
                Workers(
                    path=_TASK,
                    process=Process(
                        name=_CONTAINER,
                        component=_TASK,
                        # The executor overrides this command, which is harmless if the task is started by hand.
                        command=("airflow", "version"),
                        needs=frozenset({"dags", "write-logs", *needs}),
                        runs_user_code=True,
                    ),
                    service=self._service,
                    capacity=self._capacity,
                ),
            ),
            # At start, the executor tests its permission by stopping a task that does not exist.
            permissions=may_run(_TASK),
        )

    def relied_upon(self, version: AirflowVersion) -> Mapping[str, Mapping[Option, Value]]:
        """See :meth:`OptionOwner.relied_upon`."""
        del version
        places = {"launch_type": "", "capacity_provider_strategy": "", "platform_version": "LATEST"}
        options = {(_SECTION, name): value for name, value in places.items()}
        return {
            "whose executor sets where its tasks run": {o: v for o, v in options.items() if o not in self._config()}
        }

    def check_options(self, version: AirflowVersion, given: UserOptions) -> None:
        """See :meth:`OptionOwner.check_options`."""
        del version
        for source, options in given:
            kwargs = options.get(_RUN_TASK_KWARGS, "{}")
            arguments = json_object(kwargs) or {}
            if json_object(kwargs) is None and is_token(kwargs) and self._capacity.strategy:
                raise IncompatibleArgumentsError(
                    f"[{_SECTION}] run_task_kwargs by {source} is known only at deploy time, and EcsExecutor"
                    " adds its capacity provider to it. Pass JSON text that contains the token instead"
                )
            if json_object(kwargs) is None and not is_token(kwargs):
                raise ValueError(
                    f"[{_SECTION}] run_task_kwargs by {source} must be a JSON object such as"
                    ' {"enableExecuteCommand": true}, got other text, with which the executor would not start'
                )
            ours = [*(name for _, name in self._config()), *_RUN_TASK]
            if twice := sorted(name for name in arguments if name in ours or camel(name) in map(camel, ours)):
                raise IncompatibleArgumentsError(
                    f"[{_SECTION}] run_task_kwargs by {source} sets {', '.join(twice)}, which the cluster sets. For"
                    " Fargate Spot, use EcsExecutor(spot=True), for other machines capacity="
                )
            check_run_task_arguments(f"[{_SECTION}] run_task_kwargs by {source}", arguments)

    def complete_options(self, options: Mapping[Option, Value]) -> Mapping[Option, Value]:
        """Add tag propagation, and the capacity provider, to the user's ``run_task_kwargs``."""
        given = options.get(_RUN_TASK_KWARGS, "{}")
        more = json_object(given)
        if more is None and is_token(given):
            return {}
        capacity = self._capacity
        own = {**PROPAGATE_TAGS, **(capacity.run_task() if capacity.strategy else {})}
        theirs = {camel(name) for name in more or {}}
        return {_RUN_TASK_KWARGS: Json({**{k: v for k, v in own.items() if camel(k) not in theirs}, **(more or {})})}

    def _config(self) -> dict[Option, Value]:
        # The option capacity_provider_strategy does not work, because the provider passes its text to an API that
        # expects a list, so complete_options adds the strategy. Without a strategy or launch type, the provider would
        # call DescribeClusters.
        capacity = self._capacity
        launch_type: dict[str, Value] = {} if capacity.strategy else {"launch_type": capacity.compatibility}
        chosen: dict[str, Value] = {
            # An empty id selects the task role; Airflow would look up another id in its database first.
            "conn_id": "",
            "region_name": Ref("Stack", "region"),
            "cluster": Ref("Cluster", "name"),
            "container_name": _CONTAINER,
            # The ARN includes the revision, so that after a rollback, the scheduler starts tasks of its own deploy.
            "task_definition": Ref(_TASK, "task_definition_arn"),
            **({"platform_version": "LATEST"} if self._on_fargate else {}),
            "subnets": Ref("Network", "task_subnets"),
            "security_groups": Ref(_TASK, "security_group_id"),
            "assign_public_ip": Ref("Network", "assign_public_ip"),
            "max_run_task_attempts": str(self.max_run_task_attempts),
            "check_health_on_startup": "True",
            **launch_type,
        }
        return {(_SECTION, name): value for name, value in chosen.items()}
