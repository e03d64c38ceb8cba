"""Containers of PostgreSQL and Redis run with their official images' entry points, commands and health checks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from places import networks, temporary_state

from cdk_airflow_ecs.local.images.environments import Environment, Environments
from cdk_airflow_ecs.local.images.store_images import programs
from cdk_airflow_ecs.local.network.address import TaskAddress
from cdk_airflow_ecs.local.network.addresses import Addresses
from cdk_airflow_ecs.local.state import State
from cdk_airflow_ecs.local.stores.postgres_programs import Programs
from cdk_airflow_ecs.local.stores.redis import Program

# These tests run one after another, because without namespaces all servers use 127.0.0.1.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("stores")]
PASSWORD = "p@ss 'w\"rd$\\"
REDIS = """exec redis-server - <<END
port 6379
requirepass "$(printf %s "$REDISCLI_AUTH" | sed 's/[\\\\"]/\\\\&/g')"
save ""
END
"""


@pytest.fixture(params=networks(), ids=lambda isolated: "namespaces" if isolated else "loopback")
def place(request) -> Iterator[tuple[State, TaskAddress]]:
    """Open a state directory, and allocate the address of one task."""
    with temporary_state() as state:
        addresses = Addresses.open(isolated=request.param)
        task = addresses.add("store")
        addresses.point("nothing", [task.ip])
        yield state, task
        state.processes.stop_all()
        addresses.close()


@contextmanager
def container(
    place: tuple[State, TaskAddress], environment: Environment, command: list[str], variables: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command as a task's container, and stop it as ECS does."""
    state, task = place
    home = state.folder("homes", "task", "store")
    process = state.processes.start(
        "store",
        command,
        environment={"PATH": environment.path, "HOME": str(home), **variables},
        folder=home,
        log=state.directory / "log",
        prefix=task.command_prefix,
    )
    try:
        yield process
    finally:
        state.processes.stop(process, 60)


def healthy(place: tuple[State, TaskAddress], environment: Environment, check: list[str], variables) -> None:
    """Wait until the health check succeeds."""
    state, task = place
    end = time.monotonic() + 180
    while True:
        command = [*task.command_prefix, *check]
        arguments = {"PATH": environment.path, **variables}
        ran = subprocess.run(command, env=arguments, capture_output=True, text=True, check=False)
        if ran.returncode == 0:
            return
        assert time.monotonic() < end, ran.stderr + (state.directory / "log").read_text()
        time.sleep(0.1)


def environment_of(kind: str, folder: Path, origin: str) -> Environment:
    """Create the environment of an image, with the system's database server or the embedded one."""
    environment = Environments(folder).of({"postgres": "postgres:17", "redis": "redis:7"}[kind])
    if origin == "embedded":
        programs(kind, environment.bin, embedded=True)
    return environment


@pytest.mark.parametrize("origin", ["system", "embedded"])
def test_postgres_starts_as_its_image_does(place, tmp_path: Path, origin: str):
    """PostgreSQL uses the image's variables for user, password and database, and stops fast on SIGTERM."""
    environment = environment_of("postgres", tmp_path, origin)
    variables = {"POSTGRES_USER": "airflow", "POSTGRES_DB": "meta", "POSTGRES_PASSWORD": PASSWORD,
                 "PGDATA": "/var/lib/airflow-metadata/pgdata"}  # fmt: skip
    command = [*environment.image.entrypoint, "postgres", "-c", "tcp_keepalives_idle=60"]
    command[0] = str(environment.bin / command[0])
    check = ["pg_isready", "--quiet", "--host=127.0.0.1", "--username=airflow"]

    def query(sql: str, password: str = PASSWORD) -> str:
        host = place[1].ip if place[1].command_prefix else "127.0.0.1"
        psql = shutil.which("psql") or "psql"
        # Run psql in the task's namespace, because this machine cannot reach the task.
        client = [*place[1].command_prefix, psql, "-XAt", "-h", host, "-U", "airflow", "-d", "meta", "-c", sql]
        arguments = {"PATH": os.environ["PATH"], "PGPASSWORD": password, "PGSSLMODE": "disable"}
        ran = subprocess.run(client, env=arguments, capture_output=True, text=True, check=False)
        return ran.stdout.strip() or ran.stderr.strip()

    with container(place, environment, command, variables):
        healthy(place, environment, check, variables)
        assert query("SHOW tcp_keepalives_idle") == "60"
        assert "authentication failed" in query("SELECT 1", "wrong")
        assert query("CREATE TABLE kept AS SELECT 7 AS seven") == "SELECT 1"
    with container(place, environment, command, variables) as process:
        healthy(place, environment, check, variables)
        assert query("SELECT seven FROM kept") == "7"
        sleeper = subprocess.Popen(["sleep", "0"])
        sleeper.wait()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    shown = (place[0].directory / "log").read_text()
    assert PASSWORD not in shown


@pytest.mark.parametrize("origin", ["system", "embedded"])
@pytest.mark.parametrize("form", ["script", "arguments"])
def test_redis_starts_as_its_image_does(place, tmp_path: Path, origin: str, form: str):
    """Redis starts from a script with a here-document, and from the image's entry point with arguments."""
    environment = environment_of("redis", tmp_path, origin)
    variables = {"REDISCLI_AUTH": PASSWORD if form == "script" else ""}
    start = str(environment.bin / environment.image.entrypoint[0])
    command = ["sh", "-c", REDIS] if form == "script" else [start, "--save", ""]
    check = ["sh", "-c", 'test "$(redis-cli ping)" = PONG']
    with container(place, environment, command, variables):
        healthy(place, environment, check, variables)
        if form == "script":
            ran = subprocess.run(
                [*place[1].command_prefix, "sh", "-c", 'test "$(redis-cli ping)" = PONG'],
                env={"PATH": environment.path, "REDISCLI_AUTH": "wrong"}, capture_output=True, check=False,
            )  # fmt: skip
            assert ran.returncode != 0


@pytest.mark.parametrize(("kind", "server"), [("postgres", Programs), ("redis", Program)])
def test_two_images_of_a_store_are_prepared_in_parallel(tmp_path: Path, monkeypatch, kind: str, server: type):
    """Two images of PostgreSQL or Redis can be prepared in parallel in the same folder."""
    found = server.find()
    monkeypatch.setattr(server, "find", lambda **_: found)
    with ThreadPoolExecutor(4) as pool:
        assert len({text for text, _ in pool.map(lambda _: programs(kind, tmp_path), range(200))}) == 1
    assert not list(tmp_path.glob(".*"))


def test_the_server_that_replaces_a_store_image_is_reported(tmp_path: Path):
    """The user is told which server replaces the image of PostgreSQL or Redis."""
    (text,) = environment_of("postgres", tmp_path, "system").substitutions
    assert text.startswith("PostgreSQL ")
    assert text.endswith("instead of the image postgres:17")
