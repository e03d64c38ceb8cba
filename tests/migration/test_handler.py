"""Runs the migration gate's Lambda function with fakes of AWS, and an HTTP server that replaces CloudFormation."""

from __future__ import annotations

import importlib.util
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from rds import Rds

SOURCE = Path(__file__).parents[2] / "src/cdk_airflow_ecs/in_lambda/migration_gate/index.py"
TASK = "arn:aws:ecs:eu-west-1:111122223333:task/airflow/0123456789abcdef"
FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:gate"
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "CLUSTER": "arn:aws:ecs:eu-west-1:111122223333:cluster/airflow",
    "DRAINED": "arn:aws:ecs:eu-west-1:111122223333:cluster/airflow,arn:aws:ecs:eu-west-1:111122223333:cluster/tasks",
    "SUBNETS": "subnet-1,subnet-2",
    "SECURITY_GROUP": "sg-1",
    "ASSIGN_PUBLIC_IP": "DISABLED",
    "CONTAINER": "migrate",
    "LOG_GROUP": "/airflow/migration",
    "LOG_PREFIX": "gate",
}


def running() -> dict:
    """Return the description of a running task."""
    return {"taskArn": TASK, "lastStatus": "RUNNING", "containers": [{"name": "migrate"}]}


def stopped(*containers: dict, reason: str = "Essential container in task exited") -> dict:
    """Return the description of a stopped task."""
    return {"taskArn": TASK, "lastStatus": "STOPPED", "stoppedReason": reason, "containers": list(containers)}


def other(name: str, **more: object) -> dict:
    """Return the description of a task that the gate did not start."""
    return {"taskArn": name, "desiredStatus": "RUNNING", "lastStatus": "RUNNING", "group": "family:x", **more}


class Clock:
    """A clock that only sleeping advances."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        """Return the current time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Advance the time."""
        self.now += seconds


class Aws:
    """Fakes of ECS, Lambda and CloudWatch Logs, which record their calls."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.refusals: list[object] = []  # results of failing RunTask calls: a ``failures`` list or an exception
        self.life: Callable[[float], dict] = lambda age: stopped({"name": "migrate", "exitCode": 0})
        self.lines: list[str] = []
        self.launched: dict[str, float] = {}  # time of RunTask by client token
        self.others: dict[str, list[dict]] = {}  # tasks that the gate did not start, by ECS cluster name
        self.stubborn = False  # whether tasks that the gate did not start ignore StopTask
        self.calls: list[tuple[str, dict]] = []
        self.rds = Rds(clock)

    def client(self, service: str, **_: object) -> Aws | Rds:
        """Replace ``boto3.client``."""
        assert service in ("ecs", "lambda", "logs", "rds")
        return self.rds if service == "rds" else self

    def named(self, operation: str) -> list[dict]:
        """Return the arguments of each call of an API operation."""
        return [arguments for name, arguments in self.calls if name == operation]

    def run_task(self, **arguments) -> dict:
        """Start one task per client token, or fail."""
        self.calls.append(("run_task", arguments))
        if self.refusals:
            refusal = self.refusals.pop(0)
            if isinstance(refusal, Exception):
                raise refusal
            return {"tasks": [], "failures": refusal}
        self.launched.setdefault(arguments["clientToken"], self.clock.now)
        return {"tasks": [{"taskArn": TASK}], "failures": []}

    def describe_tasks(self, **arguments) -> dict:
        """Return the task in the state for its age; like ECS, return no task in its first seconds."""
        self.calls.append(("describe_tasks", arguments))
        others = [task for tasks in self.others.values() for task in tasks if task["taskArn"] in arguments["tasks"]]
        if others:
            return {"tasks": others}
        age = self.clock.now - max(self.launched.values())
        return {"tasks": [self.life(age)] if age > 12 else []}

    def get_paginator(self, operation: str) -> Aws:
        """Return this object as the paginator of ListTasks."""
        assert operation == "list_tasks"
        return self

    def paginate(self, *, cluster: str, desiredStatus: str) -> Iterator[dict]:  # boto3 has this parameter name
        """Yield the cluster's other tasks, one per page; a task is stopped 30 seconds after StopTask."""
        for task in self.others.get(cluster.rpartition("/")[2], []):
            if self.clock.now > task.get("stopped_at", self.clock.now) + 30 and not self.stubborn:
                task["lastStatus"] = "STOPPED"
            if task["desiredStatus"] == desiredStatus:
                yield {"taskArns": [task["taskArn"]]}
        yield {"taskArns": []}

    def stop_task(self, **arguments) -> None:
        """Record the call, and stop the task."""
        self.calls.append(("stop_task", arguments))
        for tasks in self.others.values():
            for task in tasks:
                if task["taskArn"] == arguments["task"]:
                    task.update(desiredStatus="STOPPED", stopped_at=self.clock.now)

    def get_log_events(self, **arguments) -> dict:
        """Return the lines of the only log stream."""
        self.calls.append(("get_log_events", arguments))
        if arguments["logStreamName"] != "gate/migrate/0123456789abcdef":
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetLogEvents")
        limit = arguments["limit"]
        lines = self.lines[:limit] if arguments["startFromHead"] else self.lines[-limit:]
        return {"events": [{"message": line} for line in lines]}

    def invoke(self, **arguments) -> None:
        """Record the self-invocation."""
        self.calls.append(("invoke", arguments))


