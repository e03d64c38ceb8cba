"""The contract of capacities, with Fargate and a third-party capacity."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
from aws_cdk import Stack

from cdk_airflow_ecs import Capacity, CeleryExecutor, Executor, ExecutorContext, ExecutorPlan, Fargate, WorkerPool
from cdk_airflow_ecs.testing import check_executor, plan_of
from contracts.foreign_capacity import TASK, Ec2Capacity, TrainingExecutor
from synthesis import add_cluster, flat, references, resources, synthesize

OWN = Ec2Capacity(provider="gpu-machines")
MANAGED = Ec2Capacity(provider="managed-machines", managed=True)


@dataclass(frozen=True, kw_only=True)
class CeleryOn(Executor):
    """A CeleryExecutor whose workers run on the given capacity."""

    capacity: Capacity

    def plan(self, context: ExecutorContext) -> ExecutorPlan:
        """Return the plan of CeleryExecutor, with the given capacity."""
        plan = CeleryExecutor(pools=[WorkerPool("default")]).plan(context)
        return replace(plan, workers=tuple(replace(workers, capacity=self.capacity) for workers in plan.workers))


def template(executor, **arguments):
    """Return the template of a cluster with *executor*."""
    build = lambda app: add_cluster(Stack(app, "Data"), executor=lambda _: executor, **arguments)  # noqa: E731
    return synthesize(build).templates["Data"]


def of(found, kind, prefix):
    """Return the properties of the only resource of *kind* whose logical id starts with *prefix*."""
    ((_, resource),) = ((key, each) for key, each in resources(found, kind).items() if key.startswith(prefix))
    return resource["Properties"]


@pytest.mark.parametrize("capacity", [OWN, MANAGED])
def test_an_executor_with_a_third_party_capacity_passes_check_executor(capacity):
    """check_executor passes for an executor whose tasks do not run on Fargate."""
    check_executor(TrainingExecutor(capacity=capacity))


@pytest.mark.parametrize(("capacity", "compatibility"), [(OWN, "EC2"), (MANAGED, "MANAGED_INSTANCES")])
def test_executor_tasks_use_the_capacity_of_the_executor(capacity, compatibility):
    """Task definition, capacity providers and RunTask arguments are those of the executor's capacity."""
    found = template(TrainingExecutor(capacity=capacity))
    definition = of(found, "AWS::ECS::TaskDefinition", "AirflowTaskstraining")
    assert definition["RequiresCompatibilities"] == [compatibility]
    assert (definition["Cpu"], definition["Memory"], definition["NetworkMode"]) == ("3000", "5000", "awsvpc")
    offers = [
        each["Properties"]["CapacityProviders"]
        for each in resources(found, "AWS::ECS::ClusterCapacityProviderAssociations").values()
    ]
    # Only ECS itself associates capacity providers of ECS Managed Instances.
    assert offers == ([["FARGATE", "FARGATE_SPOT", capacity.provider]] if compatibility == "EC2" else [])
    scheduler = of(found, "AWS::ECS::TaskDefinition", "AirflowComponentsScheduler")
    (container,) = scheduler["ContainerDefinitions"]
    variables = {item["Name"]: flat(item["Value"]) for item in container["Environment"]}
    strategy = [{"capacityProvider": capacity.provider, "weight": 1}]
    assert json.loads(variables["AIRFLOW__AWS_ECS_EXECUTOR__RUN_TASK_KWARGS"]) == {
        "capacity_provider_strategy": strategy
    }


@pytest.mark.parametrize(("capacity", "compatibility"), [(OWN, "EC2"), (MANAGED, "MANAGED_INSTANCES")])
def test_a_service_uses_the_capacity_provider_of_its_capacity(capacity, compatibility):
    """The service has the strategy and compatibility of its capacity; other services use Fargate."""
    found = template(CeleryOn(capacity=capacity))
    service = of(found, "AWS::ECS::Service", "AirflowPoolsdefault")
    assert service["CapacityProviderStrategy"] == [{"CapacityProvider": capacity.provider, "Weight": 1}]
    assert "LaunchType" not in service
    definition = of(found, "AWS::ECS::TaskDefinition", "AirflowPoolsdefault")
    assert definition["RequiresCompatibilities"] == [compatibility]
    services = resources(found, "AWS::ECS::Service").items()
    others = [each["Properties"] for key, each in services if not key.startswith("AirflowPoolsdefault")]
    assert {each["LaunchType"] for each in others} == {"FARGATE"}
    groups = references(service["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"])
    assert [group for group in groups if group.startswith("AirflowPoolsdefaultSecurityGroup")]


def test_only_services_on_ec2_instances_depend_on_the_association_of_their_provider():
    """Fargate services do not depend on ClusterCapacityProviderAssociations."""
    found = template(CeleryOn(capacity=OWN))
    (offer,) = resources(found, "AWS::ECS::ClusterCapacityProviderAssociations")
    waiting = [key for key, each in resources(found, "AWS::ECS::Service").items() if offer in each["DependsOn"]]
    assert [key[: len("AirflowPoolsdefault")] for key in waiting] == ["AirflowPoolsdefault"]


@pytest.mark.parametrize(
    ("executor", "message"),
    [
        (TrainingExecutor(capacity=OWN, cpu=32768), "Tasks/training: cpu=32768; a machine of gpu-machines has 16384"),
        (TrainingExecutor(capacity=Fargate()), "Tasks/training: cpu=3000 is not a Fargate size"),
    ],
)
def test_a_size_that_the_capacity_does_not_accept_is_rejected(executor, message):
    """A size that the capacity does not have raises an error."""
    with pytest.raises(ValueError, match=message):
        plan_of(executor=executor)


def test_only_executor_tasks_have_the_capacity_of_their_executor():
    """The scheduler runs on Fargate, even if executor tasks run on a third-party capacity."""
    found = plan_of(executor=TrainingExecutor(capacity=OWN))
    assert found.component(TASK).capacity == OWN
    assert found.component("Scheduler").capacity == Fargate()
