"""A metadata database that somebody else made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_rds as rds

from cdk_airflow_ecs.binding import Binding, Foundation
from cdk_airflow_ecs.databases.base import Database
from cdk_airflow_ecs.tokens import is_known_int, is_token

if TYPE_CHECKING:
    from aws_cdk import aws_secretsmanager as secretsmanager
    from constructs import Construct

_SSL_MODES = ("require", "verify-ca", "verify-full", "prefer", "allow", "disable")


@dataclass(frozen=True, slots=True)
class ExistingDatabase(Database):
    """A PostgreSQL of yours, with a database and a user for Airflow in it.

    Args:
        database: an RDS instance or Aurora cluster, made in this app or imported. Its security group then admits the
            components that need it. Leave it out and say *endpoint* for any other PostgreSQL.
        endpoint: the host name, if *database* is not given.
        port: the port, if *database* is not given.
        secret: the secret with the fields username and password. The default is the secret of *database*.
        database_name: the database inside it. It must exist.
        security_group: with *endpoint*, the security group to open. Without it the connections are yours to allow.
        ssl_mode: PGSSLMODE of every client.

    Raises:
        ValueError: if neither or both of *database* and *endpoint* are given, or no secret is known.

    Example:
        >>> ExistingDatabase(endpoint="db.example.com", secret=secret).port
        5432
    """

    database: rds.IDatabaseInstance | rds.IDatabaseCluster | None = None
    endpoint: str | None = None
    port: int = 5432
    secret: secretsmanager.ISecret | None = None
    database_name: str = "airflow"
    security_group: ec2.ISecurityGroup | None = None
    ssl_mode: str = "require"

    def __post_init__(self) -> None:
        if (self.database is None) == (self.endpoint is None):
            raise ValueError(
                "ExistingDatabase takes either an RDS instance or cluster, or endpoint=; got "
                + ("neither" if self.database is None else "both")
            )
        if self.database is not None and not hasattr(self.database, "connections"):
            raise ValueError(
                f"ExistingDatabase takes an rds.IDatabaseInstance or rds.IDatabaseCluster, got {self.database!r};"
                " pass a host name as endpoint="
            )
        if isinstance(self.secret, str):
            raise ValueError("ExistingDatabase secret= must be a secretsmanager.ISecret, not text")
        if self.secret is None and getattr(self.database, "secret", None) is None:
            raise ValueError(
                "ExistingDatabase knows no login: pass secret=, a Secrets Manager secret with the fields username"
                " and password"
            )
        if not is_token(self.port) and not (is_known_int(self.port) and 1 <= self.port <= 65535):
            raise ValueError(f"ExistingDatabase port is 1 to 65535, got {self.port!r}")
        if self.ssl_mode not in _SSL_MODES:
            raise ValueError(f"ExistingDatabase ssl_mode is one of {', '.join(_SSL_MODES)}; got {self.ssl_mode!r}")

    def bind(self, scope: Construct, foundation: Foundation) -> Binding:
        """See :meth:`Store.bind`."""
        del scope, foundation
        database = self.database
        secret = self.secret if self.secret is not None else getattr(database, "secret", None)
        if secret is None:
            raise ValueError("ExistingDatabase lost its secret")
        connectable: ec2.IConnectable | None = database
        if database is None:
            host = self.endpoint
            groups = [self.security_group] if self.security_group is not None else []
            connectable = ec2.Connections(security_groups=groups) if groups else None
        elif isinstance(cluster := getattr(database, "cluster_endpoint", None), rds.Endpoint):
            host = cluster.hostname
        else:
            host = cast("rds.IDatabaseInstance", database).db_instance_endpoint_address
        return Binding(
            attributes={"host": str(host), "port": str(self.port), "name": self.database_name},
            secrets={
                "username": ecs.Secret.from_secrets_manager(secret, "username"),
                "password": ecs.Secret.from_secrets_manager(secret, "password"),
            },
            connectable=connectable,
        )
