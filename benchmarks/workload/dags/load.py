"""The measured DAGs: parallel tasks, a chain of tasks, and a single task, all without work."""

from datetime import datetime

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2
    from airflow.decorators import task

    from airflow import DAG

COMMON = {"start_date": datetime(2024, 1, 1), "schedule": None, "is_paused_upon_creation": False}


@task
def nothing():
    pass


with DAG("burst", **COMMON):
    for number in range(60):
        nothing.override(task_id=f"task-{number}")()

with DAG("relay", **COMMON):
    before = nothing.override(task_id="task-0")()
    for number in range(1, 8):
        after = nothing.override(task_id=f"task-{number}")()
        before >> after
        before = after

with DAG("single", **COMMON):
    nothing()
