"""The ECS record of an ended task, on which clients such as the ECS executor depend."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from places import temporary_state

from cdk_airflow_ecs.local.agent.endpoints import Endpoints
from cdk_airflow_ecs.local.agent.homes import Homes
from cdk_airflow_ecs.local.agent.task import Task, TaskRuntime
from cdk_airflow_ecs.local.images.environments import Environment
from cdk_airflow_ecs.local.images.image import AirflowImageParts
from cdk_airflow_ecs.local.network.addresses import Addresses
from cdk_airflow_ecs.local.refusal import Refusal

BIN = Path(sys.executable).parent


@pytest.fixture
def runtime() -> Iterator[TaskRuntime]:
    """Return a runtime that uses this Python for every image."""
    image: Future[Environment] = Future()
    parts = AirflowImageParts(version="", python="")
    image.set_result(
        Environment(python=Path(sys.executable), bin=BIN, path=f"{BIN}:/bin", airflow_version="", image=parts)
    )
    unknown: Future[Environment] = Future()
    unknown.set_exception(Refusal("the image acme/agent:1 cannot run here; say `--image acme/agent:1=DIR`"))
    messages: list[tuple[str, str]] = []
    with temporary_state() as state, closing(Addresses.open(isolated=False)) as addresses:
        yield TaskRuntime(
            state=state,
            homes=Homes(state.folder("homes")),
            temporary=state.folder("tmp"),
            addresses=addresses,
            image=lambda name: unknown if name == "acme/agent:1" else image,
            secret=lambda *_: "",
            endpoints=Endpoints(assume=lambda *_: {}),
            variables={},
            region="eu-west-1",
            ship=lambda *_: None,
            say=lambda about, text: messages.append((about, text)),
        )


def test_a_sidecar_that_cannot_run_is_skipped_and_named_in_a_message(runtime):
    """A sidecar that cannot run is skipped with a message; the other containers determine the task's result."""
    waits = {"dependsOn": [{"containerName": "agent", "condition": "HEALTHY"}]}
    agent = {"name": "agent", "image": "acme/agent:1", "essential": False}
    for _ in range(2):
        record = ended(runtime, agent, {"name": "main", "command": ["raise SystemExit(3)"], **waits})
        assert (record.stop_code, record.containers[1]["exitCode"]) == ("EssentialContainerExited", 3)
        assert record.containers[0]["lastStatus"] == "STOPPED"
    ((about, text),) = runtime.say.__closure__[0].cell_contents  # only one message for all tasks
    assert about == "it/agent"
    assert "acme/agent:1" in text
    assert "--image acme/agent:1=DIR" in text


@pytest.mark.parametrize(
    "spec",
    [
        {"essential": False, "resourceRequirements": [{"type": "GPU", "value": "1"}]},
        {"essential": True, "image": "acme/agent:1", "firelensConfiguration": {"type": "fluentbit"}},
    ],
    ids=["a property", "a log router"],
)
def test_unsupported_sidecars_are_skipped(runtime, spec):
    """Sidecars with unsupported properties, and FireLens log routers, are skipped."""
    record = ended(runtime, {"name": "agent", **spec}, {"name": "main", "command": ["pass"]})
    assert record.containers[1]["exitCode"] == 0


def test_a_task_whose_essential_container_cannot_run_fails(runtime):
    """If an essential container cannot run, the task fails, and the error has container, reason and remedy."""
    record = ended(runtime, {"name": "agent", "image": "acme/agent:1"}, {"name": "main", "command": ["pass"]})
    assert record.stop_code == "TaskFailedToStart"
    assert "essential container agent" in record.stopped_reason
    assert "--image acme/agent:1=DIR" in record.stopped_reason
    assert "essential=False" in record.stopped_reason
    assert record.started_at is None


def ended(runtime: TaskRuntime, *containers: dict) -> SimpleNamespace:
    """Run a task and return its ECS record at the end."""
    record = begun(runtime, *containers)
    end = time.monotonic() + 120
    while record.status != "STOPPED":
        record.last_status = record.status
        assert time.monotonic() < end
        time.sleep(0.05)
    return record


def begun(runtime: TaskRuntime, *containers: dict) -> SimpleNamespace:
    """Start a task and return its ECS record."""
    identifier = uuid4().hex
    record = SimpleNamespace(
        id=identifier,
        task_arn=f"arn:aws:ecs:eu-west-1:123456789012:task/c/{identifier}",
        attachments=[],
        overrides=None,
        desired_status="RUNNING",
        started_at=None,
        last_status="PROVISIONING",
        stop_code="",
    )
    definition = SimpleNamespace(
        container_definitions=[{"image": "it", "entryPoint": ["python", "-c"], **each} for each in containers],
        family="it",
        task_role_arn=None,
        execution_role_arn=None,
    )
    task = Task(record=record, definition=definition, runtime=runtime, name="it")
    task.begin()
    return record


def test_the_record_of_a_task_that_ran_has_an_exit_code(runtime):
    """The record of a task that ran has its exit code and start time."""
    record = ended(runtime, {"name": "one", "command": ["raise SystemExit(3)"]})
    assert (record.stop_code, record.containers[0]["exitCode"]) == ("EssentialContainerExited", 3)
    assert record.started_at


