"""From the plan to ECS: the only maker of task definitions and services, and of their logical ids."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

from aws_cdk import ArnFormat, Duration, Size, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_airflow_ecs.acknowledgements import acknowledge, acknowledge_wildcards
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.plan import Component, Container, Json, Permission, Ref, SecretRef, Value

if TYPE_CHECKING:
    from aws_cdk import aws_logs as logs

    from cdk_airflow_ecs.images.registry import AirflowImage
    from cdk_airflow_ecs.network import Network

# The longest that Fargate gives a container between SIGTERM and SIGKILL.
_STOP_TIMEOUT = Duration.seconds(120)
_LOG_BUFFER = Size.mebibytes(25)
_seconds = cache(Duration.seconds)
# What else it takes where a customer key encrypts the objects.
_KEY_ACTIONS = {"s3:GetObject": "kms:Decrypt", "s3:PutObject": "kms:GenerateDataKey"}
# As long as a container may take to become healthy.
_GRACE = Duration.seconds(180)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where and with what components are rendered."""

    cluster: ecs.ICluster
    network: Network
    image: AirflowImage
    container_image: ecs.ContainerImage
    platform: ecs.RuntimePlatform
    log_group: logs.ILogGroup
    bindings: Mapping[str, Binding]
    trust: iam.IPrincipal
    rendered: Mapping[str, Rendered] = field(default_factory=dict)

    def text(self, value: str | Ref) -> str:
        """Replace a reference by the value it stands for."""
        if not isinstance(value, Ref):
            return value
        if value.of in self.rendered:
            return self.rendered[value.of].attribute(value.attribute)
        return self.bindings[value.of].attributes[value.attribute]

    def secret(self, value: SecretRef) -> ecs.Secret:
        """Replace a secret reference by the ECS secret it stands for."""
        return self.bindings[value.of].secrets[value.field]

    def environment(self, container: Container) -> dict[str, str]:
        """The plain variables of *container*, bound."""
        return {
            name: self._plain(value)
            for name, value in container.environment.items()
            if not isinstance(value, SecretRef)
        }

    def _plain(self, value: Value) -> str:
        if isinstance(value, Json):
            return json.dumps(self._tree(value.tree))
        return self.text(value)  # type: ignore[arg-type]  # secrets were parted before

    def _tree(self, node: object) -> object:
        if isinstance(node, Ref):
            return self.text(node)
        if isinstance(node, Mapping):
            return {key: self._tree(value) for key, value in node.items()}
        if isinstance(node, Sequence) and not isinstance(node, str):
            return [self._tree(value) for value in node]
        return node


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What became of a component.

    Args:
        peer: the security group as others see it. CDK warns about every rule "to" something from a group that may
            already open any connection; of an imported group it does not.
    """

    component: Component
    scope: Construct
    task_definition: ecs.FargateTaskDefinition
    task_role: iam.Role
    security_group: ec2.SecurityGroup
    peer: ec2.ISecurityGroup
    service: ecs.FargateService | None

    def attribute(self, name: str) -> str:
        """What :class:`~cdk_airflow_ecs.plan.Ref` may say of a component."""
        definition = self.task_definition
        match name:
            case "task_definition_arn":
                return definition.task_definition_arn
            case "family_arn":
                family = f"{definition.family}:*"
                return Stack.of(self.scope).format_arn(service="ecs", resource="task-definition", resource_name=family)
            case "task_role_arn":
                return self.task_role.role_arn
            case "execution_role_arn":
                return definition.obtain_execution_role().role_arn
            case "security_group_id":
                return self.security_group.security_group_id
        raise KeyError(f"the component {self.component.name} has no {name!r}")


def render_all(scope: Callable[[str], Construct], components: Sequence[Component], site: Site) -> dict[str, Rendered]:
    """Render *components* in order; each may refer to those before it, and waits for those that it refers to."""
    rendered: dict[str, Rendered] = {}
    for component in components:
        part = render(scope(component.path), component, replace(site, rendered=dict(rendered)))
        if part.service is not None:
            for name in dict.fromkeys(ref.of for ref in component.refs() if ref.of in rendered):
                part.service.node.add_dependency(rendered[name].scope)
        rendered[component.name] = part
    return rendered


def render(scope: Construct, component: Component, site: Site) -> Rendered:
    """Make the task definition of *component* under *scope*, and its service unless it runs once."""
    group = site.network.security_group(scope, "SecurityGroup", f"Airflow {component.name}", egress=True)
    task_role, execution_role = (iam.Role(scope, name, assumed_by=site.trust) for name in ("TaskRole", "ExecutionRole"))
    definition = ecs.FargateTaskDefinition(
        scope,
        "TaskDefinition",
        cpu=component.cpu,
        memory_limit_mib=component.memory_mib,
        ephemeral_storage_gib=component.ephemeral_storage_gib,
        task_role=task_role,
        execution_role=execution_role,
        runtime_platform=site.platform,
    )
    for container in component.containers:
        _add_container(definition, component, container, site)
    for statement in _secret_key_statements(component, site):
        execution_role.add_to_policy(statement)
    for permission in component.permissions:
        for statement in (_statement(permission, site), *_object_key_statements(permission, site)):
            task_role.add_to_policy(statement)
    resources = [site.text(resource) for permission in component.permissions for resource in permission.resources]
    wild = [resource for resource in resources if resource.endswith("*")]
    reason = "Objects of one bucket, revisions of one family, tasks of one cluster: not known beforehand"
    acknowledge_wildcards(task_role, wild, reason)
    _acknowledge(scope, component, site)
    return Rendered(
        component=component,
        scope=scope,
        task_definition=definition,
        task_role=task_role,
        security_group=group,
        peer=ec2.SecurityGroup.from_security_group_id(scope, "Peer", group.security_group_id, allow_all_outbound=True),
        service=None if component.count is None else _service(scope, component, definition, group, site),
    )


def tasks_of(stack: Stack) -> iam.IPrincipal:
    """Tasks of this account and region alone; CDK's own trust policy admits those of any (confused deputy)."""
    return iam.ServicePrincipal(
        "ecs-tasks.amazonaws.com",
        conditions={
            "StringEquals": {"aws:SourceAccount": stack.account},
            "ArnLike": {"aws:SourceArn": f"arn:{stack.partition}:ecs:{stack.region}:{stack.account}:*"},
        },
    )


