"""The smallest DAG that says something: one task makes a word, the next one greets it."""

from datetime import datetime

from airflow.sdk import dag, task


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False, is_paused_upon_creation=False)
def hello():
    """Say hello."""

    @task
    def find() -> str:
        return "world"

    @task
    def greet(whom: str) -> None:
        print(f"Hello, {whom}!")

    greet(find())


hello()
