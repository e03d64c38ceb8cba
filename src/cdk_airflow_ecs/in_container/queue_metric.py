"""Publish how many workers each pool requires, from the scheduler's ECS tasks.

Every 30 s it counts the queued and running tasks on each pool's queues, and the workers that run them. It prints one
line for each pool in CloudWatch's embedded metric format, from which CloudWatch Logs extracts the metrics. Without the
database it prints none. It never ends, because ECS does not restart a container that ends within a minute. It supports
Python 3.8, and does not import Airflow, which would need over 100 MB.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections import deque
from collections.abc import Iterable
from importlib import import_module as load
from typing import Any

INTERVAL = 30  # seconds between two counts
# A migration can add columns at any time. Airflow has task_instance.executor since 2.10, callback.type since 3.2.
COLUMNS = (
    "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE NOT attisdropped"
    " AND (attrelid, attname) IN ((to_regclass('task_instance'), 'executor'), (to_regclass('callback'), 'type'))"
)
# A queued task can have the host of its previous attempt.
TASKS = (
    "SELECT queue, {executor}, CASE WHEN state = 'running' THEN hostname END FROM task_instance"
    " WHERE state IN ('queued', 'running')"
)
# Deadline callbacks run on workers too; the executor's default is "default" (celery_executor.py of provider 3.24). The
# table has no host.
CALLBACKS = (
    "SELECT coalesce(data->'__var'->>'queue', 'default'), data->'__var'->>'executor', NULL FROM callback"
    " WHERE type = 'executor' AND state IN ('queued', 'running')"
)


def say(message: str) -> None:
    """Print a line without buffering."""
    print(f"queue-metric: {message}", flush=True)


def database_url() -> str:
    """Return the URL of the metadata database for libpq, from the variables that Airflow reads."""
    command = os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD")
    if command:
        url = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, check=True).stdout.decode()  # noqa: S603
    else:
        url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    scheme, separator, rest = url.strip().partition("://")
    return scheme.partition("+")[0] + separator + rest


def read_counts(url: str) -> list[tuple[str, str | None, str | None, int]]:
    """Return the number of queued and running tasks by queue, executor and host; None is the default executor."""
    # A new connection for each count works after a failover. libpq waits forever by default.
    connection = load("psycopg2").connect(url, connect_timeout=10, keepalives_idle=10, tcp_user_timeout=20000)
    try:
        cursor = connection.cursor()
        # LOCAL, because a connection pooler could pass the session on.
        cursor.execute("SET LOCAL statement_timeout = '20s'")
        cursor.execute(COLUMNS)
        columns = dict(cursor.fetchall())
        work = TASKS.format(executor="executor" if "task_instance" in columns else "NULL::text")
        if "callback" in columns:
            work += f" UNION ALL {CALLBACKS}"
        names = "queue, executor, host"
        cursor.execute(f"SELECT {names}, count(*) FROM ({work}) AS work ({names}) GROUP BY 1, 2, 3")  # noqa: S608
        counts: list[tuple[str, str | None, str | None, int]] = cursor.fetchall()
        return counts
    finally:
        connection.close()


class Pool:
    """A worker pool, and the workers that it required in the last minutes."""

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        self.name = name
        self.queues = set(settings["queues"])
        self.executors = set(settings["executors"])
        self.slots = int(settings["slots"])
        self.seconds = 60 * settings["minutes"]
        self.recent: deque[tuple[float, int]] = deque()

    def update(self, counts: Iterable[tuple[str, str | None, str | None, int]], now: float) -> tuple[int, int]:
        """Return the most workers required at any time in the last minutes, and the present number of tasks.

        Every worker that runs a task is required, because ECS refuses to protect more than the desired count.
        """
        own = [each for each in counts if each[0] in self.queues and each[1] in self.executors]
        tasks, busy = sum(number for *_, number in own), len({host for _, _, host, _ in own if host})
        self.recent.append((now, -(-tasks // self.slots)))
        while self.recent[0][0] < now - self.seconds:
            self.recent.popleft()
        return max(busy, *(required for _, required in self.recent)), tasks


def metric_line(settings: dict[str, Any], pool: str, values: Iterable[int]) -> str:
    """Return a line in the embedded metric format (Amazon CloudWatch user guide, "Specification")."""
    dimensions = {"Cluster": settings["cluster"], "Pool": pool}
    metrics = dict(zip(settings["metrics"], values))  # noqa: B905 (strict= is new in 3.10)
    directive = {
        "Namespace": settings["namespace"],
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": "Count"} for name in metrics],
    }
    about = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": about, **dimensions, **metrics})


def publish(settings: dict[str, Any], pools: Iterable[Pool]) -> None:
    """Count once, and print the metrics or the type of the error, whose text could contain the password."""
    try:
        counts = read_counts(database_url())
    except Exception as error:
        say(f"no metric, because the tasks cannot be counted: {type(error).__name__}")
        return
    now = time.monotonic()
    for pool in pools:
        print(metric_line(settings, pool.name, pool.update(counts, now)), flush=True)


def main() -> None:
    """Publish at intervals."""
    settings = json.loads(os.environ["QUEUE_METRIC"])
    pools = [Pool(name, pool) for name, pool in settings["pools"].items()]
    say(f"every {INTERVAL} s for {', '.join(pool.name for pool in pools)}")
    while True:
        started = time.monotonic()
        publish(settings, pools)
        time.sleep(max(1.0, INTERVAL - (time.monotonic() - started)))


if __name__ == "__main__":
    main()
