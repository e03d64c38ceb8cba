"""Task scale-in protection in the agent's endpoint, the ECS API, and services that scale in or deploy."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("moto", reason="needs the environment of the extra [local]: make environments")

from moto.ecs.models import ecs_backends

from cdk_airflow_ecs.in_container.worker_protection import EXPIRES, Agent
from cdk_airflow_ecs.local.agent.credentials import Credentials
from cdk_airflow_ecs.local.agent.endpoints import Endpoints, TaskIdentity
from cdk_airflow_ecs.local.agent.protection import is_protected
from cdk_airflow_ecs.local.agent.service import Service
from cdk_airflow_ecs.local.aws import app, protection
from cdk_airflow_ecs.local.aws.account import Account

TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
FIELDS = {"ProtectionEnabled", "ExpirationDate", "TaskArn"}


class Cluster:
    """A local ECS cluster with the service "worker", whose tasks can call the agent's endpoint."""

    def __init__(self, account: Account, endpoints: Endpoints, url: str) -> None:
        self.account, self.endpoints, self.url = account, endpoints, url
        self.ecs = account.client("ecs")
        self.ecs.create_cluster(clusterName="cluster")
        role = account.client("iam").create_role(RoleName="worker", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        self.definition = self.ecs.register_task_definition(
            family="worker",
            containerDefinitions=[{"name": "worker", "image": "i", "memory": 64}],
            taskRoleArn=role,
            executionRoleArn=role,
        )["taskDefinition"]
        self.ecs.create_service(cluster="cluster", serviceName="worker", taskDefinition="worker", desiredCount=2)

    @property
    def backend(self) -> Any:
        """Moto's ECS backend."""
        return ecs_backends[self.account.id][self.account.region]

    def task(self, group: str = "service:worker", role: bool = True) -> SimpleNamespace:
        """Run a task, and return its ECS record and the path of its agent endpoint."""
        definition = self.backend.describe_task_definition("worker")
        record = SimpleNamespace(
            id=f"{len(self.tasks)}-4711",
            task_arn=self.account.arn("ecs", f"task/cluster/{len(self.tasks)}-4711"),
            cluster_name="cluster",
            group=group,
            last_status="RUNNING",
        )
        self.tasks[record.task_arn] = record
        given = definition.task_role_arn if role else ""
        self.endpoints.add(record.id, TaskIdentity(arn=record.task_arn, role=given, describe=dict))
        return SimpleNamespace(record=record, uri=f"{self.url}/api/{record.id}-c-worker")

    @property
    def tasks(self) -> dict[str, Any]:
        """Return the ECS records of all tasks, by ARN."""
        return self.backend.tasks.setdefault("cluster", {})

    def desire(self, count: int) -> None:
        """Change the service's desired count."""
        self.ecs.update_service(cluster="cluster", service="worker", desiredCount=count)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Serve the AWS API and the agent's endpoints, as `airflow-ecs local up` does."""
    account = Account()
    protection.protect_tasks()
    api = app.Api(app.Application(account), handler=app.Quiet)
    api.start()
    credentials = Credentials(account)
    endpoints = Endpoints(credentials.assume, partial(credentials.client, "ecs"))
    listening = socket.create_server(("127.0.0.1", 0))
    endpoints.start(listening)
    made = Cluster(account, endpoints, f"http://127.0.0.1:{listening.getsockname()[1]}")
    yield made
    made.backend.reset()
    account.client("iam").delete_role(RoleName="worker")
    endpoints.stop()
    api.stop()


@pytest.fixture(autouse=True)
def no_tasks(cluster: Cluster) -> None:
    """Remove tasks that previous tests started."""
    cluster.tasks.clear()
    cluster.desire(2)


def send(uri: str, body: Any = None, path: str = "/task-protection/v1/state") -> tuple[int, dict]:
    """Send a GET request, or PUT with a body."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(uri + path, data, method="GET" if data is None else "PUT")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_task_sets_and_removes_its_scale_in_protection(cluster):
    """A task protects itself for some minutes; the agent's endpoint and the ECS API return the protection."""
    task = cluster.task()
    arn = task.record.task_arn
    off = {"protection": {"ProtectionEnabled": False, "ExpirationDate": None, "TaskArn": arn}}
    assert send(task.uri) == (200, off)
    for body, minutes in ({"ExpiresInMinutes": 60}, 60), ({}, 120), ({"expiresInMinutes": 2880}, 2880):
        status, answer = send(task.uri, {"ProtectionEnabled": True, **body})
        assert (status, set(answer["protection"])) == (200, FIELDS)
        ends = datetime.strptime(answer["protection"]["ExpirationDate"], "%Y-%m-%dT%H:%M:%SZ")
        left = (ends.replace(tzinfo=timezone.utc) - datetime.now(timezone.utc)).total_seconds() / 60
        assert minutes - 1 < left <= minutes
        assert send(task.uri) == (200, answer)
    (found,) = cluster.ecs.get_task_protection(cluster="cluster", tasks=[arn])["protectedTasks"]
    assert (found["protectionEnabled"], found["expirationDate"].strftime("%Y-%m-%dT%H:%M:%SZ")) == (
        True,
        answer["protection"]["ExpirationDate"],
    )
    assert send(task.uri, {"ProtectionEnabled": False}) == (200, off)
    assert not is_protected(task.record)


def test_the_scale_in_protection_of_a_task_expires(cluster):
    """A task whose protection has expired is not protected."""
    task = cluster.task()
    send(task.uri, {"ProtectionEnabled": True})
    task.record.protected_until = datetime.now(timezone.utc) - timedelta(seconds=1)
    assert send(task.uri)[1]["protection"]["ProtectionEnabled"] is False
    assert not is_protected(task.record)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "failed to decode request"),
        (b"[]", "failed to decode request"),
        ({"ProtectionEnabled": "true"}, "failed to decode request"),
        ({"ProtectionEnabled": True, "ExpiresInMinutes": "60"}, "failed to decode request"),
        ({"ProtectionEnabled": True, "Minutes": 60}, "failed to decode request"),
        ({"ExpiresInMinutes": 60}, "does not contain 'ProtectionEnabled' field"),
        ({"ProtectionEnabled": True, "ExpiresInMinutes": 0}, "1 to 2880"),
        ({"ProtectionEnabled": True, "ExpiresInMinutes": 2881}, "1 to 2880"),
    ],
    ids=str,
)
def test_an_invalid_protection_request_has_no_effect(cluster, body, words):
    """An invalid protection request returns an InvalidParameterException."""
    task = cluster.task()
    status, answer = send(task.uri, body)
    assert (status, answer["error"]["Code"]) == (400, "InvalidParameterException")
    assert words in answer["error"]["Message"]
    assert not is_protected(task.record)


