"""A DAG run of 200 tasks succeeds despite a fault, and only tasks that the fault affected are repeated."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import faults
import pytest
from cluster import END_TO_END, REPOSITORY, Cluster, eventually, marked, remove
from report import report

from cdk_airflow_ecs.cli.running import Running
from cdk_airflow_ecs.local.refusal import Refusal

pytestmark = END_TO_END

APP = REPOSITORY / "tests" / "local" / "faulty_app.py"
RELEASE = os.environ.get("FAULTS_AIRFLOW", "3.3.2")
# Shorter timeouts than Airflow's, so that the tests take only minutes; FAULTS_DEFAULTS=1 uses Airflow's defaults.
HEARTBEAT = "scheduler_zombie_task_threshold" if RELEASE.startswith("2.") else "task_instance_heartbeat_timeout"
SHORTENED = {"scheduler": {HEARTBEAT: 60, "task_queued_timeout": 90, "task_queued_timeout_check_interval": 15}}
CONFIG = {} if os.environ.get("FAULTS_DEFAULTS") else SHORTENED
STILL_SECONDS = 75  # longer than the timeout of AWS clients


@dataclass
class Bench:
    """A running cluster in which tests cause faults."""

    cluster: Cluster
    broker: str
    marks: Path

    def is_healthy(self) -> bool:
        """Return whether each component has its desired count of healthy tasks, and each store runs."""
        try:
            rows = list(Running.of(self.cluster.state).rows())
        except (Refusal, OSError):
            return False
        counts = {row[0]: (row[1], row[2]) for row in rows}
        healthy = [row[0] for row in rows if row[3] == "healthy"]
        return all(n == running and healthy.count(name) == int(n) for name, (n, running) in counts.items())

    def text(self, run: str) -> str:
        """Return the lines that the tasks of a DAG run have written."""
        file = self.marks / run.rpartition("/")[2].replace(":", "").replace("+", "")
        return file.read_text() if file.exists() else ""

    def strike(self, name: str, fault: Callable[[], None], patience: float = 1500) -> faults.Outcome:
        """Cause a fault after a quarter of a DAG run, and check the executions of all tasks."""
        eventually(self.is_healthy, 300)
        began = time.time()
        run = self.cluster.trigger("many")
        eventually(lambda: self.text(run).count("ends") >= faults.TASKS // 4, 300)
        struck = time.time()
        fault()
        healed, state = self.watch(run, patience)
        total = time.time() - began
        outcome = faults.Outcome(faults.executions(self.text(run)), struck, healed)
        self._tell(name, outcome, total, self.tries(run))
        assert state == "success"
        assert outcome.wrong() == []
        return outcome

    def watch(self, run: str, patience: float) -> tuple[float, str]:
        """Wait for the end of a DAG run; return the time of the last recovery of the cluster, and the run's state."""
        healed, was_healthy, end = time.time(), False, time.time() + patience
        while time.time() < end:
            healthy = self.is_healthy()
            if healthy and not was_healthy:
                healed = time.time()
            was_healthy = healthy
            state = self.state(run)
            if healthy and state in ("success", "failed"):
                return healed, state
            time.sleep(1)
        raise AssertionError(f"{run} did not end in {patience} s")

    def state(self, run: str) -> str:
        """Return the state of a DAG run; empty while the API does not respond."""
        try:
            found = self.cluster.call(run)[1]
        except OSError:
            return ""
        return found.get("state", "") if isinstance(found, dict) else ""

    def tries(self, run: str) -> Counter[int]:
        """Return the number of tasks by their number of tries."""
        pages = [self.cluster.call(f"{run}/taskInstances?limit=100&offset={n}") for n in range(0, faults.TASKS, 100)]
        return Counter(task["try_number"] for _, page in pages for task in page["task_instances"])

    def slots(self) -> int | None:
        """Return the number of executor slots that are still used after the run because the executor lost them."""
        time.sleep(5)  # the executor polls results every second
        os.kill(faults.processes(self.cluster.state, "Scheduler")[0], signal.SIGUSR2)
        time.sleep(3)
        files = sorted((self.cluster.state / "logs").glob("Scheduler.*.log"), key=lambda file: file.stat().st_mtime)
        return faults.used_slots(files[-1].read_text(errors="replace"))

    def _tell(self, name: str, outcome: faults.Outcome, total: float, tries: Counter[int]) -> None:
        text = faults.table(
            *(name, self.broker, outcome.healed - outcome.struck, outcome.flows_after, outcome.longest_pause, total),
            *(faults.TASKS - tries[1], len(outcome.repeated), self.slots(), os.getloadavg()[1]),
        )
        kind = "faults" if CONFIG else "faults-defaults"
        report(f"{kind}-{RELEASE}-{self.broker}-{name.replace(' ', '-')}", text)

    def dies(self, label: str, number: signal.Signals | None = None) -> Callable[[], None]:
        """Return a function that kills a component (of the workers, one) or a store, and waits for its replacement.

        Args:
            label: the component's name, or a part of the store's logical id.
            number: signal that only the first process receives; by default all receive SIGKILL.
        """

        def fault() -> None:
            before = faults.processes(self.cluster.state, label)
            for leader in before[:1] if label == "default" else before:  # a task may have several containers
                if number:
                    os.kill(leader, number)
                else:
                    faults.kill(leader)
            eventually(lambda: set(faults.processes(self.cluster.state, label)) - set(before), 120)

        return fault


