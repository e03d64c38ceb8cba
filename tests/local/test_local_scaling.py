"""Queue scaling on real clusters: from zero to the maximum and back, without losing or repeating a task."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import mkdtemp

import pytest
from botocore.exceptions import BotoCoreError
from cluster import END_TO_END, REPOSITORY, Cluster, eventually, marked, remove
from report import report

pytestmark = END_TO_END

APP = REPOSITORY / "tests" / "local" / "app.py"
TASKS = 100
MOST = 3
DAGS = """
import os, time
from datetime import datetime
try:
    from airflow.sdk import DAG, get_current_context, task
except ImportError:
    from airflow.decorators import task
    from airflow.operators.python import get_current_context
    from airflow import DAG

SETTINGS = {"start_date": datetime(2024, 1, 1), "schedule": None, "catchup": False, "is_paused_upon_creation": False}


def note(text):
    ti = get_current_context()["ti"]
    with open(os.environ["TEST_LEDGER"], "a") as ledger:
        ledger.write(f"{ti.dag_id} {ti.map_index} {ti.try_number} {text}\\n")


with DAG("burst", max_active_tasks=64, **SETTINGS):

    @task
    def piece(number):
        note("begins")
        time.sleep(3)
        note("ends")

    piece.expand(number=list(range(TASKS)))

with DAG("long", **SETTINGS):

    @task
    def hold():
        note("begins")
        while not os.path.exists(os.environ["TEST_LEDGER"] + ".end"):
            time.sleep(1)
        note("ends")

    hold()
