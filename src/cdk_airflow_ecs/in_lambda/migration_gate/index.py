"""The migration gate: a CloudFormation custom resource that runs a migration task and waits for it.

CloudFormation waits an hour, but a Lambda function can run only 15 minutes, so the function invokes itself again with
the event and its state. On stack deletion, it stops tasks that belong to no service, because ECS cannot delete a
cluster with tasks. Environment: CLUSTER, DRAINED (comma-separated clusters), SUBNETS (comma-separated), SECURITY_GROUP,
ASSIGN_PUBLIC_IP (ENABLED or DISABLED), CONTAINER, LOG_GROUP, LOG_PREFIX, and those of snapshots.py.
"""

from __future__ import annotations

import json
import os
import re
import time
import traceback
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import boto3
import snapshots  # type: ignore[import-not-found]  # the file beside this one
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from types_boto3_ecs import ECSClient
    from types_boto3_ecs.type_defs import TaskTypeDef

DEADLINE = 55 * 60  # seconds since the first invocation; CloudFormation's timeout is 60 minutes
LAUNCH_PATIENCE = 5 * 60  # seconds to wait for capacity, network interfaces and new permissions
UNSTARTED = 3  # consecutive tasks that did not start, after which the migration fails
DRAIN_PATIENCE = 20 * 60  # seconds to wait for tasks to stop; ECS kills them two minutes after StopTask
STARTED_BY = "cdk-airflow-ecs-migration"
POLL = 5  # seconds between polls
HAND_OVER = 90_000  # remaining milliseconds below which the next invocation continues; a response takes up to 60 s
REASON_BYTES = 3072  # maximum length of the encoded reason; CloudFormation rejects responses over 4096 bytes
PATIENT = Config(retries={"mode": "standard", "max_attempts": 8})  # throttling must not fail a deploy

# Names of secret values. The "secret:" of an ARN does not match.
NAMES = r"(?:passw(?:or)?d|pwd|(?<!:)secret|token|credential|(?:api|access|fernet)_?key)[\w.-]{0,40}"
QUOTED = r"""\\"(?:.*?)\\"|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
MASKS = [
    (re.compile(r"([a-z][a-z0-9+.-]{0,30}://)([^\s:/@]*:)?\S*@", re.I), r"\1\2***@"),  # ...://user:password@
    (re.compile(rf"""({NAMES}\\?["']?\s{{0,5}}[:=]\s{{0,5}})(?:{QUOTED}|\S+)""", re.I), r"\1***"),
    (re.compile(r"(Bearer|Basic)\s+[\w.~+/=-]+", re.I), r"\1 ***"),
    (re.compile(r"(?<![\w-])[\w-]{43}=(?![\w=])"), "***"),  # Fernet key
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*"), "***"),  # JSON web token
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "***"),  # AWS access key
    (re.compile(r"\b(?:scrypt|pbkdf2):\S+"), "***"),  # password hash
]


class MigrationFailed(Exception):
    """The migration failed. The stack's events show the message."""


