"""The number of database connections that a cluster may open. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from cdk_airflow_ecs.capacity.queue_metric import QUEUE_METRIC
from cdk_airflow_ecs.plan import Component, Container, Value
from cdk_airflow_ecs.tokens import is_known_int

# Airflow's defaults of [database] sql_alchemy_pool_size, sql_alchemy_max_overflow and [core] parallelism (config.yml).
_POOL, _OVERFLOW, _PARALLELISM = 5, 10, 32
# An Airflow 2 task: its supervisor and its own process, each without a pool (cli/commands/task_command.py).
_OF_A_TASK: Final = 2
_SLOTS: Final = "AIRFLOW__CELERY__WORKER_CONCURRENCY"


def most_connections(components: Iterable[Component], *, major: int) -> int | None:
    """Return the most connections that Airflow's processes keep open, or None if there is no known limit.

    During a deploy there can be twice as many, because old and new tasks of a service both run.

    Args:
        components: the components of the plan.
        major: Airflow's major release.
    """
    components = tuple(components)
    total = 0
    for component in components:
        clients = [each for each in component.containers if "METADATA_PASSWORD" in each.environment]
        if not clients or component.kind not in ("service", "executor task"):
            continue
        if component.kind == "executor task":
            count = _concurrent_tasks(components)
            used: list[int | None] = [_OF_A_TASK]
        else:
            count = most_tasks(component)
            used = [_of(container, serves_web=component.serves_web, major=major) for container in clients]
        if count is None or None in used:
            return None
        total += count * sum(number or 0 for number in used)
    return total


def most_tasks(component: Component) -> int | None:
    """Return the largest number of a component's tasks, or None if it is unknown."""
    count = component.count if component.scaling is None else getattr(component.scaling, "max_count", None)
    return count if is_known_int(count) else None


def _of(container: Container, *, serves_web: bool, major: int) -> int | None:
    environment = container.environment
    if container.name == QUEUE_METRIC:
        return 1
    if _SLOTS in environment:
        return _number(environment, _SLOTS, 1) * _OF_A_TASK
    size = _number(environment, "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE", _POOL)
    overflow = _number(environment, "AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW", _OVERFLOW)
    if size < 1 or overflow < 0:  # SQLAlchemy then has no limit
        return None
    # Airflow 3's web processes have a second pool, of asyncpg (airflow/settings.py).
    pools = 2 if serves_web and major >= 3 else 1
    runs_tasks = major < 3 and "LocalExecutor" in str(environment.get("AIRFLOW__CORE__EXECUTOR"))
    tasks = _number(environment, "AIRFLOW__CORE__PARALLELISM", _PARALLELISM) * _OF_A_TASK
    return pools * (size + overflow) + (tasks if runs_tasks and container.name == "scheduler" else 0)


def _concurrent_tasks(components: tuple[Component, ...]) -> int | None:
    """Return how many tasks the schedulers run at once."""
    for component in components:
        if component.name == "Scheduler" and (count := most_tasks(component)) is not None:
            environment = component.containers[0].environment
            return count * _number(environment, "AIRFLOW__CORE__PARALLELISM", _PARALLELISM)
    return None


def _number(environment: Mapping[str, Value], name: str, default: int) -> int:
    value = environment.get(name)
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?\d+", value) else default
