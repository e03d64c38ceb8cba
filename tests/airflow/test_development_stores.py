"""PostgreSQL and Redis containers of development clusters, and Airflow's connections to these servers.

:class:`PostgresContainer` repeats the steps of the image's entry point (docker-library/postgres,
``docker-entrypoint.sh``).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from containers import REPOSITORY, Machine

from cdk_airflow_ecs import AirflowVersion, CeleryExecutor, ContainerDatabase, RedisBroker
from cdk_airflow_ecs.testing import plan_of
from servers import PostgresServer, free_port

HOSTILE = """p@ss/w:rd#%25 &=?"+!x$1\\n`id`$(id)'; END \\"""
POSTGRES = ContainerDatabase().component()
REDIS = RedisBroker.container().component()
RELEASES = (AirflowVersion.of("3.3.2"), AirflowVersion.of("2.11.2"))


def wait(condition, seconds: float = 120) -> None:
    """Wait until the function returns a true value."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not true after {seconds} s"
        time.sleep(0.1)


class RedisContainer:
    """The Redis container as a local process on a free port."""

    def __init__(self) -> None:
        self.port = free_port()
        (self.container,) = REDIS.containers
        self.environment = {"PATH": os.environ["PATH"], "REDISCLI_AUTH": HOSTILE}
        self.folder = tempfile.mkdtemp(prefix="redis-container-", dir="/tmp")
        self.log = Path(self.folder) / "log"

    def __enter__(self) -> RedisContainer:
        words = [str(word).replace("6379", str(self.port)) for word in self.container.prefix + self.container.command]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(words, env=self.environment, stdout=log, stderr=log, cwd=self.folder)
        wait(self.is_healthy)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)

    def is_healthy(self, **changed: str) -> bool:
        """Run the health check."""
        check = [word.replace("redis-cli", f"redis-cli -p {self.port}") for word in self.container.health_check.command]
        return subprocess.run(check, env={**self.environment, **changed}, check=False).returncode == 0

    def command(self, *words: str) -> str:
        """Run a redis-cli command as in a shell of the container."""
        run = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(run, env=self.environment, capture_output=True, text=True, check=True).stdout.strip()


class PostgresContainer:
    """The PostgreSQL container as a local process: first the steps of the image's entry point, then the command."""

    def __init__(self) -> None:
        self.port = free_port()
        (self.container,) = POSTGRES.containers
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-container-", dir="/tmp"))
        environment = self.container.environment
        self.data = self.folder / Path(str(environment["PGDATA"])).name
        self.user, self.database = str(environment["POSTGRES_USER"]), str(environment["POSTGRES_DB"])
        self.healthy_while_prepared = True

    def __enter__(self) -> PostgresContainer:
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        (self.folder / "password").write_text(HOSTILE + "\n")
        (self.folder / "password").chmod(0o644)
        self.run("initdb", f"--username={self.user}", f"--pwfile={self.folder}/password", "-D", self.data, "--no-sync")
        # The entry point writes these settings and access rules.
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(f"listen_addresses = '*'\nport = {self.port}\nunix_socket_directories = '{self.folder}'\n")
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")
        start = ["-D", self.data, "-w", "-l", self.folder / "log", "-o", "-c listen_addresses=''", "start"]
        self.run("pg_ctl", *start)
        self.healthy_while_prepared = self.is_healthy()
        self.run("psql", "-h", self.folder, "-p", str(self.port), "-U", self.user, "-d", "postgres",
                 "-c", f'CREATE DATABASE "{self.database}"')  # fmt: skip
        self.run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")
        self.start()
        return self

    def start(self) -> None:
        """Start the server with existing data."""
        command = [PostgresServer._program("postgres"), *self.container.command[1:], "-D", str(self.data)]
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen([*self._as_postgres(), *command], stdout=log, stderr=log, cwd="/")
        wait(self.is_healthy)

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()
        shutil.rmtree(self.folder)

    def is_healthy(self) -> bool:
        """Run the health check."""
        program, *words = self.container.health_check.command
        check = [PostgresServer._program(program), *words, f"--port={self.port}"]
        return subprocess.run(check, check=False).returncode == 0

    def run(self, program: str, *words: str | Path) -> None:
        """Run a program of PostgreSQL as its user."""
        command = [*self._as_postgres(), PostgresServer._program(program), *map(str, words)]
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(command, stdout=output, stderr=output, cwd="/", check=False)
            output.seek(0)
            assert done.returncode == 0, output.read()

    @staticmethod
    def _as_postgres() -> list[str]:
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.getuid() == 0 else []


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisContainer]:
    """Start the Redis container as broker."""
    with RedisContainer() as running:
        yield running


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresContainer]:
    """Start the PostgreSQL container as metadata database."""
    with PostgresContainer() as running:
        yield running


@pytest.mark.airflow
def test_the_redis_health_check_fails_without_the_password(redis: RedisContainer):
    """The health check of Redis fails with a wrong password or without one."""
    assert redis.is_healthy()
    assert not redis.is_healthy(REDISCLI_AUTH="wrong")
    assert not redis.is_healthy(REDISCLI_AUTH="")


