"""CeleryExecutor: the broker of scheduler and workers, worker pools, tasks per worker."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from plans import TEXT_TOKEN, VERSIONS, EcsSecret, containers, option, plan

from cdk_airflow_ecs import (
    AirflowImage,
    CeleryExecutor,
    EcsExecutor,
    ExternalScaling,
    LocalExecutor,
    QueueScaling,
    RedisBroker,
    Service,
    SeveralExecutors,
    SqsBroker,
    WorkerPool,
)
from cdk_airflow_ecs.capacity.fargate import Fargate
from cdk_airflow_ecs.in_container import program
from cdk_airflow_ecs.plan import CLUSTER, ClusterPlan, Ref
from cdk_airflow_ecs.testing import plan_of

CELERY_OPTIONS = "celery", "celery_broker_transport_options"


def with_pools(*pools: WorkerPool) -> ClusterPlan:
    """Plan a cluster with the given worker pools."""
    return plan_of(version=VERSIONS["3.3"], executor=CeleryExecutor(pools=pools))


@pytest.mark.parametrize("line", VERSIONS)
@pytest.mark.parametrize("executor", ["celery", "existing-redis"])
def test_scheduler_and_workers_have_the_same_broker(line, executor):
    """If scheduler and workers had different brokers, no health check would fail."""
    found = containers(plan(line, executor))

    def shared(name):
        prefixes = tuple(f"AIRFLOW__{section}__".upper() for section in CELERY_OPTIONS)
        return {
            key: value
            for key, value in found[name].environment.items()
            if key.startswith((*prefixes, "BROKER_")) and key != "AIRFLOW__CELERY__WORKER_CONCURRENCY"
        }

    assert shared("scheduler") == shared("worker")
    assert {"AIRFLOW__CELERY__BROKER_URL_CMD", "AIRFLOW__CELERY__RESULT_BACKEND_CMD", "BROKER_TOKEN"} <= set(
        shared("worker")
    )
    others = set(found) - {"scheduler", "worker"}
    assert not any(shared(name) for name in others)


@pytest.mark.parametrize(
    ("memory", "concurrency"), [(512, 1), (1024, 2), (2048, 4), (4096, 8), (8192, 16), (16384, 32)]
)
def test_the_concurrency_of_a_worker_follows_its_memory(memory, concurrency):
    """A worker runs one task per 512 MiB by default."""
    cpu = 256 if memory < 2048 else 1024 if memory <= 8192 else 4096
    for chosen, expected in ((None, concurrency), (3, 3)):
        pool = WorkerPool("default", cpu=cpu, memory_mib=memory, concurrency=chosen)
        worker = containers(with_pools(pool))["worker"]
        assert option(worker, "celery", "worker_concurrency") == str(expected)


def test_each_worker_pool_is_a_service():
    """Each worker pool is a service with its own size, count and queues."""
    found = with_pools(
        WorkerPool("default", count=2),
        WorkerPool("heavy", queues=("big", "gpu"), cpu=4096, memory_mib=16384, ephemeral_storage_gib=100),
        WorkerPool("idle", count=0, enable_exec=True),
    )
    pools = {part.name: part for part in found.components if part.path.startswith("Pools/")}
    assert {
        name: (p.cpu, p.memory_mib, p.count, p.ephemeral_storage_gib, p.enable_exec) for name, p in pools.items()
    } == {
        "Pools/default": (1024, 2048, 2, None, False),
        "Pools/heavy": (4096, 16384, 1, 100, False),
        "Pools/idle": (1024, 2048, 0, None, True),
    }
    assert {name: p.containers[0].command[4] for name, p in pools.items()} == {
        "Pools/default": "default",
        "Pools/heavy": "big,gpu",
        "Pools/idle": "idle",
    }
    assert {edge.source for edge in found.edges if edge.target == "Broker"} == {"Scheduler", *pools}
    assert {edge.target for edge in found.edges if edge.port == 8793} == set(pools)


QUEUE = [
    ("3.3", {"config": {"operators": {"default_queue": "main"}}}),
    ("3.3", {"environment": {"AIRFLOW__OPERATORS__DEFAULT_QUEUE": "main"}}),
    ("2.11", {"config": {"celery": {"default_queue": "main"}}}),
]


@pytest.mark.parametrize(("line", "arguments"), QUEUE)
@pytest.mark.parametrize("executor", ["celery", "sqs", "several"])
def test_a_worker_pool_must_serve_the_default_queue(line, arguments, executor):
    """One worker pool must serve the default queue, which may have any name."""
    words = r"no worker pool serves the queue 'main', .* \(\[operators\] default_queue\); the pools serve default\. Add"
    with pytest.raises(ValueError, match=words):
        plan(line, executor, **arguments)
    celery = CeleryExecutor(broker=SqsBroker(), pools=[WorkerPool("main")])
    members = {"celery": CeleryExecutor(pools=celery.pools), "sqs": celery}
    found = plan_of(
        version=VERSIONS[line],
        executor=members.get(executor) or SeveralExecutors([EcsExecutor(), celery]),
        **arguments,
    )
    worker = containers(found)["worker"]
    assert worker.command[4] == "main"


def test_all_components_use_one_default_queue():
    """The environment of a single component cannot change the default queue."""
    pools = CeleryExecutor(pools=[WorkerPool("default", queues=["default", "main"])])
    own = {"environment": {"AIRFLOW__OPERATORS__DEFAULT_QUEUE": "main"}}
    words = r"\[operators\] default_queue is given twice: as 'default' by this cluster, .* and as 'main' by environment"
    with pytest.raises(ValueError, match=f"{words} of DagProcessor"):
        plan_of(executor=pools, services={"DagProcessor": Service(**own)})
    with pytest.raises(ValueError, match=f"{words} of Pools/default"):
        with_pools(WorkerPool("default", queues=["default", "main"], **own))


@pytest.mark.parametrize("name", [TEXT_TOKEN, "", EcsSecret()])
def test_a_token_as_the_default_queue_is_rejected(name):
    """The name of the default queue must be known at synthesis."""
    with pytest.raises(ValueError, match="no worker pool serves"):
        plan(config={"operators": {"default_queue": name}})


def test_without_celery_any_default_queue_is_accepted():
    """Without Celery any default queue is accepted."""
    assert plan(executor="local", config={"operators": {"default_queue": "main"}})


def test_capacity_and_image_of_a_pool_affect_no_other_component():
    """Spot, processor and image of a worker pool change no edge and no other component."""
    own = AirflowImage.registry("ghcr.io/acme/airflow:1", architecture="arm64")
    pools = (
        WorkerPool("default"),
        WorkerPool("cheap", spot=True),
        WorkerPool("arm", architecture="arm64"),
        WorkerPool("own", image=own),
        WorkerPool("both", image=own, architecture="x86_64", spot=True),
    )
    found = with_pools(*pools)
    assert {
        part.name: (part.spot, part.architecture, part.image)
        for part in found.components
        if part.path.startswith("Pools/")
    } == {
        "Pools/default": (False, "x86_64", "airflow"),
        "Pools/cheap": (True, "x86_64", "airflow"),
        "Pools/arm": (False, "arm64", "airflow"),
        "Pools/own": (False, "arm64", "Pools/own"),
        "Pools/both": (True, "x86_64", "Pools/both"),
    }
    others = [part for part in found.components if not part.path.startswith("Pools/")]
    plain = with_pools(*(WorkerPool(pool.name) for pool in pools))
    assert others == [part for part in plain.components if not part.path.startswith("Pools/")]
    assert found.edges == plain.edges
    same = {"capacity": Fargate(), "architecture": "x86_64", "image": "airflow"}
    for pool in pools:
        part = found.component(f"Pools/{pool.name}")
        assert replace(part, **same) == plain.component(part.name)


def test_a_worker_pool_uses_the_processor_of_its_image():
    """architecture= of a worker pool overrides the image's processor."""
    pools = CeleryExecutor(pools=[WorkerPool("default"), WorkerPool("old", architecture="x86_64")])
    found = plan_of(executor=pools, image=AirflowImage.official(architecture="arm64"))
    assert [found.component(f"Pools/{name}").architecture for name in ("default", "old")] == ["arm64", "x86_64"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spot": 1}, "pool 'heavy': spot must be True or False, got 1"),
        ({"architecture": "arm"}, "pool 'heavy': architecture must be \"x86_64\" or \"arm64\", got 'arm'"),
        ({"image": "ghcr.io/acme/airflow:1"}, "pool 'heavy': image"),
    ],
)
def test_invalid_arguments_of_a_worker_pool_are_rejected(arguments, message):
    """The error has the pool's name."""
    with pytest.raises(ValueError, match=re.escape(message)):
        WorkerPool("heavy", **arguments)


