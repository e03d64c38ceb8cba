"""The container that publishes how many workers each pool with QueueScaling requires. Pure."""

from __future__ import annotations

from typing import Final

from cdk_airflow_ecs import options
from cdk_airflow_ecs.capacity.queue_scaling import NAMESPACE, REQUIRED_WORKERS, TASKS, QueueScaling, pool_name
from cdk_airflow_ecs.executors.base import ExecutorPlan, Workers
from cdk_airflow_ecs.in_container import program
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.plan import CLUSTER, Container, Json, Ref
from cdk_airflow_ecs.settings import Settings

QUEUE_METRIC: Final = "queue-metric"
# So that it cannot use the scheduler's memory.
_MEMORY_MIB: Final = 128


def queue_metric_container(settings: Settings, executor: ExecutorPlan) -> Container | None:
    """Return the container, or None if no pool has QueueScaling.

    Raises:
        ValueError: if the tasks of a service with QueueScaling cannot be counted, or the metric not be published.
    """
    for name, service in settings.services.items():
        if isinstance(service.scaling, QueueScaling):
            raise IncompatibleArgumentsError(
                f"{name} has scaling=QueueScaling(…), but serves no queue. Pass it to a WorkerPool"
            )
    pools = {
        pool_name(each.process.component): _pool(each, each.service.scaling)
        for each in executor.workers
        if isinstance(each.service.scaling, QueueScaling)
    }
    if not pools:
        return None
    router = settings.log_router
    if not router.reaches_cloudwatch:
        raise IncompatibleArgumentsError(
            "QueueScaling needs the scheduler's output in CloudWatch Logs, which extracts its metric from it, but"
            f" log_router={type(router).__name__}(…) sends it elsewhere. Use log_router=AwsLogs(), or ExternalScaling()"
        )
    database = settings.database
    return Container(
        name=QUEUE_METRIC,
        command=("python", "-c", program("queue_metric")),
        environment={
            **options.variables(dict(database.config())),
            # libpq's variables, such as PGSSLROOTCERT.
            **{name: value for name, value in settings.environment.items() if name.startswith("PG")},
            **database.environment(),
            "CONNECTION_CHECK_MAX_COUNT": "0",
            "QUEUE_METRIC": Json(
                {
                    "namespace": NAMESPACE,
                    "metrics": [REQUIRED_WORKERS, TASKS],
                    "cluster": Ref(CLUSTER, "name"),
                    "pools": pools,
                }
            ),
        },
        memory_mib=_MEMORY_MIB,
        is_essential=False,
    )


def _pool(workers: Workers, scaling: QueueScaling) -> dict[str, object]:
    if not workers.queues or workers.slots is None or not workers.executor_names:
        raise ValueError(
            f"{workers.process.component} has scaling=QueueScaling(…), so its executor must plan its Workers with"
            " queues=, slots= and executor_names=, or use CeleryExecutor"
        )
    return {
        "queues": list(workers.queues),
        "executors": list(workers.executor_names),
        "slots": workers.slots,
        "minutes": scaling.scale_in_after_minutes,
    }