def _add_container(
    definition: ecs.FargateTaskDefinition, component: Component, container: Container, site: Site
) -> None:
    check = container.health_check
    definition.add_container(
        container.name,
        container_name=container.name,
        image=site.container_image,
        entry_point=[*site.image.entrypoint, *map(site.text, container.prefix)],
        command=[site.text(word) for word in container.command],
        environment=site.environment(container),
        secrets={
            name: site.secret(value) for name, value in container.environment.items() if isinstance(value, SecretRef)
        },
        port_mappings=(
            [ecs.PortMapping(container_port=container.port, name=container.name)] if container.port else None
        ),
        health_check=(
            ecs.HealthCheck(
                command=["CMD", *check.command],
                interval=_seconds(check.interval_seconds),
                timeout=_seconds(check.timeout_seconds),
                retries=check.retries,
                start_period=_seconds(check.start_period_seconds),
            )
            if check
            else None
        ),
        logging=ecs.LogDrivers.aws_logs(
            stream_prefix=component.path.rpartition("/")[2],
            log_group=site.log_group,
            # A task must never wait for its log.
            mode=ecs.AwsLogDriverMode.NON_BLOCKING,
            max_buffer_size=_LOG_BUFFER,
        ),
        stop_timeout=_STOP_TIMEOUT,
    )


def _service(
    scope: Construct,
    component: Component,
    definition: ecs.FargateTaskDefinition,
    group: ec2.SecurityGroup,
    site: Site,
) -> ecs.FargateService:
    balance = ecs.AvailabilityZoneRebalancing
    return ecs.FargateService(
        scope,
        "Service",
        cluster=site.cluster,
        task_definition=definition,
        desired_count=component.count,
        security_groups=[group],
        vpc_subnets=site.network.task_subnets,
        assign_public_ip=site.network.assign_public_ip,
        enable_execute_command=component.enable_exec,
        health_check_grace_period=_GRACE if component.serves_web else None,
        availability_zone_rebalancing=balance.ENABLED if component.serves_web else balance.DISABLED,
        min_healthy_percent=100,
        max_healthy_percent=200,
        circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
        propagate_tags=ecs.PropagatedTagSource.SERVICE,
        enable_ecs_managed_tags=True,
    )


def _statement(permission: Permission, site: Site) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=list(permission.actions),
        resources=[site.text(resource) for resource in permission.resources],
        conditions={
            operator: {key: site.text(value) for key, value in tests.items()}
            for operator, tests in permission.conditions.items()
        },
    )


def _secret_key_statements(component: Component, site: Site) -> Iterator[iam.PolicyStatement]:
    """Allow the keys of the component's secrets, through Secrets Manager alone; their own policies stay as they are."""
    values = [value for container in component.containers for value in container.environment.values()]
    keys = dict.fromkeys(site.bindings[value.of].key for value in values if isinstance(value, SecretRef))
    region = site.text(Ref("Stack", "region"))
    for key in keys:
        if key is not None:
            yield iam.PolicyStatement(
                actions=["kms:Decrypt"],
                resources=[key.key_arn],
                # In China the name ends with ".cn".
                conditions={"StringLike": {"kms:ViaService": f"secretsmanager.{region}.amazonaws.com*"}},
            )


def _object_key_statements(permission: Permission, site: Site) -> Iterator[iam.PolicyStatement]:
    """Allow the keys that encrypt the objects of *permission*; their own policies stay as they are."""
    actions = [_KEY_ACTIONS[action] for action in permission.actions if action in _KEY_ACTIONS]
    if not actions:
        return
    for store in dict.fromkeys(resource.of for resource in permission.resources if isinstance(resource, Ref)):
        key = site.bindings[store].key
        if key is not None:
            yield iam.PolicyStatement(actions=actions, resources=[key.key_arn])


def _acknowledge(scope: Construct, component: Component, site: Site) -> None:
    acknowledge(
        scope,
        "AwsSolutions-ECS2",
        "Plain variables hold no secret, which a test checks; secrets come from Secrets Manager",
    )
    if component.enable_exec:
        stack = Stack.of(scope)
        streams = stack.format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"{site.log_group.log_group_name}:*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        acknowledge_wildcards(
            scope,
            ["*", streams],
            "ECS Exec: ssmmessages and DescribeLogGroups know no resource; streams have no list",
        )
