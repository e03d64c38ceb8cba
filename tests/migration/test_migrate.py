"""The migration script with real Airflows of both major versions on a real PostgreSQL.

One story on one database, in the order of the file: 2.x from nothing, crossing to 3.x, rolling back.
"""

from __future__ import annotations

import ast
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers import PostgresServer

REPO = Path(__file__).parents[2]
SOURCE = REPO / "src/cdk_airflow_ecs/migration/migrate.py"
AIRFLOW_2, AIRFLOW_3 = "2.11.2", "3.3.2"
HEAD_2, HEAD_3 = "5f2621c13b39", "d2f4e1b3c5a7"
USER, DATABASE_PASSWORD = "air flow", "p@ss/w:rd#%25 &=?\"+!x$1'\\"
ADMIN_PASSWORD = "-first \"Pass'word$1"
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.xdist_group("migration")]


@dataclass
class Run:
    """What one run of the script left behind."""

    code: int
    output: str
    command_lines: set[str]


@dataclass
class Machine:
    """A database server, and a folder per Airflow installation."""

    server: PostgresServer
    folder: Path

    def migrate(self, version: str, database: str = "airflow", **environment: str) -> Run:
        """Run the script as the migration container does; watch the process list while it runs."""
        home = self.folder / version
        process = subprocess.Popen(
            [REPO / f".venvs/airflow-{version}/bin/python", "-c", SOURCE.read_text()],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__CORE__FERNET_KEY": "A" * 43 + "=",
                "AIRFLOW__CORE__DAGS_FOLDER": "/nonexistent",
                "AIRFLOW__CORE__AUTH_MANAGER": FAB,
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.server.url(database, USER, DATABASE_PASSWORD),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        seen: set[str] = set()
        watcher = threading.Thread(target=watch, args=(process, seen))
        watcher.start()
        output = process.communicate(timeout=300)[0]
        watcher.join()
        return Run(process.returncode, output, seen)

    def ask(self, sql: str, database: str = "airflow") -> str:
        """Ask the database."""
        return self.server.execute(sql, database)


def watch(process: subprocess.Popen[str], seen: set[str]) -> None:
    """Collect the command lines of all processes until *process* ends."""
    while process.poll() is None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(path.read_bytes().decode(errors="replace"))
            except OSError:
                continue
        time.sleep(0.1)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Start PostgreSQL with one empty database."""
    with PostgresServer() as server:
        server.create_database("airflow", USER, DATABASE_PASSWORD)
        yield Machine(server, tmp_path_factory.mktemp("homes"))


def admin(password: str) -> dict[str, str]:
    """Return what the construct gives the migration container."""
    return {"AIRFLOW_ECS_ADMIN_USERNAME": "admin", "AIRFLOW_ECS_ADMIN_PASSWORD": password}


def password_is(machine: Machine, password: str, database: str = "airflow") -> bool:
    """Tell whether the admin can sign in with *password*."""
    stored = machine.ask("SELECT password FROM ab_user WHERE username = 'admin'", database)
    check = "import sys; from werkzeug.security import check_password_hash as c; print(c(*sys.argv[1:]))"
    python = REPO / f".venvs/airflow-{AIRFLOW_3}/bin/python"
    done = subprocess.run([python, "-c", check, stored, password], capture_output=True, text=True, check=True)
    return done.stdout == "True\n"


def assert_no_secret(machine: Machine, run: Run, database: str = "airflow") -> None:
    """No password stands in the output, in a command line, or in Airflow's log of actions."""
    actions = machine.ask("SELECT coalesce(extra, '') FROM log", database)
    quoted = machine.server.url(database, USER, DATABASE_PASSWORD).split("@")[0].rpartition(":")[2]
    for secret in (ADMIN_PASSWORD, DATABASE_PASSWORD, quoted):
        assert secret not in run.output
        assert secret not in actions
        assert not any(secret in line for line in run.command_lines)
    assert "postgresql+psycopg2://" not in run.output
    assert SOURCE.read_text() in "\n".join(run.command_lines), "the watcher did not see the script itself"


def revision(machine: Machine, database: str = "airflow") -> str:
    """Return the database's revision."""
    return machine.ask("SELECT version_num FROM alembic_version", database)


def test_empty_database_with_2(machine: Machine) -> None:
    """Airflow 2 gets its tables, its roles and an admin with the given password."""
    run = machine.migrate(AIRFLOW_2, **admin(ADMIN_PASSWORD))

    assert run.code == 0, run.output
    assert revision(machine) == HEAD_2
    assert password_is(machine, ADMIN_PASSWORD)
    assert_no_secret(machine, run)


def test_again_with_2(machine: Machine) -> None:
    """An upgrade within 2.x changes no password and deletes no DAG, though its own container has none."""
    machine.ask(
        "INSERT INTO serialized_dag (dag_id, fileloc, fileloc_hash, last_updated, dag_hash, data)"
        " VALUES ('mine', '/x.py', 1, now(), 'x', '{}')"
    )
    machine.ask("UPDATE alembic_version SET version_num = '22ed7efa9da2'")  # 2.10.0

    run = machine.migrate(AIRFLOW_2, **admin("another"))

    assert run.code == 0, run.output
    assert revision(machine) == HEAD_2
    assert "the user admin exists and is left alone" in run.output
    assert password_is(machine, ADMIN_PASSWORD)
    assert machine.ask("SELECT dag_id FROM serialized_dag") == "mine"


def test_crossing_is_refused_while_2_runs(machine: Machine) -> None:
    """A scheduler that sent a sign of life a minute ago stops the upgrade before anything is touched."""
    machine.ask(
        "INSERT INTO job (state, job_type, hostname, latest_heartbeat)"
        " VALUES ('running', 'SchedulerJob', '10.0.0.7', now() - interval '1 minute')"
    )

    run = machine.migrate(AIRFLOW_3, **admin(ADMIN_PASSWORD))

    assert run.code == 1
    assert "Airflow 2 still runs (SchedulerJob on 10.0.0.7)" in run.output
    assert "maintenance=True" in run.output
    assert revision(machine) == HEAD_2


def test_crossing_is_done_when_2_has_stopped(machine: Machine) -> None:
    """Services that were killed minutes ago, or ended properly a moment ago, hold nothing up."""
    database = "copy"
    machine.ask("UPDATE job SET latest_heartbeat = now() - interval '3 minutes'")
    machine.ask("INSERT INTO job (state, job_type, latest_heartbeat) VALUES ('success', 'TriggererJob', now())")
    machine.server.execute(f'CREATE DATABASE {database} TEMPLATE airflow OWNER "{USER}"')

    run = machine.migrate(AIRFLOW_3, database, **admin("another"))

    assert run.code == 0, run.output
    assert revision(machine, database) == HEAD_3
    assert machine.ask("SELECT version_num FROM alembic_version_fab", database)
    assert password_is(machine, ADMIN_PASSWORD, database)
    assert_no_secret(machine, run, database)


def test_rollback_to_2_changes_nothing(machine: Machine) -> None:
    """A database that Airflow 3 has upgraded is left alone by Airflow 2, successfully and with a warning."""
    before = machine.ask("SELECT count(*), sum(id) FROM ab_permission_view", "copy")

    run = machine.migrate(AIRFLOW_2, "copy", **{**admin("x"), "AIRFLOW_ECS_ADMIN_USERNAME": "somebody"})

    assert run.code == 0, run.output
    assert "WARNING: the database is ahead of this image" in run.output
    assert revision(machine, "copy") == HEAD_3
    assert machine.ask("SELECT count(*), sum(id) FROM ab_permission_view", "copy") == before
    assert machine.ask("SELECT count(*) FROM ab_user", "copy") == "1"


@pytest.mark.parametrize("table", ["alembic_version", "alembic_version_fab"])
def test_rollback_within_3_changes_nothing(machine: Machine, table: str) -> None:
    """A newer patch of Airflow, or of FAB's provider alone, may have been here before."""
    before = machine.ask(f"SELECT version_num FROM {table}", "copy")
    machine.ask(f"UPDATE {table} SET version_num = 'f00dfeedcafe'", "copy")
    try:
        run = machine.migrate(AIRFLOW_3, "copy")

        assert run.code == 0, run.output
        assert "WARNING: the database is ahead of this image" in run.output
        assert machine.ask(f"SELECT version_num FROM {table}", "copy") == "f00dfeedcafe"
    finally:
        machine.ask(f"UPDATE {table} SET version_num = '{before}'", "copy")


def test_too_old_for_3_is_refused(machine: Machine) -> None:
    """A revision from before what Airflow 3 can upgrade is not mistaken for one that is ahead."""
    machine.ask("UPDATE alembic_version SET version_num = '290244fb8b83'")

    run = machine.migrate(AIRFLOW_3)

    assert run.code == 1
    assert "cannot upgrade revision 290244fb8b83; deploy Airflow 2.11 first" in run.output


def test_empty_database_with_3_and_again(machine: Machine) -> None:
    """Airflow 3 gets its own and FAB's tables, roles and the admin; a second run keeps the password."""
    machine.server.execute(f'CREATE DATABASE new OWNER "{USER}"')

    first = machine.migrate(AIRFLOW_3, "new", **admin(ADMIN_PASSWORD))
    roles = machine.ask("SELECT role_id, count(*) FROM ab_permission_view_role GROUP BY 1 ORDER BY 1", "new")
    second = machine.migrate(AIRFLOW_3, "new", **admin("another"))

    assert (first.code, second.code) == (0, 0), first.output + second.output
    assert revision(machine, "new") == HEAD_3
    assert machine.ask("SELECT to_regclass('ab_user'), to_regclass('session')", "new") == "ab_user|session"
    assert len(roles.splitlines()) >= 4
    assert machine.ask("SELECT role_id, count(*) FROM ab_permission_view_role GROUP BY 1 ORDER BY 1", "new") == roles
    assert password_is(machine, ADMIN_PASSWORD, "new")
    for run in (first, second):
        assert_no_secret(machine, run, "new")


def test_admin_only_when_asked_and_possible(machine: Machine) -> None:
    """Without the variables nobody is created; an auth manager without users is no error."""
    nobody = machine.migrate(AIRFLOW_3, "new", AIRFLOW_ECS_ADMIN_USERNAME="second")
    simple = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
    other = machine.migrate(AIRFLOW_3, "new", AIRFLOW__CORE__AUTH_MANAGER=simple, **admin("x"))

    assert (nobody.code, other.code) == (0, 0), nobody.output + other.output
    assert "no admin was asked for" in nobody.output
    assert "SimpleAuthManager keeps no users in the database" in other.output
    assert machine.ask("SELECT username FROM ab_user", "new") == "admin"


def test_failure_is_an_exit_code_without_url(machine: Machine) -> None:
    """A connection that cannot even be parsed fails at once, and its password is not printed."""
    url = "postgresql+psycopg2://airflow:hush@hush@localhost:port/airflow"

    run = machine.migrate(AIRFLOW_3, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=url)

    assert run.code == 1
    assert "hush" not in run.output


def test_script_fits_a_task_definition() -> None:
    """The script stays small, and images of Airflow 2.8 with Python 3.8 can parse it."""
    text = SOURCE.read_text()

    assert len(text.encode()) < 6656
    ast.parse(text, feature_version=(3, 8))
