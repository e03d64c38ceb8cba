"""A program that reads the ECS executor's configuration; run by Airflow's Python in a container's environment.

For each ``executor_config`` in the JSON argument it prints the arguments of RunTask and botocore's validation error.
"""

from __future__ import annotations

import json
import sys

from airflow.executors.executor_loader import ExecutorLoader
from botocore.validate import ParamValidator

ECS = "airflow.providers.amazon.aws.executors.ecs.ecs_executor.AwsEcsExecutor"
COMMAND = ["python", "-c", "print('a task')"]


def main() -> None:
    """Print the result as JSON in the last line."""
    names = ExecutorLoader.get_executor_names()
    found: dict = {"names": [[name.alias, name.module_path] for name in names]}
    if configs := json.loads(sys.argv[1]):
        executor = ExecutorLoader.load_executor(sys.argv[2] if len(sys.argv) > 2 else ECS)
        # Skip the connection check and the description of the cluster, because they would call AWS.
        run_task = executor.ecs.meta.service_model.operation_model("RunTask").input_shape
        found["attempts"] = executor.max_run_task_attempts
        found["region"] = executor.ecs.meta.region_name
        found["calls"] = []
        for config in configs:
            call = executor._run_task_kwargs("key", COMMAND, "default", config)
            problems = ParamValidator().validate(call, run_task)
            found["calls"].append([call, problems.generate_report()])
    print(json.dumps(found))


main()
