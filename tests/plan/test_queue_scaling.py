"""QueueScaling: the container that publishes the metric, the steps of the policy, rejected arguments."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from plans import EXISTING, NUMBER_TOKEN, SECRET, VERSIONS, EcsSecret, containers, option, settings_of

from cdk_airflow_ecs import (
    CeleryExecutor,
    EcsExecutor,
    Executor,
    FireLens,
    LocalExecutor,
    QueueScaling,
    RedisBroker,
    ScalingSchedule,
    Service,
    SeveralExecutors,
    WorkerPool,
)
from cdk_airflow_ecs.capacity.scaling_steps import capacities
from cdk_airflow_ecs.in_container import program
from cdk_airflow_ecs.plan import ClusterPlan, Ref
from cdk_airflow_ecs.testing import check_executor, plan_of

DEFAULT = WorkerPool("default", scaling=QueueScaling())
NIGHTLY = WorkerPool("nightly", queues=["night", "weekend"], concurrency=3, scaling=QueueScaling(max_count=20))
NAMES = ["CeleryExecutor", "airflow.providers.celery.executors.celery_executor.CeleryExecutor"]


def with_pools(*pools: WorkerPool, **arguments) -> ClusterPlan:
    """Plan a cluster with the given worker pools."""
    return plan_of(**{"version": VERSIONS["3.3"], "executor": CeleryExecutor(pools=pools), **arguments})


def settings(plan: ClusterPlan) -> dict:
    """Return the settings of the scheduler's container that publishes the queue metric."""
    return containers(plan)["queue-metric"].environment["QUEUE_METRIC"].tree


@pytest.mark.parametrize("line", VERSIONS)
def test_a_container_in_the_scheduler_publishes_the_queue_metric(line):
    """The container counts the tasks of each scaled pool; the scheduler continues if the container ends."""
    plan = with_pools(DEFAULT, NIGHTLY, WorkerPool("fixed"), version=VERSIONS[line])
    scheduler, metric = plan.component("Scheduler").containers
    assert (scheduler.name, metric.name) == ("scheduler", "queue-metric")
    assert metric.command == ("python", "-c", program("queue_metric"))
    assert (scheduler.is_essential, metric.is_essential, metric.memory_mib) == (True, False, 128)
    assert settings(plan)["cluster"] == Ref("Cluster", "name")
    assert settings(plan)["pools"] == {
        "default": {"queues": ["default"], "executors": [None, *NAMES], "slots": 4, "minutes": 5},
        "nightly": {"queues": ["night", "weekend"], "executors": [None, *NAMES], "slots": 3, "minutes": 5},
    }


def test_the_queue_metric_container_has_only_the_database_login():
    """The container has no other secret and no other Airflow option."""
    plan = with_pools(
        DEFAULT,
        database=EXISTING,
        config={"core": {"default_timezone": "utc"}},
        environment={"PGSSLROOTCERT": "/opt/rds.pem", "STAGE": "dev", "API_TOKEN": EcsSecret()},
    )
    scheduler, metric = plan.component("Scheduler").containers
    assert set(metric.environment) - set(scheduler.environment) == {"QUEUE_METRIC"}
    assert sorted(set(metric.environment) & set(scheduler.environment)) == [
        *("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD", "CONNECTION_CHECK_MAX_COUNT", "METADATA_HOST", "METADATA_NAME"),
        *("METADATA_PASSWORD", "METADATA_PORT", "METADATA_USER", "PGCONNECT_TIMEOUT", "PGSSLMODE", "PGSSLROOTCERT"),
    ]


def test_without_queue_scaling_the_scheduler_has_one_container():
    """Worker pools with fixed counts add no container and no Airflow option."""
    plan = with_pools(WorkerPool("default"))
    assert [each.name for each in plan.component("Scheduler").containers] == ["scheduler"]
    assert option(containers(plan)["scheduler"], "core", "parallelism") is None


