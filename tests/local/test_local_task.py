"""What a task tells of itself when it ends: whoever waits for it, such as the ECS executor, has nothing else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from places import temporary_state

from cdk_airflow_ecs.local.agent.endpoints import Endpoints
from cdk_airflow_ecs.local.agent.task import Task, TaskRuntime
from cdk_airflow_ecs.local.images.environments import Environment
from cdk_airflow_ecs.local.images.image import AirflowImageParts
from cdk_airflow_ecs.local.network.addresses import Addresses

BIN = Path(sys.executable).parent


@pytest.fixture
def runtime() -> Iterator[TaskRuntime]:
    """What tasks stand on, with one image: this Python."""
    image: Future[Environment] = Future()
    parts = AirflowImageParts(version="", python="")
    image.set_result(
        Environment(python=Path(sys.executable), bin=BIN, path=f"{BIN}:/bin", airflow_version="", image=parts)
    )
    with temporary_state() as state, closing(Addresses.open(isolated=False)) as addresses:
        yield TaskRuntime(
            state=state,
            temporary=state.folder("tmp"),
            addresses=addresses,
            image=lambda _: image,
            secret=lambda *_: "",
            endpoints=Endpoints(assume=lambda *_: {}),
            variables={},
            region="eu-west-1",
            ship=lambda *_: None,
            say=lambda *_: None,
        )


def ended(runtime: TaskRuntime, *containers: dict) -> SimpleNamespace:
    """The record of a task of these containers, when it is over."""
    record = SimpleNamespace(
        id="0" * 32,
        task_arn=f"arn:aws:ecs:eu-west-1:123456789012:task/c/{'0' * 32}",
        attachments=[],
        overrides=None,
        desired_status="RUNNING",
        started_at=None,
        last_status="PROVISIONING",
        stop_code="",
    )
    definition = SimpleNamespace(
        container_definitions=[{"image": "it", "entryPoint": ["python", "-c"], **each} for each in containers],
        task_role_arn=None,
        execution_role_arn=None,
    )
    task = Task(record=record, definition=definition, runtime=runtime, name="it")
    task.begin()
    end = time.monotonic() + 120
    while record.status != "STOPPED":
        record.last_status = record.status
        assert time.monotonic() < end
        time.sleep(0.05)
    return record


def test_a_task_that_ran_tells_its_exit_code(runtime):
    """And when it started."""
    record = ended(runtime, {"name": "one", "command": ["raise SystemExit(3)"]})
    assert (record.stop_code, record.containers[0]["exitCode"]) == ("EssentialContainerExited", 3)
    assert record.started_at


def test_a_task_that_cannot_start_never_started(runtime):
    """The ECS executor takes a task that started and has no exit code for one that runs, for ever."""
    record = ended(runtime, {"name": "one", "entryPoint": ["nothing-of-this-name"]})
    assert record.stop_code == "TaskFailedToStart"
    assert record.started_at is None
    assert "exitCode" not in record.containers[0]
    assert record.containers[0]["lastStatus"] == "STOPPED"
    assert "nothing-of-this-name" in record.stopped_reason


def test_what_waited_for_a_failure_is_described_as_stopped(runtime):
    """A container that never began, because the one before it failed."""
    waits = {"dependsOn": [{"containerName": "first", "condition": "SUCCESS"}]}
    record = ended(
        runtime,
        {"name": "first", "essential": False, "command": ["raise SystemExit(1)"]},
        {"name": "then", "command": ["pass"], **waits},
    )
    assert record.stop_code == "TaskFailedToStart"
    assert [each["lastStatus"] for each in record.containers] == ["STOPPED", "STOPPED"]
    assert record.started_at is None
