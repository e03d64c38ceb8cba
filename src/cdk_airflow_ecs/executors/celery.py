"""Celery workers: one ECS service per pool."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, cast

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.brokers.base import Broker, BrokerPlan
from cdk_airflow_ecs.brokers.redis import RedisBroker
from cdk_airflow_ecs.capacity.pools import WorkerPool
from cdk_airflow_ecs.executors.base import Executor, ExecutorContext, ExecutorPlan, Workers
from cdk_airflow_ecs.in_container import program
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.option_owner import UserOptions, json_object
from cdk_airflow_ecs.plan import Edge, Json, Option, Value
from cdk_airflow_ecs.ports import WORKER_LOG_PORT
from cdk_airflow_ecs.process import Need, Process, tcp_check
from cdk_airflow_ecs.run_task_permissions import may_protect

_EXTRA: Final = ("celery", "extra_celery_config")
_TRANSPORT: Final = "celery_broker_transport_options"
# Celery settings that the cluster sets, but [celery] extra_celery_config would override (default_celery.py of the
# celery provider).
_OURS: Final = {"broker_url", "broker_transport_options", "result_backend", "task_default_queue", "worker_concurrency"}

# Tasks name an executor by alias or class name, or by module path (airflow/executors/executor_loader.py).
_NAMES: Final = (None, "CeleryExecutor", "airflow.providers.celery.executors.celery_executor.CeleryExecutor")
# kombu's names of serializers that can create objects of any class (kombu/serialization.py).
_UNSAFE: Final = {"pickle", "application/x-python-serialize", "yaml", "application/x-yaml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CeleryExecutor(Executor):
    """Run tasks on long-lived Celery workers.

    Args:
        broker: the default is Valkey on ElastiCache, which also stores results, so that Airflow 3 workers need no
            database credentials.
        pools: worker pools. The default is one pool of one worker, 1 vCPU and 2 GiB, on the queue "default".

    Raises:
        ValueError: if two pools have the same name, or a number is invalid; on creation of the cluster, if no pool
            serves the default queue, "default" or ``[operators] default_queue``.

    Examples:
        >>> CeleryExecutor(pools=[WorkerPool("default", count=2), WorkerPool("heavy", cpu=4096, memory_mib=16384)])
        CeleryExecutor(broker=...)
    """

    broker: Broker = field(default_factory=RedisBroker)
    pools: Sequence[WorkerPool] = (WorkerPool("default"),)

    def __post_init__(self) -> None:
        validation.instance("CeleryExecutor broker", self.broker, Broker, "RedisBroker()")
        object.__setattr__(
            self, "pools", validation.items("CeleryExecutor pools", self.pools, '[WorkerPool("default")]')
        )
        for pool in self.pools:
            validation.instance("CeleryExecutor pools", pool, WorkerPool, 'WorkerPool("default")')
        names = [pool.name.lower() for pool in self.pools]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise IncompatibleArgumentsError(
                f"two worker pools are named {', '.join(sorted(repeated))!r}. Pool names must be unique"
            )

    def with_pool(self, pool: WorkerPool) -> CeleryExecutor:
        """See :meth:`Executor.with_pool`."""
        return replace(self, pools=(*self.pools, pool))

    def relied_upon(self, version: AirflowVersion) -> Mapping[str, Mapping[Option, Value]]:
        """See :meth:`OptionOwner.relied_upon`."""
        del version
        # A value of worker_autoscale would override worker_concurrency, which concurrency= sets.
        return {"whose worker pools have concurrency=": {("celery", "worker_autoscale"): ""}}

    def check_options(self, version: AirflowVersion, given: UserOptions) -> None:
        """See :meth:`OptionOwner.check_options`."""
        ours = self.broker.plan(version, self._queues).config
        extra = ours.get(_EXTRA)
        replaces = isinstance(extra, Json) and "broker_transport_options" in cast("Mapping[str, object]", extra.tree)
        for source, options in given:
            if twice := sorted(_OURS & set(json_object(options.get(_EXTRA)) or {})):
                raise IncompatibleArgumentsError(
                    f"[celery] extra_celery_config by {source} sets {', '.join(twice)}, which the cluster sets. Use"
                    " broker=, WorkerPool(concurrency=…) or the options of [celery_broker_transport_options]"
                )
            if unsafe := sorted(_UNSAFE & _texts(options.get(_EXTRA))):
                raise IncompatibleArgumentsError(
                    f"[celery] extra_celery_config by {source} lets workers accept {', '.join(unsafe)}, so that anyone"
                    " with write access to the broker could run code in scheduler and workers. Keep serializers at json"
                )
            lost = [name for section, name in options if section == _TRANSPORT and (section, name) not in ours]
            if lost and replaces:
                raise IncompatibleArgumentsError(
                    f"[{_TRANSPORT}] {lost[0]} by {source} would be ignored: with this broker and this Airflow release,"
                    " [celery] extra_celery_config replaces the section. Remove the option"
                )

    @property
    def _queues(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(queue for pool in self.pools for queue in pool.queues))

    def plan(self, context: ExecutorContext) -> ExecutorPlan:
        """See :meth:`Executor.plan`."""
        queues = self._queues
        if context.default_queue not in queues:
            wanted = validation.shown(context.default_queue)
            raise IncompatibleArgumentsError(
                f"no worker pool serves the queue {wanted}, the queue of tasks without queue= ([operators]"
                f" default_queue); the pools serve {', '.join(queues) or 'nothing'}. Add {wanted} to one pool's queues"
            )
        broker = self.broker.plan(context.version, queues)
        workers = tuple(_workers(pool, context.version, broker) for pool in self.pools)
        clients = ("Scheduler", *(worker.process.component for worker in workers))
        return ExecutorPlan(
            class_path="CeleryExecutor",
            config=broker.config,
            # Timeout for sending a command to the broker. With TLS on a busy CPU and Airflow's default, four tries of 1
            # s, tasks failed before they started (apache/airflow#7143).
            defaults={("celery", "operation_timeout"): "10"},
            environment=broker.environment,
            workers=workers,
            stores={"Broker": self.broker.store(queues)},
            edges=tuple(
                Edge(client, "Broker", broker.port, "Celery commands and results")
                for client in clients
                if broker.port is not None
            ),
            permissions=broker.permissions,
            requirements=broker.requirements,
            image_files=broker.image_files,
        )


def _workers(pool: WorkerPool, version: AirflowVersion, broker: BrokerPlan) -> Workers:
    needs: set[Need] = {"dags", "executor", "session", "write-logs"}
    needs |= {"execution-api"} if version.major >= 3 else {"database", "fernet"}
    name = f"Pools/{pool.name}"
    protected = pool.scaling is not None and pool.scaling.protects_tasks
    return Workers(
        path=name,
        process=Process(
            name="worker",
            component=name,
            # Gossip and mingle would need more broker connections per worker, without benefit.
            command=(
                *("airflow", "celery", "worker", "--queues", ",".join(pool.queues)),
                *("--without-gossip", "--without-mingle"),
            ),
            prefix=("python", "-c", program("worker_protection")) if protected else (),
            needs=frozenset(needs),
            port=WORKER_LOG_PORT,
            health_check=tcp_check(WORKER_LOG_PORT),
            # By default, dumb-init also sends SIGTERM to task processes, which then do not finish
            # (measured with 2.11.2; apache/airflow#18068).
            environment={"DUMB_INIT_SETSID": "0"},
            runs_user_code=True,
        ),
        service=pool.service,
        config={("celery", "worker_concurrency"): str(pool.slots)},
        # Queues can share permissions; the planner removes duplicates.
        permissions=(
            *(allowed for queue in pool.queues for allowed in broker.consumers.get(queue, ())),
            *(may_protect(name) if protected else ()),
        ),
        image=pool.image,
        architecture=pool.architecture,
        capacity=pool.machines,
        queues=pool.queues,
        slots=pool.slots,
        executor_names=_NAMES,
    )


def _texts(value: object) -> set[str]:
    try:
        tree = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        return set()
    waiting, found = [tree], set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            found.add(node)
        waiting.extend(node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
    return found
