"""The DAG set that every executor runs, on Airflow 2.8 to 3.3: each execution prints and is written into a ledger."""

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

# Where several executors are, some tasks name the other one.
FAR = {"executor": os.environ["TEST_FAR"]} if os.environ.get("TEST_FAR") else {}
SETTINGS = {"start_date": datetime(2024, 1, 1), "schedule": None, "catchup": False, "is_paused_upon_creation": False}


def told(text):
    """Print a text, and write into the ledger that this try of this task instance did."""
    ti = get_current_context()["ti"]
    print(text)
    with open(os.environ["TEST_LEDGER"], "a") as ledger:
        ledger.write(f"{ti.dag_id} {ti.task_id} {ti.map_index} {ti.try_number} {text}\n")


with DAG("fan", **SETTINGS):

    @task
    def begin():
        """Before all others."""
        told("the fan opens")

    @task
    def piece(number):
        """One of fifty."""
        told(f"piece <{number}>")

    @task
    def end():
        """After all others."""
        told("the fan closes")

    pieces = [piece.override(task_id=f"piece_{n}", **(FAR if n % 10 == 0 else {}))(n) for n in range(50)]
    begin() >> pieces >> end()

with DAG("mapped", **SETTINGS):

    @task
    def numbers():
        """As many as the next task is to have instances."""
        told("five numbers")
        return [1, 2, 3, 4, 5]

    @task
    def square(number):
        """One instance."""
        told(f"the square of <{number}>")
        return number**2

    @task
    def total(squares):
        """XComs of all instances."""
        told(f"the total <{sum(squares)}>")

    total(square.override(**FAR).expand(number=numbers()))

with DAG("again", **SETTINGS):

    @task(retries=1, retry_delay=timedelta(seconds=1), **FAR)
    def second_time():
        """Fail first."""
        number = get_current_context()["ti"].try_number
        told(f"try <{number}>")
        if number == 1:
            raise RuntimeError("not yet")

    second_time()

with DAG("secrets", **SETTINGS):

    @task
    def use():
        """What was put through the API."""
        connection, value = BaseHook.get_connection("warehouse"), Variable.get("colour")
        hidden = "right" if connection.password == "open-sesame" else "wrong"
        told(f"<{connection.host}> <{value}> <{hidden}>")

    use()

with DAG("broken", **SETTINGS):

    @task
    def breaks():
        """Fail."""
        told("on purpose")
        raise RuntimeError("on purpose it fails")

    @task
    def never():
        """It does not get its turn."""
        told("never")

    breaks() >> never()


class Wait(DateTimeSensorAsync):
    """A sensor that tells when it sleeps and when it wakes."""

    def execute(self, context):
        """Defer, for so long that the executor knows the end of this half before the trigger fires."""
        told("it sleeps")
        self.target_time = (datetime.now(timezone.utc) + timedelta(seconds=20)).isoformat()
        super().execute(context)

    def execute_complete(self, context, event=None):
        """Go on."""
        told("it wakes")
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
