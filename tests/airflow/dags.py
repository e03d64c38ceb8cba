"""A DAG for Airflow 2 and 3 whose only task prints something to look for in its log."""

from __future__ import annotations

from datetime import datetime

try:
    from airflow.sdk import dag, task
except ImportError:
    from airflow.decorators import dag, task


@dag(schedule=None, start_date=datetime(2024, 1, 1), catchup=False, is_paused_upon_creation=False)
def one_task():
    """Run one task."""

    @task(retries=0)
    def say():
        """Print the marker."""
        print("the marker 4711")

    say()


one_task()
