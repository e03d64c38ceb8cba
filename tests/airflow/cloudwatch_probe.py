"""A program that writes and reads task logs as Airflow does; run by Airflow's Python in a container's environment.

Arguments: "run" (run a task as an executor), "read" (read its log as the UI) or "parse" (parse a DAG file as the DAG
processor), and the DAG folder. The last line of output is JSON.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from airflow.configuration import conf

import airflow

IS_3 = airflow.__version__.startswith("3")
NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
RUN = "manual__2026-01-01T12:00:00+00:00"
PATH = f"dag_id=spoken/run_id={RUN}/task_id=speak/attempt=1.log"


class Known:
    """A finished task instance that is not in a database."""

    dag_id, task_id, run_id, map_index, try_number = "spoken", "speak", RUN, -1, 1
    state, task, hostname, queue, executor = "success", None, "10.0.0.1", "default", None
    triggerer_job = trigger_id = None
    is_trigger_log_context = False
    start_date = end_date = None
    raw = False

    def get_dagrun(self, session: object = None) -> SimpleNamespace:
        """Return the DAG run."""
        template = SimpleNamespace(filename=conf.get_mandatory_value("logging", "log_filename_template"))
        return SimpleNamespace(
            logical_date=NOON, run_after=NOON, run_id=RUN, get_log_template=lambda session=None: template
        )


def run(folder: str) -> object:
    """Run the task and return its result."""
    return _run_3(folder) if IS_3 else _run_2()


def _run_3(folder: str) -> int:
    from airflow.executors.workloads import TaskInstance
    from airflow.sdk.api.datamodels._generated import BundleInfo
    from airflow.sdk.execution_time.supervisor import supervise_task
    from airflow.sdk.log import configure_logging
    from uuid6 import uuid7

    if conf.get("core", "executor").endswith("AwsEcsExecutor"):
        # Like the first lines of airflow.sdk.execution_time.execute_workload.
        configure_logging(output=sys.stdout.buffer, json_output=True)
    task = TaskInstance(
        id=uuid7(),
        dag_version_id=uuid7(),
        dag_id="spoken",
        task_id="speak",
        run_id=RUN,
        try_number=1,
        pool_slots=1,
        queue="default",
        priority_weight=1,
    )
    bundle = BundleInfo(name="local", version=None)
    return supervise_task(
        ti=task, bundle_info=bundle, dag_rel_path="spoken.py", token="x", client=_execution_api(), log_path=PATH
    )


def _execution_api() -> Any:
    """Return a fake of the execution API, which receives the start and the end of a task."""
    import httpx
    from airflow.sdk.api.client import Client

    noon = NOON.isoformat()
    dag_run = {"dag_id": "spoken", "run_id": RUN, "logical_date": noon, "run_after": noon, "start_date": noon}
    dag_run |= {"run_type": "manual", "state": "running", "consumed_asset_events": []}
    dag_run |= dict.fromkeys(("data_interval_start", "data_interval_end", "end_date", "partition_key"))
    context = {"dag_run": dag_run, "max_tries": 0, "should_retry": False}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/run"):
            return httpx.Response(200, json=context)
        return httpx.Response(200, json={"ok": True})

    return Client(base_url=None, token="", dry_run=True, transport=httpx.MockTransport(answer))


def _run_2() -> str:
    from airflow.utils.log import file_task_handler

    file_task_handler._ensure_ti = lambda ti, session: ti
    logger = logging.getLogger("airflow.task")
    (handler,) = logger.handlers
    handler.set_context(Known())
    logger.info("words of a task")
    handler.close()
    return type(handler).__name__


def read(_: str) -> object:
    """Return the lines of the task's log, as the UI reads it."""
    from airflow.utils.log import file_task_handler

    if IS_3:
        handler = next(h for h in logging.getLogger("airflow.task").handlers if hasattr(h, "_read"))
        stream, _ = handler._read(Known(), 1)
        return [line.event for line in stream]
    file_task_handler._ensure_ti = lambda ti, session: ti
    (handler,) = logging.getLogger("airflow.task").handlers
    return handler._read(Known(), 1)[0].splitlines()


def parse(folder: str) -> object:
    """Parse a DAG file that prints a line, and return the path of the file's log."""
    from pathlib import Path

    from airflow.dag_processing.manager import DagFileInfo, DagFileProcessorManager

    manager = DagFileProcessorManager(max_runs=1)
    manager._dag_bundles = [SimpleNamespace(name="local")]
    file = DagFileInfo(rel_path=Path("spoken.py"), bundle_name="local", bundle_path=Path(folder))
    logger, handle = manager._get_logger_for_dag_file(file)
    logger.info("words of a DAG file")
    handle.close()
    logging.shutdown()
    return handle.name


print("\n" + json.dumps({"run": run, "read": read, "parse": parse}[sys.argv[1]](sys.argv[2])))
