"""Migrate the metadata database to the version of this image, in the migration container.

``python -c TEXT`` runs it, so it is short and without secrets. It supports Airflow 2.8 to 3.3.
After exit code 0, services can start.
"""

from __future__ import annotations

import os
import re
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from importlib import import_module as load
from typing import Any


def say(message: str) -> None:
    """Print without buffering."""
    print(f"migrate: {message}", flush=True)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print the duration of a step."""
    started = time.monotonic()
    yield
    say(f"{name}: {time.monotonic() - started:.1f} s")


def revisions(connection: object, folder: str, table: str) -> tuple[str | None, str | None, bool]:
    """Return the database's revision, the image's newest one, and whether the image knows the database's."""
    context = load("alembic.runtime.migration").MigrationContext
    scripts = load("alembic.script").ScriptDirectory(folder)
    current = context.configure(connection, opts={"version_table": table}).get_current_revision()
    known = current is None or current in {script.revision for script in scripts.walk_revisions()}
    return current, scripts.get_current_head(), known


def image_is_2() -> bool:
    """Return whether the image has Airflow 2."""
    return bool(load("airflow").__version__.startswith("2."))


def provided(session: Any) -> list[Any]:
    """Return the managers of providers' tables, with revisions. Airflow 2 has no managers."""
    found = [] if image_is_2() else load("airflow.utils.db_manager").RunDBManager()._managers
    return [(m, revisions(session.connection(), m.migration_dir, m.version_table_name)) for m in found]


def may_migrate(session: Any) -> bool:
    """Return whether to migrate: False if the database is newer. Exit if it cannot be upgraded."""
    airflow, sqlalchemy = load("airflow"), load("sqlalchemy")
    connection = session.connection()
    folder = os.path.join(os.path.dirname(str(airflow.__file__)), "migrations")
    current, newest, known = revisions(connection, folder, "alembic_version")
    # Only databases of Airflow 3 have the table dag_bundle.
    database_is_2 = current is not None and not sqlalchemy.inspect(connection).has_table("dag_bundle")
    say(f"Airflow {airflow.__version__}, database at {current}, image at {newest}")
    if not known and database_is_2 and not image_is_2():
        sys.exit(f"migrate: Airflow 3 cannot upgrade revision {current}; deploy Airflow 2.11 first")
    if current == newest:  # a provider's tables can still be newer
        known = all(state[2] for _, state in provided(session))
    if not known:
        say("WARNING: the database is ahead of this image (a rollback?); nothing was changed")
        return False
    if database_is_2 and not image_is_2():
        job = load("airflow.jobs.job").Job
        fresh = datetime.now(timezone.utc) - timedelta(minutes=2)
        query = sqlalchemy.select(job.job_type, job.hostname).where(
            job.state == "running", job.latest_heartbeat > fresh
        )
        if running := sorted({f"{kind} on {host}" for kind, host in session.execute(query)}):
            sys.exit(
                f"migrate: Airflow 2 still runs ({', '.join(running)}), and does not work with an Airflow 3 database."
                " Deploy once with maintenance=True, which stops it, then deploy the new version."
            )
    return True


def adopt_sign_in(session: Any) -> None:
    """Adopt FAB's tables of Airflow 2, with which some FAB providers fail (apache/airflow#55856, #56327)."""
    exists = load("sqlalchemy").inspect(session.connection()).has_table("ab_user")
    for manager, state in provided(session):
        if exists and state[:2] == (None, "6709f7a774b9"):  # a FAB provider with only one revision
            manager(session).create_db_from_orm()
            say("adopted the sign-in tables of Airflow 2")


def prepare_sign_in(username: str, password: str) -> None:
    """Update FAB's roles, and create the admin unless the user exists."""
    manager = load("airflow.configuration").conf.getimport("core", "auth_manager")
    fab = next((base for base in manager.__mro__ if base.__name__ == "FabAuthManager"), None)
    if fab is None:
        say(f"{manager.__name__} does not store users in the database: no roles or admin created")
        return
    commands = load(fab.__module__.rpartition(".")[0] + ".cli_commands.utils")
    with commands.get_application_builder() as builder:
        builder.add_permissions(update_perms=True)
        builder.sm.sync_roles()
        if not (username and password):
            say("no admin was requested")
        elif builder.sm.find_user(username=username):
            say(f"the user {username} already exists and is not changed")
        else:
            email = username if "@" in username else f"{username}@example.com"
            role = builder.sm.find_role("Admin")
            if not builder.sm.add_user(username, "Airflow", "Admin", email, role, password):
                sys.exit(f"migrate: could not create the user {username}")
            say(f"created the admin {username}")


def main() -> None:
    """Check, migrate and prepare sign-in."""
    admin = [os.environ.pop(f"AIRFLOW_ECS_ADMIN_{key}", "") for key in ("USERNAME", "PASSWORD")]
    with step("import"):
        database, create_session = load("airflow.utils.db"), load("airflow.utils.session").create_session
        load("airflow.providers_manager").ProvidersManager().initialize_providers_configuration()
    for last in [False] * 11 + [True]:
        try:
            with step("look"), create_session() as session:
                if not may_migrate(session):
                    return
            break
        except load("sqlalchemy.exc").OperationalError:
            if last:
                raise
            say("the database is not reachable yet")
            time.sleep(5)
    with step("schema"):
        with create_session() as session:
            adopt_sign_in(session)
        # By default, Airflow 2 would delete all serialized DAGs, and parse this container's DAG folder, which can be
        # empty.
        database.upgradedb(**({"reserialize_dags": False} if image_is_2() else {}))
    with step("sign-in"):
        prepare_sign_in(*admin)


if __name__ == "__main__":
    try:
        main()
    except Exception:
        sys.exit(re.sub(r"://\S*@", "://***@", traceback.format_exc()))
