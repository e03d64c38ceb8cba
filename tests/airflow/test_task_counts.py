"""The queue metric from real PostgreSQL databases."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from containers import REPOSITORY
from databases import HOSTILE, Databases

from cdk_airflow_ecs import CeleryExecutor, EcsExecutor, QueueScaling, SeveralExecutors, WorkerPool
from cdk_airflow_ecs.in_container import program
from cdk_airflow_ecs.plan import Json
from cdk_airflow_ecs.testing import plan_of

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow")]

PYTHON = REPOSITORY / ".venvs/airflow-3.3.2/bin/python"
# The columns that the program reads. test_generated.py runs it with the tables of Airflow 2.11.2 and 3.3.2.
TABLES = {
    "2.8": "CREATE TABLE task_instance (queue varchar(256), state varchar(20), hostname text)",
    "2.11": "CREATE TABLE task_instance (queue varchar(256), state varchar(20), hostname text, executor varchar(1000))",
    "3.1": "CREATE TABLE task_instance (queue varchar(256), state varchar(20), hostname text, executor varchar(1000));"
    "CREATE TABLE callback (id uuid, state varchar(10))",
    "3.3": "CREATE TABLE task_instance (queue varchar(256), state varchar(20), hostname text, executor varchar(1000));"
    "CREATE TABLE callback (type varchar(20), state varchar(10), data jsonb)",
}
TASKS = """
INSERT INTO task_instance (queue, state) SELECT 'default', 'queued' FROM generate_series(1, 5);
INSERT INTO task_instance (queue, state) VALUES
    ('default', 'running'), ('default', 'success'), ('default', 'scheduled'), ('default', NULL),
    ('default', 'deferred'), ('heavy', 'running'), (NULL, 'queued')
"""
NAMED = """
INSERT INTO task_instance (queue, state, executor) VALUES
    ('default', 'running', 'CeleryExecutor'), ('heavy', 'running', 'ecs'), ('default', 'running', 'EcsExecutor'),
    ('heavy', 'queued', 'airflow.providers.celery.executors.celery_executor.CeleryExecutor')
"""
CALLBACKS = """
INSERT INTO callback (type, state, data) VALUES
    ('executor', 'queued', '{"__type": "dict", "__var": {"path": "a.b"}}'),
    ('executor', 'running', '{"__type": "dict", "__var": {"queue": "heavy", "executor": "CeleryExecutor"}}'),
    ('executor', 'running', '{"__type": "dict", "__var": {"executor": "EcsExecutor"}}'),
    ('executor', 'success', '{"__type": "dict", "__var": {}}'), ('executor', 'pending', '{"__var": {}}'),
    ('triggerer', 'running', '{"__type": "dict", "__var": {}}')
"""
ROWS = {"2.11": [NAMED], "3.1": [NAMED], "3.3": [NAMED, CALLBACKS]}
POOLS = [WorkerPool(name, scaling=QueueScaling()) for name in ("default", "heavy")]
CELERY = CeleryExecutor(pools=POOLS)


def variables(postgres: Databases, database: str, executor=CELERY) -> dict[str, str]:
    """Return the container's environment, with the plan's URL command and settings."""
    (_, container) = plan_of(executor=executor).component("Scheduler").containers
    settings = container.environment["QUEUE_METRIC"]
    assert isinstance(settings, Json)
    return {
        **{name: value for name, value in container.environment.items() if isinstance(value, str)},
        "PATH": os.environ["PATH"],
        "METADATA_HOST": postgres.host,
        "METADATA_PORT": str(postgres.port),
        "METADATA_NAME": database,
        "METADATA_USER": "af",
        "METADATA_PASSWORD": HOSTILE,
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": str(postgres.ca_certificate),
        "QUEUE_METRIC": json.dumps({**settings.tree, "cluster": "c"}),
    }


@contextmanager
def started(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen]:
    """Run the program with a second between two counts."""
    text = program("queue_metric").replace("INTERVAL = 30", "INTERVAL = 1")
    with log.open("w") as output:
        process = subprocess.Popen([PYTHON, "-c", text], env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def metrics(log: Path) -> list[dict]:
    """Return the published lines."""
    return [json.loads(line) for line in log.read_text().splitlines() if line[0] == "{"]


def published(log: Path, *, lines: int = 1) -> dict[str, tuple[int, int]]:
    """Return the last metrics of each pool, once the program has published this many further lines."""
    end, before = time.monotonic() + 30, len(metrics(log))
    while len(metrics(log)) < before + lines:
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)
    return {each["Pool"]: (each["RequiredWorkers"], each["QueuedOrRunningTasks"]) for each in metrics(log)}


def create(postgres: Databases, name: str, *statements: str) -> None:
    """Create a database of the user ``af`` with tables."""
    postgres.execute(f'CREATE DATABASE "{name}" OWNER af')
    for statement in statements:
        postgres.execute(f"SET ROLE af; {statement}", name)


@pytest.mark.parametrize(
    ("line", "executor", "counts"),
    [
        ("2.8", CELERY, (6, 1)),
        ("2.11", CELERY, (7, 2)),
        ("2.11", SeveralExecutors([CELERY, EcsExecutor(alias="ecs")]), (7, 2)),
        ("2.11", SeveralExecutors([EcsExecutor(alias="ecs"), CELERY]), (1, 1)),
        ("3.1", CELERY, (7, 2)),
        ("3.3", CELERY, (8, 3)),
        ("3.3", SeveralExecutors([EcsExecutor(alias="ecs"), CELERY]), (1, 2)),
    ],
)
def test_tasks_are_counted_in_the_tables_of_each_release(postgres, tmp_path, line, executor, counts):
    """Queued and running tasks and callbacks count by queue and executor, also in tables without the column."""
    name = tmp_path.name
    create(postgres, name, TABLES[line], TASKS, *ROWS.get(line, ()))
    with started(variables(postgres, name, executor), tmp_path / "log"):
        found = published(tmp_path / "log", lines=2)
    assert found == {pool.name: (-(-count // 4), count) for pool, count in zip(POOLS, counts, strict=True)}


SPREAD = """
INSERT INTO task_instance (queue, state, executor, hostname) VALUES
    ('default', 'running', NULL, 'one'), ('default', 'running', NULL, 'one'), ('default', 'running', NULL, 'two'),
    ('default', 'running', 'CeleryExecutor', 'three'), ('default', 'success', NULL, 'ended'),
    ('default', 'queued', NULL, 'previous attempt'), ('heavy', 'running', NULL, 'heavy'),
    ('default', 'running', 'EcsExecutor', 'ecs')