class Answers(HTTPServer):
    """The server behind ResponseURL: stores responses, and rejects the first *refuse* requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), AnswerHandler)
        self.bodies: list[bytes] = []
        self.content_types: list[str | None] = []
        self.refuse = 0

    @property
    def url(self) -> str:
        """Return a response URL such as CloudFormation's."""
        return f"http://127.0.0.1:{self.server_port}/answer?X-Amz-Signature=abc"


class AnswerHandler(BaseHTTPRequestHandler):
    """An HTTP handler of PUT like that of S3 for presigned URLs."""

    server: Answers

    def do_PUT(self) -> None:
        """Store the body."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.content_types.append(self.headers["Content-Type"])
        refused = self.server.refuse > 0
        self.server.refuse -= 1
        if not refused:
            self.server.bodies.append(body)
        self.send_response(503 if refused else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Do not log."""


@pytest.fixture
def answers() -> Iterator[Answers]:
    """Start the response server on a free port."""
    server = Answers()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Gate:
    """The Lambda handler with its environment; ``run`` invokes it until it has responded to CloudFormation."""

    def __init__(self, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(SOURCE.parent))  # for the module beside it
        spec = importlib.util.spec_from_file_location("gate_index", SOURCE)
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        self.clock = Clock()
        self.aws = Aws(self.clock)
        self.answers = answers
        monkeypatch.setattr(self.module, "time", self.clock)
        monkeypatch.setattr(self.module.boto3, "client", self.aws.client)
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)

    def event(self, kind: str = "Create", **more: object) -> dict:
        """Return a CloudFormation request."""
        return {
            "RequestType": kind,
            "ResponseURL": self.answers.url,
            "StackId": "arn:aws:cloudformation:eu-west-1:111122223333:stack/airflow/" + "5" * 36,
            "RequestId": "6f6b7a52-9a37-4d9b-b2f5-1f9d3b9f8c11",
            "LogicalResourceId": "AirflowGateSchema1A2B3C4D",
            "ResourceProperties": {"ServiceToken": FUNCTION, "TaskDefinition": "airflow-migrate:7"},
            **more,
        }

    def invoke(self, event: dict) -> None:
        """Invoke the function once, with a timeout of fifteen minutes."""
        end = self.clock.now + 900
        context = SimpleNamespace(
            invoked_function_arn=FUNCTION,
            get_remaining_time_in_millis=lambda: int((end - self.clock.now) * 1000),
        )
        self.module.handler(json.loads(json.dumps(event)), context)
        assert self.clock.now < end, "Lambda would have killed it"

    def run(self, event: dict) -> dict:
        """Invoke the function, and again for each self-invocation; return the only response."""
        self.invoke(event)
        handled = 0
        while len(pending := self.aws.named("invoke")) > handled:
            assert (pending[handled]["FunctionName"], pending[handled]["InvocationType"]) == (
                FUNCTION,
                "Event",
            )
            self.invoke(json.loads(pending[handled]["Payload"]))
            handled += 1
        (body,) = self.answers.bodies
        assert len(body) < 4096
        answer = json.loads(body)
        assert {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}.items() <= answer.items()
        return answer


