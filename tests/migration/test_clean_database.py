"""The cleanup of the database with real Airflow 2 and 3 on PostgreSQL."""

from __future__ import annotations

import os
import subprocess

import pytest
from migrations import AIRFLOW_2, AIRFLOW_3, DATABASE_PASSWORD, FAB, REPO, USER, Machine, Migrated

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.xdist_group("migration")]

SOURCE = REPO / "src/cdk_airflow_ecs/in_container/clean_database.py"
# A value of each type, for columns that must have one.
FILLERS = {
    "integer": "0",
    "boolean": "false",
    "character varying": "'x'",
    "text": "'x'",
    "timestamp with time zone": "now()",
    "uuid": "gen_random_uuid()",
    "bytea": "''::bytea",
    "json": "'{}'",
    "jsonb": "'{}'",
}


def insert(machine: Machine, database: str, table: str, **values: str) -> None:
    """Insert a row with SQL *values*, and with fillers for the other columns that must have a value."""
    required = machine.server.execute(
        "SELECT string_agg(column_name || ':' || data_type, ',') FROM information_schema.columns"
        f" WHERE table_name = '{table}' AND is_nullable = 'NO' AND column_default IS NULL",
        database,
    )
    fillers = {name: FILLERS[kind] for name, kind in (each.split(":") for each in filter(None, required.split(",")))}
    row = {**fillers, **values}
    machine.server.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(row.values())})", database)


def fill(machine: Machine, database: str) -> None:
    """Insert runs, tasks and events that are 100 days and one day old."""
    for age in (100, 1):
        then = f"now() - interval '{age} days'"
        for kind in ("manual", "scheduled"):
            run = {"dag_id": "'etl'", "run_id": f"'{kind}-{age}'"}
            date = "execution_date" if "execution_date" in columns(machine, database, "dag_run") else "logical_date"
            offset = f"interval '{age} days' + interval '{len(kind)} seconds'"
            insert(
                *(machine, database, "dag_run"),
                **{**run, "run_type": f"'{kind}'", "start_date": then, date: f"now() - {offset}"},
                **({"external_trigger": str(kind == "manual")} if date == "execution_date" else {}),
            )
            insert(machine, database, "task_instance", **run, task_id="'load'", map_index="-1", start_date=then)
        insert(machine, database, "log", dttm=then, event=f"'{age}'")
        insert(machine, database, "import_error", timestamp=then, filename=f"'{age}'")


def columns(machine: Machine, database: str, table: str) -> list[str]:
    """Return the columns of *table*."""
    query = f"SELECT string_agg(column_name, ',') FROM information_schema.columns WHERE table_name = '{table}'"
    return machine.server.execute(query, database).split(",")


def left(machine: Machine, database: str, table: str, column: str) -> list[str]:
    """Return the values of *column* in *table*."""
    query = f"SELECT coalesce(string_agg({column}, ',' ORDER BY {column}), '') FROM {table}"
    return machine.server.execute(query, database).split(",")


def clean(machine: Machine, version: str, database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program as the container does."""
    programs = REPO / f".venvs/airflow-{version}/bin"
    home = machine.folder / f"clean-{version}"
    return subprocess.run(
        [programs / "python", "-c", SOURCE.read_text(), *arguments],
        env={
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": "/nonexistent",
            "AIRFLOW__CORE__AUTH_MANAGER": FAB,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": machine.server.url(database, USER, DATABASE_PASSWORD),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def assert_cleaned(machine: Machine, database: str) -> None:
    """Check that only new rows remain, and no archive."""
    assert left(machine, database, "dag_run", "run_id") == ["manual-1", "scheduled-1"]
    assert left(machine, database, "task_instance", "run_id") == ["manual-1", "scheduled-1"]
    assert "100" not in left(machine, database, "log", "event")
    assert "1" in left(machine, database, "log", "event")
    tables = "SELECT count(*) FROM pg_tables WHERE tablename LIKE '\\_airflow\\_deleted%'"
    assert machine.server.execute(tables, database) == "0"


def test_airflow_3_deletes_old_rows_and_keeps_new_ones(machine: Machine, crossed: Migrated) -> None:
    """A database that was upgraded from Airflow 2 is cleaned without an error."""
    name = machine.database(crossed.name)
    fill(machine, name)

    run = clean(machine, AIRFLOW_3, name, "90")

    assert run.returncode == 0, run.stdout
    assert_cleaned(machine, name)
    assert left(machine, name, "import_error", "filename") == ["1"]
    assert DATABASE_PASSWORD not in run.stdout + run.stderr


def test_a_table_that_airflow_2_cannot_clean_fails_the_task(machine: Machine, migrated_by_2: Migrated) -> None:
    """The command itself ends with exit code 0. The other tables are cleaned, and the next run succeeds."""
    name = machine.database(migrated_by_2.name)
    fill(machine, name)
    machine.server.execute(f'REVOKE DELETE ON import_error FROM "{USER}"', name)

    run = clean(machine, AIRFLOW_2, name, "90", "dag_run,log,import_error")

    assert run.returncode == 1, run.stdout
    assert "clean: some tables were not cleaned" in run.stdout
    assert left(machine, name, "import_error", "filename") == ["1", "100"]

    machine.server.execute(f'GRANT DELETE ON import_error TO "{USER}"', name)
    run = clean(machine, AIRFLOW_2, name, "90", "dag_run,log,import_error")

    assert run.returncode == 0, run.stdout
    assert left(machine, name, "import_error", "filename") == ["1"]
    assert left(machine, name, "dag_run", "run_id") == ["manual-1", "scheduled-1"]
    assert left(machine, name, "task_instance", "run_id") == ["manual-1", "scheduled-1"]
