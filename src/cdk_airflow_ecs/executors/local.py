"""Tasks as processes inside the scheduler."""

from __future__ import annotations

from dataclasses import dataclass

from cdk_airflow_ecs import arguments
from cdk_airflow_ecs.executors.base import Executor, ExecutorContext, ExecutorPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalExecutor(Executor):
    """Run tasks inside the scheduler: the smallest cluster, with neither broker nor workers.

    Args:
        parallelism: tasks that run at a time. The default of 8 is one per 512 MiB of a scheduler of 4096 MiB, and does
            not grow with a larger one; Airflow's own default of 32 does not fit a task of that size.

    Raises:
        ValueError: if *parallelism* is no positive integer.
    """

    parallelism: int = 8

    def __post_init__(self) -> None:
        arguments.integer("LocalExecutor parallelism", self.parallelism, 1, tokens=True)

    def plan(self, context: ExecutorContext) -> ExecutorPlan:
        """See :meth:`Executor.plan`."""
        del context
        return ExecutorPlan(
            class_path="LocalExecutor",
            config={("core", "parallelism"): str(self.parallelism)},
            tasks_in_scheduler=True,
        )
