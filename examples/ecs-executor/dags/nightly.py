"""Two tasks, each in its own Fargate task; the second requests a larger one."""

from datetime import datetime

from airflow.sdk import dag, task


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, default_args={"retries": 2})
def nightly():
    """Load data, then train a model."""

    @task
    def load() -> int:
        return 42

    @task(executor_config={"overrides": {"cpu": "4096", "memory": "16384"}})
    def train(rows: int) -> str:
        return f"trained on {rows} rows"

    train(load())


nightly()
