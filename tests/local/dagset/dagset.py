"""DAGs for every executor and Airflow 2.8 to 3.3; each task prints a text and appends it to the file TEST_LEDGER."""

import os
from datetime import datetime, timedelta, timezone

from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator

try:
    from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
    from airflow.sdk import DAG, BaseHook, Variable, get_current_context, task
except ImportError:
    from airflow.decorators import task
    from airflow.hooks.base import BaseHook
    from airflow.models import Variable
    from airflow.operators.python import get_current_context
    from airflow.sensors.date_time import DateTimeSensorAsync

    from airflow import DAG

# If the cluster has two executors, some tasks select the second one.
FAR = {"executor": os.environ["TEST_FAR"]} if os.environ.get("TEST_FAR") else {}
SETTINGS = {"start_date": datetime(2024, 1, 1), "schedule": None, "catchup": False, "is_paused_upon_creation": False}


def record(text):
    """Print a text, and append it with task instance and try number to the file TEST_LEDGER."""
    ti = get_current_context()["ti"]
    print(text)
    with open(os.environ["TEST_LEDGER"], "a") as ledger:
        ledger.write(f"{ti.dag_id} {ti.task_id} {ti.map_index} {ti.try_number} {text}\n")


with DAG("fan", **SETTINGS):

    @task
    def begin():
        """Run before all others."""
        record("the fan opens")

    @task
    def piece(number):
        """Run as one of fifty parallel tasks."""
        record(f"piece <{number}>")

    @task
    def end():
        """Run after all others."""
        record("the fan closes")

    pieces = [piece.override(task_id=f"piece_{n}", **(FAR if n % 10 == 0 else {}))(n) for n in range(50)]
    begin() >> pieces >> end()

with DAG("mapped", **SETTINGS):

    @task
    def numbers():
        """Return the numbers to map."""
        record("five numbers")
        return [1, 2, 3, 4, 5]

    @task
    def square(number):
        """Return the square of a number."""
        record(f"the square of <{number}>")
        return number**2

    @task
    def total(squares):
        """Print the sum of the XComs."""
        record(f"the total <{sum(squares)}>")

    total(square.override(**FAR).expand(number=numbers()))

with DAG("again", **SETTINGS):

    @task(retries=1, retry_delay=timedelta(seconds=1), **FAR)
    def second_time():
        """Fail at the first try and succeed at the second."""
        number = get_current_context()["ti"].try_number
        record(f"try <{number}>")
        if number == 1:
            raise RuntimeError("not yet")

    second_time()

with DAG("secrets", **SETTINGS):

    @task
    def use():
        """Print an Airflow connection and variable that the test created by the API."""
        connection, value = BaseHook.get_connection("warehouse"), Variable.get("colour")
        hidden = "right" if connection.password == "open-sesame" else "wrong"
        record(f"<{connection.host}> <{value}> <{hidden}>")

    use()

with DAG("broken", **SETTINGS):

    @task
    def breaks():
        """Fail."""
        record("on purpose")
        raise RuntimeError("on purpose it fails")

    @task
    def never():
        """Never run, because the task before it fails."""
        record("never")

    breaks() >> never()


class Wait(DateTimeSensorAsync):
    """A deferrable sensor that records its executions before and after the deferral."""

    def execute(self, context):
        """Defer for so long that the trigger fires only after the executor has recorded the end of this execution."""
        record("it sleeps")
        self.target_time = (datetime.now(timezone.utc) + timedelta(seconds=20)).isoformat()
        super().execute(context)

    def execute_complete(self, context, event=None):
        """Record the second execution and complete."""
        record("it wakes")
        return super().execute_complete(context, event)


with DAG("patient", **SETTINGS):
    Wait(task_id="wait", target_time="{{ dag_run.start_date }}")

with DAG("container", **SETTINGS):
    for name, deferrable in (("load", False), ("load_deferred", True)):
        EcsRunTaskOperator(
            task_id=name,
            overrides={"containerOverrides": [{"name": "etl", "command": ["{{ task.task_id }}"]}]},
            awslogs_fetch_interval=timedelta(seconds=2),
            deferrable=deferrable,
            **Variable.get("ecs_etl", deserialize_json=True),
        )