@pytest.fixture
def gate(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Return a gate whose task succeeds at once."""
    return Gate(answers, monkeypatch)


def test_a_create_request_runs_the_migration(gate: Gate) -> None:
    """A create request runs one task in the configured network, and succeeds if the task's exit code is 0."""
    gate.aws.life = lambda age: stopped({"name": "migrate", "exitCode": 0}) if age > 60 else running()

    answer = gate.run(gate.event())

    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "AirflowGateSchema1A2B3C4D")
    (call,) = gate.aws.named("run_task")
    assert (call["cluster"], call["taskDefinition"]) == (ENVIRONMENT["CLUSTER"], "airflow-migrate:7")
    assert call["launchType"] == "FARGATE"
    assert call["networkConfiguration"]["awsvpcConfiguration"] == {
        "subnets": ["subnet-1", "subnet-2"],
        "securityGroups": ["sg-1"],
        "assignPublicIp": "DISABLED",
    }


def test_an_update_request_keeps_the_physical_id(gate: Gate) -> None:
    """An update request runs the migration and keeps the physical id."""
    answer = gate.run(gate.event("Update", PhysicalResourceId="AirflowGateSchema1A2B3C4D"))

    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "AirflowGateSchema1A2B3C4D")
    assert len(gate.aws.launched) == 1


def test_a_delete_request_succeeds_if_no_task_runs(gate: Gate) -> None:
    """A delete request of a cluster without tasks succeeds at once."""
    answer = gate.run(gate.event("Delete", PhysicalResourceId="AirflowGateSchema1A2B3C4D"))

    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "AirflowGateSchema1A2B3C4D")
    assert gate.aws.calls == []


def test_a_delete_request_stops_ecs_tasks_and_waits_for_their_end(gate: Gate) -> None:
    """A delete request stops all tasks in both ECS clusters, except for services' tasks, and waits for their end."""
    gate.aws.others = {
        "airflow": [other("executor"), other("migration", startedBy="cdk-airflow-ecs-migration/1")],
        "tasks": [other("etl"), other("ending", desiredStatus="STOPPED", lastStatus="DEPROVISIONING", stopped_at=1e6)],
    }
    store = other("store", group="service:Database")
    gate.aws.others["airflow"].append(store)

    assert gate.run(gate.event("Delete"))["Status"] == "SUCCESS"

    stopped_tasks = [(call["cluster"].rpartition("/")[2], call["task"]) for call in gate.aws.named("stop_task")]
    assert sorted(stopped_tasks) == [("airflow", "executor"), ("airflow", "migration"), ("tasks", "etl")]
    states = {task["taskArn"]: task["lastStatus"] for tasks in gate.aws.others.values() for task in tasks}
    assert states.pop("store") == "RUNNING"
    assert {*states.values()} == {"STOPPED"}
    assert gate.aws.named("run_task") == []


def test_a_delete_request_fails_with_the_tasks_that_do_not_stop(gate: Gate) -> None:
    """A delete request fails after twenty minutes and names the tasks that do not stop."""
    gate.aws.others = {"airflow": [other("stuck")]}
    gate.aws.stubborn = True

    answer = gate.run(gate.event("Delete"))

    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == "1 tasks do not stop: stuck"
    assert len(gate.aws.named("stop_task")) == 1
    assert len(gate.aws.named("invoke")) == 1


def test_a_delete_request_succeeds_if_the_ecs_cluster_is_gone(gate: Gate) -> None:
    """A delete request succeeds if the ECS cluster no longer exists."""
    error = ClientError({"Error": {"Code": "ClusterNotFoundException"}}, "ListTasks")
    gate.aws.paginate = lambda **_: (_ for _ in ()).throw(error)

    assert gate.run(gate.event("Delete"))["Status"] == "SUCCESS"


def not_started(reason: str) -> dict:
    """Return the description of a task whose containers did not start."""
    return {**stopped({"name": "migrate"}, reason=reason), "stopCode": "TaskFailedToStart"}


def test_a_migration_task_that_failed_to_start_is_started_again(gate: Gate) -> None:
    """A migration task whose container did not start is started again with a new client token."""
    lives = [
        not_started("CannotPullContainerError: pull image manifest has been retried: i/o timeout"),
        not_started("ResourceInitializationError: unable to pull secrets: AccessDeniedException"),
        stopped({"name": "migrate", "exitCode": 0}),
    ]
    gate.aws.life = lambda age: lives[len(gate.aws.launched) - 1]

    assert gate.run(gate.event())["Status"] == "SUCCESS"
    assert len({call["clientToken"] for call in gate.aws.named("run_task")}) == 3


