"""A small DAG: one task returns a word, the next one prints a greeting with it."""

from datetime import datetime

from airflow.sdk import dag, task


@dag(schedule=None, start_date=datetime(2026, 1, 1), catchup=False, is_paused_upon_creation=False)
def hello():
    """Print a greeting."""

    @task
    def find() -> str:
        return "world"

    @task
    def greet(whom: str) -> None:
        print(f"Hello, {whom}!")

    greet(find())


hello()
