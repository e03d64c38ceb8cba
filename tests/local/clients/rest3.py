"""Runs a DAG with Airflow's REST client for 3.x. Arguments: the URL. Standard input: the password."""

import json
import sys

from airflow_client.client import ApiClient, Configuration
from airflow_client.client.api.dag_api import DAGApi
from airflow_client.client.api.dag_run_api import DagRunApi
from airflow_client.client.api.task_instance_api import TaskInstanceApi
from airflow_client.client.api.version_api import VersionApi
from airflow_client.client.models.trigger_dag_run_post_body import TriggerDAGRunPostBody

url, password = sys.argv[1], sys.stdin.readline().strip()
configuration = Configuration(host=url)
with ApiClient(configuration) as client:
    # The client has no method for the auth manager's endpoint that creates tokens.
    made = client.call_api(
        "POST",
        f"{url}/auth/token",
        {"Content-Type": "application/json"},
        {"username": "admin", "password": password},
    )
    configuration.access_token = json.loads(made.read())["access_token"]
    dags = DAGApi(client).get_dags().dags
    runs = DagRunApi(client)
    run = runs.trigger_dag_run("conversation", TriggerDAGRunPostBody(logical_date=None))
    # The response is a stream of one JSON object per line.
    lines = runs.wait_dag_run_until_finished_without_preload_content("conversation", run.dag_run_id, 1).read()
    state = runs.get_dag_run("conversation", run.dag_run_id).state
    log = TaskInstanceApi(client).get_log("conversation", run.dag_run_id, "ask", 1, accept="application/json")
    result = {
        "version": VersionApi(client).get_version().version,
        "listed": [dag.dag_id for dag in dags],
        "waited": json.loads(lines.splitlines()[-1])["state"],
        "state": state,
        "log": log.to_json(),
    }
print(json.dumps(result))
