"""Pools and tasks on EC2 instances."""

from __future__ import annotations

import re

import pytest
from plans import NUMBER_TOKEN, TEXT_TOKEN, VERSIONS

from cdk_airflow_ecs import (
    AirflowVersion,
    CeleryExecutor,
    Ec2Capacity,
    EcsExecutor,
    Fargate,
    ManagedInstances,
    SeveralExecutors,
    WorkerPool,
)
from cdk_airflow_ecs.ecs_task import EcsTask
from cdk_airflow_ecs.plan import Ref
from cdk_airflow_ecs.testing import check_executor, plan_of

GPUS = Ec2Capacity(provider="gpu-machines", gpu=1)
MANAGED = ManagedInstances(name="gpu", gpu=1, instance_types=["g6.*"])


def pool(**arguments):
    """Return the component of a pool with the given arguments."""
    executor = CeleryExecutor(pools=[WorkerPool("default", **arguments)])
    return plan_of(version=VERSIONS["3.3"], executor=executor).component("Pools/default")


def test_a_pool_has_the_given_capacity():
    """The default is Fargate."""
    assert pool().capacity == Fargate()
    assert pool(spot=True).capacity == pool(capacity=Fargate(spot=True)).capacity == Fargate(spot=True)
    assert pool(capacity=GPUS).capacity == GPUS


@pytest.mark.parametrize(("cpu", "memory"), [(128, 512), (3500, 14_000), (196_608, 786_432), (NUMBER_TOKEN, 2048)])
def test_a_pool_on_ec2_may_have_sizes_that_fargate_does_not_offer(cpu, memory):
    """ECS accepts 128 to 196,608 CPU units outside Fargate."""
    assert (pool(capacity=GPUS, cpu=cpu, memory_mib=memory).cpu, memory) == (cpu, memory)
    with pytest.raises(ValueError, match="Fargate"):
        pool(cpu=cpu if cpu != NUMBER_TOKEN else 1000, memory_mib=memory)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cpu": 127}, "cpu (1024 is one vCPU) on Ec2Capacity must be an integer (128 to 196608), got 127"),
        ({"cpu": "1024"}, "(128 to 196608), got '1024'"),
        ({"memory_mib": 511}, "memory_mib on Ec2Capacity must be an integer (512 or more), got 511"),
        ({"ephemeral_storage_gib": 50}, "ephemeral_storage_gib=50 is only for Fargate"),
        ({"spot": True}, "Omit spot=, or pass capacity=Fargate(spot=True)"),
        ({"capacity": "gpu-machines"}, "capacity must be a Capacity such as Ec2Capacity("),
    ],
)
def test_unsupported_arguments_of_a_pool_on_ec2_are_refused(arguments, message):
    """The error names the pool and the accepted values."""
    with pytest.raises(ValueError, match=f"^pool 'gpu': .*{re.escape(message)}"):
        WorkerPool("gpu", **{"capacity": GPUS, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"provider": "FARGATE_SPOT"}, "use capacity=Fargate(spot=True)"),
        ({"provider": "aws-machines"}, "a name that ECS reserves"),
        ({"provider": "a b"}, "such as \"gpu-machines\", got 'a b'"),
        ({"provider": None}, 'such as "gpu-machines", got None'),
        ({"provider": "a", "gpu": -1}, "gpu must be an integer (0 to 16), got -1"),
        ({"provider": "a", "gpu": True}, "gpu must be an integer (0 to 16), got True"),
    ],
)
def test_invalid_arguments_of_ec2_capacity_are_refused(arguments, message):
    """The error contains the accepted values and the value given."""
    with pytest.raises(ValueError, match=f"^Ec2Capacity .*{re.escape(message)}"):
        Ec2Capacity(**arguments)


def test_the_name_of_a_capacity_provider_may_be_a_token():
    """Such as an imported value."""
    assert pool(capacity=Ec2Capacity(provider=TEXT_TOKEN)).capacity.providers == (TEXT_TOKEN,)


