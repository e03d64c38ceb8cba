"""The endpoints and secrets of cluster resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_ecs as ecs
    from aws_cdk import aws_kms as kms
    from constructs import IDependable


@dataclass(frozen=True, slots=True)
class MetricSource:
    """CloudWatch metrics of one resource: ``MetricSource("AWS/RDS", {"DBInstanceIdentifier": "…"})``.

    Args:
        namespace: the namespace of the metrics.
        dimensions: the dimensions that identify the resource; values may be tokens.
        limits: by metric, the value beyond which the resource does not work, or the size of the resource:
            ``{"CPUUtilization": 100}``. Alarms are about these metrics.
        label: name of the queue or node, if there are several.
    """

    namespace: str
    dimensions: Mapping[str, str]
    limits: Mapping[str, float] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSource:
    """A database of which RDS can take snapshots.

    Args:
        kind: "instance" or "cluster".
        identifier: the identifier of the database, which may be a token.
        remain: whether snapshots remain when the stack is deleted.
    """

    kind: Literal["instance", "cluster"]
    identifier: str
    remain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The values of :class:`~cdk_airflow_ecs.plan.Ref` and ``SecretRef`` for a cluster resource.

    Args:
        attributes: strings, or lists of strings, by attribute name; may contain tokens.
        secrets: ECS secrets by field name.
        connectable: the target of security group rules, if any.
        key: the resource's customer key, which its clients may use too.
        secret_keys: the customer keys of secrets by field name, if they differ from *key*.
        dependencies: constructs that a task depends on.
        metrics: the metrics of each node, queue or table.
        snapshots: the database of which the migration gate takes snapshots, if any.
    """

    attributes: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    secrets: Mapping[str, ecs.Secret] = field(default_factory=dict)
    connectable: ec2.IConnectable | None = None
    key: kms.IKey | None = None
    secret_keys: Mapping[str, kms.IKey] = field(default_factory=dict)
    dependencies: Sequence[IDependable] = ()
    metrics: Sequence[MetricSource] = ()
    snapshots: SnapshotSource | None = None

    def key_of(self, secret: str) -> kms.IKey | None:
        """Return the customer key of a secret by its field name."""
        return self.secret_keys.get(secret, self.key)

    def text(self, name: str) -> str:
        """Return a string attribute."""
        found = self.attributes[name]
        if not isinstance(found, str):
            raise TypeError(f"the attribute {name} must be a string, got a list")
        return found
