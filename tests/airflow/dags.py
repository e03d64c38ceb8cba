"""A DAG for Airflow 2 and 3: one task defers, then another waits for an Airflow variable."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

try:
    from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
    from airflow.sdk import BaseOperator, Variable, dag, task
except ImportError:
    from airflow.decorators import dag, task
    from airflow.models import BaseOperator, Variable
    from airflow.triggers.temporal import TimeDeltaTrigger


class Defer(BaseOperator):
    """An operator that defers and resumes."""

    def execute(self, context):
        """Defer longer than the log upload takes: Airflow 3.3 fails tasks that resume sooner (apache/airflow#71580)."""
        self.defer(trigger=TimeDeltaTrigger(timedelta(seconds=15)), method_name="resume")

    def resume(self, context, event=None):
        """Print a line after the trigger has fired."""
        print("back from the triggerer")


@dag(schedule=None, start_date=datetime(2024, 1, 1), catchup=False, is_paused_upon_creation=False)
def conversation():
    """Run a task that defers, then one that waits for a variable that the test sets."""

    @task(retries=0)
    def talk():
        print("the question 4711")
        for _ in range(240):
            try:
                print("the answer", Variable.get("answer"))
                return
            except Exception as error:  # the exception's type differs between releases
                print("no answer yet:", type(error).__name__)
            time.sleep(1)
        raise TimeoutError("no answer")

    Defer(task_id="defer", retries=0) >> talk()


conversation()