def test_an_ecs_task_starts_on_its_capacity():
    """The operator's arguments have the capacity provider instead of a launch type."""
    task = EcsTask(name="train", capacity=GPUS, cpu=3500, memory_mib=14_000)
    arguments = task.operator_arguments(VERSIONS["3.3"]).tree
    assert arguments["capacity_provider_strategy"] == [{"capacityProvider": "gpu-machines", "weight": 1}]
    assert not {"launch_type", "platform_version"} & set(arguments)
    component = plan_of(version=VERSIONS["3.3"], ecs_tasks=(task,)).component("Tasks/train")
    assert (component.capacity, component.cpu) == (GPUS, 3500)
    with pytest.raises(ValueError, match=r"^ECS task 'train': .* Omit spot="):
        EcsTask(name="train", capacity=GPUS, spot=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "g p u"}, "name must have at most 32 letters"),
        ({"gpu": 17}, "gpu must be an integer (0 to 16), got 17"),
        ({"instance_types": "g6.*"}, "instance_types must be a list"),
        ({"instance_types": ["g6 xlarge"]}, 'must be types such as "g6.xlarge" or "g6.*", got \'g6 xlarge\''),
        ({"requirements": {}}, "requirements must be an ec2.InstanceRequirementsConfig"),
        ({"spot": "yes"}, "spot must be True or False, got 'yes'"),
        ({"storage_gib": 29}, "storage_gib must be an integer (30 to 16384), got 29"),
    ],
)
def test_invalid_arguments_of_managed_instances_are_refused(arguments, message):
    """The error contains the accepted values and the value given."""
    with pytest.raises(ValueError, match=f"^ManagedInstances .*{re.escape(message)}"):
        ManagedInstances(**arguments)


def test_managed_instances_of_pools_and_ecs_tasks_are_in_different_ecs_clusters():
    """A capacity provider of ECS Managed Instances belongs to one ECS cluster."""
    executor = CeleryExecutor(pools=[WorkerPool("default", capacity=MANAGED), WorkerPool("more", capacity=MANAGED)])
    task = EcsTask(name="train", capacity=MANAGED)
    found = plan_of(version=VERSIONS["3.3"], executor=executor, ecs_tasks=(task,))
    providers = {c.name: [share.provider for share in c.capacity.strategy] for c in found.components}
    assert providers["Pools/default"] == providers["Pools/more"] == [Ref("Capacity/gpu", "name")]
    assert providers["Tasks/train"] == [Ref("TaskCapacity/gpu", "name")]
    assert MANAGED.providers == ()  # ECS itself associates them


@pytest.mark.parametrize("capacity", [GPUS, MANAGED])
def test_the_ecs_executor_starts_tasks_on_its_capacity(capacity):
    """Its options have the capacity provider, and neither launch type nor platform version."""
    check_executor(EcsExecutor(capacity=capacity, cpu=3500, memory_mib=14_000))
    found = plan_of(version=VERSIONS["3.3"], executor=EcsExecutor(capacity=capacity))
    assert found.component("Tasks/executor").capacity == capacity
    environment = found.component("Scheduler").containers[0].environment
    prefix = "AIRFLOW__AWS_ECS_EXECUTOR__"
    (share,) = capacity.strategy
    strategy = [{"capacityProvider": share.provider, "weight": 1}]
    assert environment[f"{prefix}RUN_TASK_KWARGS"].tree["capacity_provider_strategy"] == strategy
    assert not {f"{prefix}LAUNCH_TYPE", f"{prefix}PLATFORM_VERSION"} & set(environment)
    assert found.component("Scheduler").capacity == Fargate()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"version": AirflowVersion.of("2.8.1")}, "EcsExecutor(capacity=…) requires Airflow 2.8.2 or newer, got 2.8.1"),
        ({"config": {"aws_ecs_executor": {"platform_version": "1.4.0"}}}, "platform_version"),
        ({"config": {"aws_ecs_executor": {"run_task_kwargs": TEXT_TOKEN}}}, "only at deploy time"),
    ],
)
def test_options_that_conflict_with_the_capacity_of_the_ecs_executor_are_refused(arguments, message):
    """Older providers send a launch type, and a platform version would be dropped."""
    executor = EcsExecutor(capacity=GPUS)
    with pytest.raises(ValueError, match=re.escape(message)):
        plan_of(**{"version": VERSIONS["3.3"], "executor": executor, **arguments})


def test_the_ecs_executor_on_ec2_can_be_one_of_several():
    """Its alias precedes the module that images receive."""
    several = SeveralExecutors([CeleryExecutor(), EcsExecutor(capacity=GPUS)])
    environment = plan_of(version=VERSIONS["3.3"], executor=several).component("Scheduler").containers[0].environment
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor,ecs:airflow_ecs_executor.EcsExecutorOnInstances"
