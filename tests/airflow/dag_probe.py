"""A program that loads a DAG file as the DAG processor does; run by Airflow's Python in a container's environment.

It prints import errors, and executor, executor_config and queue of each task.
"""

from __future__ import annotations

import json
import sys

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag  # Airflow 2

bag = DagBag(dag_folder=sys.argv[1])
tasks = [task for dag in bag.dags.values() for task in dag.tasks]
found = {task.task_id: [task.executor, task.executor_config] for task in tasks}
queues = {task.task_id: task.queue for task in tasks}
print(json.dumps({"errors": list(bag.import_errors.values()), "tasks": found, "queues": queues}))