@pytest.mark.airflow
def test_redis_does_not_show_its_password(redis: RedisContainer):
    """Redis is the container's first process, and neither its arguments nor its log contain the password."""
    arguments = Path(f"/proc/{redis.process.pid}/cmdline").read_text()
    assert arguments.startswith("redis-server")
    assert HOSTILE[:8] not in arguments + redis.log.read_text()


@pytest.mark.airflow
def test_redis_rejects_writes_when_it_is_full(redis: RedisContainer):
    """Redis uses three quarters of the task's memory, writes nothing to disk and rejects writes when it is full."""
    assert redis.command("CONFIG", "GET", "maxmemory").split()[-1] == str(384 * 1024 * 1024)
    assert redis.command("CONFIG", "GET", "save").split() == ["save"]
    redis.command("CONFIG", "SET", "maxmemory", "1kb")
    try:
        assert redis.command("SET", "key", "value").startswith("OOM command not allowed")
    finally:
        redis.command("CONFIG", "SET", "maxmemory", "384mb")


@pytest.mark.airflow
def test_redis_stops_at_once_on_sigterm(redis: RedisContainer):
    """Redis stops at once on SIGTERM, the signal that ECS sends."""
    with RedisContainer() as another:
        another.process.terminate()
        assert another.process.wait(timeout=60) == 0


@pytest.mark.airflow
def test_postgres_is_unhealthy_while_its_database_is_created(postgres: PostgresContainer):
    """The health check fails while the entry point creates the database."""
    assert not postgres.healthy_while_prepared
    assert postgres.is_healthy()


@pytest.mark.airflow
@pytest.mark.parametrize("version", RELEASES, ids=str)
def test_airflow_connects_to_the_development_stores(
    version: AirflowVersion, redis: RedisContainer, postgres: PostgresContainer, tmp_path: Path
):
    """Airflow connects to PostgreSQL and Redis without TLS, with special characters in passwords."""
    plan = plan_of(
        version=version,
        database=ContainerDatabase(),
        executor=CeleryExecutor(broker=RedisBroker.container()),
    )
    attributes = {
        ("Database", "host"): "127.0.0.1",
        ("Database", "port"): str(postgres.port),
        ("Database", "name"): postgres.database,
        ("Broker", "host"): "127.0.0.1",
        ("Broker", "port"): str(redis.port),
        ("Web", "url"): "http://localhost:8080",
        ("Web", "proxies"): "127.0.0.1",
        ("ExecutionApi", "url"): "http://localhost:8081/execution/",
        ("Logs", "uri"): "s3://logs",
        ("Dags", "uri"): "s3://dags",
        ("Dags", "bucket_name"): "dags",
        ("Stack", "region"): "us-east-1",
    }
    secrets = {("Fernet", ""): "F3rnet7" * 6 + "x", ("Jwt", ""): "jwt0" * 16, ("Session", ""): "session0" * 8}
    secrets |= {
        ("Database", "username"): postgres.user,
        ("Database", "password"): HOSTILE,
        ("Broker", "token"): HOSTILE,
    }
    programs = REPOSITORY / f".venvs/airflow-{version}/bin"
    with Machine(programs, tmp_path, attributes, secrets, {}) as machine:
        (scheduler,) = plan.component("Scheduler").containers
        ran = machine.run(scheduler, ["python", str(Path(__file__).parent / "probe.py"), "[]"])
        assert ran.returncode == 0, ran.stderr[-3000:]
        found = json.loads(ran.stdout.splitlines()[-1])
    database, celery = found["database"], found["celery"]
    assert (database.pop("user"), database.pop("password")) == ("airflow", HOSTILE)
    assert set(database.values()) == {False}
    assert len(database) == (2 if version.major >= 3 else 1)
    for url in (celery["broker"], celery["result_backend"]):
        assert (url["transport"], url["password"]) == ("redis", HOSTILE)
    assert celery["result_backend_answers"] is True
    assert celery["options"]["socket_keepalive"] is True


@pytest.mark.airflow
def test_postgres_restarts_with_its_data(postgres: PostgresContainer):
    """PostgreSQL stops on SIGINT, the image's stop signal, despite connected clients, and keeps its data."""
    query = [PostgresServer._program("psql"), "-XqAt", "-h", "127.0.0.1", "-p", str(postgres.port)]
    query += ["-U", postgres.user, "-d", postgres.database]
    login = {"PGPASSWORD": HOSTILE, "PGSSLMODE": ContainerDatabase().ssl_mode}
    subprocess.run([*query, "-c", "CREATE TABLE kept AS SELECT 42"], env=login, check=True)
    client = subprocess.Popen([*query, "-c", "SELECT pg_sleep(600)"], env=login, stderr=subprocess.DEVNULL)
    asleep = [*query, "-c", "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"]
    wait(lambda: subprocess.run(asleep, env=login, check=True, capture_output=True).stdout == b"1\n")
    postgres.process.send_signal(signal.SIGINT)
    postgres.process.wait(timeout=60)
    client.wait(timeout=60)
    postgres.start()
    rows = subprocess.run([*query, "-c", "SELECT * FROM kept"], env=login, check=True, capture_output=True, text=True)
    assert rows.stdout.strip() == "42"
