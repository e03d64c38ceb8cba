"""The capacity provider of ECS Managed Instances, with its roles and security group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from aws_cdk import Size, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam

from cdk_airflow_ecs.nag import acknowledge, acknowledge_wildcards

if TYPE_CHECKING:
    from constructs import Construct

    from cdk_airflow_ecs.capacity.machines import MachinesContext

# The policy of AWS for the infrastructure role (Amazon ECS developer guide, "Amazon ECS infrastructure IAM role").
_POLICY: Final = "AmazonECSInfrastructureRolePolicyForManagedInstances"


def managed_provider(
    scope: Construct,
    context: MachinesContext,
    *,
    gpu: int,
    instance_types: Sequence[str],
    requirements: ec2.InstanceRequirementsConfig | None,
    spot: bool,
    storage_gib: int | None,
) -> ecs.ManagedInstancesCapacityProvider:
    """Create a capacity provider in the context's ECS cluster; see ``ManagedInstances`` for the arguments."""
    group = ec2.SecurityGroup(
        scope, "SecurityGroup", vpc=context.vpc, description="Airflow managed instances", allow_all_outbound=False
    )
    group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "ECS, images, secrets and logs")
    role = _instance_role(scope, context.cluster)
    provider = ecs.ManagedInstancesCapacityProvider(
        scope,
        "Provider",
        subnets=list(context.subnets),
        security_groups=[group],
        # CDK would name role and profile, because the policy of AWS permits to pass only roles with certain names.
        ec2_instance_profile=iam.InstanceProfile(scope, "InstanceProfile", role=role),
        infrastructure_role=_infrastructure_role(scope, role),
        capacity_option_type=ecs.CapacityOptionType.SPOT if spot else None,
        instance_requirements=requirements or _requirements(gpu, instance_types),
        propagate_tags=ecs.PropagateManagedInstancesTags.CAPACITY_PROVIDER,
        task_volume_storage=None if storage_gib is None else Size.gibibytes(storage_gib),
    )
    context.cluster.add_managed_instances_capacity_provider(provider)
    return provider


def _requirements(gpu: int, instance_types: Sequence[str]) -> ec2.InstanceRequirementsConfig | None:
    if not gpu and not instance_types:
        return None
    return ec2.InstanceRequirementsConfig(
        # Minimums are required. ECS selects instances that fit the tasks.
        v_cpu_count_min=1,
        memory_min=Size.gibibytes(1),
        allowed_instance_types=list(instance_types) or None,
        accelerator_count_min=gpu or None,
        accelerator_types=[ec2.AcceleratorType.GPU] if gpu else None,
        accelerator_manufacturers=[ec2.AcceleratorManufacturer.NVIDIA] if gpu else None,
    )


def _infrastructure_role(scope: Construct, instance_role: iam.IRole) -> iam.Role:
    role = iam.Role(
        scope,
        "InfrastructureRole",
        assumed_by=iam.ServicePrincipal("ecs.amazonaws.com"),
        managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(_POLICY)],
        inline_policies={
            "PassRole": iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(
                        actions=["iam:PassRole"],
                        resources=[instance_role.role_arn],
                        conditions={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
                    )
                ]
            )
        },
    )
    rule = f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{_POLICY}]"
    acknowledge(role, rule, "AWS extends this policy when ECS Managed Instances needs more permissions")
    return role


def _instance_role(scope: Construct, cluster: ecs.Cluster) -> iam.Role:
    """Create the role of the ECS agent on the instances (Amazon ECS developer guide, "instance profile")."""
    instances = Stack.of(scope).format_arn(
        service="ecs", resource="container-instance", resource_name=f"{cluster.cluster_name}/*"
    )
    statements = [
        (["ecs:DiscoverPollEndpoint"], "*"),
        (["ecs:RegisterContainerInstance"], cluster.cluster_arn),
        (["ecs:SubmitAttachmentStateChanges", "ecs:SubmitTaskStateChange"], cluster.cluster_arn),
        (["ecs:Poll", "ecs:PutSystemLogEvents", "ecs:StartTelemetrySession"], instances),
    ]
    role = iam.Role(
        scope,
        "InstanceRole",
        assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
        inline_policies={
            "Agent": iam.PolicyDocument(
                statements=[iam.PolicyStatement(actions=actions, resources=[arn]) for actions, arn in statements]
            )
        },
    )
    why = "ecs:DiscoverPollEndpoint does not support resources, and the ids of instances are not known"
    acknowledge_wildcards(role, ["*", instances], why)
    return role
