"""Rendering of components as ECS task definitions and services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import cast

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_airflow_ecs.capacity.scalable_services import ScalableEc2Service, ScalableFargateService
from cdk_airflow_ecs.durations import seconds
from cdk_airflow_ecs.executors.no_sidecars import NoSidecars
from cdk_airflow_ecs.logs.awslogs import AwsLogs
from cdk_airflow_ecs.nag import Wildcards
from cdk_airflow_ecs.permissions import allow, secret_key_statements
from cdk_airflow_ecs.plan import Architecture, Component, Container, Ref, SecretRef
from cdk_airflow_ecs.render_context import RenderContext, RenderedComponent
from cdk_airflow_ecs.run_task_permissions import COMPONENT_TAG

# Fargate's maximum between SIGTERM and SIGKILL.
_STOP_TIMEOUT = seconds(120)
# The time for which load balancer checks are ignored at start, the start period of health checks.
_GRACE = seconds(180)
_DNS_TTL = seconds(10)


def render_components(
    components: Sequence[Component], context: RenderContext, done: Mapping[str, RenderedComponent]
) -> dict[str, RenderedComponent]:
    """Render *components* in order. Each may refer to earlier components, which are deployed first.

    *done* are components that are already rendered; their variables and permissions can only grow.
    """
    rendered: dict[str, RenderedComponent] = {}
    wildcards = Wildcards()
    for component in components:
        here = replace(context, rendered=dict(rendered))
        if component.name in done:
            part = _extend(done[component.name], component, here, wildcards)
        else:
            part = _render(context.scope(component.path), component, here, wildcards)
        if part.service is not None:
            needed = [rendered[name] for name in dict.fromkeys(ref.of for ref in component.refs()) if name in rendered]
            for other in needed:
                part.service.node.add_dependency(other.scope)
            started = (component, *(other.component for other in needed))
            for name in dict.fromkeys(each.ecs_cluster for each in started if each.capacity.providers):
                # A capacity provider must stay associated while tasks use it (aws/aws-cdk#19275).
                part.service.node.add_dependency(context.offers[name])
        if part.service is not None and component.is_store:
            # Airflow's services wait for file systems through the migration gate.
            files = [context.bindings[volume.file_system_id.of] for volume in component.volumes]
            part.service.node.add_dependency(
                part.execution_role,
                part.peer,
                *(subnet.internet_connectivity_established for subnet in context.network.task_routes),
                *context.network.endpoints,
                *(dependency for binding in files for dependency in binding.dependencies),
            )
        rendered[component.name] = part
    wildcards.acknowledge()
    return rendered


@cache
def _linux_on(architecture: Architecture) -> ecs.RuntimePlatform:
    processors = ecs.CpuArchitecture
    return ecs.RuntimePlatform(
        cpu_architecture=processors.ARM64 if architecture == "arm64" else processors.X86_64,
        operating_system_family=ecs.OperatingSystemFamily.LINUX,
    )


def _render(scope: Construct, component: Component, context: RenderContext, wildcards: Wildcards) -> RenderedComponent:
    store = component.is_store
    group = context.network.security_group(scope, "SecurityGroup", f"Airflow {component.name}", egress=not store)
    if store:
        group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "Its image, secrets and log")
    task_role = context.task_roles.get(component.name) or iam.Role(scope, "TaskRole", assumed_by=context.trust)
    execution_role = iam.Role(scope, "ExecutionRole", assumed_by=context.trust)
    definition = _task_definition(scope, component, context, task_role, execution_role)
    if component.protects_tasks:
        cast("ecs.CfnTaskDefinition", definition.node.default_child).tags.set_tag(COMPONENT_TAG, component.path)
    for volume in component.volumes:
        definition.add_volume(
            name=volume.name,
            efs_volume_configuration=ecs.EfsVolumeConfiguration(
                file_system_id=context.text(volume.file_system_id),
                transit_encryption="ENABLED",
                authorization_config=ecs.AuthorizationConfig(
                    access_point_id=context.text(volume.access_point_id), iam="ENABLED"
                ),
            ),
        )
    # The other kinds always log to CloudWatch Logs: the gate and operators read their logs, and stores cannot have a
    # second container.
    router = context.log_router if component.kind == "service" else AwsLogs()
    streams = context.streams(component)
    for container in component.containers:
        _add_container(definition, component, container, context, router.driver(streams))
    if component.kind == "executor task":
        definition.node.add_validation(NoSidecars(definition, [container.name for container in component.containers]))
    # The sidecar is added last, because CDK uses the first container as the default container.
    router.attach(definition, streams)
    # At least one container of each task logs to CloudWatch Logs, also with FireLens.
    execution_role.add_to_policy(
        iam.PolicyStatement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[streams.arn])
    )
    # Wildcards are acknowledged on the cluster's construct, because a call for each role is slow.
    wildcards.add(context.scope(""), [streams.arn], "ECS names the log streams of a component's tasks by their ids")
    for statement in secret_key_statements(component, context):
        execution_role.add_to_policy(statement)
    if context.image(component).in_ecr or router.in_ecr:
        wildcards.add(execution_role, ["*"], "ecr:GetAuthorizationToken does not support resources")
    statements = allow(task_role, component, context, wildcards)
    if component.enable_exec:
        sessions = f"{streams.group_arn}:*"
        why = "ECS Exec: ssmmessages and DescribeLogGroups do not support resources; log streams are not known"
        wildcards.add(task_role, ["*", sessions], why)
    return RenderedComponent(
        component=component,
        scope=scope,
        task_definition=definition,
        task_role=task_role,
        execution_role=execution_role,
        security_group=group,
        peer=ec2.SecurityGroup.from_security_group_id(
            scope, "Peer", group.security_group_id, allow_all_outbound=not store
        ),
        service=_service(scope, component, definition, group, context) if component.has_service else None,
        streams=streams,
        statements=statements,
    )


def _task_definition(
    scope: Construct,
    component: Component,
    context: RenderContext,
    task_role: iam.IRole,
    execution_role: iam.IRole,
) -> ecs.TaskDefinition:
    family = f"{context.family_prefix}-{component.path.replace('/', '-')}"
    if component.capacity.compatibility == "FARGATE":
        return ecs.FargateTaskDefinition(
            scope,
            "TaskDefinition",
            family=family,
            cpu=component.cpu,
            memory_limit_mib=component.memory_mib,
            ephemeral_storage_gib=component.ephemeral_storage_gib,
            task_role=task_role,
            execution_role=execution_role,
            runtime_platform=_linux_on(component.architecture),
        )
    compatibility = component.capacity.compatibility
    return ecs.TaskDefinition(
        scope,
        "TaskDefinition",
        family=family,
        compatibility=ecs.Compatibility[compatibility],
        network_mode=ecs.NetworkMode.AWS_VPC,
        cpu=str(component.cpu),
        memory_mib=str(component.memory_mib),
        task_role=task_role,
        execution_role=execution_role,
        # ECS rejects a runtime platform on EC2, where the machines determine it.
        runtime_platform=None if compatibility == "EC2" else _linux_on(component.architecture),
    )


def _extend(
    part: RenderedComponent, component: Component, context: RenderContext, wildcards: Wildcards
) -> RenderedComponent:
    """Add new containers, variables and permissions to a rendered component. Raise ``ValueError`` otherwise."""
    if part.component == component:
        return part
    same = replace(component, containers=part.component.containers, permissions=part.component.permissions)
    rendered = len(part.component.containers)
    if same != part.component or len(component.containers) < rendered:
        raise ValueError(f"{component.name} is already rendered and cannot change to {component}")
    for before, after in zip(part.component.containers, component.containers[:rendered], strict=True):
        container = part.task_definition.find_container(before.name)
        if container is None or replace(after, environment=before.environment) != before:
            raise ValueError(f"the container {before.name} is already rendered and cannot change to {after}")
        for name, value in after.environment.items():
            if before.environment.get(name) != value:
                container.add_environment(name, context.variable(value))
    for added in component.containers[rendered:]:
        driver = context.log_router.driver(part.streams)
        _add_container(part.task_definition, component, added, context, driver)
    statements = allow(part.task_role, component, context, wildcards, part.statements)
    return replace(part, component=component, statements=statements)


def _add_container(
    definition: ecs.TaskDefinition,
    component: Component,
    container: Container,
    context: RenderContext,
    log_driver: ecs.LogDriver,
) -> None:
    check = container.health_check
    image = context.image(component)
    made = definition.add_container(
        container.name,
        container_name=container.name,
        image=image.container_image,
        entry_point=[*(container.entrypoint or image.entrypoint), *map(context.text, container.prefix)] or None,
        command=[context.text(word) for word in container.command] or None,
        user=container.user,
        environment=context.environment(container),
        secrets={
            name: context.secret(value) for name, value in container.environment.items() if isinstance(value, SecretRef)
        },
        port_mappings=(
            [ecs.PortMapping(container_port=container.port, name=container.name)] if container.port else None
        ),
        health_check=(
            ecs.HealthCheck(
                command=["CMD", *check.command],
                interval=seconds(check.interval_seconds),
                timeout=seconds(check.timeout_seconds),
                retries=check.retries,
                start_period=seconds(check.start_period_seconds),
            )
            if check
            else None
        ),
        logging=log_driver,
        stop_timeout=_STOP_TIMEOUT,
        memory_limit_mib=container.memory_mib,
        gpu_count=(component.capacity.gpu or None) if container is component.containers[0] else None,
        essential=container.is_essential,
        enable_restart_policy=None if container.is_essential else True,
        restart_attempt_period=None if container.is_essential else seconds(60),
    )
    if container.mounts:
        made.add_mount_points(
            *(
                ecs.MountPoint(source_volume=volume, container_path=path, read_only=False)
                for volume, path in container.mounts.items()
            )
        )


def _service(
    scope: Construct,
    component: Component,
    definition: ecs.TaskDefinition,
    group: ec2.SecurityGroup,
    context: RenderContext,
) -> ecs.BaseService:
    balance = ecs.AvailabilityZoneRebalancing
    # FargateService also supports managed instances.
    on_ec2 = component.capacity.compatibility == "EC2"
    service = (ScalableEc2Service if on_ec2 else ScalableFargateService)(
        scope,
        "Service",
        cluster=_with_ec2(scope, context) if on_ec2 else context.cluster,
        task_definition=definition,
        desired_count=component.count,
        capacity_provider_strategies=[
            ecs.CapacityProviderStrategy(
                capacity_provider=context.text(cast("str | Ref", share.provider)),
                weight=share.weight,
                base=share.base or None,
            )
            for share in component.capacity.strategy
        ]
        or None,
        security_groups=[group],
        vpc_subnets=context.network.task_subnets,
        assign_public_ip=context.network.assign_public_ip,
        enable_execute_command=component.enable_exec,
        health_check_grace_period=_GRACE if component.serves_web else None,
        availability_zone_rebalancing=balance.ENABLED if component.serves_web else balance.DISABLED,
        # Zero for a store, so that two tasks never write to its data.
        min_healthy_percent=0 if component.is_store else 100,
        max_healthy_percent=100 if component.is_store else 200,
        circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
        # ECS could start tasks of a new task definition before CloudFormation tags the service.
        propagate_tags=ecs.PropagatedTagSource["TASK_DEFINITION" if component.protects_tasks else "SERVICE"],
        enable_ecs_managed_tags=True,
    )
    if component.dns_name is not None:
        service.enable_cloud_map(name=component.dns_name, cloud_map_namespace=context.namespace, dns_ttl=_DNS_TTL)
    return service


def _with_ec2(scope: Construct, context: RenderContext) -> ecs.ICluster:
    """Return an imported ECS cluster with EC2 capacity, because CDK detects only capacity that it added."""
    return ecs.Cluster.from_cluster_attributes(
        scope, "Ec2Cluster", cluster_name=context.cluster.cluster_name, vpc=context.network.vpc, has_ec2_capacity=True
    )