"""


def test_workers_that_run_tasks_are_counted_by_their_host_names(postgres, tmp_path):
    """Five tasks of which four run on three hosts require three workers of four slots; callbacks have no host."""
    create(postgres, "metric-hosts", TABLES["3.3"], SPREAD, CALLBACKS)
    with started(variables(postgres, "metric-hosts"), tmp_path / "log"):
        assert published(tmp_path / "log") == {"default": (3, 6), "heavy": (1, 2)}


def test_a_database_that_is_away_stops_the_metric_but_not_the_program(postgres, tmp_path):
    """Without the database no metric is published and no password is logged; then the program continues."""
    log = tmp_path / "log"
    environment = variables(postgres, "metric-late")
    with started(environment, log) as process:
        end = time.monotonic() + 30
        while "OperationalError" not in log.read_text():
            assert time.monotonic() < end
            time.sleep(0.1)
        assert process.poll() is None
        create(postgres, "metric-late", TABLES["2.8"], TASKS)
        assert published(log)["default"] == (2, 6)
        postgres.execute(
            'ALTER DATABASE "metric-late" ALLOW_CONNECTIONS false;'
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'metric-late'"
        )
        before = log.read_text().count("OperationalError")
        while log.read_text().count("OperationalError") == before:
            assert time.monotonic() < end
            time.sleep(0.1)
        postgres.execute('ALTER DATABASE "metric-late" ALLOW_CONNECTIONS true')
        assert published(log)["default"] == (2, 6)
    lines = [line for line in log.read_text().splitlines() if line[0] != "{"]
    assert all(line.startswith("queue-metric: ") for line in lines), lines
    assert HOSTILE not in log.read_text()


def test_two_schedulers_publish_the_same_number(postgres, tmp_path):
    """A program that started later requires as many workers, and forgets what it did not see."""
    create(postgres, "metric-two", TABLES["3.3"], TASKS)
    environment = variables(postgres, "metric-two")
    with started(environment, tmp_path / "one"):
        assert published(tmp_path / "one")["default"] == (2, 6)
        with started(environment, tmp_path / "two"):
            assert published(tmp_path / "two")["default"] == (2, 6)
            postgres.execute("DELETE FROM task_instance", "metric-two")
            assert published(tmp_path / "one", lines=4)["default"] == (2, 0)
        with started(environment, tmp_path / "three"):
            assert published(tmp_path / "three")["default"] == (0, 0)


def test_the_program_needs_little_memory(postgres, tmp_path):
    """The program uses less than half of its limit."""
    create(postgres, "metric-memory", TABLES["3.3"], TASKS)
    with started(variables(postgres, "metric-memory"), tmp_path / "log") as process:
        published(tmp_path / "log", lines=4)
        status = Path(f"/proc/{process.pid}/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0])
    print(f"peak: {peak / 1024:.0f} MiB")
    assert peak < 64 * 1024
