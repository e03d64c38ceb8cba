"""Templates of clusters with tasks outside Fargate."""

from __future__ import annotations

import copy
import functools
import re

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs import (
    AirflowImage,
    CeleryExecutor,
    Ec2Capacity,
    EcsExecutor,
    ManagedInstances,
    SeveralExecutors,
    WorkerPool,
)
from judges.order import faults
from judges.updates import refused, replaced
from synthesis import add_cluster, flat, references, resources, synthesize, template_of

ASSOCIATIONS = "AWS::ECS::ClusterCapacityProviderAssociations"


def asg_provider(stack, vpc, image):
    """Return a capacity provider of the user."""
    group = autoscaling.AutoScalingGroup(
        stack, "Machines", vpc=vpc, instance_type=ec2.InstanceType("g5.xlarge"), machine_image=image, max_capacity=4
    )
    bottlerocket = isinstance(image, ecs.BottleRocketImage)
    kind = ecs.MachineImageType.BOTTLEROCKET if bottlerocket else ecs.MachineImageType.AMAZON_LINUX_2
    return ecs.AsgCapacityProvider(stack, "Provider", auto_scaling_group=group, machine_image_type=kind)


@functools.cache
def on_asg(bottlerocket=False):
    """Return the template of a cluster with a GPU pool on the user's Auto Scaling group."""

    def build(app):
        stack = Stack(app, "Data")
        vpc = ec2.Vpc(stack, "Vpc")
        image = ecs.BottleRocketImage() if bottlerocket else ecs.EcsOptimizedImage.amazon_linux2023()
        capacity = Ec2Capacity(provider=asg_provider(stack, vpc, image), gpu=1)
        pools = [WorkerPool("default"), WorkerPool("gpu", cpu=3500, memory_mib=14_000, capacity=capacity)]
        add_cluster(stack, vpc=vpc, executor=lambda _: CeleryExecutor(pools=pools))

    return synthesize(build).templates["Data"]


@functools.cache
def on_managed_instances(later=False):
    """Return the template of a cluster with three uses of ECS Managed Instances; with *later*, two are added later."""
    gpu = ManagedInstances(name="gpu", gpu=1, instance_types=["g6.*"], spot=True, storage_gib=100)
    pool = WorkerPool("gpu", cpu=3500, memory_mib=14_000, capacity=gpu)

    def build(app):
        pools = [WorkerPool("default"), *([] if later else [pool])]
        executor = SeveralExecutors([CeleryExecutor(pools=pools), EcsExecutor(capacity=ManagedInstances())])
        cluster = add_cluster(
            Stack(app, "Data"), executor=lambda _: executor, image=AirflowImage.registry("ghcr.io/acme/airflow:1")
        )
        if later:
            cluster.add_worker_pool(pool)
        cluster.add_ecs_task("train", capacity=gpu, image=ecs.ContainerImage.from_registry("python:3.13"))

    return synthesize(build).templates["Data"]


def only(found, kind, prefix=""):
    """Return the logical id and properties of the only resource of *kind* whose logical id starts with *prefix*."""
    ((key, resource),) = ((k, each) for k, each in resources(found, kind).items() if k.startswith(prefix))
    return key, resource["Properties"]


def test_a_gpu_is_reserved_for_the_worker():
    """The container definition requires one GPU; the size need not be one of Fargate's."""
    _, definition = only(on_asg(), "AWS::ECS::TaskDefinition", "AirflowPoolsgpu")
    (container,) = definition["ContainerDefinitions"]
    assert container["ResourceRequirements"] == [{"Type": "GPU", "Value": "1"}]
    assert definition["RequiresCompatibilities"] == ["EC2"]
    assert (definition["Cpu"], definition["Memory"], definition["NetworkMode"]) == ("3500", "14000", "awsvpc")


def test_the_provider_of_the_user_is_associated_once():
    """CDK creates no second association; tasks on Fargate keep their launch type."""
    found = on_asg()
    provider, _ = only(found, "AWS::ECS::CapacityProvider")
    offer, association = only(found, ASSOCIATIONS)
    assert association["CapacityProviders"] == ["FARGATE", "FARGATE_SPOT", {"Ref": provider}]
    key, service = only(found, "AWS::ECS::Service", "AirflowPoolsgpu")
    assert service["CapacityProviderStrategy"] == [{"CapacityProvider": {"Ref": provider}, "Weight": 1}]
    assert offer in found["Resources"][key]["DependsOn"]
    (gate,) = resources(found, "Custom::AirflowMigration").values()
    assert offer in gate["DependsOn"]


@pytest.mark.parametrize(
    ("bottlerocket", "line"),
    [(False, "echo ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config"), (True, "awsvpc-block-imds = true")],
)
def test_instances_of_the_user_join_the_cluster_and_keep_their_role_from_tasks(bottlerocket, line):
    """User data sets the ECS cluster, and blocks the instance metadata service for tasks."""
    found = on_asg(bottlerocket)
    _, machine = only(found, "AWS::AutoScaling::LaunchConfiguration")
    cluster, _ = only(found, "AWS::ECS::Cluster")
    assert cluster in references(machine["UserData"])
    assert line in flat(machine["UserData"]["Fn::Base64"]).splitlines()


