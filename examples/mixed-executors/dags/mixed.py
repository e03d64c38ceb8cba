"""A short task on a worker, and a heavy one in its own Fargate task."""

from datetime import datetime

from airflow.sdk import dag, task


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False)
def mixed():
    """Run the short task, then the heavy one."""

    @task
    def ask() -> int:
        return 42

    @task(executor="ecs")
    def crunch(answer: int) -> int:
        return answer**2

    crunch(ask())


mixed()
