"""LocalExecutor: tasks run inside the scheduler."""

from __future__ import annotations

import pytest
from plans import NUMBER_TOKEN, VERSIONS, containers, option, plan

from cdk_airflow_ecs import EcsExecutor, LocalExecutor, Service, SeveralExecutors
from cdk_airflow_ecs.testing import plan_of


@pytest.mark.parametrize("line", VERSIONS)
def test_the_local_executor_has_no_broker_and_no_workers(line):
    """The plan with LocalExecutor has no Celery variables."""
    found = plan(line, "local")
    assert not [part for part in found.components if part.path.startswith("Pools/")]
    assert not [edge for edge in found.edges if "Broker" in (edge.source, edge.target)]
    assert not [
        name for c in containers(found).values() for name in c.environment if "CELERY" in name or "BROKER" in name
    ]


def test_by_default_the_scheduler_has_2_vcpu_and_4_gib():
    """By default the scheduler has 2 vCPU and 4 GiB for 8 tasks."""
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
def test_the_parallelism_of_the_scheduler_follows_its_memory(cpu, memory, parallelism, executor):
    """The scheduler runs one task per 512 MiB."""
    found = plan_of(executor=executor(), services={"Scheduler": Service(cpu=cpu, memory_mib=memory)})
    assert option(containers(found)["scheduler"], "core", "parallelism") == str(parallelism)


def test_a_token_as_the_scheduler_memory_requires_parallelism():
    """If the scheduler's memory is a token, parallelism= is required."""
    sized = {"Scheduler": Service(cpu=NUMBER_TOKEN, memory_mib=NUMBER_TOKEN)}
    with pytest.raises(ValueError, match=r"LocalExecutor: .* memory_mib is known only at deploy time. Pass parallel"):
        plan_of(executor=LocalExecutor(), services=sized)
    found = plan_of(executor=LocalExecutor(parallelism=4), services=sized)
    assert option(containers(found)["scheduler"], "core", "parallelism") == "4"


@pytest.mark.parametrize("memory", ["4096", 100])
def test_an_invalid_memory_of_the_scheduler_is_rejected(memory):
    """The error is about memory_mib."""
    with pytest.raises(ValueError, match="memory_mib"):
        plan_of(executor=LocalExecutor(), services={"Scheduler": Service(memory_mib=memory)})


def test_with_local_executor_the_scheduler_serves_task_logs():
    """The scheduler has a log server and may write to the log bucket."""
    scheduler = plan(executor="local").component("Scheduler")
    assert scheduler.containers[0].port == 8793
    assert ("s3:GetObject", "s3:PutObject") in [permission.actions for permission in scheduler.permissions]
    assert plan(executor="celery").component("Scheduler").permissions == ()
