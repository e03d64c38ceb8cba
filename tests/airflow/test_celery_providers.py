"""The Celery provider in each release's official image reads the plan's SQS options."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from containers import REPOSITORY, Machine

from cdk_airflow_ecs import AirflowVersion, CeleryExecutor, ExecutorContext, SqsBroker
from cdk_airflow_ecs.testing import plan_of

pytestmark = pytest.mark.airflow

URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/q"
ATTRIBUTES = {
    ("Broker", "url/default"): URL,
    ("Broker", "results_url"): "dynamodb://@eu-central-1/t",
    ("Stack", "region"): "eu-central-1",
}
# The last Airflow releases before the format of the SQS options changes, their Celery provider, and the installed
# Airflow that loads this provider. test_fifty_tasks.py tests the newest format, which starts with 3.3.2.
READERS = [
    ("2.8.4", "3.6.1", "2.11.2"),
    ("2.9.3", "3.7.2", "2.11.2"),
    ("2.10.4", "3.8.5", "2.11.2"),
    ("2.10.5", "3.10.0", "2.11.2"),
    ("3.3.1", "3.23.1", "3.3.2"),
]
PROBE = """\
import json, sys
import airflow.providers
airflow.providers.__path__ = [sys.argv[1], *airflow.providers.__path__]
for name in [name for name in sys.modules if name.startswith("airflow.providers.celery")]:
    del sys.modules[name]
from airflow.providers.celery import __version__
from airflow.providers.celery.executors.celery_executor_utils import app
print("READ" + json.dumps([__version__, app.conf.broker_transport_options, app.conf.worker_enable_remote_control]))
"""


@pytest.mark.parametrize(("release", "provider", "reader"), READERS)
def test_kombu_receives_the_urls_of_the_sqs_queues(tmp_path, release, provider, reader):
    """Kombu receives the URL of each SQS queue, and numeric options as numbers."""
    site = tmp_path / "site"
    requirement = f"apache-airflow-providers-celery=={provider}"
    install = [REPOSITORY / ".venv/bin/uv", "pip", "install", "--quiet", "--no-deps", "--target", site, requirement]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    version, executor = AirflowVersion.of(release), CeleryExecutor(broker=SqsBroker())
    (scheduler,) = plan_of(version=version, executor=executor).component("Scheduler").containers
    variables = {name: value for name, value in scheduler.environment.items() if "CELERY" in name}
    machine = Machine(Path(), tmp_path, ATTRIBUTES, {}, {})
    environment = {name: machine.text(value) for name, value in variables.items()}
    config = tmp_path / "config"
    config.mkdir()
    for name, text in executor.plan(ExecutorContext(version=version)).image_files.items():
        (config / name).write_text(text)
    read = subprocess.run(
        [REPOSITORY / f".venvs/airflow-{reader}/bin/python", "-W", "ignore", "-c", PROBE, site / "airflow/providers"],
        env={"AIRFLOW_HOME": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert read.returncode == 0, read.stderr
    found = json.loads(read.stdout.partition("READ")[2])
    transport = {
        "region": "eu-central-1",
        "visibility_timeout": 43200,
        "wait_time_seconds": 20,
        "predefined_queues": {"default": {"url": URL}},
    }
    assert found == [provider, transport, False]
