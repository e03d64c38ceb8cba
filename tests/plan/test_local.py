"""LocalExecutor: tasks inside the scheduler, and nothing that they do not need."""

from __future__ import annotations

import pytest
from plans import NUMBER_TOKEN, VERSIONS, containers, option, plan

from cdk_airflow_ecs import EcsExecutor, LocalExecutor, Service, SeveralExecutors
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


@pytest.mark.parametrize(
    ("cpu", "memory", "parallelism"),
    [(256, 512, 1), (512, 1024, 2), (1024, 2048, 4), (2048, 4096, 8), (4096, 16384, 32)],
)
@pytest.mark.parametrize("executor", [LocalExecutor, lambda: SeveralExecutors([LocalExecutor(), EcsExecutor()])])
def test_parallelism_follows_memory(cpu, memory, parallelism, executor):
    """One task per 512 MiB of the scheduler, as on a worker."""
    found = plan_of(executor=executor(), services={"Scheduler": Service(cpu=cpu, memory_mib=memory)})
    assert option(containers(found)["scheduler"], "core", "parallelism") == str(parallelism)


def test_a_scheduler_that_only_the_deploy_knows():
    """Where the scheduler's memory is a parameter of the stack, the number of tasks must be said."""
    sized = {"Scheduler": Service(cpu=NUMBER_TOKEN, memory_mib=NUMBER_TOKEN)}
    with pytest.raises(ValueError, match=r"LocalExecutor: .* memory_mib is known only at deploy time. Pass parallel"):
        plan_of(executor=LocalExecutor(), services=sized)
    found = plan_of(executor=LocalExecutor(parallelism=4), services=sized)
    assert option(containers(found)["scheduler"], "core", "parallelism") == "4"


@pytest.mark.parametrize("memory", ["4096", 100])
def test_a_memory_that_is_none(memory):
    """What is no memory is refused as such, before tasks are counted by it."""
    with pytest.raises(ValueError, match="memory_mib"):
        plan_of(executor=LocalExecutor(), services={"Scheduler": Service(memory_mib=memory)})


def test_it_serves_the_logs_of_its_tasks():
    """The web component reads live logs from the scheduler's log server, and its writer may write to the bucket."""
    scheduler = plan(executor="local").component("Scheduler")
    assert scheduler.containers[0].port == 8793
    assert ("s3:GetObject", "s3:PutObject") in [permission.actions for permission in scheduler.permissions]
    assert plan(executor="celery").component("Scheduler").permissions == ()
