"""The plan of a cluster as data: components, containers, edges, permissions.

A value is text, or a symbol that the renderer replaces: :class:`Ref`, :class:`SecretRef`, :class:`Json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from cdk_airflow_ecs.capacity.base import Capacity
from cdk_airflow_ecs.capacity.fargate import Fargate
from cdk_airflow_ecs.capacity.scaling import Scaling
from cdk_airflow_ecs.capacity.task_size import TaskSize
from cdk_airflow_ecs.process import HealthCheck

Option: TypeAlias = tuple[str, str]
Architecture: TypeAlias = Literal["x86_64", "arm64"]
ComponentKind: TypeAlias = Literal["service", "store", "one-shot task", "command task", "executor task", "ECS task"]
# The ECS cluster of Airflow and its executor tasks. DAG authors must not describe these, because commands contain
# tokens.
CLUSTER: Final = "Cluster"
# The ECS cluster of ECS tasks, which DAG authors may describe and stop.
TASK_CLUSTER: Final = "TaskCluster"
# The kinds of components that are ECS services.
_SERVICES: Final = ("service", "store")


@dataclass(frozen=True, slots=True)
class Ref:
    """An attribute of a cluster resource: ``Ref("Broker", "host")``."""

    of: str
    attribute: str


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A secret that ECS reads from Secrets Manager: ``SecretRef("Database", "password")``."""

    of: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Json:
    """A tree of mappings, sequences and values, rendered as JSON text. Leaves may be :class:`Ref`."""

    tree: object


Value: TypeAlias = "str | Ref | SecretRef | Json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a component.

    Args:
        name: its name in the task definition.
        command: the command, which RunTask may override.
        prefix: arguments appended to the entry point, before the command.
        entrypoint: replaces the image's entry point.
        port: the port that it listens on.
        health_check: the health check of ECS.
        environment: its variables and secrets.
        user: user and group, such as "999:999"; None for the image's user.
        mounts: mount paths, by volume name.
        memory_mib: its memory limit; None for that of the task.
        is_essential: whether the task ends with it. Otherwise ECS restarts it.
    """

    name: str
    command: tuple[str | Ref, ...] = ()
    prefix: tuple[str | Ref, ...] = ()
    entrypoint: tuple[str, ...] = ()
    port: int | None = None
    health_check: HealthCheck | None = None
    environment: Mapping[str, Value] = field(default_factory=dict)
    user: str | None = None
    mounts: Mapping[str, str] = field(default_factory=dict)
    memory_mib: int | None = None
    is_essential: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A folder on Amazon EFS, mounted through an access point with encryption in transit."""

    name: str
    file_system_id: Ref
    access_point_id: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """A permission of a component's task role.

    Args:
        actions: IAM actions, such as "s3:GetObject".
        resources: ARNs, or refs to ARNs.
        conditions: conditions of the IAM statement: operator, key, value.

    Examples:
        >>> Permission(actions=("s3:GetObject",), resources=("arn:aws:s3:::acme-reports/*",)).conditions
        {}
    """

    actions: tuple[str, ...]
    resources: tuple[str | Ref, ...]
    conditions: Mapping[str, Mapping[str, str | Ref]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component(TaskSize):
    """One ECS service or task, with its own task definition, security group and roles.

    Args:
        name: the component's name in edges and outputs.
        path: its path in the construct tree.
        kind: "service" is an Airflow service. "store" is a service that keeps data, with at most one task at a time.
            The other kinds have no service: the migration gate starts a "one-shot task", a person or a schedule
            starts a "command task", an executor starts an "executor task", and a DAG starts an "ECS task".
        count: the desired count of a service; None for a task, and with *scaling*.
        scaling: sets the desired count after deployment.
        runs_user_code: whether it runs code of DAG authors, so ``cluster.grant_principal`` includes it.
        serves_web: whether it is behind the load balancer. Only in this case does ECS rebalance its tasks across zones.
        image: the name of its image; "airflow" is the cluster's.
        architecture: the processor architecture.
        capacity: the machines of its tasks.
        dns_name: its name in the private DNS zone.
        volumes: folders that its containers may mount.
    """

    name: str
    path: str
    containers: tuple[Container, ...]
    kind: ComponentKind = "service"
    count: int | None = None
    scaling: Scaling | None = None
    enable_exec: bool = False
    permissions: tuple[Permission, ...] = ()
    runs_user_code: bool = False
    serves_web: bool = False
    image: str = "airflow"
    architecture: Architecture = "x86_64"
    capacity: Capacity = field(default_factory=Fargate)
    dns_name: str | None = None
    volumes: tuple[Volume, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(ComponentKind):
            raise ValueError(
                f"{self.name}: kind must be one of {', '.join(get_args(ComponentKind))}, got {self.kind!r}"
            )
        if self.has_service and self.count is None and self.scaling is None:
            raise ValueError(f"{self.name}: a {self.kind} needs count=, the number of its tasks")
        if not self.has_service and (self.count is not None or self.scaling is not None):
            raise ValueError(
                f"{self.name}: count= and scaling= are only for services. Remove them from kind={self.kind!r}"
            )

    @property
    def has_service(self) -> bool:
        """Whether the component is an ECS service."""
        return self.kind in _SERVICES

    @property
    def ecs_cluster(self) -> str:
        """The name of the component's ECS cluster, as used in refs."""
        return TASK_CLUSTER if self.kind == "ECS task" else CLUSTER

    @property
    def spot(self) -> bool:
        """Whether AWS may stop the component's tasks with two minutes' notice."""
        return self.capacity.spot

    @property
    def protects_tasks(self) -> bool:
        """Whether the component's tasks may protect each other from scale-in."""
        return self.scaling is not None and self.scaling.protects_tasks

    @property
    def is_store(self) -> bool:
        """Whether the component keeps data."""
        return self.kind == "store"

    def refs(self) -> Iterator[Ref]:
        """Yield the refs in the component's containers, permissions and volumes."""
        for container in self.containers:
            yield from _refs((container.prefix, container.command, container.environment))
        for permission in self.permissions:
            yield from _refs((permission.resources, permission.conditions))
        for volume in self.volumes:
            yield from _refs((volume.file_system_id, volume.access_point_id))


def _refs(node: object) -> Iterator[Ref]:
    if isinstance(node, Ref):
        yield node
    elif isinstance(node, Json):
        yield from _refs(node.tree)
    elif isinstance(node, Mapping):
        yield from _refs(tuple(node.values()))
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for part in node:
            yield from _refs(part)


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """A permitted connection from *source* to *target* on TCP *port*."""

    source: str
    target: str
    port: int
    why: str = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """The components and edges of a cluster. A component may refer to earlier ones.

    Examples:
        >>> from cdk_airflow_ecs.testing import plan_of
        >>> [component.name for component in plan_of().components]
        ['ApiServer', 'Scheduler', 'DagProcessor', 'Triggerer', 'Pools/default', 'Migration']
    """

    components: tuple[Component, ...]
    edges: tuple[Edge, ...]

    def component(self, name: str) -> Component:
        """Return the component *name*, or raise ``KeyError``."""
        for component in self.components:
            if component.name == name:
                return component
        raise KeyError(f"no component {name!r}; there are {', '.join(c.name for c in self.components)}")
