"""Where components are rendered, what became of them, and what the plan's symbols stand for there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aws_cdk import Stack

from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.logs.streams import LogStreams
from cdk_airflow_ecs.plan import CLUSTER, Component, Container, Json, Permission, Ref, SecretRef, Value

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_ecs as ecs
    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_logs as logs
    from aws_cdk import aws_servicediscovery as servicediscovery
    from constructs import Construct, IDependable

    from cdk_airflow_ecs.key_statements import KeyStatements
    from cdk_airflow_ecs.logs.router import LogRouter
    from cdk_airflow_ecs.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image as CDK knows it.

    Args:
        entrypoint: what its containers start with; nothing means what the image itself says.
        in_ecr: whether it is known to be pulled from Amazon ECR.
        login_key: the key that encrypts the login to its registry, for the execution role.
    """

    container_image: ecs.ContainerImage
    entrypoint: Sequence[str] = ()
    in_ecr: bool = False
    login_key: kms.IKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedComponent:
    """What became of a component.

    Args:
        peer: the security group as others see it. CDK warns about every rule "to" something from a group that may
            already open any connection; of an imported group it does not.
        streams: the log streams of its containers.
        statements: what its task role may do, each beside the permission that it came from.
    """

    component: Component
    scope: Construct
    task_definition: ecs.TaskDefinition
    task_role: iam.IRole
    execution_role: iam.IRole
    security_group: ec2.SecurityGroup
    peer: ec2.ISecurityGroup
    service: ecs.BaseService | None
    streams: LogStreams
    statements: Sequence[tuple[Permission, iam.PolicyStatement]]

    def attribute(self, name: str) -> str:
        """What :class:`~cdk_airflow_ecs.plan.Ref` may say of a component."""
        definition = self.task_definition
        found: dict[str, Callable[[], str]] = {
            "task_definition_arn": lambda: definition.task_definition_arn,
            "family": lambda: definition.family,
            "family_arn": lambda: Stack.of(self.scope).format_arn(
                service="ecs", resource="task-definition", resource_name=f"{definition.family}:*"
            ),
            "log_streams_arn": lambda: self.streams.arn_of(self.component.containers[0].name),
            "task_role_arn": lambda: self.task_role.role_arn,
            "execution_role_arn": lambda: self.execution_role.role_arn,
            "security_group_id": lambda: self.security_group.security_group_id,
        }
        return found[name]()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderContext:
    """Where and with what components are rendered.

    Args:
        scope: finds or makes the construct at a path below the cluster.
        key: encrypts what the cluster stores.
        ecs_clusters: the ECS clusters by the names that refs use.
        offers: the offers of capacity providers, by the ECS clusters that offer some.
        network: VPC and subnets.
        image: finds the image of a component.
        log_group: where containers log, but for what the router takes elsewhere.
        log_router: takes the output of services to where it belongs.
        bindings: what exists once, by name.
        key_statements: the IAM statements about keys.
        trust: who may assume task and execution roles.
        namespace: the private DNS zone, if anything has a name there.
        family_prefix: what the families of task definitions begin with.
        task_roles: roles that were given, by component.
        rendered: the components that later ones may refer to.
    """

    scope: Callable[[str], Construct]
    key: kms.IKey
    ecs_clusters: Mapping[str, ecs.Cluster]
    offers: Mapping[str, IDependable]
    network: Network
    image: Callable[[Component], Image]
    log_group: logs.ILogGroup
    log_router: LogRouter
    bindings: Mapping[str, Binding]
    key_statements: KeyStatements
    trust: iam.IPrincipal
    namespace: servicediscovery.INamespace | None
    family_prefix: str
    task_roles: Mapping[str, iam.IRole] = field(default_factory=dict)
    rendered: Mapping[str, RenderedComponent] = field(default_factory=dict)

    @property
    def cluster(self) -> ecs.Cluster:
        """The ECS cluster of Airflow's own tasks."""
        return self.ecs_clusters[CLUSTER]

    def streams(self, component: Component) -> LogStreams:
        """Return the log streams of *component*, which are its own."""
        return LogStreams(
            group=self.text(Ref("ContainerLogs", "name")),
            group_arn=self.text(Ref("ContainerLogs", "arn")),
            region=self.text(Ref("Stack", "region")),
            prefix=component.path.rpartition("/")[2],
        )

    def connectables(self) -> dict[str, ec2.IConnectable]:
        """Return what stands at the ends of edges, by name: what exists once, and the components."""
        bound = {name: binding.connectable for name, binding in self.bindings.items()}
        return {name: end for name, end in bound.items() if end is not None}

    def text(self, value: str | Ref) -> str:
        """Replace a reference by the text it stands for."""
        if isinstance(value, Ref) and value.of in self.bindings:
            return self.bindings[value.of].text(value.attribute)
        return self.rendered[value.of].attribute(value.attribute) if isinstance(value, Ref) else value

    def secret(self, value: SecretRef) -> ecs.Secret:
        """Replace a secret reference by the ECS secret it stands for."""
        return self.bindings[value.of].secrets[value.field]

    def variable(self, value: Value) -> str:
        """The text of a plain variable."""
        if isinstance(value, SecretRef):
            raise TypeError(f"{value} is a secret, and no plain variable")
        return json.dumps(self._tree(value.tree)) if isinstance(value, Json) else self.text(value)

    def environment(self, container: Container) -> dict[str, str]:
        """The plain variables of *container*, bound."""
        return {
            name: self.variable(value)
            for name, value in container.environment.items()
            if not isinstance(value, SecretRef)
        }

    def _tree(self, node: object) -> object:
        if isinstance(node, Ref):
            return self.bindings[node.of].attributes[node.attribute] if node.of in self.bindings else self.text(node)
        if isinstance(node, Mapping):
            return {key: self._tree(value) for key, value in node.items()}
        if isinstance(node, Sequence) and not isinstance(node, str):
            return [self._tree(value) for value in node]
        return node