def test_slow_starts_of_the_migration_task_are_tried_three_times(gate: Gate) -> None:
    """Task starts that fail after four minutes are retried twice; the response has the last reason."""
    gate.aws.life = lambda age: not_started("CannotPullContainerError: timeout") if age > 240 else running()

    answer = gate.run(gate.event())

    assert answer["Status"] == "FAILED"
    assert "CannotPullContainerError: timeout" in answer["Reason"]
    assert len(gate.aws.launched) == 3


def test_quick_failures_of_the_task_start_are_retried_for_some_minutes(gate: Gate) -> None:
    """If the image cannot be pulled, the deployment fails after five to ten minutes of retries."""
    gate.aws.life = lambda age: not_started("CannotPullContainerError: not found")
    start = gate.clock.now

    assert gate.run(gate.event())["Status"] == "FAILED"
    assert 300 < gate.clock.now - start < 600


def test_a_migration_task_that_ran_is_not_started_again(gate: Gate) -> None:
    """A task with an exit code is not started again, even if its stop code is TaskFailedToStart."""
    life = {**stopped({"name": "migrate", "exitCode": 1}), "stopCode": "TaskFailedToStart"}
    gate.aws.life = lambda age: life

    assert gate.run(gate.event())["Status"] == "FAILED"
    assert len(gate.aws.launched) == 1


def test_the_migration_of_an_earlier_deployment_is_stopped_first(gate: Gate) -> None:
    """The gate stops the migration of an earlier deployment before it starts its own."""
    rival = other("rival", startedBy="cdk-airflow-ecs-migration/earlier", createdAt=datetime.fromtimestamp(1, UTC))
    gate.aws.others = {"airflow": [rival, other("executor", startedBy="airflow")]}

    assert gate.run(gate.event("Update"))["Status"] == "SUCCESS"

    assert [call["task"] for call in gate.aws.named("stop_task")] == ["rival"]
    assert rival["lastStatus"] == "STOPPED"
    assert min(gate.aws.launched.values()) > rival["stopped_at"] + 30


def test_a_request_fails_if_a_later_deployment_has_started_its_migration(gate: Gate) -> None:
    """A request fails if a later deployment has already started its migration."""
    late = datetime.fromtimestamp(gate.clock.now + 1, UTC)
    gate.aws.others = {"airflow": [other("rival", startedBy="cdk-airflow-ecs-migration/later", createdAt=late)]}

    answer = gate.run(gate.event("Update"))

    assert (answer["Status"], answer["Reason"]) == ("FAILED", "A later deployment has started its own migration")
    assert gate.aws.named("run_task") == gate.aws.named("stop_task") == []


def test_a_redelivered_event_does_not_stop_its_own_migration(gate: Gate) -> None:
    """If Lambda delivers an event twice, the gate does not stop the migration task of this event."""
    event = gate.event()
    gate.aws.others = {"airflow": [other("own", startedBy=f"cdk-airflow-ecs-migration/{event['RequestId']}")]}

    assert gate.run(event)["Status"] == "SUCCESS"
    assert gate.aws.named("stop_task") == []


def test_started_by_of_the_migration_task_is_valid_for_run_task(gate: Gate) -> None:
    """``startedBy`` has at most 128 characters, all valid (ECS API reference, RunTask)."""
    gate.run(gate.event())
    (call,) = gate.aws.named("run_task")
    assert re.fullmatch(r"[A-Za-z0-9/_-]{1,128}", call["startedBy"])


def test_the_migration_task_gets_the_tags_of_its_task_definition(gate: Gate) -> None:
    """RunTask propagates no tags by default."""
    gate.run(gate.event())
    (call,) = gate.aws.named("run_task")
    assert call["propagateTags"] == "TASK_DEFINITION"


SECRETS = {
    "sqlalchemy.url = postgresql+psycopg2://airflow:{}@db:5432/airflow": "p@s/s:word",
    "redis://:{}@broker:6379/0": "aUthT0ken",
    "cloning https://{}@github.example/dags.git": "ghp_0123456789",
    "connecting with user=airflow password={} host=db": "hunter2,;&x",
    "AIRFLOW_ECS_ADMIN_PASSWORD: {}": "correct-horse",
    "env PGPASSWORD='{}' psql": "it\\'s hidden",
    '{{"username": "airflow", "password": "{}", "port": 5432}}': 'quo\\"ted horse',
    '{{"SecretString": "{{\\"password\\":\\"{}\\"}}"}}': "escaped battery",
    "{{'token': '{}'}}": "wind mill",
    "Authorization: Bearer {}": "abc.def-ghi",
    "AIRFLOW__CORE__FERNET_KEY={}": "k" * 43 + "=",
    "invalid key {} given": "Zm9v_" + "b" * 38 + "=",
    "jwt {}": "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl",
    "key id {}": "AKIA" + "Q" * 16,
}