def test_only_tasks_of_services_with_a_task_role_can_be_protected(cluster):
    """Tasks without a service, tasks without a role and unknown containers cannot be protected."""
    on = {"ProtectionEnabled": True}
    standalone = cluster.task(group="family:etl")
    arn = standalone.record.task_arn
    failure = {"failure": {"Arn": arn, "Detail": None, "Reason": "TASK_NOT_VALID"}}
    assert send(standalone.uri, on) == send(standalone.uri) == (200, failure)
    status, answer = send(cluster.task(role=False).uri, on)
    assert (status, answer["error"]["Code"]) == (403, "AccessDeniedException")
    status, answer = send(f"{cluster.url}/api/unknown-c-worker", on)
    assert (status, answer["error"]["Code"]) == (404, "ResourceNotFoundException")
    assert send(standalone.uri, on, "/task-protection/v2/state")[0] == 404


def test_more_protected_tasks_than_the_desired_count_are_refused(cluster):
    """ECS refuses to protect more tasks than the service's desired count, until another task is released."""
    first, second = cluster.task(), cluster.task()
    on, off = {"ProtectionEnabled": True}, {"ProtectionEnabled": False}
    cluster.desire(1)
    assert "protection" in send(first.uri, on)[1]
    assert send(second.uri, on)[1]["failure"]["Reason"] == "DEPLOYMENT_BLOCKED"
    assert "protection" in send(first.uri, off)[1]
    assert "protection" in send(second.uri, on)[1]


def test_worker_protection_py_understands_the_agents_responses(cluster):
    """worker_protection.py, which runs in workers' containers, understands the endpoint's responses."""
    task = cluster.task()
    agent = Agent(task.uri)
    assert agent.protect(True) == ""
    left = task.record.protected_until - datetime.now(timezone.utc)
    assert timedelta(minutes=EXPIRES - 1) < left <= timedelta(minutes=EXPIRES)
    cluster.desire(0)
    assert agent.protect(True) == "DEPLOYMENT_BLOCKED"
    assert agent.protect(False) == ""


