"""A DAG for Airflow 2 and 3 with fifty parallel tasks, five of them on a separate queue."""

from __future__ import annotations

from datetime import datetime

try:
    from airflow.sdk import dag, task
except ImportError:
    from airflow.decorators import dag, task


@dag(schedule=None, start_date=datetime(2024, 1, 1), catchup=False, is_paused_upon_creation=False, max_active_tasks=50)
def fifty():
    """Run fifty short tasks."""

    @task(retries=0)
    def work(number: int):
        print("number", number)

    for number in range(50):
        queue = "heavy.gpu" if number % 10 == 0 else "default"
        work.override(task_id=f"work_{number}", queue=queue)(number)


fifty()