def test_with_pool_equals_the_pools_argument():
    """with_pool() gives the same executor as the pools= argument."""
    one, two = WorkerPool("default"), WorkerPool("heavy", spot=True)
    assert CeleryExecutor(pools=[one]).with_pool(two) == CeleryExecutor(pools=[one, two])
    several = SeveralExecutors([LocalExecutor(), CeleryExecutor(pools=[one]), EcsExecutor()])
    grown = [LocalExecutor(), CeleryExecutor(pools=[one, two]), EcsExecutor()]
    assert several.with_pool(two) == SeveralExecutors(grown)


def test_pools_and_queues_may_be_any_sequence():
    """pools= and queues= accept lists, tuples and generators."""
    expected = CeleryExecutor(pools=[WorkerPool("default", queues=["default", "b"])])
    assert expected == CeleryExecutor(pools=(WorkerPool("default", queues=("default", "b")),))
    assert expected == CeleryExecutor(pools=(WorkerPool("default", queues=(q for q in ("default", "b"))) for _ in "x"))


def test_a_worker_pool_does_not_change_other_components():
    """Adding a worker pool changes no other component."""
    few = with_pools(WorkerPool("default"))
    many = with_pools(WorkerPool("default"), WorkerPool("more"))
    assert [part for part in many.components if part.name != "Pools/more"] == list(few.components)


