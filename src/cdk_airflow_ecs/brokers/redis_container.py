"""Redis in a container as Celery broker, for development."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aws_cdk import aws_ecs as ecs

from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.brokers.base import Broker, BrokerPlan
from cdk_airflow_ecs.brokers.redis_url import redis_plan
from cdk_airflow_ecs.capacity.fargate import check_size
from cdk_airflow_ecs.images.names import check_public_image
from cdk_airflow_ecs.plan import Component, Container, SecretRef
from cdk_airflow_ecs.process import HealthCheck
from cdk_airflow_ecs.secrets import generated_secret
from cdk_airflow_ecs.tokens import is_known_int

if TYPE_CHECKING:
    from constructs import Construct

_PORT: Final = 6379
# The user "redis" of the official images; any user except root works.
_USER: Final = "999:999"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRedisBroker(Broker):
    """Redis in one Fargate task; see :meth:`RedisBroker.container`."""

    image: str = "public.ecr.aws/docker/library/redis:7.2"
    cpu: int = 256
    memory_mib: int = 512

    def __post_init__(self) -> None:
        check_public_image("RedisBroker.container image", self.image, "public.ecr.aws/docker/library/redis:7.2")
        check_size("RedisBroker.container", self.cpu, self.memory_mib)

    def plan(self, version: AirflowVersion, queues: Sequence[str]) -> BrokerPlan:
        """See :meth:`Broker.plan`."""
        del version, queues
        return redis_plan(_PORT, tls=False)

    def advice(self) -> Sequence[Advice]:
        """See :meth:`ClusterResource.advice`."""
        return [
            Advice(
                "cdk-airflow-ecs:container-broker",
                "broker=RedisBroker.container(…) is for development: it has one task, loses queued commands when the"
                " task ends, and does not use TLS. Use RedisBroker() in production",
            )
        ]

    def component(self) -> Component:
        """See :meth:`ClusterResource.component`."""
        return Component(
            name="Broker",
            path="Broker",
            cpu=self.cpu,
            memory_mib=self.memory_mib,
            image=self.image,
            dns_name="broker",
            kind="store",
            count=1,
            containers=(
                Container(
                    name="redis",
                    prefix=("sh", "-c"),
                    command=(self._script(),),
                    port=_PORT,
                    health_check=HealthCheck(
                        command=("sh", "-c", 'test "$(redis-cli ping)" = PONG'),
                        interval_seconds=10,
                        timeout_seconds=5,
                        start_period_seconds=60,
                    ),
                    # The password for redis-cli in health checks and ECS Exec shells.
                    environment={"REDISCLI_AUTH": SecretRef("Broker", "token")},
                    user=_USER,
                ),
            ),
        )

    def _script(self) -> str:
        """Return the start script: exec lets Redis receive ECS's signals, and standard input hides the password."""
        limit = f"maxmemory {self.memory_mib * 3 // 4}mb\n" if is_known_int(self.memory_mib) else ""
        return (
            "exec redis-server - <<END\n"
            f"port {_PORT}\n"
            """requirepass "$(printf %s "$REDISCLI_AUTH" | sed 's/[\\\\"]/\\\\&/g')"\n"""
            'save ""\n'
            "maxmemory-policy noeviction\n"
            f"{limit}"
            "END\n"
        )

    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """See :meth:`ClusterResource.bind`."""
        token = generated_secret(
            scope, "Token", context, description="AUTH token of the Celery broker of Airflow", length=64
        )
        return Binding(
            attributes={"host": f"broker.{context.namespace}", "port": str(_PORT)},
            secrets={"token": ecs.Secret.from_secrets_manager(token)},
            key=context.key,
        )
