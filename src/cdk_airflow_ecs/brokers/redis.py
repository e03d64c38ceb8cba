"""Redis or Valkey as Celery broker and result backend."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticache as elasticache

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding, MetricSource
from cdk_airflow_ecs.brokers.base import Broker, BrokerPlan
from cdk_airflow_ecs.brokers.existing_redis import ExistingRedisBroker
from cdk_airflow_ecs.brokers.redis_container import ContainerRedisBroker
from cdk_airflow_ecs.brokers.redis_url import VISIBILITY_TIMEOUT_SECONDS, redis_plan
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.nag import acknowledge
from cdk_airflow_ecs.secrets import generated_secret
from cdk_airflow_ecs.subnets import check_subnets
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from aws_cdk import aws_secretsmanager as secretsmanager
    from constructs import Construct

    from cdk_airflow_ecs.network import Network

_PORT: Final = 6379


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisBroker(Broker):
    """Valkey on ElastiCache with TLS, AUTH and no eviction. See also :meth:`existing` and :meth:`container`.

    ElastiCache Serverless and cluster mode are not supported: Celery's multi-key commands fail with CROSSSLOT
    (celery/celery#9019, apache/airflow#11580).

    Args:
        node_type: ElastiCache node type.
        replicas: number of replicas in other zones.
        failover: whether ElastiCache promotes a replica automatically. The default is True with replicas. To add the
            first replica to a deployed broker, deploy once with ``failover=False``, then without: ElastiCache rejects
            CloudFormation's order.
        engine_version: Valkey release, 7.2 to 9.x, with two numbers. ElastiCache installs patch releases.
        snapshot_retention_days: daily snapshots to keep, 0 to 35.
        visibility_timeout_seconds: time after which an unacknowledged command is sent to another worker; it must exceed
            the duration of the longest task. The default, one day, is Airflow's.
        serverless: not supported.
        cluster_mode: not supported.

    Raises:
        ValueError: if a number is out of range, or serverless or cluster mode is requested.

    Examples:
        >>> RedisBroker(node_type="cache.t4g.small", replicas=1).replicas
        1
    """

    node_type: str = "cache.t4g.micro"
    replicas: int = 0
    failover: bool | None = None
    engine_version: str = "8.0"
    snapshot_retention_days: int = 1
    visibility_timeout_seconds: int = VISIBILITY_TIMEOUT_SECONDS
    serverless: bool = False
    cluster_mode: bool = False

    @classmethod
    def existing(
        cls,
        host: str,
        *,
        auth_token: secretsmanager.ISecret | ecs.Secret,
        port: int = 6379,
        security_group: ec2.ISecurityGroup | None = None,
        visibility_timeout_seconds: int = VISIBILITY_TIMEOUT_SECONDS,
    ) -> ExistingRedisBroker:
        """Use an existing Redis or Valkey: a single node or a primary, with TLS, without cluster mode.

        Args:
            host: its host name.
            auth_token: secret whose plain text is the AUTH token, or one field of a secret as ``ecs.Secret``.
            port: its port.
            security_group: its security group, which receives rules for the scheduler and the workers. Without it,
                allow the connections yourself.
            visibility_timeout_seconds: see :class:`RedisBroker`.
        """
        return ExistingRedisBroker(
            host=host,
            auth_token=auth_token,
            port=port,
            security_group=security_group,
            visibility_timeout_seconds=visibility_timeout_seconds,
        )

    @classmethod
    def container(
        cls,
        *,
        image: str = "public.ecr.aws/docker/library/redis:7.2",
        cpu: int = 256,
        memory_mib: int = 512,
    ) -> ContainerRedisBroker:
        """Use Redis in one Fargate task, for development, without TLS or persistence.

        Queued commands are lost when the task ends. Airflow sends them again after ``[scheduler] task_queued_timeout``,
        half an hour in these clusters.

        Args:
            image: official Redis or Valkey image with a release, or one with ``redis-server``, ``redis-cli`` and
                ``sh``, from a registry without login. 7.2 is the last Redis under the BSD license.
            cpu: CPU units of the task; 1024 is one vCPU.
            memory_mib: memory of the task in MiB, three quarters of it for data. A full Redis rejects new commands.
        """
        return ContainerRedisBroker(image=image, cpu=cpu, memory_mib=memory_mib)

    def __post_init__(self) -> None:
        if self.serverless or self.cluster_mode:
            kind = "ElastiCache Serverless" if self.serverless else "cluster mode"
            raise IncompatibleArgumentsError(
                f"RedisBroker does not support {kind}: Celery's multi-key commands fail there with CROSSSLOT"
                " (celery/celery#9019). For failover, use RedisBroker(replicas=1)"
            )
        validation.text("RedisBroker node_type", self.node_type, "cache.t4g.micro", required=True)
        if not self.node_type.startswith("cache.") and not is_token(self.node_type):
            raise ValueError(
                f'RedisBroker node_type must be an ElastiCache type such as "cache.t4g.micro", got'
                f" {validation.shown(self.node_type)}"
            )
        if not re.fullmatch(r"7\.[2-9]|[89]\.\d", str(self.engine_version)):
            raise ValueError(
                f'RedisBroker engine_version must be a Valkey release with two numbers, "7.2" to "9.x"; got'
                f" {validation.shown(self.engine_version)}"
            )
        object.__setattr__(self, "engine_version", str(self.engine_version))
        validation.integer("RedisBroker replicas", self.replicas, 0, 5)
        validation.flag("RedisBroker failover", self.failover)
        if self.failover and self.replicas == 0:
            raise IncompatibleArgumentsError(
                "RedisBroker failover=True requires a replica. Pass replicas=1, or omit failover="
            )
        validation.integer("RedisBroker visibility_timeout_seconds", self.visibility_timeout_seconds, 60)
        validation.integer("RedisBroker snapshot_retention_days", self.snapshot_retention_days, 0, 35)

    def plan(self, version: AirflowVersion, queues: Sequence[str]) -> BrokerPlan:
        """See :meth:`Broker.plan`."""
        del version, queues
        return redis_plan(_PORT, visibility_timeout_seconds=self.visibility_timeout_seconds)

    def check(self, network: Network | None) -> None:
        """See :meth:`ClusterResource.check`."""
        check_subnets(network, "store_subnets", "RedisBroker")

    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """See :meth:`ClusterResource.bind`."""
        network = context.network
        group = network.security_group(scope, "SecurityGroup", "Celery broker of Airflow")
        token = generated_secret(
            scope, "Token", context, description="AUTH token of the Celery broker of Airflow", length=64
        )
        subnets = elasticache.CfnSubnetGroup(
            scope,
            "Subnets",
            description="Celery broker of Airflow",
            subnet_ids=network.store_subnet_ids,
        )
        parameters = elasticache.CfnParameterGroup(
            scope,
            "Parameters",
            cache_parameter_group_family=f"valkey{self.engine_version.split('.')[0]}",
            description="Celery broker of Airflow: a full broker refuses commands, it never drops them",
            properties={"maxmemory-policy": "noeviction"},
        )
        fails_over = self.replicas > 0 if self.failover is None else self.failover
        cache = elasticache.CfnReplicationGroup(
            scope,
            "Cache",
            replication_group_description="Celery broker of Airflow",
            engine="valkey",
            engine_version=self.engine_version,
            cache_node_type=self.node_type,
            num_cache_clusters=1 + self.replicas,
            automatic_failover_enabled=fails_over,
            multi_az_enabled=fails_over,
            cluster_mode="disabled",
            cache_subnet_group_name=subnets.ref,
            cache_parameter_group_name=parameters.ref,
            security_group_ids=[group.security_group_id],
            port=_PORT,
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            at_rest_encryption_enabled=True,
            kms_key_id=context.key.key_arn,
            # CloudFormation reads the secret at deploy time; the template contains only a reference.
            auth_token=token.secret_value.unsafe_unwrap(),
            snapshot_retention_limit=self.snapshot_retention_days,
            auto_minor_version_upgrade=True,
        )
        if not fails_over:
            acknowledge(cache, "AwsSolutions-AEC4", "Airflow sends lost commands again")
        # The default is only a final snapshot, because Airflow sends lost commands again.
        cache.apply_removal_policy(context.removal_policy or RemovalPolicy.SNAPSHOT)
        name = cache.ref
        return Binding(
            attributes={"host": cache.attr_primary_end_point_address, "port": str(_PORT)},
            secrets={"token": ecs.Secret.from_secrets_manager(token)},
            connectable=ec2.Connections(security_groups=[group], default_port=ec2.Port.tcp(_PORT)),
            key=context.key,
            dependencies=[cache],
            # ElastiCache has metrics for each node; node names end with numbers from 001.
            metrics=[
                MetricSource(
                    "AWS/ElastiCache",
                    {"CacheClusterId": f"{name}-{node:03}"},
                    limits={"DatabaseMemoryUsagePercentage": 100, "Evictions": 0},
                    label=f"{node:03}",
                )
                for node in range(1, self.replicas + 2)
            ],
        )
