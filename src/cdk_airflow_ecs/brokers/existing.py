"""Celery over a Redis or Valkey that somebody else made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Token
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.binding import Binding, Foundation
from cdk_airflow_ecs.brokers.base import Broker, BrokerPlan
from cdk_airflow_ecs.brokers.connection import redis_plan
from cdk_airflow_ecs.tokens import is_known_int, is_token

if TYPE_CHECKING:
    from aws_cdk import aws_secretsmanager as secretsmanager
    from constructs import Construct


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingRedisBroker(Broker):
    """A Redis or Valkey of yours; made by ``RedisBroker.existing(...)``, which describes the arguments."""

    host: str
    auth_token: secretsmanager.ISecret | ecs.Secret
    port: int = 6379
    security_group: ec2.ISecurityGroup | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.host, str) or not self.host or (not is_token(self.host) and "/" in self.host):
            raise ValueError(f"RedisBroker.existing takes a host name, got {self.host!r}")
        if not is_token(self.port) and not (is_known_int(self.port) and 1 <= self.port <= 65535):
            raise ValueError(f"RedisBroker.existing port is 1 to 65535, got {self.port!r}")
        if isinstance(self.auth_token, str):
            raise ValueError(
                "RedisBroker.existing auth_token must be a secret, not text: a secretsmanager.ISecret or an ecs.Secret"
            )

    def plan(self, version: AirflowVersion) -> BrokerPlan:
        """See :meth:`Broker.plan`."""
        del version
        return redis_plan(self.port)

    def bind(self, scope: Construct, foundation: Foundation) -> Binding:
        """See :meth:`Store.bind`."""
        del scope, foundation
        token = self.auth_token
        groups = [self.security_group] if self.security_group is not None else []
        return Binding(
            attributes={"host": self.host, "port": _text(self.port)},
            secrets={"token": token if isinstance(token, ecs.Secret) else ecs.Secret.from_secrets_manager(token)},
            connectable=ec2.Connections(security_groups=groups) if groups else None,
        )


def _text(number: float) -> str:
    return Token.as_string(number) if is_token(number) else str(number)
