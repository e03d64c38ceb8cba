"""Bring the metadata database to the version of this image; the migration container runs this text.

It is the argument of ``python -c``: short, without secrets, and Airflow 2.8 to 3.3 is imported by name.
Exit code 0 means that services of this image may start.
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
from importlib import import_module
from typing import Any


def say(message: str) -> None:
    """Print one line of progress at once."""
    print(f"migrate: {message}", flush=True)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Say how long a step took, if it succeeded."""
    started = time.monotonic()
    yield
    say(f"{name}: {time.monotonic() - started:.1f} s")


def revisions(connection: object, folder: str, table: str) -> tuple[str | None, str | None, bool]:
    """Return the database's revision, this image's newest, and whether this image knows the former."""
    context = import_module("alembic.runtime.migration").MigrationContext
    scripts = import_module("alembic.script").ScriptDirectory(folder)
    current = context.configure(connection, opts={"version_table": table}).get_current_revision()
    known = current is None or current in {script.revision for script in scripts.walk_revisions()}
    return current, scripts.get_current_head(), known


def may_migrate(session: Any) -> bool:  # noqa: ANN401 (SQLAlchemy's)
    """Decide before anything is touched: True to migrate, False if the database is ahead."""
    airflow, sqlalchemy = import_module("airflow"), import_module("sqlalchemy")
    connection = session.connection()
    folder = os.path.join(os.path.dirname(str(airflow.__file__)), "migrations")
    current, newest, known = revisions(connection, folder, "alembic_version")
    image_is_2 = airflow.__version__.startswith("2.")
    # Every Airflow 3 database has this table and no 2.x database does.
    database_is_2 = current is not None and not sqlalchemy.inspect(connection).has_table("dag_bundle")
    say(f"Airflow {airflow.__version__}, database at {current}, image at {newest}")
    if not known and database_is_2 and not image_is_2:
        sys.exit(f"migrate: Airflow 3 cannot upgrade revision {current}; deploy Airflow 2.11 first")
    if current == newest and not image_is_2:  # tables of a provider may be ahead although Airflow's are not
        for manager in import_module("airflow.utils.db_manager").RunDBManager()._managers:
            known = known and revisions(connection, manager.migration_dir, manager.version_table_name)[2]
    if not known:
        say("WARNING: the database is ahead of this image (a rollback?); nothing was changed")
        return False
    if database_is_2 and not image_is_2:
        job = import_module("airflow.jobs.job").Job
        fresh = datetime.now(timezone.utc) - timedelta(minutes=2)
        query = sqlalchemy.select(job.job_type, job.hostname).where(
            job.state == "running", job.latest_heartbeat > fresh
        )
        if running := sorted({f"{kind} on {host}" for kind, host in session.execute(query)}):
            sys.exit(
                f"migrate: Airflow 2 still runs ({', '.join(running)}) and breaks on an Airflow 3 database."
                " Deploy once with maintenance=True, which stops it, then deploy the new version."
            )
    return True


def prepare_sign_in(username: str, password: str) -> None:
    """Bring FAB's roles up to date and create the admin, unless a user of that name exists."""
    manager = import_module("airflow.configuration").conf.getimport("core", "auth_manager")
    fab = next((base for base in manager.__mro__ if base.__name__ == "FabAuthManager"), None)
    if fab is None:
        say(f"{manager.__name__} keeps no users in the database: no roles, no admin")
        return
    commands = import_module(fab.__module__.rpartition(".")[0] + ".cli_commands.utils")
    with commands.get_application_builder() as builder:
        builder.add_permissions(update_perms=True)
        builder.sm.sync_roles()
        if not (username and password):
            say("no admin was asked for")
        elif builder.sm.find_user(username=username):
            say(f"the user {username} exists and is left alone")
        else:
            email = username if "@" in username else f"{username}@example.com"
            role = builder.sm.find_role("Admin")
            if not builder.sm.add_user(username, "Airflow", "Admin", email, role, password):
                sys.exit(f"migrate: could not create the user {username}")
            say(f"created the admin {username}")


def main() -> None:
    """Look, migrate, prepare sign-in."""
    admin = [os.environ.pop(f"AIRFLOW_ECS_ADMIN_{key}", "") for key in ("USERNAME", "PASSWORD")]
    with step("import"):
        version = import_module("airflow").__version__
        database = import_module("airflow.utils.db")
        import_module("airflow.providers_manager").ProvidersManager().initialize_providers_configuration()
    for last in [False] * 11 + [True]:
        try:
            with step("look"), import_module("airflow.utils.session").create_session() as session:
                if not may_migrate(session):
                    return
            break
        except import_module("sqlalchemy.exc").OperationalError:
            if last:
                raise
            say("the database does not answer yet")
            time.sleep(5)
    with step("schema"):
        # 2.x would delete every serialized DAG and parse this container's own folder, which may be empty.
        database.upgradedb(**({"reserialize_dags": False} if version.startswith("2.") else {}))
    with step("sign-in"):
        prepare_sign_in(*admin)


if __name__ == "__main__":
    try:
        main()
    except Exception:
        sys.exit(re.sub(r"://\S*@", "://***@", traceback.format_exc()))
