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
from importlib import import_module as load
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
    """Return the database's revision, the image's newest, and whether the image knows the former."""
    context = load("alembic.runtime.migration").MigrationContext
    scripts = load("alembic.script").ScriptDirectory(folder)
    current = context.configure(connection, opts={"version_table": table}).get_current_revision()
    known = current is None or current in {script.revision for script in scripts.walk_revisions()}
    return current, scripts.get_current_head(), known


def image_is_2() -> bool:
    """Tell the two major versions apart."""
    return bool(load("airflow").__version__.startswith("2."))


def provided(session: Any) -> list[Any]:
    """Return the managers of tables that providers bring, which 3.x has, each with their revisions."""
    found = [] if image_is_2() else load("airflow.utils.db_manager").RunDBManager()._managers
    return [(m, revisions(session.connection(), m.migration_dir, m.version_table_name)) for m in found]


def may_migrate(session: Any) -> bool:
    """Decide before touching anything: True to migrate, False if the database is ahead."""
    airflow, sqlalchemy = load("airflow"), load("sqlalchemy")
    connection = session.connection()
    folder = os.path.join(os.path.dirname(str(airflow.__file__)), "migrations")
    current, newest, known = revisions(connection, folder, "alembic_version")
    # A table of every 3.x and no 2.x.
    database_is_2 = current is not None and not sqlalchemy.inspect(connection).has_table("dag_bundle")
    say(f"Airflow {airflow.__version__}, database at {current}, image at {newest}")
    if not known and database_is_2 and not image_is_2():
        sys.exit(f"migrate: Airflow 3 cannot upgrade revision {current}; deploy Airflow 2.11 first")
    if current == newest:  # a provider's tables may be ahead although Airflow's are not
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
                f"migrate: Airflow 2 still runs ({', '.join(running)}) and breaks on an Airflow 3 database."
                " Deploy once with maintenance=True, which stops it, then deploy the new version."
            )
    return True


def adopt_sign_in(session: Any) -> None:
    """Take over FAB's tables of 2.x, over which some of its providers stumble (apache/airflow#55856, #56327)."""
    exists = load("sqlalchemy").inspect(session.connection()).has_table("ab_user")
    for manager, state in provided(session):
        if exists and state[:2] == (None, "6709f7a774b9"):  # those that have but one revision
            manager(session).create_db_from_orm()
            say("adopted the sign-in tables of Airflow 2")


def prepare_sign_in(username: str, password: str) -> None:
    """Bring FAB's roles up to date and create the admin, unless a user of that name exists."""
    manager = load("airflow.configuration").conf.getimport("core", "auth_manager")
    fab = next((base for base in manager.__mro__ if base.__name__ == "FabAuthManager"), None)
    if fab is None:
        say(f"{manager.__name__} keeps no users in the database: no roles, no admin")
        return
    commands = load(fab.__module__.rpartition(".")[0] + ".cli_commands.utils")
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
            say("the database does not answer yet")
            time.sleep(5)
    with step("schema"):
        with create_session() as session:
            adopt_sign_in(session)
        # 2.x would delete every serialized DAG and parse this container's own folder, which may be empty.
        database.upgradedb(**({"reserialize_dags": False} if image_is_2() else {}))
    with step("sign-in"):
        prepare_sign_in(*admin)


if __name__ == "__main__":
    try:
        main()
    except Exception:
        sys.exit(re.sub(r"://\S*@", "://***@", traceback.format_exc()))
