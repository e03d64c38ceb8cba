"""What a cluster is, as plain data: components, what each container gets, who may reach whom, who may do what.

Nothing here touches CDK. A value is text (which may hold a token and is then opaque), or a symbol that the renderer
replaces: :class:`Ref`, :class:`SecretRef`, :class:`Json`. Two equal inputs give two equal plans.
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
ComponentKind: TypeAlias = Literal["service", "store", "one-shot task", "executor task", "ECS task"]
# The ECS cluster of Airflow's own tasks, those of EcsExecutor included: ecs:DescribeTasks shows their commands, which
# hold tokens.
CLUSTER: Final = "Cluster"
# The ECS cluster of the containers of add_ecs_task, which DAG authors may describe and stop.
TASK_CLUSTER: Final = "TaskCluster"
# The kinds that ECS keeps running.
_SERVICES: Final = ("service", "store")


@dataclass(frozen=True, slots=True)
class Ref:
    """An attribute of something that exists once: ``Ref("Broker", "host")``."""

    of: str
    attribute: str


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A secret value, delivered by ECS from Secrets Manager: ``SecretRef("Database", "password")``."""

    of: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Json:
    """A tree of mappings, sequences and plain values that becomes JSON text; its leaves may be :class:`Ref`."""

    tree: object


Value: TypeAlias = "str | Ref | SecretRef | Json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a component: exactly what ECS starts.

    Args:
        name: its name in the task definition.
        command: what runs, unless whoever starts the task says otherwise.
        prefix: what the entry point goes on with, before the command.
        entrypoint: what stands instead of the image's entry point, if anything does.
        port: the port that others reach it on, if any.
        health_check: how ECS knows that it works.
        environment: its variables and secrets.
        user: user and group that it runs as, "999:999"; None is the image's own.
        mounts: where its component's volumes appear, by their names.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A folder on Amazon EFS, reached through one access point, encrypted on its way."""

    name: str
    file_system_id: Ref
    access_point_id: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Something that a component's task role may do.

    Args:
        actions: IAM actions, such as "s3:GetObject".
        resources: ARNs, or refs to them.
        conditions: as in an IAM statement: operator, key, value.

    Examples:
        >>> Permission(actions=("s3:GetObject",), resources=("arn:aws:s3:::acme-reports/*",)).conditions
        {}
    """

    actions: tuple[str, ...]
    resources: tuple[str | Ref, ...]
    conditions: Mapping[str, Mapping[str, str | Ref]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component(TaskSize):
    """One ECS service, or a task that others start: one task definition, security group and pair of roles.

    Args:
        name: its name in edges and outputs.
        path: its place in the construct tree, which its logical ids come from.
        kind: what ECS makes of it. "service" is a service of Airflow's. "store" is a service that keeps data: it
            never has two tasks at once, and the components that use it wait for it. The other kinds have no service:
            the gate starts a "one-shot task", an executor an "executor task", and a DAG an "ECS task".
        count: the number of tasks that a service keeps running; None for a task, and where *scaling* decides.
        scaling: decides the number of a service's tasks after a deploy.
        runs_user_code: whether DAG authors' code runs here, and ``cluster.grant_principal`` reaches it.
        serves_web: whether the load balancer sends it requests. Only then may ECS stop a task to spread the service
            over zones: elsewhere it would interrupt work.
        image: the image that its containers run, by name; "airflow" is the cluster's.
        architecture: the processor it runs on, "x86_64" or "arm64".
        capacity: the machines that its tasks run on, or are started on. The default is Fargate.
        dns_name: its name in the cluster's private DNS zone, if others find it there.
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
            raise ValueError(f"{self.name}: kind={self.kind!r} is not one of {', '.join(get_args(ComponentKind))}")
        if self.has_service and self.count is None and self.scaling is None:
            raise ValueError(f"{self.name}: a {self.kind} needs count=, the number of its tasks")
        if not self.has_service and (self.count is not None or self.scaling is not None):
            raise ValueError(
                f"{self.name}: count= and scaling= are only for services. Leave them out of kind={self.kind!r}"
            )

    @property
    def has_service(self) -> bool:
        """Whether ECS keeps its tasks running."""
        return self.kind in _SERVICES

    @property
    def ecs_cluster(self) -> str:
        """The ECS cluster that it runs in, by the name that refs use."""
        return TASK_CLUSTER if self.kind == "ECS task" else CLUSTER

    @property
    def spot(self) -> bool:
        """Whether AWS may stop its tasks two minutes after a warning."""
        return self.capacity.spot

    @property
    def is_store(self) -> bool:
        """Whether it keeps data."""
        return self.kind == "store"

    def refs(self) -> Iterator[Ref]:
        """Everything that its containers, permissions and volumes refer to."""
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
    """*source* opens connections to *target* on TCP *port*. The only source of security group rules."""

    source: str
    target: str
    port: int
    why: str = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """Everything that will run and everything that may talk, in order: a component may refer to those before it.

    Examples:
        >>> from cdk_airflow_ecs.testing import plan_of
        >>> [component.name for component in plan_of().components]
        ['ApiServer', 'Scheduler', 'DagProcessor', 'Triggerer', 'Pools/default', 'Migration']
    """

    components: tuple[Component, ...]
    edges: tuple[Edge, ...]

    def component(self, name: str) -> Component:
        """Find a component by its name.

        Raises:
            KeyError: if the plan has none of that name.
        """
        for component in self.components:
            if component.name == name:
                return component
        raise KeyError(f"no component {name!r}; there are {', '.join(c.name for c in self.components)}")
