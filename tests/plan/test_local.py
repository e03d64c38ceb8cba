"""LocalExecutor: tasks inside the scheduler, and nothing that they do not need."""

from __future__ import annotations

import pytest
from plans import VERSIONS, containers, option, plan

from cdk_airflow_ecs import LocalExecutor, Service
from cdk_airflow_ecs.testing import plan_of


@pytest.mark.parametrize("line", VERSIONS)
def test_no_broker_and_no_workers(line):
    """Neither a pool nor a broker nor an edge to one exists, and no variable speaks of Celery."""
    found = plan(line, "local")
    assert not [part for part in found.components if part.path.startswith("Pools/")]
    assert not [edge for edge in found.edges if "Broker" in (edge.source, edge.target)]
    assert not [
        name for c in containers(found).values() for name in c.environment if "CELERY" in name or "BROKER" in name
    ]


def test_the_scheduler_is_large_enough():
    """With tasks in it the scheduler gets 2 vCPU and 4 GiB, and 8 tasks at a time: one per 512 MiB."""
    scheduler = plan(executor="local").component("Scheduler")
    assert (scheduler.cpu, scheduler.memory_mib) == (2048, 4096)
    assert option(scheduler.containers[0], "core", "parallelism") == "8"
    small = plan_of(executor=LocalExecutor(parallelism=2), services={"Scheduler": Service(cpu=512, memory_mib=1024)})
    assert (small.component("Scheduler").cpu, small.component("Scheduler").memory_mib) == (512, 1024)
    assert option(small.component("Scheduler").containers[0], "core", "parallelism") == "2"


def test_it_serves_the_logs_of_its_tasks():
    """The web component reads live logs from the scheduler's log server, and its writer may write to the bucket."""
    scheduler = plan(executor="local").component("Scheduler")
    assert scheduler.containers[0].port == 8793
    assert ("s3:GetObject", "s3:PutObject") in [permission.actions for permission in scheduler.permissions]
    assert plan(executor="celery").component("Scheduler").permissions == ()
