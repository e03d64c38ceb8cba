"""An executor that runs tasks in the scheduler."""

from __future__ import annotations

from dataclasses import dataclass

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.capacity.pools import MIB_PER_SLOT
from cdk_airflow_ecs.executors.base import Executor, ExecutorContext, ExecutorPlan
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.tokens import is_token


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalExecutor(Executor):
    """Run tasks in the scheduler: the smallest cluster, without broker or workers.

    Args:
        parallelism: concurrent tasks. The default is one per 512 MiB of the scheduler's memory: 8 with its default of
            4096 MiB, which is too small for Airflow's default of 32.

    Raises:
        ValueError: if *parallelism* is not a positive integer; on creation of the cluster, if it is missing and the
            scheduler's memory is known only at deploy time.

    Examples:
        >>> from cdk_airflow_ecs import Service
        >>> from cdk_airflow_ecs.testing import plan_of
        >>> plan = plan_of(executor=LocalExecutor(), services={"Scheduler": Service(cpu=4096, memory_mib=16384)})
        >>> plan.component("Scheduler").containers[0].environment["AIRFLOW__CORE__PARALLELISM"]
        '32'
    """

    parallelism: int | None = None

    def __post_init__(self) -> None:
        if self.parallelism is not None:
            validation.integer("LocalExecutor parallelism", self.parallelism, 1, tokens=True)

    def plan(self, context: ExecutorContext) -> ExecutorPlan:
        """See :meth:`Executor.plan`."""
        parallelism, memory = self.parallelism, context.scheduler_memory_mib
        if parallelism is None:
            validation.integer("LocalExecutor: the scheduler's memory_mib", memory, 512, tokens=True)
            if is_token(memory):
                raise IncompatibleArgumentsError(
                    "LocalExecutor: the scheduler's memory_mib is known only at deploy time. Pass parallelism= too"
                )
            parallelism = memory // MIB_PER_SLOT
        return ExecutorPlan(
            class_path="LocalExecutor",
            config={("core", "parallelism"): str(parallelism)},
            tasks_in_scheduler=True,
        )
