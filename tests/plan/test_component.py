"""The kinds of components."""

from __future__ import annotations

import pytest

from cdk_airflow_ecs import (
    AirflowVersion,
    CeleryExecutor,
    ContainerDatabase,
    EcsExecutor,
    RedisBroker,
    SeveralExecutors,
)
from cdk_airflow_ecs.commands.airflow_task import AirflowTask
from cdk_airflow_ecs.ecs_task import EcsTask
from cdk_airflow_ecs.plan import Component
from cdk_airflow_ecs.testing import plan_of


def component(**arguments):
    """Return a component without containers."""
    return Component(**{"name": "X", "path": "X", "containers": (), "cpu": 256, "memory_mib": 512, **arguments})


def test_each_component_has_a_kind_such_as_service_or_store():
    """The kinds are those that the code of the library distinguishes."""
    executors = SeveralExecutors([CeleryExecutor(broker=RedisBroker.container()), EcsExecutor()])
    found = plan_of(
        version=AirflowVersion.V3_3,
        executor=executors,
        database=ContainerDatabase(),
        ecs_tasks=(EcsTask(name="etl"),),
        airflow_tasks=(AirflowTask(name="reserialize", command=["airflow", "dags", "reserialize"]),),
    )
    kinds = {part.name: part.kind for part in found.components}
    assert kinds == {
        "Database": "store",
        "Broker": "store",
        "Tasks/etl": "ECS task",
        "Tasks/executor": "executor task",
        "ApiServer": "service",
        "Scheduler": "service",
        "DagProcessor": "service",
        "Triggerer": "service",
        "Pools/default": "service",
        "AirflowTasks/reserialize": "command task",
        "Migration": "one-shot task",
    }
    assert {part.name for part in found.components if part.count is None} == {
        "Tasks/etl",
        "Tasks/executor",
        "AirflowTasks/reserialize",
        "Migration",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kind": "servic", "count": 1},
            "X: kind must be one of service, store, one-shot task, command task, executor task, ECS task, got 'servic'",
        ),
        ({}, "X: a service needs count="),
        ({"kind": "store"}, "X: a store needs count="),
        (
            {"kind": "one-shot task", "count": 1},
            "X: count= and scaling= are only for services. Remove them from kind='one-shot task'",
        ),
    ],
)
def test_an_unknown_kind_of_component_or_an_incompatible_count_is_rejected(arguments, message):
    """The error for an unknown kind lists all kinds."""
    with pytest.raises(ValueError, match=message):
        component(**arguments)
