"""Planned containers run fifty tasks with SQS and DynamoDB, emulated by moto; each container has its task role."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from containers import REPOSITORY, Machine
from databases import HOSTILE, Databases
from test_generated import ADMIN_PASSWORD, RELEASES, Api, eventually, listens

from cdk_airflow_ecs import AirflowVersion, CeleryExecutor, S3Dags, SqsBroker, WorkerPool
from cdk_airflow_ecs.plan import Component, Container
from cdk_airflow_ecs.testing import plan_of
from servers import free_port

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow")]

HERE = Path(__file__).parent
REGION = "eu-central-1"
QUEUES = {"default": "stack-default-1", "heavy.gpu": "stack-heavy-1"}
TABLE = "stack-Results-1"
QUEUE = {"VisibilityTimeout": "43200"}
EXECUTOR = CeleryExecutor(broker=SqsBroker(), pools=[WorkerPool("default", queues=list(QUEUES), concurrency=8)])


class WithRoles(Machine):
    """A machine whose containers get credentials from an HTTP address, as on ECS."""

    def environment(self, container: Container) -> dict[str, str]:
        """Return the environment with the address of the credentials."""
        address = f"{self.substitutes['AWS_ENDPOINT_URL']}/credentials/{container.name}"
        return {**super().environment(container), "AWS_CONTAINER_CREDENTIALS_FULL_URI": address}


def client(aws: str, service: str) -> Any:
    """Return a boto3 client of the emulated AWS API."""
    login = {"aws_access_key_id": "test", "aws_secret_access_key": "x", "region_name": REGION}
    return boto3.client(service, endpoint_url=aws, **login)


def make_resources(aws: str) -> dict[str, str]:
    """Create the template's queues and table in moto, and return the URLs of the queues."""
    for bucket in ("dags", "logs"):
        client(aws, "s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    client(aws, "s3").put_object(Bucket="dags", Key="fifty.py", Body=(HERE / "fifty.py").read_bytes())
    database = client(aws, "dynamodb")
    database.create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    expiry = {"Enabled": True, "AttributeName": "ttl"}
    database.update_time_to_live(TableName=TABLE, TimeToLiveSpecification=expiry)
    queues = client(aws, "sqs")
    return {queue: queues.create_queue(QueueName=name, Attributes=QUEUE)["QueueUrl"] for queue, name in QUEUES.items()}


@pytest.fixture(params=RELEASES, ids=str)
def site(request, postgres: Databases, tmp_path: Path) -> Iterator[SimpleNamespace]:
    """Run a plan with SQS: migrate the database and start every service."""
    version: AirflowVersion = request.param
    name = f"fifty_{version}"
    port = free_port()
    aws = f"http://127.0.0.1:{port}"
    python = REPOSITORY / ".venvs/local/bin/python"
    plan = plan_of(version=version, executor=EXECUTOR, dags=S3Dags(refresh_seconds=5))
    log = (tmp_path / "aws.log").open("w")
    with (
        log,
        subprocess.Popen([python, HERE / "aws.py", str(port)], stdout=log, stderr=log) as process,
    ):
        try:
            eventually(lambda: listens(port), 120)
            urls = make_resources(aws)
            attributes = {
                ("Database", "host"): postgres.host,
                ("Database", "port"): str(postgres.port),
                ("Database", "name"): name,
                # The URL has the format that queues.py writes.
                ("Broker", "results_url"): f"dynamodb://@{REGION}/{TABLE}?ttl_seconds=86400",
                ("Broker", "results_arn"): TABLE,
                **{("Broker", f"url/{queue}"): url for queue, url in urls.items()},
                **{("Broker", f"arn/{queue}"): name for queue, name in QUEUES.items()},
                ("Web", "url"): "http://localhost:8080",
                ("Web", "proxies"): "127.0.0.1",
                ("ExecutionApi", "url"): "http://localhost:8081/execution/",
                ("Logs", "uri"): "s3://logs/task-logs",
                ("Dags", "uri"): "s3://dags",
                ("Dags", "bucket_name"): "dags",
                ("Stack", "region"): REGION,
            }
            secrets = {
                ("Database", "username"): "af",
                ("Database", "password"): HOSTILE,
                ("Fernet", ""): "F3rnet7" * 6 + "x",
                ("Jwt", ""): "jwt0" * 16,
                ("Session", ""): "session0" * 8,
                ("Admin", ""): ADMIN_PASSWORD,
            }
            substitutes = {"AWS_ENDPOINT_URL": aws, "SSL_CERT_FILE": str(postgres.ca_certificate)}
            programs = REPOSITORY / f".venvs/airflow-{version}/bin"
            with WithRoles(programs, tmp_path, attributes, secrets, substitutes) as machine:
                postgres.migrated(name, version, plan, machine)
                # The triggerer is not started, because the DAG does not use it.
                running = [c for c in plan.components if c.count and c.name != "Triggerer"]
                services = [container for component in running for container in component.containers]
                for container in services:
                    machine.start(container)
                machine.wait_until_healthy(services)
                query = partial(postgres.execute, database=name)
                yield SimpleNamespace(version=version, plan=plan, machine=machine, query=query, aws=aws)
        finally:
            process.kill()


def permitted(component: Component, machine: Machine) -> set[tuple[str, str]]:
    """Return the actions on SQS and DynamoDB that the component's task role allows, with their resources."""
    return {
        (action, machine.text(resource))
        for permission in component.permissions
        for action in permission.actions
        for resource in permission.resources
        if action.startswith(("sqs:", "dynamodb:"))
    }


def test_fifty_tasks_succeed_with_the_planned_permissions(site: SimpleNamespace):
    """All tasks succeed on both queues, and all calls are allowed by the task roles."""
    machine = site.machine
    api = Api(site.version.major)
    eventually(lambda: api.call("dags/fifty")[0] == 200, 300)
    status, made = api.call("dags/fifty/dagRuns", {"logical_date": None} if api.major >= 3 else {})
    assert status == 200, made
    run = f"dags/fifty/dagRuns/{json.loads(made)['dag_run_id']}"
    state = eventually(lambda: re.search(r'"state": ?"(success|failed)"', api.call(run)[1]), 600)[1]
    states = site.query("SELECT state, queue, count(*) FROM task_instance GROUP BY 1, 2 ORDER BY 2")
    assert (state, states) == ("success", "success|default|45\nsuccess|heavy.gpu|5")

    queues = client(site.aws, "sqs")

    def waiting() -> int:
        urls = [machine.attributes["Broker", f"url/{queue}"] for queue in QUEUES]
        found = [queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] for url in urls]
        kinds = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(attributes[kind]) for attributes in found for kind in kinds)

    # Celery deletes a task's message shortly after Airflow records the end.
    eventually(lambda: waiting() == 0, 180)
    items = client(site.aws, "dynamodb").scan(TableName=TABLE)["Items"]
    assert len(items) == 50
    assert all(b'"status": "SUCCESS"' in item["result"]["B"] and "ttl" in item for item in items)
    assert site.query("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'celery%'") == "0"

    with urllib.request.urlopen(f"{site.aws}/calls", timeout=30) as answer:
        calls = {(who, action, name) for who, action, name in json.load(answer) if who != "test"}
    roles = {"scheduler": "Scheduler", "worker": "Pools/default"}
    allowed = {
        (who, *what) for who, component in roles.items() for what in permitted(site.plan.component(component), machine)
    }
    assert calls <= allowed
    # kombu needs this permission only to return messages after a lost connection.
    assert {action for _, action, _ in allowed - calls} == {"sqs:ChangeMessageVisibility"}

    worker = machine.environment(site.plan.component("Pools/default").containers[0])
    values = " ".join(worker.values())
    assert (HOSTILE in values or quote(HOSTILE, safe="") in values) == (site.version.major == 2)
