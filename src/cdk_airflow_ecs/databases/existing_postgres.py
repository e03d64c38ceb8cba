"""A metadata database that somebody else made."""

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
from cdk_airflow_ecs.rotation import check_rotation, manages_password
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
    """A PostgreSQL of yours, with a database and a user for Airflow in it.

    Args:
        database: an RDS instance or Aurora cluster, made in this app or imported. Its security group then admits the
            components that need it. Leave it out and say *endpoint* for any other PostgreSQL.
        endpoint: the host name, if *database* is not given.
        port: the port that it listens on. The default is what *database* says, and 5432 with *endpoint*.
        secret: the secret with the fields username and password. The default is the secret of *database*.
        database_name: the database inside it. It must exist.
        security_group: with *endpoint*, the security group to open. Without it the connections are yours to allow.
        ssl_mode: PGSSLMODE of every client.

    Raises:
        ValueError: if neither or both of *database* and *endpoint* are given, if *database* is no PostgreSQL, if its
            address or its secret is not known, or if *database_name* cannot stand in a URL.

    Examples:
        >>> ExistingDatabase(endpoint="db.example.com", secret=secret).port
        5432
    """

    database: rds.IDatabaseInstance | rds.IDatabaseCluster | None = None
    endpoint: str | None = None
    port: int | None = None  # type: ignore[assignment]  # a number from __post_init__ on
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
        validation.construct("ExistingDatabase", self.database, "connections", _TAKES)
        endpoint = _endpoint(self.database)
        engine = getattr(getattr(self.database, "engine", None), "engine_type", "postgres")
        if "postgres" not in engine:
            raise ValueError(f"ExistingDatabase takes PostgreSQL, got {validation.shown(engine)}")
        validation.secret("ExistingDatabase secret", self.secret)
        validation.construct(
            "ExistingDatabase security_group", self.security_group, "security_group_id", "an ec2.ISecurityGroup"
        )
        validation.host("ExistingDatabase endpoint", self.endpoint)
        if self.security_group is not None and self.endpoint is None:
            raise IncompatibleArgumentsError(
                "ExistingDatabase security_group= goes with endpoint=; an RDS database brings its own"
            )
        validation.text("ExistingDatabase database_name", self.database_name, "airflow", required=True)
        # SQLAlchemy reads user and password of a URL with %20 and the like, and the database as it stands.
        if not is_token(self.database_name) and not re.fullmatch(r"[\w.~-]+", self.database_name, re.ASCII):
            raise ValueError(
                "ExistingDatabase database_name is letters, digits, _, -, . and ~, for it is part of a URL; got"
                f" {validation.shown(self.database_name)}"
            )
        if self.secret is None and getattr(self.database, "secret", None) is None:
            raise IncompatibleArgumentsError(
                "ExistingDatabase knows no login: pass secret=, a Secrets Manager secret with the fields username"
                " and password"
            )
        if self.secret is None and manages_password(self.database):
            raise IncompatibleArgumentsError(
                "ExistingDatabase does not take the login of manage_master_user_password=True: RDS replaces the"
                " password every seven days, and running services keep the old one. Pass secret=, the login of another"
                " PostgreSQL user, or leave out manage_master_user_password"
            )
        if self.port is None:
            object.__setattr__(self, "port", 5432 if endpoint is None else endpoint.port)
        validation.integer("ExistingDatabase port", self.port, 1, 65535, tokens=True)
        if self.ssl_mode not in _SSL_MODES:
            raise ValueError(
                f"ExistingDatabase ssl_mode is one of {', '.join(_SSL_MODES)}; got {validation.shown(self.ssl_mode)}"
            )

    def check(self, network: Network | None) -> None:
        """See :meth:`ClusterResource.check`."""
        if network is None and getattr(self.database, "vpc", None) is not None:
            raise IncompatibleArgumentsError(
                "ExistingDatabase is in a VPC of yours, and the cluster would make another one: pass vpc=, that of the"
                " database"
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
            raise ValueError("ExistingDatabase lost its secret")
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
            # With all its instances: a cluster has an address long before its writer answers.
            dependencies=[] if database is None else [database],
        )


def _endpoint(database: rds.IDatabaseInstance | rds.IDatabaseCluster | None) -> rds.Endpoint | None:
    """Find where *database* listens: a cluster's writer, or the instance."""
    try:
        endpoint: rds.Endpoint | None = getattr(database, "cluster_endpoint", None)
    except RuntimeError:
        raise IncompatibleArgumentsError(
            "ExistingDatabase does not know where the imported cluster listens: pass cluster_endpoint_address= and"
            " port= to from_database_cluster_attributes(…)"
        ) from None
    if endpoint is None:
        validation.construct("ExistingDatabase", database, "instance_endpoint", _TAKES)
        endpoint = getattr(database, "instance_endpoint", None)
    return endpoint