def test_managed_instances_satisfy_the_requirements_of_a_gpu_pool():
    """ECS selects instances with an NVIDIA GPU, of the given types, as Spot Instances."""
    _, provider = only(on_managed_instances(), "AWS::ECS::CapacityProvider", "AirflowCapacitygpu")
    launch = provider["ManagedInstancesProvider"]["InstanceLaunchTemplate"]
    assert launch["InstanceRequirements"] == {
        "AcceleratorCount": {"Min": 1},
        "AcceleratorManufacturers": ["nvidia"],
        "AcceleratorTypes": ["gpu"],
        "AllowedInstanceTypes": ["g6.*"],
        "MemoryMiB": {"Min": 1024},
        "VCpuCount": {"Min": 1},
    }
    assert (launch["CapacityOptionType"], launch["StorageConfiguration"]) == ("SPOT", {"StorageSizeGiB": 100})
    _, service = only(on_managed_instances(), "AWS::ECS::Service", "AirflowPoolsgpu")
    assert "PlatformVersion" not in service


def test_each_managed_capacity_provider_belongs_to_the_ecs_cluster_of_its_tasks():
    """No association lists them, because ECS rejects it."""
    found = on_managed_instances()
    clusters = {
        key[: len("AirflowTaskCapacitygpu")]: references(each["Properties"]["ClusterName"])
        for key, each in resources(found, "AWS::ECS::CapacityProvider").items()
    }
    cluster, tasks = sorted(resources(found, "AWS::ECS::Cluster"))
    assert sorted((key[:17], *ids) for key, ids in clusters.items()) == [
        ("AirflowCapacityde", cluster),
        ("AirflowCapacitygp", cluster),
        ("AirflowTaskCapaci", tasks),
    ]
    assert resources(found, ASSOCIATIONS) == {}


def test_roles_of_managed_instances_have_only_permissions_of_the_agent():
    """The instance role can register instances only in its ECS cluster; only this role can be passed to EC2."""
    found = on_managed_instances()
    key, role = only(found, "AWS::IAM::Role", "AirflowCapacitygpuInstanceRole")
    allowed = [(s["Action"], s["Resource"]) for p in role["Policies"] for s in p["PolicyDocument"]["Statement"]]
    assert [actions for actions, arn in allowed if arn == "*"] == ["ecs:DiscoverPollEndpoint"]
    cluster = min(resources(found, "AWS::ECS::Cluster"))
    assert all(cluster in references(arn) for _, arn in allowed if arn != "*")
    _, infrastructure = only(found, "AWS::IAM::Role", "AirflowCapacitygpuInfrastructureRole")
    (policy,) = infrastructure["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Action"], references(statement["Resource"])) == ("iam:PassRole", {key})
    _, group = only(found, "AWS::EC2::SecurityGroup", "AirflowCapacitygpu")
    assert "SecurityGroupIngress" not in group
    assert [rule["FromPort"] for rule in group["SecurityGroupEgress"]] == [443]


@pytest.mark.parametrize(
    "template", [on_asg, on_managed_instances, functools.partial(on_managed_instances, later=True)]
)
def test_the_resources_of_other_machines_have_the_required_order(template):
    """Machines exist before the tasks on them, and are deleted after them."""
    assert faults(template()) == []


def test_the_order_judge_detects_a_gate_that_does_not_wait_for_capacity_providers():
    """Otherwise, ECS would delete machines while the migration gate stops tasks on them."""
    changed = copy.deepcopy(on_managed_instances())
    providers = {*resources(changed, "AWS::ECS::CapacityProvider")}
    for gate in resources(changed, "Custom::AirflowMigration").values():
        gate["DependsOn"] = [each for each in gate["DependsOn"] if each not in providers]
    assert [line for line in faults(changed) if "CapacitygpuProvider" in line]


@pytest.mark.parametrize("back", [False, True])
def test_another_capacity_replaces_at_most_service_and_task_definition_of_its_pool(back):
    """CloudFormation accepts the change, in both directions, and replaces nothing that keeps data."""
    found = []
    for capacity in (None, ManagedInstances(gpu=1)):
        pools = [WorkerPool("default"), WorkerPool("gpu", capacity=capacity)]
        found.append(template_of(executor=CeleryExecutor(pools=pools)))
    before, after = reversed(found) if back else found
    names = {re.sub("[0-9A-F]{8}$", "", name) for name in replaced(before, after)}
    # Whether CloudFormation replaces the service depends on the version of its schema.
    assert names - {"AirflowPoolsgpuService"} == {"AirflowPoolsgpuTaskDefinition"}
    assert refused(before, after) == []


def test_tasks_outside_fargate_cannot_be_in_public_subnets():
    """Only Fargate tasks can have public addresses. A pool that is added later is refused as well."""
    public = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)
    pool = WorkerPool("gpu", capacity=Ec2Capacity(provider="machines"))

    executor = CeleryExecutor(pools=[WorkerPool("default"), pool])
    with pytest.raises(ValueError, match="Select private subnets"):
        add_cluster(Stack(App(), "Refused"), task_subnets=public, executor=lambda _: executor)
    cluster = add_cluster(Stack(App(), "Data"), task_subnets=public)
    with pytest.raises(ValueError, match="Pools/gpu does not run on Fargate"):
        cluster.add_worker_pool(pool)
    assert "Pools/gpu" not in [component.name for component in cluster.plan.components]