@pytest.mark.parametrize("template", SECRETS, ids=lambda template: template[:25])
def test_secrets_in_the_log_of_a_failed_migration_are_masked(gate: Gate, template: str) -> None:
    """A secret in the task's log is masked in the reason; the text around it is kept."""
    gate.aws.life = lambda age: stopped({"name": "migrate", "exitCode": 1})
    gate.aws.lines = ["before", template.format(SECRETS[template]), "after"]

    reason = gate.run(gate.event())["Reason"]

    assert [word for word in SECRETS[template].split() if word in reason] == []
    assert "***" in reason
    assert "before\n" in reason
    assert reason.endswith("\nafter")


def test_the_reason_of_a_failed_migration_has_exit_code_and_log(gate: Gate) -> None:
    """The reason has exit code, ECS's reason, log stream and last lines; ARNs are not masked."""
    arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:Db-AbC"
    gate.aws.life = lambda age: stopped(
        {"name": "migrate", "exitCode": 137, "reason": "OutOfMemoryError: Container killed"},
        reason=f"pull {arn}",
    )
    gate.aws.lines = [f"line {number}" for number in range(500)]

    answer = gate.run(gate.event())

    assert answer["Status"] == "FAILED"
    reason = answer["Reason"]
    assert "exit code 137; OutOfMemoryError: Container killed; pull " + arn in reason
    assert "Log group /airflow/migration, stream gate/migrate/0123456789abcdef" in reason
    assert reason.endswith("line 498\nline 499")


@pytest.mark.parametrize("letter", ["x", "ä", "語", "🐘", '"', "\\", "\n", "\x00", "\ud800"], ids=ascii)
def test_a_long_failure_reason_is_shortened_to_3_kb(gate: Gate, letter: str) -> None:
    """The reason of a failure has at most 3 KB in UTF-8 and keeps its beginning and end."""
    gate.aws.life = lambda age: stopped({"name": "migrate", "exitCode": 1})
    gate.aws.lines = [letter * 900 for _ in range(50)] + ["the very end"]

    answer = gate.run(gate.event())

    assert len(answer["Reason"].encode()) <= 3072
    assert answer["Reason"].startswith("The migration failed, exit code 1")
    assert answer["Reason"].endswith("the very end")


def test_masking_secrets_in_a_long_line_is_quick(gate: Gate) -> None:
    """Masking secrets in a very long line takes less than five seconds."""
    gate.aws.life = lambda age: stopped({"name": "migrate", "exitCode": 1})
    gate.aws.lines = ["a" * 1_000_000, "://" * 100_000, "password=" * 100_000, '\\"' * 300_000]

    before = time.process_time()
    gate.run(gate.event())

    assert time.process_time() - before < 5


def test_a_migration_container_without_exit_code_fails_the_migration(gate: Gate) -> None:
    """If the migration container has no exit code, the migration fails with the reason that ECS returns."""
    gate.aws.life = lambda age: stopped({"name": "migrate"}, reason="CannotPullContainerError: not found")
    gate.aws.get_log_events = lambda **_: (_ for _ in ()).throw(
        ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetLogEvents")
    )

    answer = gate.run(gate.event())

    assert answer["Status"] == "FAILED"
    assert "exit code none; CannotPullContainerError: not found" in answer["Reason"]
    assert answer["Reason"].endswith("(no log: ClientError)")


@pytest.mark.parametrize(("migration_code", "sidecar_code", "status"), [(0, 137, "SUCCESS"), (1, 0, "FAILED")])
def test_only_the_exit_code_of_the_migration_container_counts(
    gate: Gate, migration_code: int, sidecar_code: int, status: str
) -> None:
    """The exit code of a sidecar, such as that of GuardDuty, has no effect."""
    sidecar = {"name": "aws-guardduty-agent-x", "exitCode": sidecar_code}
    gate.aws.life = lambda age: stopped(sidecar, {"name": "migrate", "exitCode": migration_code})

    assert gate.run(gate.event())["Status"] == status


def test_a_task_without_the_migration_container_fails_the_migration(gate: Gate) -> None:
    """If the task has no migration container, the migration fails."""
    gate.aws.life = lambda age: stopped({"name": "other", "exitCode": 0})

    assert gate.run(gate.event())["Status"] == "FAILED"