def test_adding_queue_scaling_changes_only_the_scheduler_and_its_pool():
    """In the scheduler's own container, only [core] parallelism changes."""
    before, after = with_pools(WorkerPool("default")), with_pools(DEFAULT)
    for old, new in zip(before.components, after.components, strict=True):
        if old.name not in ("Scheduler", "Pools/default"):
            assert old == new
    (old,), (new, _) = (plan.component("Scheduler").containers for plan in (before, after))
    parallelism = {"AIRFLOW__CORE__PARALLELISM": "40"}
    assert replace(new, environment=old.environment) == old
    assert new.environment == {**old.environment, **parallelism}
    assert before.edges == after.edges


@pytest.mark.parametrize(
    ("pools", "parallelism"),
    [
        ([DEFAULT], 40),
        ([WorkerPool("default", scaling=QueueScaling(max_count=2))], 32),
        ([WorkerPool("default", count=7), NIGHTLY, WorkerPool("off", count=0)], 88),
        ([WorkerPool("default", concurrency=NUMBER_TOKEN), NIGHTLY], 60),
    ],
)
def test_parallelism_is_at_least_the_slots_of_all_workers_at_the_maximum(pools, parallelism):
    """[core] parallelism is not below Airflow's default; a value in config= overrides it."""
    assert option(containers(with_pools(*pools))["scheduler"], "core", "parallelism") == str(parallelism)
    own = with_pools(*pools, config={"core": {"parallelism": 48}})
    assert option(containers(own)["scheduler"], "core", "parallelism") == "48"


@pytest.mark.parametrize(
    ("executor", "expected"),
    [
        (SeveralExecutors([CeleryExecutor(pools=[DEFAULT]), EcsExecutor()]), [None, *NAMES]),
        (SeveralExecutors([EcsExecutor(), CeleryExecutor(pools=[DEFAULT])]), NAMES),
    ],
)
def test_tasks_without_an_executor_count_for_the_first_executor(executor, expected):
    """QueueScaling counts Airflow tasks without an executor for the first of SeveralExecutors."""
    assert settings(plan_of(version=VERSIONS["3.3"], executor=executor))["pools"]["default"]["executors"] == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, (0, 1)),
        (2, 2, (2,)),
        (0, 19, tuple(range(20))),
        (3, 22, tuple(range(3, 23))),
        (0, 20, (*range(17), 18, 20)),
    ],
)
def test_a_policy_for_up_to_twenty_numbers_of_workers_is_exact(low, high, expected):
    """The scaling policy has at most twenty steps, one for each number of workers."""
    assert capacities(low, high) == expected


@pytest.mark.parametrize(("high", "excess"), [(20, 1.06), (40, 1.12), (100, 1.2), (1_000, 1.38), (5_000, 1.5)])
def test_a_policy_for_many_workers_rounds_their_number_up(high, excess):
    """The policy reaches the maximum with at most twenty steps, and rounds up by at most *excess*."""
    found = capacities(0, high)
    assert len(found) <= 20
    assert (found[0], found[-1]) == (0, high)
    assert max(after / (before + 1) for before, after in pairwise(found)) <= excess


