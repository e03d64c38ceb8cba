"""A program that starts tasks as a worker does; run by Airflow's Python in a worker's environment.

For each line of input it forks a process, which calls the task runner's ``parse`` and prints the imported versions or
the error, and the time and requests of the DAG sync.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
from types import SimpleNamespace
from typing import Any

import structlog
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.sdk.execution_time import task_runner

DETAILS = SimpleNamespace(
    bundle_info=SimpleNamespace(name="dags", version=None),
    dag_rel_path="dag.py",
    ti=SimpleNamespace(dag_id="coupled", task_id="task", model_dump=lambda **_: {}),
    ti_context=SimpleNamespace(max_tries=0, task_reschedule_count=0),
    start_date=None,
    sentry_integration="",
)


def start(name: str) -> dict[str, Any]:
    """Parse the DAG file and import a module, as a task does."""
    result: dict[str, Any] = {"name": name}
    get_bundle = DagBundlesManager.get_bundle

    def measured(*arguments: Any, **keywords: Any) -> Any:
        bundle = get_bundle(*arguments, **keywords)
        initialize = bundle.initialize

        def timed() -> None:
            wall, cpu = time.perf_counter(), time.process_time()
            initialize()
            result.update(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)

        bundle.initialize = timed
        return bundle

    DagBundlesManager.get_bundle = measured
    try:
        seen = task_runner.parse(DETAILS, structlog.get_logger()).task.dag.params.dump()["seen"]
        return {**result, "seen": seen, "later": importlib.import_module("team.later").VERSION}
    except BaseException as error:
        return {**result, "error": f"{type(error).__name__}: {error}"}


# Import everything first, as in a worker that has already run a task.
DagBundlesManager().get_bundle(name="dags").initialize()
for line in sys.stdin:
    if not os.fork():
        print(json.dumps(start(line.strip())), flush=True)
        os._exit(0)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
