"""A task for each pool of workers."""

from datetime import datetime, timedelta

from airflow.sdk import dag, task


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False)
def pools():
    """Run one task on each pool."""

    @task
    def ask() -> int:
        return 42

    @task(queue="training")
    def train(rows: int) -> str:
        return f"trained on {rows} rows"

    # AWS may stop a Spot worker, so the task has retries.
    @task(queue="cheap", retries=3, retry_delay=timedelta(minutes=1))
    def sweep(rows: int) -> str:
        return f"swept {rows} rows"

    @task(queue="arm")
    def pack(rows: int) -> str:
        return f"packed {rows} rows"

    rows = ask()
    train(rows)
    sweep(rows)
    pack(rows)


pools()