def test_schedules_extend_the_range_of_the_scaling_policy():
    """The scaling policy can set every number of workers that a schedule permits."""
    scaling = QueueScaling(
        min_count=2,
        max_count=4,
        schedules=[
            ScalingSchedule("night", when="cron(0 20 * * ? *)", min_count=0, max_count=0),
            ScalingSchedule("sale", when="at(2026-11-27T00:00:00)", max_count=8),
        ],
    )
    assert scaling.capacities == (0, 1, 2, 3, 4, 5, 6, 7, 8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QueueScaling(min_count=-1), r"min_count must be an integer \(0 to 5000\), got -1"),
        (lambda: QueueScaling(max_count=0), r"max_count must be an integer \(1 to 5000\), got 0"),
        (lambda: QueueScaling(max_count=NUMBER_TOKEN), "max_count must be .* known only at deploy time"),
        (lambda: QueueScaling(scale_in_after_minutes=0), r"scale_in_after_minutes must be .*1 to 1440"),
        (lambda: QueueScaling(schedules="night"), "schedules must be a list such as"),
        (lambda: QueueScaling(schedules=["night"]), "schedules must be a ScalingSchedule such as"),
        (lambda: ScalingSchedule("night", when="0 20 * * *", max_count=1), "when must be .*, got '0 20"),
        (lambda: ScalingSchedule("night", when="cron(0 20 * * ?)", max_count=1), "year; one of the days is"),
        (lambda: ScalingSchedule("night", when="cron(0 20 * * MON-FRI *)", max_count=1), "year; one of the days is"),
        (lambda: ScalingSchedule("night", when="rate(5 fortnights)", max_count=1), "rate"),
        (lambda: ScalingSchedule("night", when="at(2027-13-45T99:00:00)", max_count=1), "at"),
        (
            lambda: ScalingSchedule("night", when="rate(1 hour)", max_count=1, time_zone="Berlin"),
            "IANA name .*'Berlin'",
        ),
        (
            lambda: QueueScaling(min_count=1, schedules=[ScalingSchedule("night", when="rate(1 day)", max_count=0)]),
            "sets max_count=0, but min_count can be 1 then",
        ),
        (lambda: ScalingSchedule("my night", when="rate(1 hour)", max_count=1), "ScalingSchedule name must"),
        (lambda: ScalingSchedule("night", when="rate(1 hour)", max_count=1, time_zone=""), "time_zone must be text"),
        (lambda: ScalingSchedule("night", when="rate(1 hour)", max_count=-1), r"max_count must be .*0 to 5000"),
        (lambda: WorkerPool("default", count=1, scaling=QueueScaling()), "count= and scaling= both"),
    ],
)
def test_invalid_arguments_of_queue_scaling_are_rejected(make, message):
    """The error has the given and the accepted values."""
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"services": {"ApiServer": Service(scaling=QueueScaling())}},
            "serves no queue. Pass it to a WorkerPool",
        ),
        (
            {"executor": LocalExecutor(), "services": {"Scheduler": Service(scaling=QueueScaling())}},
            "Scheduler .* serves no queue",
        ),
        (
            {"log_router": FireLens(options={"Name": "firehose"})},
            r"FireLens\(…\) .*Use log_router=AwsLogs\(\)",
        ),
    ],
)
def test_queue_scaling_requires_a_queue_and_cloudwatch_logs(arguments, message):
    """The metric is a line in the scheduler's log, which must be in CloudWatch Logs."""
    with pytest.raises(ValueError, match=message):
        plan_of(**{"version": VERSIONS["3.3"], "executor": CeleryExecutor(pools=[DEFAULT]), **arguments})


class Mute(Executor):
    """A third-party executor that plans workers without queues."""

    def plan(self, context):
        """Return the plan of Celery without queues."""
        plan = CeleryExecutor(pools=[DEFAULT]).plan(context)
        return replace(plan, workers=tuple(replace(each, queues=()) for each in plan.workers))


def test_workers_of_a_third_party_executor_need_queues_for_queue_scaling():
    """A third-party executor supports QueueScaling if it plans workers with queues, slots and executor names."""
    check_executor(CeleryExecutor(pools=[DEFAULT]))
    with pytest.raises(ValueError, match="must plan its Workers with queues=, slots= and executor_names="):
        plan_of(version=VERSIONS["3.3"], executor=Mute())


@pytest.mark.parametrize(
    ("pools", "ids"),
    [
        ([DEFAULT, NIGHTLY, WorkerPool("fixed")], []),
        ([DEFAULT, WorkerPool("base", queues=["default"], count=1)], ["default:base"]),
        ([WorkerPool("a", queues=["default"]), WorkerPool("b", queues=["default"])], []),
        ([DEFAULT, replace(NIGHTLY, queues=["default"])], ["default:nightly", "nightly:default"]),
    ],
)
def test_queue_scaling_of_a_pool_with_a_shared_queue_gives_a_warning(pools, ids):
    """A worker pool scales for all tasks of its queues, including tasks that another pool runs."""
    found = settings_of(version=VERSIONS["3.3"], executor=CeleryExecutor(pools=pools)).advice
    assert [each.id for each in found] == [f"cdk-airflow-ecs:shared-queue:{name}" for name in ids]


def test_the_queue_metric_does_not_depend_on_the_broker():
    """The settings of the container are the same with an existing Redis."""
    broker = RedisBroker.existing("redis.example.com", auth_token=SECRET)
    plan = plan_of(version=VERSIONS["3.3"], executor=CeleryExecutor(broker=broker, pools=[DEFAULT]))
    assert settings(plan) == settings(with_pools(DEFAULT))
