"""A PostgreSQL server, and the migration script of the container, for tests with real Airflow."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from servers import PostgresServer

REPO = Path(__file__).parents[2]
SOURCE = REPO / "src/cdk_airflow_ecs/in_container/migrate.py"
AIRFLOW_2, AIRFLOW_3 = "2.11.2", "3.3.2"
HEAD_2_10_0, HEAD_2, HEAD_3 = "22ed7efa9da2", "5f2621c13b39", "d2f4e1b3c5a7"
# Random, because tests search the command lines of all processes for the password; and with special characters.
USER, DATABASE_PASSWORD = "air flow", "p@ss/w:rd#%25 &=?\"+!x$1'\\" + secrets.token_hex(4)
ADMIN_PASSWORD = "-first \"Pass'word$1" + secrets.token_hex(4)
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"


@dataclass
class Run:
    """The result of one run of the migration script."""

    code: int
    output: str
    command_lines: set[str]


@dataclass
class Machine:
    """A PostgreSQL server, and a home folder per Airflow installation."""

    server: PostgresServer
    folder: Path

    def database(self, template: str = "template1") -> str:
        """Create an empty database, or a copy of *template*, and return its name."""
        name = f"database_{secrets.token_hex(4)}"
        self.server.execute(f'CREATE DATABASE {name} TEMPLATE {template} OWNER "{USER}"')
        return name

    def migrate(self, version: str, database: str, **environment: str) -> Run:
        """Run the migration script as the migration container does, and record all command lines meanwhile."""
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
        output = process.communicate(timeout=900)[0]
        watcher.join()
        return Run(process.returncode, output, seen)


@dataclass
class Migrated:
    """A database, and the run of the script that migrated it."""

    name: str
    run: Run


def watch(process: subprocess.Popen[str], seen: set[str]) -> None:
    """Collect the command lines of all processes until *process* ends."""
    while process.poll() is None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(path.read_bytes().decode(errors="replace"))
            except OSError:
                continue
        time.sleep(0.1)


def admin(password: str) -> dict[str, str]:
    """Return the migration container's environment variables about the admin."""
    return {"AIRFLOW_ECS_ADMIN_USERNAME": "admin", "AIRFLOW_ECS_ADMIN_PASSWORD": password}


def password_is(machine: Machine, password: str, database: str) -> bool:
    """Return whether *password* is the password of the admin in the database."""
    stored = machine.server.execute("SELECT password FROM ab_user WHERE username = 'admin'", database)
    check = "import json, sys; from werkzeug.security import check_password_hash as c; print(c(*json.load(sys.stdin)))"
    python = REPO / f".venvs/airflow-{AIRFLOW_3}/bin/python"
    done = subprocess.run(
        [python, "-c", check], input=json.dumps([stored, password]), capture_output=True, text=True, check=True
    )
    return done.stdout == "True\n"
