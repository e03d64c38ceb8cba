"""A task for each pool of workers."""

from datetime import datetime, timedelta

from airflow.sdk import dag, task


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False)
def pools():
    """Ask on any worker, and answer where it costs least."""

    @task
    def ask() -> int:
        return 42

    @task(queue="training")
    def train(rows: int) -> str:
        return f"trained on {rows} rows"

    # A worker on Spot may go away: the task is tried again, a little later.
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
