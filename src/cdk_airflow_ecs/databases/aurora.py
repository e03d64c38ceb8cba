"""A metadata database on Amazon Aurora."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_rds as rds

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding, MetricSource, SnapshotSource
from cdk_airflow_ecs.databases.base import Database
from cdk_airflow_ecs.databases.max_connections import connections_of_memory
from cdk_airflow_ecs.databases.rds_monitoring_role import monitoring_role
from cdk_airflow_ecs.durations import days, seconds
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.nag import acknowledge
from cdk_airflow_ecs.secrets import generated_secret
from cdk_airflow_ecs.subnets import check_subnets

if TYPE_CHECKING:
    from constructs import Construct

    from cdk_airflow_ecs.network import Network

_PORT: Final = 5432
_NAME: Final = "airflow"
_USERNAME: Final = "airflow"
# Smallest minimum, smallest maximum and largest capacity (Aurora guide, "Performance and scaling for Aurora Serverless
# v2").
_SMALLEST, _SMALLEST_MAXIMUM, _LARGEST = 0.5, 1, 256
_GIB_OF_ACU, _CAPPED_CAPACITY, _CAPPED_CONNECTIONS = 2, 0.5, 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuroraDatabase(Database):
    """PostgreSQL on Aurora Serverless v2, in three zones, with capacity that follows the load.

    Encrypted, TLS only, protected from deletion, with backups for a week. One ACU has about 2 GiB of memory and costs
    $0.12 an hour, so the minimum of 0.5 ACU costs $44 a month per writer or reader.

    Args:
        min_capacity: minimum ACU per instance, 0.5 to 256 in half steps. Zero is not supported, because Airflow's
            heartbeats prevent the database from pausing.
        max_capacity: maximum ACU per instance, 1 to 256. The default of 4 allows 823 connections.
        readers: number of readers, 0 to 15, each with the writer's capacity and price. A reader replaces a failed
            writer within a minute; without readers, recovery takes up to ten minutes. Data is in three zones in both
            cases.
        backup_retention_days: retention of automatic backups, 1 to 35 days.
        engine_version: Aurora PostgreSQL release, 14 to 18. With a major release such as "17", RDS manages the minor
            one. With a minor release such as "17.9", deploys fail once RDS has upgraded beyond it or retired it.
        io_optimized: whether reads and writes are free, for 30 % more per ACU and 2.25 times the storage price: cheaper
            if reads and writes are more than a quarter of the bill.
        deletion_protection: whether RDS prevents deletion. The default is True unless ``removal_policy`` is DESTROY.

    Raises:
        ValueError: if a number is out of range.

    Examples:
        >>> AuroraDatabase(min_capacity=1, max_capacity=16).readers
        1
    """

    min_capacity: float = 0.5
    max_capacity: float = 4
    readers: int = 1
    backup_retention_days: int = 7
    engine_version: str = "17"
    io_optimized: bool = False
    deletion_protection: bool | None = None

    def __post_init__(self) -> None:
        if self.min_capacity == 0 and not isinstance(self.min_capacity, bool):
            raise IncompatibleArgumentsError(
                "AuroraDatabase min_capacity=0 would pause the database while it is idle, but Airflow's scheduler"
                " queries it every few seconds, so it would never pause. Use 0.5 or more"
            )
        _capacity("min_capacity", self.min_capacity, _SMALLEST)
        _capacity("max_capacity", self.max_capacity, _SMALLEST_MAXIMUM)
        if self.max_capacity < self.min_capacity:
            raise IncompatibleArgumentsError(
                f"AuroraDatabase max_capacity={self.max_capacity} must not be less than"
                f" min_capacity={self.min_capacity}"
            )
        validation.integer("AuroraDatabase readers", self.readers, 0, 15)
        validation.integer("AuroraDatabase backup_retention_days", self.backup_retention_days, 1, 35)
        if not isinstance(self.engine_version, str) or not re.fullmatch(r"1[4-8](\.\d+)?", self.engine_version):
            raise ValueError(
                'AuroraDatabase engine_version must be a major or minor release as text, 14 to 18, such as "17"; got'
                f" {validation.shown(self.engine_version)}"
            )
        validation.flag("AuroraDatabase io_optimized", self.io_optimized)
        validation.flag("AuroraDatabase deletion_protection", self.deletion_protection)

    @property
    def port(self) -> int:
        """See :class:`Database`."""
        return _PORT

    @property
    def has_snapshots(self) -> bool:
        """See :class:`Database`."""
        return True

    def check(self, network: Network | None) -> None:
        """See :meth:`ClusterResource.check`."""
        # DB subnet groups need two zones (RDS user guide, "Working with DB subnet groups").
        check_subnets(network, "store_subnets", "AuroraDatabase", zones=2)

    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """See :meth:`ClusterResource.bind`."""
        network = context.network
        group = network.security_group(scope, "SecurityGroup", "Metadata database of Airflow")
        credentials = generated_secret(
            scope,
            "Credentials",
            context,
            description="Owner of the Airflow metadata database",
            length=40,
            username=_USERNAME,
        )
        engine = rds.DatabaseClusterEngine.aurora_postgres(
            version=rds.AuroraPostgresEngineVersion.of(self.engine_version, self.engine_version.partition(".")[0])
        )
        protection = self.deletion_protection
        cluster = rds.DatabaseCluster(
            scope,
            "Cluster",
            engine=engine,
            writer=self._instance("Writer"),
            readers=[self._instance(f"Reader{number}") for number in range(1, self.readers + 1)],
            serverless_v2_min_capacity=self.min_capacity,
            serverless_v2_max_capacity=self.max_capacity,
            vpc=network.vpc,
            vpc_subnets=network.counted_store_subnets,
            subnet_group=rds.SubnetGroup(
                scope,
                "Subnets",
                description="Metadata database of Airflow",
                vpc=network.vpc,
                vpc_subnets=network.store_subnets,
                removal_policy=context.removal_policy,
            ),
            security_groups=[group],
            # Not "Parameters", the id of another resource type in RdsDatabase: the type of a logical id must not
            # change.
            parameter_group=rds.ParameterGroup(
                scope,
                "ClusterParameters",
                engine=engine,
                description="Metadata database of Airflow",
                # Unlike RDS, Aurora accepts connections without TLS by default. The server keeps idle connections
                # alive, because no variable sets the keepalives of Airflow's drivers.
                parameters={"rds.force_ssl": "1", "log_lock_waits": "1", "tcp_keepalives_idle": "60"},
                removal_policy=context.removal_policy,
            ),
            port=_PORT,
            default_database_name=_NAME,
            credentials=rds.Credentials.from_secret(credentials, _USERNAME),
            storage_type=rds.DBClusterStorageType.AURORA_IOPT1 if self.io_optimized else None,
            storage_encrypted=True,
            storage_encryption_key=context.key,
            backup=rds.BackupProps(retention=days(self.backup_retention_days)),
            delete_automated_backups=context.removal_policy is RemovalPolicy.DESTROY,
            copy_tags_to_snapshot=True,
            iam_authentication=True,
            deletion_protection=(
                context.removal_policy is not RemovalPolicy.DESTROY if protection is None else protection
            ),
            cloudwatch_logs_exports=["postgresql"],
            monitoring_interval=seconds(60),
            monitoring_role=monitoring_role(scope, context.stack),
            removal_policy=context.removal_policy or RemovalPolicy.SNAPSHOT,
        )
        if context.removal_policy is RemovalPolicy.DESTROY or protection is False:
            acknowledge(cluster, "AwsSolutions-RDS10", "The user disabled deletion protection")
        secret = cluster.secret or credentials
        return Binding(
            attributes={"host": cluster.cluster_endpoint.hostname, "port": str(_PORT), "name": _NAME},
            secrets={
                "username": ecs.Secret.from_secrets_manager(secret, "username"),
                "password": ecs.Secret.from_secrets_manager(secret, "password"),
            },
            connectable=cluster,
            key=context.key,
            # The dependency includes the instances, because a cluster exists long before its writer accepts
            # connections.
            dependencies=[cluster],
            snapshots=SnapshotSource(
                kind="cluster",
                identifier=cluster.cluster_identifier,
                remain=context.removal_policy is not RemovalPolicy.DESTROY,
            ),
            metrics=[
                MetricSource("AWS/RDS", {"DBClusterIdentifier": cluster.cluster_identifier}, limits=self._limits())
            ],
        )

    def _limits(self) -> dict[str, float]:
        connections = connections_of_memory(self.max_capacity * _GIB_OF_ACU)
        if self.min_capacity <= _CAPPED_CAPACITY:
            connections = min(connections, _CAPPED_CONNECTIONS)
        return {"CPUUtilization": 100, "DatabaseConnections": connections}

    @staticmethod
    def _instance(construct_id: str) -> rds.IClusterInstance:
        """Create the writer or a reader. Readers scale with the writer, so that they can replace it immediately."""
        return rds.ClusterInstance.serverless_v2(
            construct_id,
            scale_with_writer=None if construct_id == "Writer" else True,
            auto_minor_version_upgrade=True,
            publicly_accessible=False,
        )


def _capacity(name: str, given: Any, low: float) -> None:
    is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not is_number or not low <= given <= _LARGEST or given * 2 % 1:
        raise ValueError(
            f"AuroraDatabase {name} must be a number of ACU, {low:g} to {_LARGEST} in half steps; got"
            f" {validation.shown(given)}"
        )
