"""What exists: how to reach a resource that a plan refers to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_ecs as ecs
    from aws_cdk import aws_kms as kms
    from constructs import IDependable


@dataclass(frozen=True, slots=True)
class MetricSource:
    """Where CloudWatch keeps the metrics of a resource: ``MetricSource("AWS/RDS", {"DBInstanceIdentifier": "…"})``.

    Args:
        namespace: the namespace of the metrics.
        dimensions: what tells them apart from those of other resources; values may be tokens.
    """

    namespace: str
    dimensions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """How to reach something that exists: the values behind :class:`~cdk_airflow_ecs.plan.Ref` and ``SecretRef``.

    Args:
        attributes: text, or a list of texts, by attribute name; may hold tokens.
        secrets: ECS secrets by field name.
        connectable: what admits connections; None if connections need no rule of ours.
        key: the customer key that encrypts it, which whoever may use the store may use too.
        secret_keys: the customer keys of secrets that differ from *key*, by field name.
        dependencies: what must exist before a task may use it.
        metrics: where its metrics are, one for each node, queue or table.
    """

    attributes: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    secrets: Mapping[str, ecs.Secret] = field(default_factory=dict)
    connectable: ec2.IConnectable | None = None
    key: kms.IKey | None = None
    secret_keys: Mapping[str, kms.IKey] = field(default_factory=dict)
    dependencies: Sequence[IDependable] = ()
    metrics: Sequence[MetricSource] = ()

    def key_of(self, secret: str) -> kms.IKey | None:
        """Return the customer key that encrypts the secret of that field name."""
        return self.secret_keys.get(secret, self.key)

    def text(self, name: str) -> str:
        """The attribute *name*, which is one text."""
        found = self.attributes[name]
        if not isinstance(found, str):
            raise TypeError(f"{name} is a list, where one text is needed")
        return found