class Context(Protocol):
    """The Lambda context of this invocation."""

    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the timeout."""


def handler(event: dict[str, Any], context: Context) -> None:
    """Process a request and respond to CloudFormation, unless the next invocation continues."""
    reason = ""
    try:
        if not (drain if event["RequestType"] == "Delete" else migrate)(event, context):
            return
    except (MigrationFailed, snapshots.SnapshotFailed) as error:
        reason = str(error)
    except Exception as error:
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
    respond(event, reason)


def migrate(event: dict[str, Any], context: Context) -> bool:
    """Run the migration task, or continue to wait for it. Return False if the next invocation continues.

    Before a migration to another release, wait for a snapshot of the database.

    Raises:
        MigrationFailed: If it failed, could not be launched, or took too long.
    """
    ecs = boto3.client("ecs", config=PATIENT)
    state = event.setdefault("Gate", {"started": time.time(), "attempt": 0, "task": None, "unstarted": 0})
    state.setdefault("ready", state["started"])  # when the snapshot was complete
    state.setdefault("snapshot", snapshots.is_needed(event))
    while True:
        age, waited = time.time() - state["started"], time.time() - state["ready"]
        if state["task"] is None and earlier(ecs, event):
            if waited > LAUNCH_PATIENCE:
                raise MigrationFailed("An earlier migration does not stop")
        elif state["snapshot"]:
            state["snapshot"] = not has_snapshot(event, age)
            if not state["snapshot"]:
                state["ready"] = time.time()
                continue
        elif state["task"] is None:
            state["task"], refusal = launch(ecs, event, state["attempt"])
            state["attempt"] += 1
            if state["task"] is None and waited > LAUNCH_PATIENCE:
                raise MigrationFailed(f"The migration task could not be launched: {refusal}")
        elif age > DEADLINE:
            ecs.stop_task(cluster=os.environ["CLUSTER"], task=state["task"], reason="Migration took too long")
            raise MigrationFailed(explain(f"The migration took over {DEADLINE // 60} minutes", state["task"]))
        else:
            found = ecs.describe_tasks(cluster=os.environ["CLUSTER"], tasks=[state["task"]])["tasks"]
            if found and found[0]["lastStatus"] == "STOPPED":
                state["unstarted"] += 1
                if ran(found[0]) or (state["unstarted"] >= UNSTARTED and waited > LAUNCH_PATIENCE):
                    return judge(found[0])
                state["task"] = None  # try again: e.g. the registry is busy, or a secret is not readable yet
        if hand_over(event, context):
            return False
        time.sleep(POLL if state["task"] else 3 * POLL)


def has_snapshot(event: dict[str, Any], age: float) -> bool:
    """Create the snapshot of the request, *age* seconds old, or look at it. Return whether it is complete.

    Raises:
        MigrationFailed: If it took too long.
    """
    complete, status = snapshots.take(event)
    patience = LAUNCH_PATIENCE if "AccessDenied" in status else snapshots.PATIENCE
    if not complete and age > patience:
        raise MigrationFailed(
            f"The snapshot {snapshots.name_of(event)} is not complete after {patience // 60} minutes ({status})."
            " Nothing was migrated. Deploy again when it is complete, or with snapshot_before_migration=False"
        )
    if complete:
        snapshots.prune()
    return bool(complete)


def drain(event: dict[str, Any], context: Context) -> bool:
    """Stop the tasks that belong to no service, and wait. Return False if the next invocation continues.

    Raises:
        MigrationFailed: If some tasks do not stop.
    """
    ecs = boto3.client("ecs", config=PATIENT)
    state = event.setdefault("Gate", {"started": time.time()})
    while True:
        left = []
        for cluster in os.environ["DRAINED"].split(","):
            for task in unfinished(ecs, cluster):
                if task.get("group", "").startswith("service:"):  # a store, deleted after the gate
                    continue
                left.append(task["taskArn"])
                if task["desiredStatus"] != "STOPPED":
                    ecs.stop_task(cluster=cluster, task=task["taskArn"], reason="The stack is deleted")
        if not left:
            if os.environ.get("SNAPSHOTS_LEFT") == "none":
                snapshots.prune(everything=True)
            return True
        if time.time() - state["started"] > DRAIN_PATIENCE:
            raise MigrationFailed(f"{len(left)} tasks do not stop: {', '.join(left[:5])}")
        if hand_over(event, context):
            return False
        time.sleep(POLL)


def hand_over(event: dict[str, Any], context: Context) -> bool:
    """Invoke the function again with *event* if its timeout is near. Return whether it was invoked."""
    if context.get_remaining_time_in_millis() >= HAND_OVER:
        return False
    boto3.client("lambda", config=PATIENT).invoke(
        FunctionName=context.invoked_function_arn, InvocationType="Event", Payload=json.dumps(event)
    )
    return True


def unfinished(ecs: ECSClient, cluster: str) -> Iterator[TaskTypeDef]:
    """Yield the tasks of *cluster* that have not stopped, including tasks that are stopping."""
    for status in ("RUNNING", "STOPPED"):
        try:
            for page in ecs.get_paginator("list_tasks").paginate(cluster=cluster, desiredStatus=status):
                if page["taskArns"]:
                    tasks = ecs.describe_tasks(cluster=cluster, tasks=page["taskArns"])["tasks"]
                    yield from (task for task in tasks if task["lastStatus"] != "STOPPED")
        except ClientError as error:
            if error.response["Error"]["Code"] != "ClusterNotFoundException":
                raise


def earlier(ecs: ECSClient, event: dict[str, Any]) -> bool:
    """Stop migration tasks of earlier requests, which were cancelled or rolled back. Return whether one still runs.

    Raises:
        MigrationFailed: If a later request has started its own migration.
    """
    found = False
    for task in unfinished(ecs, os.environ["CLUSTER"]):
        by = task.get("startedBy", "")
        if not by.startswith(STARTED_BY) or by == started_by(event):
            continue
        if "createdAt" in task and task["createdAt"].timestamp() > event["Gate"]["started"]:
            raise MigrationFailed("A later deployment has started its own migration")
        found = True
        if task["desiredStatus"] != "STOPPED":
            reason = "Another deployment starts its migration"
            ecs.stop_task(cluster=os.environ["CLUSTER"], task=task["taskArn"], reason=reason)
    return found


def started_by(event: dict[str, Any]) -> str:
    """Return the startedBy value of a request's migration tasks."""
    return f"{STARTED_BY}/{event['RequestId']}"


