"""The program that publishes how many workers each pool requires, without a database."""

from __future__ import annotations

import json

import pytest

from cdk_airflow_ecs.in_container import queue_metric
from cdk_airflow_ecs.in_container.queue_metric import Pool, database_url, main, metric_line

CELERY = "CeleryExecutor"
SETTINGS = {"namespace": "cdk-airflow-ecs", "metrics": ["RequiredWorkers", "QueuedOrRunningTasks"], "cluster": "c"}


def pool(**settings) -> Pool:
    """Return a pool with four slots, which remembers 15 minutes."""
    return Pool("default", {"queues": ["default"], "executors": [None, CELERY], "slots": 4, "minutes": 15, **settings})


@pytest.mark.parametrize(("tasks", "required"), [(0, 0), (1, 1), (4, 1), (5, 2), (400, 100)])
def test_the_required_workers_are_tasks_per_slots_rounded_up(tasks, required):
    """Four tasks need one worker of four slots, and five need two."""
    assert pool().update([("default", None, None, tasks)], 0) == (required, tasks)
    assert pool(slots="4").update([("default", None, None, tasks)], 0) == (required, tasks)


@pytest.mark.parametrize(
    ("queues", "executors", "tasks"),
    [
        (["default"], [None, CELERY], 1 + 10),
        (["default"], [CELERY], 10),
        (["heavy", "gpu"], [None, CELERY], 1_000 + 10_000),
        (["other"], [None, CELERY], 0),
    ],
)
def test_only_tasks_of_the_pools_queues_and_executor_count(queues, executors, tasks):
    """Tasks on other queues and of other executors do not count."""
    counts = [
        ("default", None, None, 1),
        ("default", CELERY, "worker", 10),
        ("default", "ecs", "task", 100),
        ("heavy", None, None, 1_000),
        ("gpu", CELERY, "other", 10_000),
    ]
    assert pool(queues=queues, executors=executors).update(counts, 0)[1] == tasks


def test_more_workers_are_required_at_once_and_fewer_after_the_minutes():
    """The published number is the maximum of the last minutes, and the number of tasks is the present one."""
    patient = pool(slots=1, minutes=10)
    tasks = {0: 1, 30: 9, 60: 3, 90: 0}
    found = {now: patient.update([("default", None, None, tasks.get(now, 0))], now) for now in range(0, 901, 30)}
    assert [found[now] for now in (0, 30, 60, 90)] == [(1, 1), (9, 9), (9, 3), (9, 0)]
    assert (found[630][0], found[660][0], found[690][0]) == (9, 3, 0)
    assert len(patient.recent) <= 10 * 60 / 30 + 1


def test_every_worker_that_runs_a_task_is_required():
    """Five tasks on five workers require five of them, although one has enough slots, and at once fewer when they end.

    ECS refuses to protect more ECS tasks than the service's desired count.
    """
    spread = pool(slots=8, minutes=1)
    running = [("default", (None, CELERY)[number % 2], f"worker-{number}", 1) for number in range(5)]
    others = [("other", None, "other", 1), ("default", "ecs", "task", 1)]
    assert spread.update([*running, *others], 0) == (5, 5)
    assert spread.update([*running[:2], ("default", None, "worker-0", 3), ("default", None, "", 4)], 30) == (2, 9)
    assert spread.update([("default", None, None, 17)], 60) == (3, 17)


def test_a_line_is_a_document_in_the_embedded_metric_format():
    """Each metric and dimension that the directive names is a member of the document."""
    document = json.loads(metric_line(SETTINGS, "default", (3, 11)))
    about = document.pop("_aws")
    assert document == {"Cluster": "c", "Pool": "default", "RequiredWorkers": 3, "QueuedOrRunningTasks": 11}
    assert about["Timestamp"] > 1_700_000_000_000
    assert about["CloudWatchMetrics"] == [
        {
            "Namespace": "cdk-airflow-ecs",
            "Dimensions": [["Cluster", "Pool"]],
            "Metrics": [
                {"Name": "RequiredWorkers", "Unit": "Count"},
                {"Name": "QueuedOrRunningTasks", "Unit": "Count"},
            ],
        }
    ]


@pytest.mark.parametrize(
    "variables",
    [
        {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://u:p%2F@h:5432/d?sslmode=require"},
        {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://u:p%2F@h:5432/d?sslmode=require"},
        {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": "echo 'postgresql+psycopg2://u:p%2F@h:5432/d?sslmode=require'",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://ignored",
        },
    ],
)
def test_the_url_is_that_of_airflow_for_libpq(variables, monkeypatch):
    """The command precedes the plain option, and the name of the driver is removed."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert database_url() == "postgresql://u:p%2F@h:5432/d?sslmode=require"


class Stop(BaseException):
    """Ends the program, which ignores exceptions."""


def test_an_error_is_logged_without_its_text_and_the_program_continues(monkeypatch, capsys):
    """While the tasks cannot be counted no metric is published, and then it is again."""
    answers = iter([RuntimeError("password hush"), KeyError("hush"), [("default", None, None, 1)], Stop()])

    def read(url):
        answer = next(answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    pauses = []
    settings = {"queues": ["default"], "executors": [None], "slots": 4, "minutes": 1}
    monkeypatch.setenv("QUEUE_METRIC", json.dumps({**SETTINGS, "pools": {"default": settings}}))
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://u:hush@h/d")
    monkeypatch.setattr(queue_metric, "read_counts", read)
    monkeypatch.setattr("time.sleep", pauses.append)
    with pytest.raises(Stop):
        main()
    first, *errors, metric = capsys.readouterr().out.splitlines()
    assert first == "queue-metric: every 30 s for default"
    assert errors == [
        "queue-metric: no metric, because the tasks cannot be counted: RuntimeError",
        "queue-metric: no metric, because the tasks cannot be counted: KeyError",
    ]
    assert json.loads(metric)["RequiredWorkers"] == 1
    assert len(pauses) == 3
    assert all(29 < pause <= 30 for pause in pauses)