def test_a_task_that_cannot_start_has_no_start_time(runtime):
    """A task that cannot start has no start time; with one, the ECS executor would wait forever."""
    record = ended(runtime, {"name": "one", "entryPoint": ["nothing-of-this-name"]})
    assert record.stop_code == "TaskFailedToStart"
    assert record.started_at is None
    assert "exitCode" not in record.containers[0]
    assert record.containers[0]["lastStatus"] == "STOPPED"
    assert "nothing-of-this-name" in record.stopped_reason


def test_a_container_that_was_never_started_is_recorded_as_stopped(runtime):
    """A container that was not started because another one failed is recorded as stopped."""
    waits = {"dependsOn": [{"containerName": "first", "condition": "SUCCESS"}]}
    record = ended(
        runtime,
        {"name": "first", "essential": False, "command": ["raise SystemExit(1)"]},
        {"name": "then", "command": ["pass"], **waits},
    )
    assert record.stop_code == "TaskFailedToStart"
    assert [each["lastStatus"] for each in record.containers] == ["STOPPED", "STOPPED"]
    assert record.started_at is None


HOME = """
import os, time
home = os.environ["AIRFLOW_HOME"]
print(home, os.listdir(home), flush=True)
open(home + "/left", "w").close()
while {wait} and not os.path.exists("{end}"):
    time.sleep(0.05)
"""


def homes(runtime: TaskRuntime) -> list[tuple[str, str]]:
    """Return the home folder that each task printed, and the content of the folder."""
    logs = sorted(runtime.state.folder("logs").iterdir(), key=lambda file: file.stat().st_ctime_ns)
    return [tuple(file.read_text().strip().split(" ", 1)) for file in logs if file.read_text()]


def test_a_new_task_reuses_the_home_path_of_the_previous_one(runtime, tmp_path):
    """A task's home has the path of the previous task's and is empty, unless both run at the same time.

    Airflow 2 removes only import errors and DAGs of the same path.
    """
    end = tmp_path / "end"
    for _ in range(2):
        ended(runtime, {"name": "main", "command": [HOME.format(wait=False, end=end)]})
    first, second = homes(runtime)
    assert first == second
    assert first[1] == "[]"
    running = begun(runtime, {"name": "main", "command": [HOME.format(wait=True, end=end)]})
    deadline = time.monotonic() + 120
    while len(homes(runtime)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ended(runtime, {"name": "main", "command": [HOME.format(wait=False, end=end)]})
    beside = {home for home, _ in homes(runtime)} - {first[0]}
    assert len(beside) == 1
    end.touch()
    while running.status != "STOPPED":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_task_with_a_long_family_name_has_a_home(runtime):
    """A task with a family name of 255 characters has a home."""
    homes = Homes(runtime.state.folder("homes"))
    taken = [homes.take("f" * 255), homes.take("f" * 255)]
    assert len(set(taken)) == 2
    assert all(path.is_dir() for path in taken)


NOTE = """
import sys, time
with open("{file}", "a") as file:
    file.write("started\\n")
time.sleep({seconds})
sys.exit({code})
"""
WAIT = """
import time
end = time.monotonic() + {seconds}
while time.monotonic() < end and open("{file}").read().count("started") < {starts}:
    time.sleep(0.05)
"""


@pytest.mark.parametrize(
    ("policy", "ran", "starts"),
    [
        ({"enabled": True, "restartAttemptPeriod": 0.2}, (0.3, 1), 3),
        ({"enabled": True, "restartAttemptPeriod": 0.2}, (0.3, 0), 3),
        ({"enabled": True, "restartAttemptPeriod": 0.2, "ignoredExitCodes": [0]}, (0.3, 0), 1),
        ({"enabled": True, "restartAttemptPeriod": 0.6}, (0, 1), 1),
        ({"enabled": True}, (0, 1), 1),
        ({"enabled": False}, (0.3, 1), 1),
    ],
    ids=["failure", "success", "ignored exit code", "too early", "too early for the default", "disabled"],
)
def test_a_container_restarts_only_if_it_ran_for_the_restart_period(runtime, tmp_path, policy, ran, starts):
    """A container restarts if it ran for the period of its restart policy; one that exits earlier stays stopped."""
    file = tmp_path / "starts"
    file.touch()
    seconds, code = ran
    sidecar = {"name": "side", "essential": False, "restartPolicy": policy}
    sidecar["command"] = [NOTE.format(file=file, seconds=seconds, code=code)]
    main = {"name": "main", "command": [WAIT.format(file=file, starts=3, seconds=60 if starts == 3 else 1.5)]}
    record = ended(runtime, sidecar, main)
    assert record.containers[1]["exitCode"] == 0
    assert file.read_text().count("started") == starts


def test_a_restarted_essential_container_does_not_stop_the_task(runtime, tmp_path):
    """The task stops only when an essential container is not restarted."""
    file = tmp_path / "starts"
    file.touch()
    policy = {"enabled": True, "restartAttemptPeriod": 0.2, "ignoredExitCodes": [7]}
    command = NOTE.format(file=file, seconds=0.3, code=f'7 if open("{file}").read().count("started") > 1 else 1')
    record = ended(runtime, {"name": "main", "restartPolicy": policy, "command": [command]})
    assert file.read_text().count("started") == 2
    assert record.containers[0]["exitCode"] == 7
