"""Every executor on every line of Airflow: one DAG runs, and the API tells its log."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp

import pytest
from cluster import INTERPRETER, REPOSITORY, Cluster, marked, remove

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.airflow,
    pytest.mark.xdist_group("airflow"),
    pytest.mark.skipif(
        not INTERPRETER.exists(), reason="needs the environment of the extra [local]: make environments"
    ),
]

APP = REPOSITORY / "tests" / "local" / "app.py"
MIXED = """
from datetime import datetime
from airflow.sdk import DAG, task

with DAG("mixed", start_date=datetime(2024, 1, 1), schedule=None, is_paused_upon_creation=False):

    @task
    def near():
        print("by Celery")

    @task(executor="ecs")
    def far():
        print("by ECS")

    near() >> far()
"""


@pytest.fixture
def folder():
    """A folder with a short name, which is gone afterwards."""
    made = Path(mkdtemp(prefix="local-", dir="/tmp"))
    yield made
    remove(made)


@pytest.mark.parametrize(
    ("executor", "release"), [("ecs", "3.3.2"), ("local", "3.3.2"), ("celery", "2.11.2"), ("ecs", "2.11.2")]
)
def test_a_dag_runs(folder, executor, release):
    """It succeeds, its log is read, and an ECS task ran once for each of its tasks."""
    with Cluster(folder, str(APP), int(release[0]), TEST_EXECUTOR=executor, TEST_AIRFLOW=release) as cluster:
        run = cluster.trigger("conversation")
        assert cluster.finish(run) == "success"
        assert "the question 4711" in cluster.log(run, "ask", "4711")
        assert len(list((cluster.state / "logs").glob("executor.*.log"))) == (2 if executor == "ecs" else 0)
    assert marked(cluster.state) == []


def test_celery_and_ecs_in_one_cluster(folder):
    """Each task runs where its executor says."""
    with Cluster(folder, str(APP), TEST_EXECUTOR="mixed", TEST_AIRFLOW="3.3.2") as cluster:
        (cluster.dags / "mixed.py").write_text(MIXED)
        run = cluster.trigger("mixed")
        assert cluster.finish(run) == "success"
        assert "by Celery" in cluster.log(run, "near", "by Celery")
        assert "by ECS" in cluster.log(run, "far", "by ECS")
        assert len(list((cluster.state / "logs").glob("executor.*.log"))) == 1


def test_without_namespaces(folder):
    """Where nobody may make networks, all tasks share the loopback, and a DAG runs all the same."""
    with Cluster(folder, str(APP), shared=True, TEST_EXECUTOR="celery", TEST_AIRFLOW="3.3.2") as cluster:
        assert all(row[4].startswith("127.") for row in cluster.rows())
        run = cluster.trigger("conversation")
        assert cluster.finish(run) == "success"
        assert "the question 4711" in cluster.log(run, "ask", "4711")
