"""A program that executes a DAG file's ``EcsRunTaskOperator`` tasks with Airflow's Python in a worker's environment.

It prints the AWS calls, the result and the trigger of each operator.
"""

from __future__ import annotations

import json
import sys
from unittest.mock import MagicMock

import botocore.client

try:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.exceptions import TaskDeferred
except ImportError:
    from airflow.exceptions import TaskDeferred
    from airflow.models.dagbag import DagBag

CALLS: list = []
ORIGINAL = botocore.client.BaseClient._make_api_call


def call(client, operation: str, arguments: dict) -> dict:
    """Record an AWS call, and the ECS task that it started."""
    answer = ORIGINAL(client, operation, arguments)
    started = answer["tasks"][0]["taskArn"] if operation == "RunTask" else None
    CALLS.append([f"{client.meta.service_model.service_name}:{operation}", arguments, started])
    return answer


def run(operator) -> dict:
    """Execute an operator until it ends or defers."""
    started = len(CALLS)
    instance = MagicMock(dag_id="etl", task_id=operator.task_id, run_id="run", map_index=-1)
    found: dict = {}
    try:
        found["returned"] = operator.execute({"ti": instance})
    except TaskDeferred as deferred:
        path, arguments = deferred.trigger.serialize()
        found["trigger"] = [path, json.loads(json.dumps(arguments))]
        event = {"status": "success", "task_arn": operator.arn, "cluster": operator.cluster}
        waiter = operator.client.get_waiter("tasks_stopped")
        waiter.wait(cluster=operator.cluster, tasks=[operator.arn], WaiterConfig={"Delay": 1})
        found["returned"] = getattr(operator, deferred.method_name)({"ti": instance}, event)
    operator.on_kill()
    return {**found, "calls": CALLS[started:]}


def main() -> None:
    """Print the result as JSON in the last line."""
    botocore.client.BaseClient._make_api_call = call
    bag = DagBag(dag_folder=sys.argv[1])
    found: dict = {"errors": list(bag.import_errors.values()), "tasks": {}}
    for dag in bag.dags.values():
        for operator in dag.tasks:
            operator.waiter_delay = 1
            found["tasks"][operator.task_id] = run(operator)
    print(json.dumps(found, default=str))


main()
