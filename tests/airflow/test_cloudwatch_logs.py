"""Airflow writes and reads task logs in CloudWatch Logs with exactly the plan's permissions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from containers import REPOSITORY, Machine
from test_ecs_executor import ATTRIBUTES, RELEASES, SECRETS
from test_generated import eventually, listens

from cdk_airflow_ecs import AirflowVersion, CeleryExecutor, CloudWatchLogs, EcsExecutor, Executor
from cdk_airflow_ecs.testing import plan_of
from servers import free_port

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow")]

HERE = Path(__file__).parent
PYTHON = REPOSITORY / ".venvs/local/bin/python"
GROUP = "Stack-LogsTaskGroup-1"
ARN = "arn:aws:logs:eu-central-1:123456789012:log-group"
LOGS = {
    ("Logs", "uri"): f"cloudwatch://{ARN}:{GROUP}",
    ("Logs", "streams_arn"): f"{ARN}:{GROUP}:log-stream:*",
    ("Logs", "groups_arn"): f"{ARN}:*",
}
# Name of the container that runs Airflow tasks, and the executor of that cluster.
EXECUTORS = {"worker": CeleryExecutor(), "task": EcsExecutor()}
STREAM = "dag_id=spoken/run_id=manual__2026-01-01T12_00_00+00_00/task_id=speak/attempt=1.log"
DAG = """
from airflow.sdk import dag, task


@dag
def spoken():
    @task
    def speak():
        print("words of a task")

    speak()


spoken()
"""


class Site:
    """A local CloudWatch Logs with one log group and the plan's policy, in which the plan's containers run."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"
        self.policy, self.called = folder / "policy.json", folder / "calls"
        self.policy.write_text("{}")
        self.called.write_text("")
        (folder / "dags").mkdir()
        (folder / "dags/spoken.py").write_text(DAG)
        login = {"aws_access_key_id": "root", "aws_secret_access_key": "x"}
        self.logs = boto3.client("logs", endpoint_url=self.url, region_name="eu-central-1", **login)

    def run_probe(self, release: str, executor: Executor, container: str, probe: str) -> Any:
        """Run cloudwatch_probe.py in a container with the permissions of its task role."""
        plan = plan_of(version=AirflowVersion.of(release), executor=executor, logs=CloudWatchLogs())
        ((component, part),) = (
            (component, part)
            for component in plan.components
            for part in component.containers
            if part.name == container
        )
        kind = "airflow.dag_processing.bundles.local.LocalDagBundle"
        bundle = {"name": "local", "classpath": kind, "kwargs": {"path": str(self.folder / "dags")}}
        here = {"AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": container, "AWS_SECRET_ACCESS_KEY": "x"}
        if release[0] == "3":
            here["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps([bundle])
        programs = REPOSITORY / ".venvs" / f"airflow-{release}" / "bin"
        machine = Machine(programs, self.folder, {**ATTRIBUTES, **LOGS}, SECRETS, here)
        allowed = {
            action: [machine.text(resource) for resource in permission.resources]
            for permission in component.permissions
            for action in permission.actions
            if action.startswith("logs:")
        }
        self.policy.write_text(json.dumps({container: allowed}))
        self.called.write_text("")
        words = [programs / "python", "-W", "ignore", HERE / "cloudwatch_probe.py", probe, self.folder / "dags"]
        done = machine.run(part, [*map(str, words)])
        assert done.returncode == 0, done.stdout + done.stderr
        # Every call is allowed, and every allowed action is called.
        assert {(action, True) for action in allowed} == {(action, ok) for _, action, _, ok in self.calls()}
        return json.loads(done.stdout.splitlines()[-1])

    def calls(self) -> list[list[Any]]:
        """Return the calls: access key, action, resource, and whether it was allowed."""
        return [json.loads(line) for line in self.called.read_text().splitlines()]

    def streams(self) -> dict[str, list[str]]:
        """Return the messages of each log stream."""
        names = [item["logStreamName"] for item in self.logs.describe_log_streams(logGroupName=GROUP)["logStreams"]]
        return {
            name: [
                event["message"] for event in self.logs.get_log_events(logGroupName=GROUP, logStreamName=name)["events"]
            ]
            for name in names
        }


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Start CloudWatch Logs with a log group."""
    port = free_port()
    found = Site(tmp_path, port)
    command = [PYTHON, HERE / "cloudwatch.py", str(port), found.policy, found.called]
    with (tmp_path / "server.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            eventually(lambda: listens(port), 120)
            found.logs.create_log_group(logGroupName=GROUP)
            yield found
        finally:
            process.kill()


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("container", EXECUTORS)
def test_a_task_writes_its_log_to_cloudwatch_and_the_ui_reads_the_log(release: str, container: str, site: Site):
    """The task writes one log stream, which the web component reads; both have exactly the needed permissions."""
    ended = site.run_probe(release, EXECUTORS[container], container, "run")
    assert ended == (0 if release[0] == "3" else "CloudwatchTaskHandler")
    ((stream, messages),) = site.streams().items()
    assert stream == STREAM
    assert any("words of a task" in message for message in messages)
    web = "api-server" if release[0] == "3" else "webserver"
    lines = site.run_probe(release, EXECUTORS[container], web, "read")
    assert [line for line in lines if line.endswith("words of a task")]
    assert any(f"Reading remote log from Cloudwatch log_group: {GROUP}" in line for line in lines)


def test_the_dag_processor_writes_nothing_to_cloudwatch_logs(site: Site):
    """The DAG processor of Airflow 3 writes the logs of DAG files only to its local disk."""
    log = site.run_probe("3.3.2", CeleryExecutor(), "dag-processor", "parse")
    assert "words of a DAG file" in Path(log).read_text()
    assert site.streams() == {}


def test_the_emulator_refuses_an_access_key_without_permissions(site: Site):
    """The emulated CloudWatch Logs refuses calls that the policy does not allow, so the other tests can fail."""
    site.policy.write_text("{}")
    login = {"aws_access_key_id": "nobody", "aws_secret_access_key": "x", "region_name": "eu-central-1"}
    logs = boto3.client("logs", endpoint_url=site.url, **login)
    with pytest.raises(logs.exceptions.ClientError, match="nobody is not authorized to perform: logs:GetLogEvents"):
        logs.get_log_events(logGroupName=GROUP, logStreamName="x")