def test_a_stopping_worker_finishes_its_tasks():
    """dumb-init sends SIGTERM only to the worker process, so running tasks can finish."""
    found = containers(plan())
    assert found["worker"].environment["DUMB_INIT_SETSID"] == "0"
    assert "DUMB_INIT_SETSID" not in found["scheduler"].environment


@pytest.mark.parametrize(
    "name", ["broker_url", "broker_transport_options", "result_backend", "worker_concurrency", "task_default_queue"]
)
@pytest.mark.parametrize("broker", [RedisBroker(), SqsBroker()])
def test_extra_celery_config_must_not_override_the_cluster(name, broker):
    """extra_celery_config must not set options of the cluster."""
    value = f'{{"{name}": 1, "worker_max_tasks_per_child": 9}}'
    words = rf"\[celery\] extra_celery_config by {{}} sets {name}, which the cluster sets"
    with pytest.raises(ValueError, match=words.format("config=")):
        plan(config={"celery": {"extra_celery_config": value}}, executor="celery")
    pool = WorkerPool("default", environment={"AIRFLOW__CELERY__EXTRA_CELERY_CONFIG": value})
    with pytest.raises(ValueError, match=words.format("environment of Pools/default")):
        plan_of(executor=CeleryExecutor(broker=broker, pools=[pool]))


@pytest.mark.parametrize("value", ['{"worker_max_tasks_per_child": 9}', "{", "[]", "7", TEXT_TOKEN])
def test_extra_celery_config_without_options_of_the_cluster_is_unchanged(value):
    """Airflow receives the value unchanged, even if it is invalid JSON."""
    worker = containers(plan(config={"celery": {"extra_celery_config": value}}))["worker"]
    assert option(worker, "celery", "extra_celery_config") == value


@pytest.mark.parametrize("line", VERSIONS)
def test_a_scaling_that_protects_tasks_changes_only_the_worker_of_its_pool(line):
    """Only the worker of that pool starts through worker_protection.py and may protect its ECS task."""
    pools = [WorkerPool("default", scaling=QueueScaling()), WorkerPool("heavy", scaling=ExternalScaling())]
    found = plan_of(version=VERSIONS[line], executor=CeleryExecutor(pools=pools))
    starts = ("python", "-c", program("worker_protection"))
    protected, other = (found.component(f"Pools/{pool.name}") for pool in pools)
    ((worker,), (plain,)) = protected.containers, other.containers
    assert worker.prefix == (*starts, *plain.prefix)
    assert [c.name for part in found.components for c in part.containers if c.prefix[:3] == starts] == ["worker"]
    more = [permission for permission in protected.permissions if permission not in other.permissions]
    assert [permission for permission in protected.permissions if permission not in more] == [*other.permissions]
    assert [(*permission.actions, *permission.resources) for permission in more] == [
        ("ecs:GetTaskProtection", "ecs:UpdateTaskProtection", Ref(CLUSTER, "tasks_arn")),
        ("ecs:DescribeServices", Ref(CLUSTER, "services_arn")),
        ("ecs:ListServices", "*"),
    ]
    assert more[0].conditions == {"StringEquals": {"aws:ResourceTag/airflow-component": "Pools/default"}}
    assert more[-1].conditions == {"ArnEquals": {"ecs:cluster": Ref(CLUSTER, "arn")}}
