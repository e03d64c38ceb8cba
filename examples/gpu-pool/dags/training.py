"""A task that needs a GPU."""

import subprocess
from datetime import datetime

from airflow.sdk import dag, task


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False)
def training():
    """Show the GPU of a worker in the pool "gpu"."""

    @task(queue="gpu")
    def train() -> str:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout

    train()


training()
