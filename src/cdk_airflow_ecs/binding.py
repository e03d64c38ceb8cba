"""What exists once: stores bind to a scope and say how to reach them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import RemovalPolicy
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_ecs as ecs
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_s3 as s3
    from constructs import Construct, IDependable

    from cdk_airflow_ecs.advice import Advice
    from cdk_airflow_ecs.network import Network
    from cdk_airflow_ecs.plan import Component


@dataclass(frozen=True, slots=True, kw_only=True)
class BindContext:
    """What a store is built on.

    Args:
        network: VPC and subnets.
        key: encrypts what the cluster stores.
        removal_policy: what happens to data when the store leaves the stack; None leaves each kind its safe default.
        access_logs: the bucket that receives access logs of other buckets.
        namespace: the name of the cluster's private DNS zone.
    """

    network: Network
    key: kms.IKey
    access_logs: s3.Bucket
    removal_policy: RemovalPolicy | None
    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """How to reach something that exists: the values behind :class:`~cdk_airflow_ecs.plan.Ref` and ``SecretRef``.

    Args:
        attributes: text, or a list of texts, by attribute name; may hold tokens.
        secrets: ECS secrets by field name.
        connectable: what admits connections; None if connections need no rule of ours.
        key: the customer key that encrypts it, which whoever may use the store may use too.
        dependencies: what must exist before a task may use it.
    """

    attributes: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    secrets: Mapping[str, ecs.Secret] = field(default_factory=dict)
    connectable: ec2.IConnectable | None = None
    key: kms.IKey | None = None
    dependencies: Sequence[IDependable] = ()

    def text(self, name: str) -> str:
        """The attribute *name*, which is one text."""
        found = self.attributes[name]
        if not isinstance(found, str):
            raise TypeError(f"{name} is a list, where one text is needed")
        return found


class ClusterResource(ABC):
    """A database, broker, DAG source or log store: something that keeps data and that tasks reach by name."""

    @abstractmethod
    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """Create it under *scope*, or look it up, and say how to reach it.

        Called once; a store that can grow with the cluster, as queues do with worker pools, is called again, and then
        finds what it has made.
        """

    def check(self, network: Network | None) -> None:  # noqa: B027 - optional by design
        """Refuse a network that it cannot stand in, or be reached from, before anything is made.

        Args:
            network: where the cluster will be in the user's VPC; None for a VPC of the cluster's own.

        Raises:
            ValueError: saying which argument gives it another place.
        """

    def component(self) -> Component | None:
        """What runs it, for a store that is a container of the cluster's own. Pure."""
        return None

    def parts(self) -> Mapping[str, ClusterResource]:
        """What must exist for it beside itself, by names below its own: ``{"Database/Files": EfsFiles(…)}``. Pure."""
        return {}

    def advice(self) -> Sequence[Advice]:
        """What the user should know about it. Pure."""
        return ()
