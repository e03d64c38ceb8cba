"""The contract of a metadata database."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.cluster_resource import ClusterResource
from cdk_airflow_ecs.plan import Option, Ref, SecretRef, Value

# Airflow runs this command in the container without a shell. The password can contain any character.
_URL_COMMAND = (
    "python3 -ISc \"import os,urllib.parse as u;e=os.environ.get;q=lambda k:u.quote(e(k,''),'');"
    "print('postgresql+psycopg2://'+q('METADATA_USER')+':'+q('METADATA_PASSWORD')+'@'+e('METADATA_HOST')+':'"
    "+e('METADATA_PORT')+'/'+q('METADATA_NAME'),end='')\""
)


class Database(ClusterResource):
    """A PostgreSQL database for Airflow's metadata.

    Its binding has the attributes host, port and name, and the secrets username and password.
    """

    @property
    @abstractmethod
    def port(self) -> int:
        """The TCP port."""

    @property
    def has_snapshots(self) -> bool:
        """Whether its binding has ``snapshots``, so that the migration gate can take one. The default is False."""
        return False

    @property
    def ssl_mode(self) -> str:
        """The clients' PGSSLMODE, which psycopg2 and asyncpg read.

        The URL has no ``sslmode``, because asyncpg, which Airflow 3 uses, rejects it.
        """
        return "require"

    def config(self) -> Mapping[Option, Value]:
        """Return the options of every process that connects to the database."""
        return {("database", "sql_alchemy_conn_cmd"): _URL_COMMAND}

    def relied_upon(self, version: AirflowVersion) -> Mapping[str, Mapping[Option, Value]]:
        """See :meth:`OptionOwner.relied_upon`."""
        del version
        return {
            "whose health checks query tables without a schema": {("database", "sql_alchemy_schema"): ""},
            "which derives both URLs from one database": {("database", "sql_alchemy_conn_async"): ""},
        }

    def environment(self) -> Mapping[str, Value]:
        """Return the environment variables that the database options and the health checks read."""
        return {
            "METADATA_HOST": Ref("Database", "host"),
            "METADATA_PORT": Ref("Database", "port"),
            "METADATA_NAME": Ref("Database", "name"),
            "METADATA_USER": SecretRef("Database", "username"),
            "METADATA_PASSWORD": SecretRef("Database", "password"),
            "PGSSLMODE": self.ssl_mode,
            # By default, libpq waits forever for a connection; asyncpg has its own timeout.
            "PGCONNECT_TIMEOUT": "10",
        }
