"""A metadata database on Amazon RDS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_rds as rds

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding, MetricSource, SnapshotSource
from cdk_airflow_ecs.databases.base import Database
from cdk_airflow_ecs.databases.max_connections import connections_of_class
from cdk_airflow_ecs.databases.rds_monitoring_role import monitoring_role
from cdk_airflow_ecs.durations import days, seconds
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.nag import acknowledge
from cdk_airflow_ecs.secrets import generated_secret
from cdk_airflow_ecs.subnets import check_subnets

if TYPE_CHECKING:
    from aws_cdk import CfnResource
    from constructs import Construct

    from cdk_airflow_ecs.network import Network

_PORT = 5432
_NAME = "airflow"
_USERNAME = "airflow"


@dataclass(frozen=True, slots=True, kw_only=True)
class RdsDatabase(Database):
    """PostgreSQL on Amazon RDS: encrypted, TLS only, protected from deletion, with backups for a week.

    Args:
        instance_class: RDS instance class such as "db.t4g.small".
        multi_az: whether to run a standby in another zone, which doubles the price. The default is True because the
            database is the only part of a cluster that cannot be recreated.
        allocated_storage_gib: initial disk size, 20 to 65536.
        max_allocated_storage_gib: maximum disk size for RDS's automatic growth.
        backup_retention_days: retention of automatic backups, 1 to 35 days.
        engine_version: PostgreSQL release, 13 to 18. With a major release such as "17", RDS manages the minor one. With
            a minor release such as "17.10", deploys fail once RDS has upgraded beyond it or retired it.
        deletion_protection: whether RDS prevents deletion. The default is True unless ``removal_policy`` is DESTROY.

    Raises:
        ValueError: if a number is out of range.

    Examples:
        >>> RdsDatabase(instance_class="db.m7g.large").multi_az
        True
    """

    instance_class: str = "db.t4g.small"
    multi_az: bool = True
    allocated_storage_gib: int = 20
    max_allocated_storage_gib: int = 100
    backup_retention_days: int = 7
    engine_version: str = "17"
    deletion_protection: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.instance_class, str) or not self.instance_class.startswith("db."):
            raise ValueError(
                'RdsDatabase instance_class must be an RDS class such as "db.t4g.small", got'
                f" {validation.shown(self.instance_class)}"
            )
        if not isinstance(self.engine_version, str) or not re.fullmatch(r"1[3-8](\.\d+)?", self.engine_version):
            raise ValueError(
                'RdsDatabase engine_version must be a PostgreSQL release as text, 13 to 18, such as "17"; got'
                f" {validation.shown(self.engine_version)}"
            )
        validation.flag("RdsDatabase multi_az", self.multi_az)
        validation.flag("RdsDatabase deletion_protection", self.deletion_protection)
        for name, low, high in (
            ("allocated_storage_gib", 20, 65536),
            ("max_allocated_storage_gib", 20, 65536),
            ("backup_retention_days", 1, 35),
        ):
            validation.integer(f"RdsDatabase {name}", getattr(self, name), low, high)
        if self.max_allocated_storage_gib <= self.allocated_storage_gib:
            raise IncompatibleArgumentsError(
                f"RdsDatabase max_allocated_storage_gib={self.max_allocated_storage_gib} must be more than"
                f" allocated_storage_gib={self.allocated_storage_gib}"
            )

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
        check_subnets(network, "store_subnets", "RdsDatabase", zones=2)

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
        engine = rds.DatabaseInstanceEngine.postgres(
            version=rds.PostgresEngineVersion.of(self.engine_version, self.engine_version.partition(".")[0])
        )
        protection = self.deletion_protection
        instance = rds.DatabaseInstance(
            scope,
            "Instance",
            engine=engine,
            instance_type=ec2.InstanceType(self.instance_class.removeprefix("db.")),
            vpc=network.vpc,
            subnet_group=rds.SubnetGroup(
                scope,
                "Subnets",
                description="Metadata database of Airflow",
                vpc=network.vpc,
                vpc_subnets=network.store_subnets,
                removal_policy=context.removal_policy,
            ),
            security_groups=[group],
            parameter_group=rds.ParameterGroup(
                scope,
                "Parameters",
                engine=engine,
                description="Metadata database of Airflow",
                # The server keeps idle connections alive, because no variable sets the keepalives of Airflow's drivers.
                parameters={"rds.force_ssl": "1", "log_lock_waits": "1", "tcp_keepalives_idle": "60"},
            ),
            port=_PORT,
            database_name=_NAME,
            credentials=rds.Credentials.from_secret(credentials, _USERNAME),
            multi_az=self.multi_az,
            storage_type=rds.StorageType.GP3,
            allocated_storage=self.allocated_storage_gib,
            max_allocated_storage=self.max_allocated_storage_gib,
            storage_encrypted=True,
            storage_encryption_key=context.key,
            backup_retention=days(self.backup_retention_days),
            delete_automated_backups=context.removal_policy is RemovalPolicy.DESTROY,
            copy_tags_to_snapshot=True,
            auto_minor_version_upgrade=True,
            publicly_accessible=False,
            iam_authentication=True,
            deletion_protection=(
                context.removal_policy is not RemovalPolicy.DESTROY if protection is None else protection
            ),
            cloudwatch_logs_exports=["postgresql", "upgrade"],
            monitoring_interval=seconds(60),
            monitoring_role=monitoring_role(scope, context.stack),
            removal_policy=context.removal_policy or RemovalPolicy.SNAPSHOT,
        )
        if self.engine_version.isdecimal():
            # cfn-lint knows only full releases, and reports the major release "17" as deprecated.
            resource = cast("CfnResource", instance.node.default_child)
            resource.add_metadata("cfn-lint", {"config": {"ignore_checks": ["W3691"]}})
        acknowledge(
            instance,
            "AwsSolutions-RDS11",
            "The port is not a secret: the security group admits only Airflow's components",
        )
        if not self.multi_az:
            acknowledge(
                instance,
                "AwsSolutions-RDS3",
                "The user chose one zone, at half the price; multi_az=True changes it in place",
            )
        if context.removal_policy is RemovalPolicy.DESTROY or protection is False:
            acknowledge(instance, "AwsSolutions-RDS10", "The user disabled deletion protection")
        secret = instance.secret or credentials
        return Binding(
            attributes={
                "host": instance.db_instance_endpoint_address,
                "port": instance.db_instance_endpoint_port,
                "name": _NAME,
            },
            secrets={
                "username": ecs.Secret.from_secrets_manager(secret, "username"),
                "password": ecs.Secret.from_secrets_manager(secret, "password"),
            },
            connectable=instance,
            key=context.key,
            dependencies=[instance],
            snapshots=SnapshotSource(
                kind="instance",
                identifier=instance.instance_identifier,
                remain=context.removal_policy is not RemovalPolicy.DESTROY,
            ),
            metrics=[
                MetricSource("AWS/RDS", {"DBInstanceIdentifier": instance.instance_identifier}, limits=self._limits())
            ],
        )

    def _limits(self) -> dict[str, float]:
        connections = connections_of_class(self.instance_class)
        return {
            "CPUUtilization": 100,
            "FreeStorageSpace": self.allocated_storage_gib * 2**30,
            **({} if connections is None else {"DatabaseConnections": connections}),
        }
