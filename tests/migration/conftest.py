"""Databases of real Airflow releases, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from migrations import ADMIN_PASSWORD, AIRFLOW_2, AIRFLOW_3, DATABASE_PASSWORD, USER, Machine, Migrated, admin

from servers import PostgresServer


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Start PostgreSQL."""
    with PostgresServer() as server:
        server.create_database("unused", USER, DATABASE_PASSWORD)
        yield Machine(server, tmp_path_factory.mktemp("homes"))


@pytest.fixture(scope="session")
def migrated_by_2(machine: Machine) -> Migrated:
    """Migrate an empty database with Airflow 2."""
    name = machine.database()
    return Migrated(name, machine.migrate(AIRFLOW_2, name, **admin(ADMIN_PASSWORD)))


@pytest.fixture(scope="session")
def crossed(machine: Machine, migrated_by_2: Migrated) -> Migrated:
    """Migrate a database from Airflow 2 to 3 after Airflow 2 was killed or has ended."""
    name = machine.database(migrated_by_2.name)
    machine.server.execute(
        "INSERT INTO job (state, job_type, latest_heartbeat) VALUES"
        " ('running', 'SchedulerJob', now() - interval '3 minutes'), ('success', 'TriggererJob', now())",
        name,
    )
    return Migrated(name, machine.migrate(AIRFLOW_3, name, **admin("another")))
