"""The context in which components are rendered, and the rendered components."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aws_cdk import Stack, Token

from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.logs.streams import LogStreams
from cdk_airflow_ecs.plan import CLUSTER, Component, Container, Json, Permission, Ref, SecretRef, Value
from cdk_airflow_ecs.tokens import is_number_token

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
    """A container image.

    Args:
        entrypoint: the entry point; empty for the image's own.
        in_ecr: whether it is known to be in Amazon ECR.
        login_key: the key of the registry credentials, for the execution role.
    """

    container_image: ecs.ContainerImage
    entrypoint: Sequence[str] = ()
    in_ecr: bool = False
    login_key: kms.IKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedComponent:
    """A component and its CDK constructs.

    Args:
        peer: the security group, imported to avoid CDK's warnings about egress rules.
        streams: the log streams of its containers.
        statements: the statements of its task role, with their permissions.
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
        """Return the attribute of this component to which a :class:`~cdk_airflow_ecs.plan.Ref` refers."""
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
    """Everything that rendering a component needs.

    Args:
        scope: function that returns the construct at a path below the cluster, created if missing.
        offers: the associations of capacity providers, by ECS cluster.
        machines: capacity providers that the cluster created.
    """

    scope: Callable[[str], Construct]
    key: kms.IKey
    ecs_clusters: Mapping[str, ecs.Cluster]
    offers: Mapping[str, IDependable]
    machines: Sequence[IDependable]
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
        """The ECS cluster of Airflow's services."""
        return self.ecs_clusters[CLUSTER]

    def streams(self, component: Component) -> LogStreams:
        """Return the log streams of *component*."""
        return LogStreams(
            group=self.text(Ref("ContainerLogs", "name")),
            group_arn=self.text(Ref("ContainerLogs", "arn")),
            region=self.text(Ref("Stack", "region")),
            prefix=component.path.rpartition("/")[2],
        )

    def connectables(self) -> dict[str, ec2.IConnectable]:
        """Return the cluster resources that accept connections, by name."""
        bound = {name: binding.connectable for name, binding in self.bindings.items()}
        return {name: end for name, end in bound.items() if end is not None}

    def text(self, value: str | Ref) -> str:
        """Return the text of a reference."""
        if isinstance(value, Ref) and value.of in self.bindings:
            return self.bindings[value.of].text(value.attribute)
        return self.rendered[value.of].attribute(value.attribute) if isinstance(value, Ref) else value

    def secret(self, value: SecretRef) -> ecs.Secret:
        """Return the ECS secret of a reference."""
        return self.bindings[value.of].secrets[value.field]

    def variable(self, value: Value) -> str:
        """Return the text of a plain variable."""
        if isinstance(value, SecretRef):
            raise TypeError(f"{value} is a secret, not a plain variable")
        return json.dumps(self._tree(value.tree)) if isinstance(value, Json) else self.text(value)

    def environment(self, container: Container) -> dict[str, str]:
        """Return the plain variables of *container* as text."""
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
        # CDK resolves a number known only at deploy time in text only if it is encoded as text.
        return Token.as_string(node) if is_number_token(node) else node
