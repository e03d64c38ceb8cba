"""An existing Redis or Valkey as Celery broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.brokers.base import Broker, BrokerPlan
from cdk_airflow_ecs.brokers.redis_url import VISIBILITY_TIMEOUT_SECONDS, redis_plan
from cdk_airflow_ecs.given_secrets import bind_given_secrets
from cdk_airflow_ecs.secrets import secret_peer
from cdk_airflow_ecs.tokens import is_secret

if TYPE_CHECKING:
    from aws_cdk import aws_secretsmanager as secretsmanager
    from constructs import Construct


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingRedisBroker(Broker):
    """An existing Redis or Valkey; see :meth:`RedisBroker.existing`."""

    host: str
    auth_token: secretsmanager.ISecret | ecs.Secret
    port: int = 6379
    security_group: ec2.ISecurityGroup | None = None
    visibility_timeout_seconds: int = VISIBILITY_TIMEOUT_SECONDS

    def __post_init__(self) -> None:
        validation.host("RedisBroker.existing host", self.host, required=True)
        validation.integer(
            "RedisBroker.existing visibility_timeout_seconds", self.visibility_timeout_seconds, 60, tokens=True
        )
        validation.integer("RedisBroker.existing port", self.port, 1, 65535, tokens=True)
        if not is_secret(self.auth_token):
            validation.secret(
                "RedisBroker.existing auth_token",
                self.auth_token,
                "a secretsmanager.ISecret whose whole value is the token, or an ecs.Secret",
                required=True,
            )
        validation.construct(
            "RedisBroker.existing security_group",
            self.security_group,
            "security_group_id",
            "an ec2.ISecurityGroup",
        )

    def plan(self, version: AirflowVersion, queues: Sequence[str]) -> BrokerPlan:
        """See :meth:`Broker.plan`."""
        del version, queues
        return redis_plan(self.port, visibility_timeout_seconds=self.visibility_timeout_seconds)

    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """See :meth:`ClusterResource.bind`."""
        del context
        token = self.auth_token
        if isinstance(token, ecs.Secret):
            bound = bind_given_secrets(scope, {"token": token})
            secret, key = bound.secrets["token"], bound.key_of("token")
        else:
            secret, key = ecs.Secret.from_secrets_manager(secret_peer(scope, token)), token.encryption_key
        groups = [self.security_group] if self.security_group is not None else []
        return Binding(
            attributes={"host": self.host, "port": str(self.port)},
            secrets={"token": secret},
            connectable=ec2.Connections(security_groups=groups) if groups else None,
            key=key,
        )
