"""Runs the DAGs in dagset.py on every executor and minor version of Airflow, and checks states, tries and logs."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import pytest
from cluster import END_TO_END, REPOSITORY, Cluster, eventually, marked, remove
from dagset.wanted import DAGS, EXPECTED
from matrix import Row, add_row

from cdk_airflow_ecs import AirflowVersion

pytestmark = END_TO_END

APP = REPOSITORY / "tests" / "local" / "app.py"
SET = REPOSITORY / "tests" / "local" / "dagset"
EXECUTORS = ("celery", "sqs", "ecs", "mixed", "local")
CASES = [*((name, release) for release in ("3.3.2", "2.11.2") for name in EXECUTORS), ("containers", "2.8.1")]
# With amazon provider 9.23, S3TaskHandler writes trigger logs only to the triggerer container's log.
TRIGGERS_APART = ("2.11.2",)
# Number of ECS tasks that the ECS executor starts for dagset.py; a deferred task needs two.
BY_ECS = {
    "ecs": sum(expected.times for expected in EXPECTED),
    "mixed": sum(expected.times for expected in EXPECTED if expected.far),
}


@pytest.fixture
def folder():
    """Create a folder with a short name and remove it afterwards."""
    made = Path(mkdtemp(prefix="local-", dir="/tmp"))
    yield made
    remove(made)


@dataclass
class DagSet:
    """The DAGs in dagset.py on one cluster; *executor* is a value of TEST_EXECUTOR in app.py."""

    folder: Path
    executor: str
    release: str
    runs: dict[str, str] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)

    def cluster(self) -> Cluster:
        """Return a cluster with dagset.py and the image of its ECS task."""
        image = self.folder / "etl"
        image.mkdir()
        python = AirflowVersion.of(self.release).python
        (image / "Dockerfile").write_text(
            f"FROM apache/airflow:{self.release}-python{python}\nCOPY etl.py /opt/airflow/etl.py\n"
            'ENTRYPOINT ["python", "/opt/airflow/etl.py"]\n'
        )
        (image / "etl.py").write_text((SET / "etl.py").read_text())
        several = {"TEST_FAR": "ecs"} if self.executor == "mixed" else {}
        made = Cluster(
            self.folder,
            str(APP),
            int(self.release[0]),
            words=["--image", f"registry.example.org/etl={image}"],
            TEST_EXECUTOR=self.executor,
            TEST_AIRFLOW=self.release,
            TEST_LEDGER=str(self.folder / "ledger"),
            **several,
        )
        (made.dags / "dagset.py").write_text((SET / "dagset.py").read_text())
        return made

    def run(self, cluster: Cluster) -> None:
        """Run all DAGs in parallel, and wait until the last one has ended."""
        warehouse = {"host": "warehouse.example.org", "login": "reader", "password": "open-sesame"}
        _made(cluster, "connections", {"connection_id": "warehouse", "conn_type": "http", **warehouse})
        _made(cluster, "variables", {"key": "colour", "value": "blue"})
        self.runs = {dag: cluster.trigger(dag) for dag in DAGS}
        eventually(lambda: self._is_over(cluster), 420)

    def _is_over(self, cluster: Cluster) -> bool:
        for each in cluster.instances(self.runs["patient"]):
            self.seen.add((each["task_id"], str(each["state"])))
        return all(cluster.call(run)[1]["state"] in ("success", "failed") for run in self.runs.values())

    def check_states(self, cluster: Cluster) -> None:
        """Check the state of each DAG, and state and try number of each task instance."""
        assert {dag: cluster.call(run)[1]["state"] for dag, run in self.runs.items()} == DAGS
        found = {
            (dag, each["task_id"], each["map_index"]): (each["state"], each["try_number"])
            for dag, run in self.runs.items()
            for each in cluster.instances(run)
        }
        assert found == {expected.key: (expected.state, expected.last_try) for expected in EXPECTED}
        assert ("wait", "deferred") in self.seen

    def check_executions(self, cluster: Cluster) -> None:
        """Check that every try was executed once, by the expected executor."""
        written = Counter((self.folder / "ledger").read_text().splitlines())
        assert written == Counter(line for expected in EXPECTED for line in expected.ledger)
        logs = cluster.state / "logs"
        assert len(list(logs.glob("etl.*.log"))) == 2
        assert len(list(logs.glob("executor.*.log"))) == BY_ECS.get(self.executor, 0)

    def check_logs(self, cluster: Cluster) -> int:
        """Check that the logs contain the expected texts and no password; return the number of logs."""
        texts = {}
        for expected in EXPECTED:
            texts_of_trigger = [(1, text) for text in expected.triggered]
            if self.release in TRIGGERS_APART:
                lines = "".join(log.read_text() for log in (cluster.state / "logs").glob("Triggerer.*.log"))
                assert all(text in lines for _, text in texts_of_trigger)
                texts_of_trigger = []
            for number, text in expected.logs + texts_of_trigger:
                run = self.runs[expected.dag]
                read = cluster.log(run, expected.task, text, number=number, index=expected.index)
                assert "open-sesame" not in read
                texts[expected.key, number] = read
        return len(texts)


def _made(cluster: Cluster, what: str, body: dict) -> None:
    status, answer = cluster.call(what, body)
    assert status in (200, 201), answer


@pytest.mark.parametrize(("executor", "release"), CASES)
def test_an_executor_runs_all_kinds_of_airflow_tasks(folder, executor, release):
    """The DAGs in dagset.py end in the expected states; each try runs once on its executor, and its log is readable."""
    dags = DagSet(folder, executor, release)
    began = time.monotonic()
    with dags.cluster() as cluster:
        up = time.monotonic() - began
        began = time.monotonic()
        dags.run(cluster)
        took = time.monotonic() - began
        dags.check_states(cluster)
        dags.check_executions(cluster)
        logs = dags.check_logs(cluster)
    assert marked(cluster.state) == []
    add_row(Row(executor=executor, release=release, up=up, dags=took, instances=len(EXPECTED), logs=logs))


def test_a_dag_succeeds_on_a_shared_loopback(folder):
    """A DAG succeeds without network namespaces, when all tasks share the loopback."""
    with Cluster(folder, str(APP), shared=True, TEST_EXECUTOR="celery", TEST_AIRFLOW="3.3.2") as cluster:
        assert all(row[4].startswith("127.") for row in cluster.rows())
        run = cluster.trigger("conversation")
        assert cluster.finish(run) == "success"
        assert "the question 4711" in cluster.log(run, "ask", "4711")
