"""The container that publishes how many workers each pool with QueueScaling requires. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cdk_airflow_ecs import options
from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.capacity.queue_scaling import NAMESPACE, REQUIRED_WORKERS, TASKS, QueueScaling, pool_name
from cdk_airflow_ecs.capacity.scaling import Scaling
from cdk_airflow_ecs.executors.base import ExecutorPlan, Workers
from cdk_airflow_ecs.in_container import program
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.plan import CLUSTER, Container, Json, Option, Ref, Value
from cdk_airflow_ecs.settings import Settings
from cdk_airflow_ecs.tokens import is_token

QUEUE_METRIC: Final = "queue-metric"
# So that it cannot use the scheduler's memory.
_MEMORY_MIB: Final = 128
_PARALLELISM: Final = 32


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


def parallelism(executor: ExecutorPlan) -> dict[Option, Value]:
    """Return the option by which each scheduler can fill all workers, if QueueScaling sets their number.

    It is at least 32, Airflow's default. Numbers known only at deploy time count as zero.
    """
    most = 0
    for workers in executor.workers:
        service, slots = workers.service, workers.slots or 0
        scaling, count = service.scaling, 1 if service.count is None else service.count
        most += 0 if is_token(slots) or is_token(count) else slots * max(_capacities(scaling) or (count,))
    scaled = any(_capacities(workers.service.scaling) for workers in executor.workers)
    return {("core", "parallelism"): str(max(most, _PARALLELISM))} if scaled else {}


def _capacities(scaling: Scaling | None) -> tuple[int, ...]:
    return scaling.capacities if isinstance(scaling, QueueScaling) else ()


def shared_queues(executor: ExecutorPlan) -> Iterator[Advice]:
    """Return warnings about pools with QueueScaling whose queues other pools serve too."""
    for each in executor.workers:
        if not isinstance(each.service.scaling, QueueScaling):
            continue
        for other in executor.workers:
            if other is not each and (shared := [queue for queue in each.queues if queue in other.queues]):
                one, two = pool_name(each.process.component), pool_name(other.process.component)
                yield Advice(
                    f"cdk-airflow-ecs:shared-queue:{one}:{two}",
                    f"the pools {one} and {two} both serve the queue {shared[0]!r}. {one} scales for all of its tasks,"
                    f" including those that {two} runs. Give each pool its own queues, or acknowledge this warning",
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
