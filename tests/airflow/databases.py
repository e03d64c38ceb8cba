"""A PostgreSQL server with migrated databases; the migration runs only once for each Airflow release."""

from __future__ import annotations

from containers import Machine

from cdk_airflow_ecs import AirflowVersion
from cdk_airflow_ecs.plan import ClusterPlan
from servers import PostgresServer

HOSTILE = 'p@ss/w:rd#%25 &=?"+!x$1'


class Databases(PostgresServer):
    """A PostgreSQL server whose databases belong to the user ``af``."""

    def __enter__(self) -> Databases:
        super().__enter__()
        self.create_database("af", "af", HOSTILE)
        return self

    def migrated(self, name: str, version: AirflowVersion, plan: ClusterPlan, machine: Machine) -> None:
        """Create a migrated database: migrate the first one of an Airflow release, and copy it for later ones."""
        first = f"first_{version}"
        if self.execute(f"SELECT 1 FROM pg_database WHERE datname = '{first}'"):
            self.execute(f'CREATE DATABASE "{name}" OWNER af TEMPLATE "{first}"')
            return
        self.execute(f'CREATE DATABASE "{name}" OWNER af')
        ran = machine.run(plan.component("Migration").containers[0])
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "created the admin" in ran.stdout
        self.execute(f'CREATE DATABASE "{first}" OWNER af TEMPLATE "{name}"')
