"""A PostgreSQL in which each release of Airflow is migrated once."""

from __future__ import annotations

from containers import Machine

from cdk_airflow_ecs import AirflowVersion
from cdk_airflow_ecs.plan import ClusterPlan
from servers import PostgresServer

HOSTILE = 'p@ss/w:rd#%25 &=?"+!x$1'


class Databases(PostgresServer):
    """A server whose user af owns every database."""

    def __enter__(self) -> Databases:
        """See :meth:`PostgresServer.__enter__`."""
        super().__enter__()
        self.create_database("af", "af", HOSTILE)
        return self

    def migrated(self, name: str, version: AirflowVersion, plan: ClusterPlan, machine: Machine) -> None:
        """Make a database and run the plan's migration in it; after the first of its release, copy what that made."""
        first = f"first_{version}"
        if self.execute(f"SELECT 1 FROM pg_database WHERE datname = '{first}'"):
            self.execute(f'CREATE DATABASE "{name}" OWNER af TEMPLATE "{first}"')
            return
        self.execute(f'CREATE DATABASE "{name}" OWNER af')
        ran = machine.run(plan.component("Migration").containers[0])
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "created the admin" in ran.stdout
        self.execute(f'CREATE DATABASE "{first}" OWNER af TEMPLATE "{name}"')