def test_run_task_is_retried_without_capacity_or_with_a_new_role(gate: Gate) -> None:
    """RunTask is retried with new client tokens if capacity is missing or a new role is not usable yet."""
    gate.aws.refusals = [
        [{"reason": "Capacity is unavailable at this time"}],
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "iam:PassRole"}}, "RunTask"),
    ]

    assert gate.run(gate.event())["Status"] == "SUCCESS"
    tokens = [call["clientToken"] for call in gate.aws.named("run_task")]
    assert len(set(tokens)) == len(tokens) == 3
    assert all(len(token) <= 64 for token in tokens)


def test_the_deployment_fails_after_minutes_without_capacity(gate: Gate) -> None:
    """The deployment fails after a few minutes without capacity."""
    gate.aws.refusals = [[{"reason": "RESOURCE:ENI", "detail": "none left"}] for _ in range(1000)]
    start = gate.clock.now

    answer = gate.run(gate.event())

    assert answer["Status"] == "FAILED"
    assert "could not be launched: RESOURCE:ENI none left" in answer["Reason"]
    assert 240 < gate.clock.now - start < 600


def test_a_long_migration_takes_several_invocations(gate: Gate) -> None:
    """A migration of 35 minutes takes three Lambda invocations but only one task."""
    gate.aws.life = lambda age: stopped({"name": "migrate", "exitCode": 0}) if age > 2100 else running()

    assert gate.run(gate.event())["Status"] == "SUCCESS"
    assert len(gate.aws.named("invoke")) == 2
    assert len(gate.aws.named("run_task")) == 1


def test_a_slow_task_start_continues_in_the_next_invocation(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the function runs out of time before the task starts, the next invocation continues."""
    monkeypatch.setattr(gate.module, "LAUNCH_PATIENCE", 1800)
    gate.aws.refusals = [[{"reason": "Capacity is unavailable"}] for _ in range(80)]

    assert gate.run(gate.event())["Status"] == "SUCCESS"
    assert len(gate.aws.named("invoke")) == 1
    assert len(gate.aws.named("run_task")) == len(gate.aws.launched) + 80 == 81


def test_the_migration_is_stopped_after_55_minutes(gate: Gate) -> None:
    """The migration task is stopped after 55 minutes, before CloudFormation's limit of an hour."""
    gate.aws.life = lambda age: running()
    gate.aws.lines = ["adding an index, slowly"]
    start = gate.clock.now

    answer = gate.run(gate.event())

    assert answer["Status"] == "FAILED"
    assert "took over 55 minutes" in answer["Reason"]
    assert answer["Reason"].endswith("adding an index, slowly")
    assert [call["task"] for call in gate.aws.named("stop_task")] == [TASK]
    assert gate.clock.now - start < 3500


def test_an_event_delivered_twice_runs_one_task(gate: Gate) -> None:
    """An event that Lambda delivers twice runs one task."""
    gate.invoke(gate.event())
    gate.invoke(gate.event())

    assert len(gate.aws.launched) == 1
    assert [json.loads(body)["Status"] for body in gate.answers.bodies] == ["SUCCESS", "SUCCESS"]


def test_an_unexpected_exception_fails_the_deployment(gate: Gate) -> None:
    """An unexpected exception fails the deployment at once."""
    gate.aws.describe_tasks = lambda **_: {}["tasks"]

    answer = gate.run(gate.event())

    assert (answer["Status"], answer["Reason"]) == ("FAILED", "KeyError: 'tasks'")


def test_a_missing_environment_variable_fails_the_deployment(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the function lacks an environment variable, the deployment fails at once."""
    monkeypatch.delenv("CLUSTER")

    assert gate.run(gate.event())["Status"] == "FAILED"


def test_a_response_that_the_server_rejects_is_sent_again(gate: Gate) -> None:
    """A response that the server behind ResponseURL rejects is sent again, without a content type."""
    gate.answers.refuse = 3

    assert gate.run(gate.event())["Status"] == "SUCCESS"
    assert gate.answers.content_types == [""] * 4


def test_a_response_that_is_never_accepted_fails_the_invocation(gate: Gate) -> None:
    """The invocation fails if the response cannot be delivered, so that Lambda retries the event."""
    gate.answers.refuse = 1000

    with pytest.raises(OSError, match="503"):
        gate.invoke(gate.event())