""".replace("TASKS", str(TASKS))


@dataclass
class Pool:
    """The worker pool of a cluster, whose task counts are read every two seconds."""

    cluster: Cluster
    began: float = field(default_factory=time.monotonic)
    seen: list[tuple[int, int, int]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        from edges import Account

        account = Account(self.cluster.state)
        self.ecs, self.metrics = account.client("ecs"), account.client("cloudwatch")
        self.scaling = account.client("application-autoscaling")
        (target,) = self.scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
        _, self.name, self.service = target["ResourceId"].split("/")
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self) -> None:
        """Record each change of the counts, with the seconds since the start."""
        while not self.over.wait(2):
            try:
                found = self.counts()
            except BotoCoreError:  # the cluster has stopped after a failure
                return
            if not self.seen or self.seen[-1][1:] != found:
                self.seen.append((int(time.monotonic() - self.began), *found))

    def counts(self) -> tuple[int, int]:
        """Return the desired tasks, and those that have not stopped."""
        (service,) = self.ecs.describe_services(cluster=self.name, services=[self.service])["services"]
        names = {"cluster": self.name, "serviceName": self.service}
        arns = [
            arn
            for status in ("RUNNING", "STOPPED")  # a task that is stopping is listed as stopped
            for arn in self.ecs.list_tasks(**names, desiredStatus=status)["taskArns"]
        ]
        tasks = self.ecs.describe_tasks(cluster=self.name, tasks=arns)["tasks"] if arns else []
        return service["desiredCount"], len([task for task in tasks if task["lastStatus"] != "STOPPED"])

    def becomes(self, desired: int, alive: int, seconds: float) -> int:
        """Wait until the pool has these counts; return the seconds since the start."""
        eventually(lambda: self.counts() == (desired, alive), seconds)
        return int(time.monotonic() - self.began)

    def desired(self) -> list[int]:
        """Return all desired counts that Application Auto Scaling has set."""
        found = self.scaling.describe_scaling_activities(ServiceNamespace="ecs")["ScalingActivities"]
        return [int(each["Description"].rstrip(".").rpartition(" ")[2]) for each in reversed(found)]

    def required(self) -> float:
        """Return the largest published value of RequiredWorkers."""
        now = datetime.now(timezone.utc)
        dimensions = [{"Name": "Cluster", "Value": self.name}, {"Name": "Pool", "Value": "default"}]
        metric = {"Namespace": "cdk-airflow-ecs", "MetricName": "RequiredWorkers", "Dimensions": dimensions}
        answer = self.metrics.get_metric_data(
            StartTime=now - timedelta(minutes=30),
            EndTime=now + timedelta(minutes=1),
            MetricDataQueries=[{"Id": "m1", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Maximum"}}],
        )
        return max(answer["MetricDataResults"][0]["Values"])


def kill_source(state: Path) -> None:
    """Kill the container that publishes RequiredWorkers, and wait until ECS has restarted it."""

    def pid() -> int:
        found = [json.loads(file.read_text()) for file in (state / "processes").glob("*.json")]
        return next((int(each["pid"]) for each in found if each["name"] == "Scheduler/queue-metric"), 0)

    before = pid()
    os.kill(before, signal.SIGKILL)
    eventually(lambda: pid() not in (0, before), 10)


@pytest.fixture
def folder():
    """Create a folder with a short name and remove it afterwards."""
    made = Path(mkdtemp(prefix="local-", dir="/tmp"))
    yield made
    remove(made)


@pytest.mark.parametrize("release", ["3.3.2", "2.11.2"])
@pytest.mark.parametrize("executor", ["celery", "sqs"])
def test_a_worker_pool_scales_from_zero_to_the_maximum_and_back(folder, executor, release):
    """A burst starts all workers, a worker that runs a task survives scale-in, and without tasks none remain.

    Each task runs exactly once, and none is killed. The container that publishes the metric may be killed.
    """
    ledger = folder / "ledger"
    settings = {"TEST_EXECUTOR": executor, "TEST_AIRFLOW": release, "TEST_LEDGER": str(ledger), "TEST_SCALING": "yes"}
    made = Cluster(folder, str(APP), int(release[0]), **settings)
    (made.dags / "scaling.py").write_text(DAGS)
    with made as cluster:
        pool = Pool(cluster)
        # On SQS, Celery drops a command that arrives while its worker shuts down (celery#8875).
        times = {"no worker without tasks": pool.becomes(0, 0, 300)}
        burst = cluster.trigger("burst")
        times["burst triggered"] = int(time.monotonic() - pool.began)
        times["all workers start"] = pool.becomes(MOST, MOST, 300)
        assert cluster.finish(burst, 600) == "success"
        times["burst finished"] = int(time.monotonic() - pool.began)
        long = cluster.trigger("long")
        eventually(lambda: "long" in ledger.read_text(), 120)
        times["long task runs"] = int(time.monotonic() - pool.began)
        kill_source(cluster.state)
        times["metric's source killed"] = int(time.monotonic() - pool.began)
        times["only its worker runs"] = pool.becomes(1, 1, 400)
        assert cluster.call(long)[1]["state"] == "running"
        Path(f"{ledger}.end").touch()
        assert cluster.finish(long) == "success"
        times["long task finished"] = int(time.monotonic() - pool.began)
        times["no worker remains"] = pool.becomes(0, 0, 400)
        pool.over.set()
        instances = [each for run in (burst, long) for each in cluster.instances(run)]
        assert Counter((each["state"], each["try_number"]) for each in instances) == {("success", 1): TASKS + 1}
        assert pool.desired()[-2:] == [1, 0]
        assert max(pool.desired()) == MOST
        assert pool.required() >= MOST
    once = Counter(f"burst {n} 1 {text}" for n in range(TASKS) for text in ("begins", "ends"))
    assert Counter(ledger.read_text().splitlines()) == once + Counter(["long -1 1 begins", "long -1 1 ends"])
    assert marked(cluster.state) == []
    rows = [*(f"| {at} | {text} |" for text, at in times.items()), *(f"| {at} | {d} / {r} |" for at, d, r in pool.seen)]
    head = ["| Second | Event, or desired / not stopped workers |", "|---|---|"]
    report(f"scaling-{executor}-{release}", "\n".join(head + sorted(rows, key=lambda row: int(row.split()[1]))))
