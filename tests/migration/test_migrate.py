"""Runs the migration script with Airflow 2 and 3 on a real PostgreSQL.

Several tests share two migrated databases; a test that changes one copies it first.
"""

from __future__ import annotations

import ast

import pytest
from migrations import (
    ADMIN_PASSWORD,
    AIRFLOW_2,
    AIRFLOW_3,
    DATABASE_PASSWORD,
    HEAD_2,
    HEAD_2_10_0,
    HEAD_3,
    SOURCE,
    USER,
    Machine,
    Migrated,
    Run,
    admin,
    password_is,
)

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.xdist_group("migration")]


def assert_no_secret(machine: Machine, run: Run, database: str) -> None:
    """Check that output, command lines and Airflow's audit log contain no password."""
    actions = machine.server.execute("SELECT coalesce(extra, '') FROM log", database)
    quoted = machine.server.url(database, USER, DATABASE_PASSWORD).split("@")[0].rpartition(":")[2]
    for secret in (ADMIN_PASSWORD, DATABASE_PASSWORD, quoted):
        assert secret not in run.output
        assert secret not in actions
        assert [line for line in run.command_lines if secret in line] == []
    assert "postgresql+psycopg2://" not in run.output
    assert SOURCE.read_text() in "\n".join(run.command_lines), "the watcher did not see the script itself"


def revision(machine: Machine, database: str, table: str = "alembic_version") -> str:
    """Return the revision of the database schema."""
    return machine.server.execute(f"SELECT version_num FROM {table}", database)


def test_airflow_2_initializes_an_empty_database(machine: Machine, migrated_by_2: Migrated) -> None:
    """With an empty database, Airflow 2 creates tables, roles and an admin with the given password."""
    assert migrated_by_2.run.code == 0, migrated_by_2.run.output
    assert revision(machine, migrated_by_2.name) == HEAD_2
    assert password_is(machine, ADMIN_PASSWORD, migrated_by_2.name)
    assert_no_secret(machine, migrated_by_2.run, migrated_by_2.name)


def test_an_upgrade_within_airflow_2_keeps_passwords_and_dags(machine: Machine, migrated_by_2: Migrated) -> None:
    """An upgrade of the database within Airflow 2 keeps passwords and DAGs."""
    name = machine.database(migrated_by_2.name)
    machine.server.execute(
        "INSERT INTO serialized_dag (dag_id, fileloc, fileloc_hash, last_updated, dag_hash, data)"
        " VALUES ('mine', '/x.py', 1, now(), 'x', '{}');"
        f" UPDATE alembic_version SET version_num = '{HEAD_2_10_0}'",
        name,
    )

    run = machine.migrate(AIRFLOW_2, name, **admin("another"))

    assert run.code == 0, run.output
    assert revision(machine, name) == HEAD_2
    assert "the user admin already exists and is not changed" in run.output
    assert password_is(machine, ADMIN_PASSWORD, name)
    assert machine.server.execute("SELECT dag_id FROM serialized_dag", name) == "mine"


def test_an_upgrade_to_airflow_3_is_refused_while_airflow_2_runs(machine: Machine, migrated_by_2: Migrated) -> None:
    """The upgrade fails without changes if Airflow 2 had a recent heartbeat."""
    name = machine.database(migrated_by_2.name)
    machine.server.execute(
        "INSERT INTO job (state, job_type, hostname, latest_heartbeat)"
        # A heartbeat up to two minutes before the check counts, because Airflow may take one minute to start.
        " VALUES ('running', 'SchedulerJob', '10.0.0.7', now())",
        name,
    )

    run = machine.migrate(AIRFLOW_3, name, **admin(ADMIN_PASSWORD))

    assert run.code == 1
    assert "Airflow 2 still runs (SchedulerJob on 10.0.0.7)" in run.output
    assert "maintenance=True" in run.output
    assert revision(machine, name) == HEAD_2


def test_an_upgrade_to_airflow_3_runs_when_airflow_2_has_stopped(machine: Machine, crossed: Migrated) -> None:
    """The upgrade runs if Airflow 2 has ended or had no heartbeat for minutes."""
    assert crossed.run.code == 0, crossed.run.output
    assert revision(machine, crossed.name) == HEAD_3
    assert revision(machine, crossed.name, "alembic_version_fab")
    assert password_is(machine, ADMIN_PASSWORD, crossed.name)
    assert_no_secret(machine, crossed.run, crossed.name)


