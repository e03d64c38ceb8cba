"""Tasks on Celery workers, each pool an ECS service."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cdk_airflow_ecs.airflow import WORKER_LOG_PORT, AirflowVersion, Process, tcp_check
from cdk_airflow_ecs.brokers.base import Broker
from cdk_airflow_ecs.brokers.redis import RedisBroker
from cdk_airflow_ecs.capacity.pools import WorkerPool
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.executors.base import Executor, ExecutorContext, ExecutorPlan, Workers
from cdk_airflow_ecs.plan import Edge
from cdk_airflow_ecs.tokens import is_known_int, is_token

DEFAULT_QUEUE = "default"  # [operators] default_queue
_MIB_PER_SLOT = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class CeleryExecutor(Executor):
    """Run tasks on long-lived Celery workers.

    Args:
        broker: carries the commands. The default is Valkey on ElastiCache, which also keeps the results, so that
            Airflow 3 workers hold no key to the metadata database.
        pools: the workers. The default is one pool of one worker, 1 vCPU and 2 GiB, on the queue "default".

    Raises:
        ValueError: if two pools share a name, none serves the queue "default", or a pool's numbers are impossible.

    Example:
        >>> CeleryExecutor(pools=[WorkerPool("default", count=2), WorkerPool("heavy", cpu=4096, memory_mib=16384)])
        CeleryExecutor(broker=...)
    """

    broker: Broker = field(default_factory=RedisBroker)
    pools: Sequence[WorkerPool] = (WorkerPool("default"),)

    def __post_init__(self) -> None:
        if not isinstance(self.broker, Broker):
            raise ValueError(f"CeleryExecutor needs a broker, got {self.broker!r}; pass broker=RedisBroker()")
        object.__setattr__(self, "pools", tuple(self.pools))
        for pool in self.pools:
            if not isinstance(pool, WorkerPool):
                raise ValueError(f"CeleryExecutor pools takes WorkerPool objects, got {pool!r}")
            _check(pool)
        names = [pool.name.lower() for pool in self.pools]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two worker pools are named {', '.join(sorted(repeated))!r}; give each its own name")
        served = [queue for pool in self.pools for queue in _queues(pool)]
        if DEFAULT_QUEUE not in served:
            raise ValueError(
                f"no worker pool serves the queue {DEFAULT_QUEUE!r}, to which Airflow sends every task that names no"
                f" queue; the pools serve {', '.join(served) or 'nothing'}. Add {DEFAULT_QUEUE!r} to one pool's queues"
            )

    def plan(self, context: ExecutorContext) -> ExecutorPlan:
        """See :meth:`Executor.plan`."""
        broker = self.broker.plan(context.version)
        workers = tuple(_workers(pool, context.version) for pool in self.pools)
        clients = ("Scheduler", *(worker.process.component for worker in workers))
        return ExecutorPlan(
            class_path="CeleryExecutor",
            config=broker.config,
            environment=broker.environment,
            workers=workers,
            stores={"Broker": self.broker},
            edges=tuple(
                Edge(client, "Broker", broker.port, "Celery commands and results")
                for client in clients
                if broker.port is not None
            ),
        )


def _workers(pool: WorkerPool, version: AirflowVersion) -> Workers:
    needs = {"dags", "executor", "session", "write-logs"}
    needs |= {"execution-api"} if version.major >= 3 else {"database", "fernet"}
    name = f"Pools/{pool.name}"
    concurrency = pool.concurrency or max(1, pool.memory_mib // _MIB_PER_SLOT)
    return Workers(
        path=name,
        process=Process(
            name="worker",
            component=name,
            # Gossip and mingle only tell workers of one another; each costs the broker a connection per worker.
            command=(
                *("airflow", "celery", "worker", "--queues", ",".join(_queues(pool))),
                *("--without-gossip", "--without-mingle"),
            ),
            needs=frozenset(needs),
            port=WORKER_LOG_PORT,
            health_check=tcp_check(WORKER_LOG_PORT),
            # dumb-init must stop the worker alone: with the image's default, task processes get SIGTERM as well and
            # die instead of finishing (measured with 2.11.2; apache/airflow#18068).
            environment={"DUMB_INIT_SETSID": "0"},
            runs_user_code=True,
        ),
        service=Service(
            cpu=pool.cpu,
            memory_mib=pool.memory_mib,
            count=pool.count,
            enable_exec=pool.enable_exec,
            ephemeral_storage_gib=pool.ephemeral_storage_gib,
            environment=pool.environment,
            health_check=pool.health_check,
        ),
        config={("celery", "worker_concurrency"): str(concurrency)},
    )


def _queues(pool: WorkerPool) -> tuple[str, ...]:
    return tuple(pool.queues) or (pool.name,)


def _check(pool: WorkerPool) -> None:
    if not isinstance(pool.name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,31}", pool.name):
        raise ValueError(
            f"a worker pool's name is a letter, then letters, digits and hyphens, at most 32; got {pool.name!r}"
        )
    if isinstance(pool.queues, str):
        raise ValueError(
            f"pool {pool.name!r}: queues is a list of names, got the text {pool.queues!r}; write [{pool.queues!r}]"
        )
    for queue in _queues(pool):
        if not isinstance(queue, str) or not re.fullmatch(r"[A-Za-z0-9_.-]+", queue):
            raise ValueError(f"pool {pool.name!r}: {queue!r} is no queue name; use letters, digits, _ . and -")
    if is_token(pool.memory_mib) and pool.concurrency is None:
        raise ValueError(f"pool {pool.name!r}: memory_mib is only known at deploy time, so say concurrency= too")
    if pool.concurrency is not None and (not is_known_int(pool.concurrency) or pool.concurrency < 1):
        raise ValueError(f"pool {pool.name!r}: concurrency must be a positive integer, got {pool.concurrency!r}")