def launch(ecs: ECSClient, event: dict[str, Any], attempt: int) -> tuple[str | None, str]:
    """Start the migration task. Return its ARN and "", or None and why it was not started.

    If Lambda delivers an event twice, the client token returns the task of the first delivery.
    """
    network: Any = {
        "subnets": os.environ["SUBNETS"].split(","),
        "securityGroups": [os.environ["SECURITY_GROUP"]],
        "assignPublicIp": os.environ["ASSIGN_PUBLIC_IP"],
    }
    try:
        answer = ecs.run_task(
            cluster=os.environ["CLUSTER"],
            taskDefinition=event["ResourceProperties"]["TaskDefinition"],
            launchType="FARGATE",
            clientToken=f"{event['RequestId']}-{attempt}",
            startedBy=started_by(event),
            propagateTags="TASK_DEFINITION",
            networkConfiguration={"awsvpcConfiguration": network},
        )
    except ClientError as error:  # a new role or policy may not have propagated
        return None, str(error)
    if answer["tasks"]:
        return answer["tasks"][0]["taskArn"], ""
    return None, "; ".join(f"{f.get('reason', '')} {f.get('detail', '')}".strip() for f in answer["failures"])


def ran(task: TaskTypeDef) -> bool:
    """Return whether the migration in *task* may have run: False if the task failed to start."""
    exits = [container for container in task["containers"] if "exitCode" in container]
    return bool(exits) or task.get("stopCode") != "TaskFailedToStart"


def judge(task: TaskTypeDef) -> bool:
    """Return True if the migration container exited with 0, else raise MigrationFailed."""
    ours = [container for container in task["containers"] if container["name"] == os.environ["CONTAINER"]]
    if [container.get("exitCode") for container in ours] == [0]:
        return True
    code = next((container["exitCode"] for container in ours if "exitCode" in container), "none")
    reasons = [*(container.get("reason") for container in ours), task.get("stoppedReason")]
    summary = "; ".join([f"The migration failed, exit code {code}", *filter(None, reasons)])
    raise MigrationFailed(explain(summary, task["taskArn"]))


def explain(summary: str, task: str) -> str:
    """Append the location of the task's logs, and their last lines, to an error message."""
    group = os.environ["LOG_GROUP"]
    stream = f"{os.environ['LOG_PREFIX']}/{os.environ['CONTAINER']}/{task.rpartition('/')[2]}"
    try:
        logs = boto3.client("logs", config=PATIENT).get_log_events(
            logGroupName=group, logStreamName=stream, limit=100, startFromHead=False
        )
        lines = "\n".join(event["message"] for event in logs["events"])[-20_000:]
    except Exception as error:  # tasks that never started have no stream
        lines = f"(no log: {type(error).__name__})"
    return f"{summary}. Log group {group}, stream {stream}, last lines:\n{lines}"


def presentable(reason: str) -> str:
    """Mask possible secrets in a reason, and cut its middle so that it fits into the response."""
    reason = re.sub(r"\x1b\[[0-9;]*m", "", reason)
    reason = "".join(letter if letter == "\n" or letter.isprintable() else " " for letter in reason)
    for pattern, replacement in MASKS:
        reason = pattern.sub(replacement, reason)
    head, tail = reason[:700], reason[700:]
    cut = ""
    while len(encode(head + cut + tail)) > REASON_BYTES:
        cut = "\n[...]\n"
        head, tail = (head, tail[50:]) if tail else (head[:-50], tail)
    return head + cut + tail


def respond(event: dict[str, Any], reason: str) -> None:
    """Send the response to CloudFormation. An empty reason means success."""
    answer = {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": presentable(reason),
        "PhysicalResourceId": event["LogicalResourceId"],  # constant, so that updates never replace the resource
        **{key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")},
    }
    print(answer["Status"], answer["Reason"])
    # An empty content type, because the presigned URL was signed without one.
    request = urllib.request.Request(  # noqa: S310 (CloudFormation's own https URL)
        event["ResponseURL"], data=encode(answer), method="PUT", headers={"Content-Type": ""}
    )
    for pause in (1, 2, 4, 8, None):
        try:
            with urllib.request.urlopen(request, timeout=8):  # noqa: S310
                return
        except OSError:
            if pause is None:
                raise  # Lambda delivers the event again; the client token then returns the same task
            time.sleep(pause)


def encode(value: object) -> bytes:
    """Return the JSON text that CloudFormation receives."""
    return json.dumps(value, ensure_ascii=False).encode()
