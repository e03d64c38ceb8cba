"""A DAG for Airflow 2 and 3: a task that waits in the triggerer, then one that waits for a variable."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

try:
    from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
    from airflow.sdk import Variable, dag, task

    moment = {"sensor": TimeDeltaSensor, "deferrable": True}
except ImportError:
    from airflow.decorators import dag, task
    from airflow.models import Variable
    from airflow.sensors.time_delta import TimeDeltaSensorAsync

    moment = {"sensor": TimeDeltaSensorAsync}


@dag(schedule=None, start_date=datetime(2024, 1, 1), catchup=False, is_paused_upon_creation=False)
def conversation():
    """Let a test talk with a task while it runs."""

    @task(retries=0)
    def talk():
        """Print a question, and the answer once there is one."""
        print("the question 4711")
        for _ in range(90):
            try:
                print("the answer", Variable.get("answer"))
                return
            except Exception as error:  # the name of the exception differs between releases
                print("no answer yet:", type(error).__name__)
            time.sleep(1)
        raise TimeoutError("no answer")

    sensor = moment.pop("sensor")
    sensor(task_id="defer", delta=timedelta(seconds=1), retries=0, **moment) >> talk()


conversation()
