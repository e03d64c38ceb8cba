"""The smallest DAG: one task that returns a greeting, once a day."""

from datetime import datetime

from airflow.sdk import dag, task


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False)
def hello():
    """Return a greeting."""

    @task(queue="heavy")
    def say() -> str:
        return "hello"

    say()


hello()
