"""The contract of a metadata database."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.cluster_resource import ClusterResource
from cdk_airflow_ecs.plan import Option, Ref, SecretRef, Value

# Read by Airflow inside the container, without a shell. The password may hold any character.
_URL_COMMAND = (
    "python3 -ISc \"import os,urllib.parse as u;e=os.environ.get;q=lambda k:u.quote(e(k,''),'');"
    "print('postgresql+psycopg2://'+q('METADATA_USER')+':'+q('METADATA_PASSWORD')+'@'+e('METADATA_HOST')+':'"
    "+e('METADATA_PORT')+'/'+q('METADATA_NAME'),end='')\""
)


class Database(ClusterResource):
    """A PostgreSQL database that holds Airflow's metadata.

    Its binding has the attributes host, port and name, and the secret fields username and password.
    """

    @property
    @abstractmethod
    def port(self) -> int:
        """The port it listens on."""

    @property
    def ssl_mode(self) -> str:
        """How clients use TLS: libpq's PGSSLMODE, which psycopg2 and asyncpg both read.

        In the URL it would break Airflow 3, whose asyncpg knows no ``sslmode``.
        """
        return "require"

    def config(self) -> Mapping[Option, Value]:
        """The options of every process that opens the database."""
        return {("database", "sql_alchemy_conn_cmd"): _URL_COMMAND}

    def relied_upon(self, version: AirflowVersion) -> Mapping[str, Mapping[Option, Value]]:
        """See :meth:`OptionOwner.relied_upon`."""
        del version
        return {
            "whose health checks look for tables without it": {("database", "sql_alchemy_schema"): ""},
            "which makes both URLs of one database": {("database", "sql_alchemy_conn_async"): ""},
        }

    def environment(self) -> Mapping[str, Value]:
        """The variables that those options and the health checks read."""
        return {
            "METADATA_HOST": Ref("Database", "host"),
            "METADATA_PORT": Ref("Database", "port"),
            "METADATA_NAME": Ref("Database", "name"),
            "METADATA_USER": SecretRef("Database", "username"),
            "METADATA_PASSWORD": SecretRef("Database", "password"),
            "PGSSLMODE": self.ssl_mode,
            # asyncpg has a limit of its own; libpq waits for ever without one.
            "PGCONNECT_TIMEOUT": "10",
        }
