"""Runs a DAG with Airflow's REST client for 2.x. Arguments: the URL. Standard input: the password."""

import json
import sys
import time

from airflow_client.client import ApiClient, Configuration
from airflow_client.client.api.dag_api import DAGApi
from airflow_client.client.api.dag_run_api import DAGRunApi
from airflow_client.client.api.monitoring_api import MonitoringApi
from airflow_client.client.api.task_instance_api import TaskInstanceApi
from airflow_client.client.model.dag_run import DAGRun

url, password = sys.argv[1], sys.stdin.readline().strip()
with ApiClient(Configuration(host=f"{url}/api/v1", username="admin", password=password)) as client:
    listed = [dag.dag_id for dag in DAGApi(client).get_dags().dags]
    runs = DAGRunApi(client)
    run = runs.post_dag_run("conversation", DAGRun())
    end = time.monotonic() + 180
    while (state := str(runs.get_dag_run("conversation", run.dag_run_id).state)) not in ("success", "failed"):
        if time.monotonic() > end:
            sys.exit(f"still {state}")
        time.sleep(1)
    log = TaskInstanceApi(client).get_log("conversation", run.dag_run_id, "ask", 1, full_content=True)
    result = {
        "version": MonitoringApi(client).get_version().version,
        "listed": listed,
        "waited": state,
        "state": state,
        "log": log.content,
    }
print(json.dumps(result))