def test_a_rollback_to_airflow_2_does_not_change_the_database(machine: Machine, crossed: Migrated) -> None:
    """Airflow 2 does not change a database of Airflow 3, logs a warning and succeeds."""
    name = machine.database(crossed.name)
    state = "SELECT count(*), sum(id), (SELECT count(*) FROM ab_user) FROM ab_permission_view"
    before = machine.server.execute(state, name)

    run = machine.migrate(AIRFLOW_2, name, **{**admin("x"), "AIRFLOW_ECS_ADMIN_USERNAME": "somebody"})

    assert run.code == 0, run.output
    assert "WARNING: the database is ahead of this image" in run.output
    assert revision(machine, name) == HEAD_3
    assert machine.server.execute(state, name) == before


@pytest.mark.parametrize("table", ["alembic_version", "alembic_version_fab"])
def test_a_rollback_within_airflow_3_does_not_change_the_database(
    machine: Machine, crossed: Migrated, table: str
) -> None:
    """The script does not change a database of a newer Airflow 3 patch or FAB provider."""
    name = machine.database(crossed.name)
    machine.server.execute(f"UPDATE {table} SET version_num = 'f00dfeedcafe'", name)

    run = machine.migrate(AIRFLOW_3, name)

    assert run.code == 0, run.output
    assert "WARNING: the database is ahead of this image" in run.output
    assert revision(machine, name, table) == "f00dfeedcafe"


def test_a_database_too_old_for_airflow_3_is_refused(machine: Machine, migrated_by_2: Migrated) -> None:
    """A database revision that is too old for Airflow 3 is an error."""
    name = machine.database(migrated_by_2.name)
    machine.server.execute("UPDATE alembic_version SET version_num = '290244fb8b83'", name)

    run = machine.migrate(AIRFLOW_3, name)

    assert run.code == 1
    assert "cannot upgrade revision 290244fb8b83; deploy Airflow 2.11 first" in run.output


def test_airflow_3_initializes_an_empty_database(machine: Machine) -> None:
    """With an empty database, Airflow 3 creates tables, roles and the admin; a second run keeps the password."""
    name = machine.database()
    permissions = "SELECT role_id, count(*) FROM ab_permission_view_role GROUP BY 1 ORDER BY 1"

    first = machine.migrate(AIRFLOW_3, name, **admin(ADMIN_PASSWORD))
    roles = machine.server.execute(permissions, name)
    second = machine.migrate(AIRFLOW_3, name, **admin("another"))

    assert (first.code, second.code) == (0, 0), first.output + second.output
    assert revision(machine, name) == HEAD_3
    tables = machine.server.execute("SELECT to_regclass('ab_user'), to_regclass('session')", name)
    assert tables == "ab_user|session"
    assert len(roles.splitlines()) >= 4
    assert machine.server.execute(permissions, name) == roles
    assert password_is(machine, ADMIN_PASSWORD, name)
    for run in (first, second):
        assert_no_secret(machine, run, name)


def test_no_admin_is_created_without_the_admin_variables(machine: Machine, crossed: Migrated) -> None:
    """No admin is created if the variables about the admin are missing or the auth manager has no users."""
    name = machine.database(crossed.name)
    simple = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"

    nobody = machine.migrate(AIRFLOW_3, name, AIRFLOW_ECS_ADMIN_USERNAME="second")
    other = machine.migrate(
        AIRFLOW_3, name, **{**admin("x"), "AIRFLOW__CORE__AUTH_MANAGER": simple, "AIRFLOW_ECS_ADMIN_USERNAME": "third"}
    )

    assert (nobody.code, other.code) == (0, 0), nobody.output + other.output
    assert "no admin was requested" in nobody.output
    assert "SimpleAuthManager does not store users in the database" in other.output
    assert machine.server.execute("SELECT username FROM ab_user", name) == "admin"


def test_an_invalid_database_url_is_not_printed(machine: Machine) -> None:
    """With an invalid database URL, the script fails without printing the password."""
    url = "postgresql+psycopg2://airflow:hush@hush@localhost:port/airflow"

    run = machine.migrate(AIRFLOW_3, "unused", AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=url)

    assert run.code == 1
    assert "hush" not in run.output


def test_the_migration_script_is_small_and_parses_on_python_3_8() -> None:
    """The migration script fits in a task definition, and Python 3.8 can parse it."""
    text = SOURCE.read_text()

    assert len(text.encode()) < 6656
    ast.parse(text, feature_version=(3, 8))
