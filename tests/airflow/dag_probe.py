"""Run by an installed Airflow's Python, in a container's environment: load one DAG file as a DAG processor would.

Prints the import errors, and the executor and executor_config of each task.
"""

from __future__ import annotations

import json
import sys

from airflow.dag_processing.dagbag import DagBag

bag = DagBag(dag_folder=sys.argv[1])
found = {t.task_id: [t.executor, t.executor_config] for dag in bag.dags.values() for t in dag.tasks}
print(json.dumps({"errors": list(bag.import_errors.values()), "tasks": found}))
