"""Templates of clusters with tasks outside Fargate."""

from __future__ import annotations

import functools

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs import CeleryExecutor, Ec2Capacity, WorkerPool
from synthesis import add_cluster, flat, references, resources, synthesize

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
