"""A short task on a worker, and a heavy one in a Fargate task of its own."""

from datetime import datetime

from airflow.sdk import dag, task


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False)
def mixed():
    """Ask, then crunch."""

    @task
    def ask() -> int:
        return 42

    @task(executor="ecs")
    def crunch(answer: int) -> int:
        return answer**2

    crunch(ask())


mixed()