class Fleet:
    """A fake ECS service without processes; its tasks are ready at once, and end when they are stopped."""

    def __init__(self, desired: int) -> None:
        self.tasks: list[Any] = []
        self.definition = "worker:1"
        record = SimpleNamespace(
            name="worker",
            cluster_name="cluster",
            desired_count=desired,
            task_definition="worker",
            deployments=[{"id": "ecs-svc/1", "createdAt": datetime.now(timezone.utc), "taskDefinition": "worker:1"}],
            network_configuration=None,
            deployment_configuration={"maximumPercent": 200, "minimumHealthyPercent": 100},
            service_registries=[],
            load_balancers=[],
        )
        self.service = Service(record=record, backend=self, client=lambda name: None)

    def describe_task_definition(self, name: str) -> Any:
        """Return the current task definition revision."""
        return SimpleNamespace(arn=self.definition)

    def run_task(self, *args: Any, **kwargs: Any) -> None:
        """Add a task to the fleet."""
        self.tasks.append(FleetTask(self.definition, str(len(self.tasks))))

    def settle(self, desired: int | None = None) -> list[str]:
        """Run the service's scheduling until nothing changes, and return the tasks."""
        if desired is not None:
            self.service.record.desired_count = desired
        for _ in range(9):
            self.service.follow(self.tasks)
        return [f"{task.record.id} of {task.record.task_definition_arn}" for task in self.tasks if not task.is_over]


class FleetTask:
    """A fake task of a :class:`Fleet`."""

    health, status, address, name = "HEALTHY", "RUNNING", None, "worker"
    is_protected = stopping = is_over = False
    is_ready = property(lambda self: not self.is_over)

    def __init__(self, definition: str, identity: str) -> None:
        self.record = SimpleNamespace(id=identity, task_definition_arn=definition, stop_code=None)

    def stop(self, reason: str, code: str) -> None:
        """End the task."""
        self.is_over = self.stopping = True


def test_scale_in_does_not_stop_protected_tasks():
    """At scale-in, a service stops unprotected tasks at once, and protected ones when they are released."""
    fleet = Fleet(4)
    assert len(fleet.settle()) == 4
    fleet.tasks[0].is_protected = fleet.tasks[1].is_protected = True
    assert fleet.settle(desired=3) == ["0 of worker:1", "1 of worker:1", "3 of worker:1"]
    assert fleet.settle(desired=0) == ["0 of worker:1", "1 of worker:1"]
    assert not fleet.service.is_steady
    fleet.tasks[1].is_protected = False
    assert fleet.settle() == ["0 of worker:1"]
    assert fleet.settle(desired=1) == ["0 of worker:1"]
    assert fleet.settle(desired=2) == ["0 of worker:1", "4 of worker:1"]


def test_a_deployment_waits_for_protected_tasks():
    """A rolling deployment starts all new tasks, and ends when the protected old tasks are released."""
    fleet = Fleet(2)
    fleet.settle()
    fleet.tasks[0].is_protected = True
    (before,) = [dict(each) for each in fleet.service.record.deployments]
    fleet.definition = "worker:2"
    assert fleet.settle() == ["0 of worker:1", "2 of worker:2", "3 of worker:2"]
    assert not fleet.service.is_steady
    assert (fleet.service.record.running_count, fleet.service.record.deployments[0]["runningCount"]) == (3, 2)
    fleet.tasks[0].is_protected = False
    assert fleet.settle() == ["2 of worker:2", "3 of worker:2"]
    assert fleet.service.is_steady
    (after,) = fleet.service.record.deployments
    assert after["createdAt"] > before["createdAt"]  # by which old tasks notice the deployment
    assert after["id"] != before["id"]


def test_an_unhealthy_task_is_stopped_although_it_is_protected():
    """A failed health check stops a protected task."""
    fleet = Fleet(1)
    fleet.settle()
    fleet.tasks[0].is_protected, fleet.tasks[0].health = True, "UNHEALTHY"
    assert fleet.settle() == ["1 of worker:1"]
