"""A nightly run of 100 tasks on workers that exist only for it."""

from datetime import datetime, timedelta

from airflow.sdk import dag, task


@dag(schedule="0 1 * * *", start_date=datetime(2026, 1, 1), catchup=False, max_active_tasks=100)
def nightly():
    """Run 100 tasks on the pool "nightly", and one on the pool "default"."""

    # AWS may stop a Spot worker, so the task has retries.
    @task(queue="nightly", retries=3, retry_delay=timedelta(minutes=1))
    def crunch(part: int) -> int:
        return part * part

    @task
    def total(parts: list[int]) -> int:
        return sum(parts)

    total(crunch.expand(part=list(range(100))))


nightly()
