"""An existing metadata database."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_rds as rds

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.advice import Advice
from cdk_airflow_ecs.bind_context import BindContext
from cdk_airflow_ecs.binding import Binding
from cdk_airflow_ecs.databases.base import Database
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.rotation import check_rotation, managed_by_rds
from cdk_airflow_ecs.secrets import secret_peer
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from aws_cdk import aws_secretsmanager as secretsmanager
    from constructs import Construct

    from cdk_airflow_ecs.network import Network

_TAKES = "an rds.IDatabaseInstance or rds.IDatabaseCluster, or a host name as endpoint="
_SSL_MODES = ("require", "verify-ca", "verify-full", "prefer", "allow", "disable")


@dataclass(frozen=True, slots=True)
class ExistingDatabase(Database):
    """An existing PostgreSQL server with a database and a user for Airflow.

    Args:
        database: an RDS instance or Aurora cluster, of this app or imported. Its security group receives rules for the
            components that connect. For other servers, pass *endpoint*.
        endpoint: host name, instead of *database*.
        port: the default is that of *database*, or 5432.
        secret: secret with the fields username and password. The default is the secret of *database*.
        database_name: name of an existing database on the server.
        security_group: with *endpoint*, the security group that receives the rules. Without it, allow the connections
            yourself.
        ssl_mode: PGSSLMODE of every client.

    Raises:
        ValueError: if not exactly one of *database* and *endpoint* is given, if *database* is not PostgreSQL or has no
            known address or secret, or if *database_name* is not valid in a URL.

    Examples:
        >>> ExistingDatabase(endpoint="db.example.com", secret=secret).port
        5432
    """

    database: rds.IDatabaseInstance | rds.IDatabaseCluster | None = None
    endpoint: str | None = None
    port: int | None = None  # type: ignore[assignment]  # __post_init__ replaces None by the default
    secret: secretsmanager.ISecret | None = None
    database_name: str = "airflow"
    security_group: ec2.ISecurityGroup | None = None
    ssl_mode: str = "require"

    def __post_init__(self) -> None:
        if (self.database is None) == (self.endpoint is None):
            raise ValueError(
                "ExistingDatabase requires either an RDS instance or cluster, or endpoint=; got "
                + ("neither" if self.database is None else "both")
            )
        validation.construct("ExistingDatabase", self.database, "connections", _TAKES)
        endpoint = _endpoint(self.database)
        engine = getattr(getattr(self.database, "engine", None), "engine_type", "postgres")
        if "postgres" not in engine:
            raise ValueError(f"ExistingDatabase must be PostgreSQL, got {validation.shown(engine)}")
        validation.secret("ExistingDatabase secret", self.secret)
        validation.construct(
            "ExistingDatabase security_group", self.security_group, "security_group_id", "an ec2.ISecurityGroup"
        )
        validation.host("ExistingDatabase endpoint", self.endpoint)
        if self.security_group is not None and self.endpoint is None:
            raise IncompatibleArgumentsError(
                "ExistingDatabase security_group= requires endpoint=; an RDS database has its own security groups"
            )
        validation.text("ExistingDatabase database_name", self.database_name, "airflow", required=True)
        # The name must need no URL encoding, because SQLAlchemy does not decode the database name in a URL.
        if not is_token(self.database_name) and not re.fullmatch(r"[\w.~-]+", self.database_name, re.ASCII):
            raise ValueError(
                "ExistingDatabase database_name must be letters, digits, _, -, . and ~, as part of a URL; got"
                f" {validation.shown(self.database_name)}"
            )
        if self.secret is None and getattr(self.database, "secret", None) is None:
            raise IncompatibleArgumentsError(
                "ExistingDatabase has no credentials: pass secret=, a Secrets Manager secret with the fields username"
                " and password"
            )
        if managed_by_rds(self.database, self.secret):
            raise IncompatibleArgumentsError(
                "ExistingDatabase does not support the credentials of manage_master_user_password=True: RDS changes the"
                " password every seven days, and running services keep the old one. Pass secret= with the credentials"
                " of another PostgreSQL user, or remove manage_master_user_password"
            )
        if self.port is None:
            object.__setattr__(self, "port", 5432 if endpoint is None else endpoint.port)
        validation.integer("ExistingDatabase port", self.port, 1, 65535, tokens=True)
        if self.ssl_mode not in _SSL_MODES:
            raise ValueError(
                f"ExistingDatabase ssl_mode must be one of {', '.join(_SSL_MODES)}; got"
                f" {validation.shown(self.ssl_mode)}"
            )

    def check(self, network: Network | None) -> None:
        """See :meth:`ClusterResource.check`."""
        if network is None and getattr(self.database, "vpc", None) is not None:
            raise IncompatibleArgumentsError(
                "ExistingDatabase is in an existing VPC, and the cluster would create another one. Pass vpc= with the"
                " VPC of the database"
            )

    def advice(self) -> Sequence[Advice]:
        """See :meth:`ClusterResource.advice`."""
        secret = self.secret if self.secret is not None else getattr(self.database, "secret", None)
        return tuple(check_rotation("ExistingDatabase", secret))

    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """See :meth:`ClusterResource.bind`."""
        del context
        database = self.database
        secret = self.secret if self.secret is not None else getattr(database, "secret", None)
        if secret is None:
            raise ValueError("ExistingDatabase has no secret")
        key = secret.encryption_key
        secret = secret_peer(scope, secret)
        connectable: ec2.IConnectable | None = database
        endpoint = _endpoint(database)
        if endpoint is None:
            groups = [self.security_group] if self.security_group is not None else []
            connectable = ec2.Connections(security_groups=groups) if groups else None
        host = self.endpoint if endpoint is None else endpoint.hostname
        return Binding(
            attributes={"host": str(host), "port": str(self.port), "name": self.database_name},
            secrets={
                "username": ecs.Secret.from_secrets_manager(secret, "username"),
                "password": ecs.Secret.from_secrets_manager(secret, "password"),
            },
            connectable=connectable,
            key=key,
            # The dependency includes the instances, because a cluster exists long before its writer accepts
            # connections.
            dependencies=[] if database is None else [database],
        )


def _endpoint(database: rds.IDatabaseInstance | rds.IDatabaseCluster | None) -> rds.Endpoint | None:
    try:
        endpoint: rds.Endpoint | None = getattr(database, "cluster_endpoint", None)
    except RuntimeError:
        raise IncompatibleArgumentsError(
            "ExistingDatabase requires an endpoint of the imported cluster. Pass cluster_endpoint_address= and port= to"
            " from_database_cluster_attributes(…)"
        ) from None
    if endpoint is None:
        validation.construct("ExistingDatabase", database, "instance_endpoint", _TAKES)
        endpoint = getattr(database, "instance_endpoint", None)
    return endpoint