@pytest.fixture(scope="module", params=["redis", "sqs"])
def bench(request) -> Iterator[Bench]:
    """Run a cluster with one broker and two workers."""
    folder = Path(mkdtemp(prefix="faults-", dir="/tmp"))
    marks = folder / "marks"
    marks.mkdir()
    variables = {"TEST_BROKER": request.param, "TEST_AIRFLOW": RELEASE, "TEST_CONFIG": json.dumps(CONFIG)}
    cluster = Cluster(folder, str(APP), int(RELEASE[0]), **variables)
    dag = faults.DAG.replace("MARKS", str(marks)).replace("TASKS", str(faults.TASKS))
    (cluster.dags / "many.py").write_text(dag)
    try:
        with cluster as running:
            yield Bench(running, request.param, marks)
        assert marked(cluster.state) == []
    finally:
        remove(folder)


def test_a_dag_run_survives_a_restart_of_postgres(bench):
    """A DAG run survives the loss of all database connections, as in a maintenance window of RDS."""
    bench.strike("restart of PostgreSQL", bench.dies("Database", signal.SIGINT))


def test_a_dag_run_survives_a_restart_of_the_broker(bench):
    """A DAG run survives a restart of Redis that keeps data or, with SQS, an AWS API that does not respond."""
    if bench.broker == "redis":
        bench.strike("restart of the broker", bench.dies("Broker", signal.SIGTERM))
        return
    pid = json.loads((bench.cluster.state / "run.json").read_text())["pid"]
    bench.strike(f"the AWS API does not respond for {STILL_SECONDS} s", lambda: faults.freeze(pid, STILL_SECONDS))


@pytest.mark.parametrize("bench", ["redis"], indirect=True)  # SQS has no server to kill
def test_a_dag_run_survives_the_loss_of_redis_data(bench):
    """A DAG run survives the loss of Redis's data, because Airflow queues the tasks again."""
    bench.strike("kill -9 of the broker", bench.dies("Broker"))


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("kill -9 of a worker", "default"),
        ("kill -9 of the scheduler", "Scheduler"),
        ("kill -9 of the DAG processor", "DagProcessor"),
        ("kill -9 of the triggerer", "Triggerer"),
        ("kill -9 of the API server", "ApiServer"),
    ],
    ids=["worker", "scheduler", "dag-processor", "triggerer", "api-server"],
)
def test_a_dag_run_survives_a_killed_component(bench, name, label):
    """A killed component is replaced, and the DAG run succeeds."""
    bench.strike(name, bench.dies(label))


def test_a_busy_worker_finishes_before_scale_in(bench):
    """At scale-in, a worker finishes its tasks before it stops, so that no task runs twice."""

    def fault() -> None:
        assert bench.cluster.run("scale", "default", "1").returncode == 0
        eventually(lambda: len(faults.processes(bench.cluster.state, "default")) == 1, 150)

    outcome = bench.strike("scale-in of a busy worker", fault)
    bench.cluster.run("scale", "default", "2")
    assert outcome.repeated == []


def test_a_dag_run_continues_after_a_restart_of_the_cluster(bench):
    """After a stop and start of the cluster, queued tasks run and finished tasks are not repeated."""

    def fault() -> None:
        bench.cluster.run("down")
        assert marked(bench.cluster.state) == []
        bench.cluster.__enter__()

    bench.strike("full stop and resume", fault)
