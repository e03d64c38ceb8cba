"""Task scale-in protection: the ECS agent's endpoint, and the processes of a worker."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import pytest

from cdk_airflow_ecs.in_container import program, worker_protection
from cdk_airflow_ecs.in_container.worker_protection import (
    EXPIRES,
    IDLE,
    LONGEST,
    PACE,
    RENEW,
    SHORTEST,
    Agent,
    Protection,
)
from ecs_agent import FakeAgent, error, failure
from servers import free_port

# A worker: a pool process whose tasks are child processes, and a log server that always has a child process. The first
# argument is a FIFO from which the worker reads the duration of each task in seconds.
WORKER = """
import os, subprocess, sys, time
if os.fork() == 0:
    os.execv(sys.executable, ["gunicorn: master", "-c", "import os,time; os.fork(); time.sleep(60)"])
if os.fork() == 0:
    while True:
        for line in open(sys.argv[1]):
            subprocess.run([sys.executable, "-c", "import time; time.sleep(" + line + ")"])
time.sleep(60)
"""
# A fake boto3: the worker's service, with creation time and running tasks of its newest deployment in the file
# "deployment", and another one.
BOTO3 = """
import datetime, json, pathlib
def client(name, config):
    assert name == "ecs"
    assert (config.connect_timeout, config.read_timeout, config.retries) == (3, 5, {"max_attempts": 2})
    return Ecs()
class Ecs:
    def get_paginator(self, name):
        assert name == "list_services"
        return self
    def paginate(self, cluster):
        assert cluster == "cluster"
        yield {"serviceArns": ["service/cluster/other"]}
        yield {"serviceArns": ["service/cluster/worker"]}
        yield {"serviceArns": []}
    def describe_services(self, cluster, services):
        now = datetime.datetime.now(datetime.timezone.utc)
        if services == ["service/cluster/other"]:
            return {"services": [{"taskDefinition": "task-definition/stack-Pools-default-2:9", "desiredCount": 1,
                                  "runningCount": 1, "deployments": [{"status": "PRIMARY", "createdAt": now,
                                  "desiredCount": 1, "runningCount": 1, "rolloutState": "COMPLETED"}]}]}
        created, running = json.loads(pathlib.Path(__file__).with_name("deployment").read_text())
        created = datetime.datetime.fromtimestamp(created, datetime.timezone.utc)
        return {"services": [{"taskDefinition": "task-definition/stack-Pools-default:2", "desiredCount": 2,
            "runningCount": 1 + running, "deployments": [
            {"status": "PRIMARY", "createdAt": created, "desiredCount": 2, "runningCount": running,
             "rolloutState": "IN_PROGRESS"},
            {"status": "ACTIVE", "createdAt": now, "desiredCount": 0, "runningCount": 1}]}]}
"""


class Recorder(Agent):
    """A fake ECS agent that records calls and fails with given reasons."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = list(reasons)
        self.calls: list[tuple[float, bool]] = []
        self.now = 0.0

    def protect(self, enabled: bool) -> str:
        """Record a protection call."""
        self.calls.append((self.now, enabled))
        return self.reasons.pop(0) if self.reasons else ""


def followed(agent: Recorder, busy: Callable[[float], bool], seconds: int) -> list[tuple[float, bool]]:
    """Simulate a worker that has tasks at the seconds for which *busy* returns true; return the protection calls."""
    protection = Protection(agent)
    for look in range(int(seconds / PACE)):
        agent.now = now = look * PACE
        protection.follow(busy(now), now)
    return agent.calls


def test_an_idle_worker_requests_no_protection():
    """Without tasks, the ECS agent is not called."""
    assert followed(Recorder(), lambda now: False, 3600) == []


def test_a_busy_worker_is_protected_until_it_is_idle():
    """The protection starts with a task, is renewed while the task runs, and ends when no task ran for a while."""
    calls = followed(Recorder(), lambda now: 100 <= now < 800, 1000)
    end = 800 - PACE + IDLE
    assert calls == [(100, True), (100 + RENEW, True), (100 + 2 * RENEW, True), (end, False)]


def test_the_worker_protection_outlives_several_lost_renewals():
    """The protection expires later than several renewals, and before CloudFormation's three hours."""
    assert 3 * RENEW < EXPIRES * 60 < 3 * 3600


def test_short_tasks_with_pauses_cause_one_protection_call():
    """The protection continues during short pauses between tasks, so it is requested once."""
    assert followed(Recorder(), lambda now: now % 20 == 0, 200) == [(0, True)]


def test_a_failed_protection_call_is_repeated_with_increasing_delays(capsys):
    """A failed protection call is repeated with increasing delays, and each reason is printed once."""
    calls = followed(Recorder(*["ThrottlingException: Rate exceeded"] * 12), lambda now: True, 600)
    delays = [later - sooner for (sooner, _), (later, _) in itertools.pairwise(calls[:13])]
    assert len(delays) == 12
    assert all(delay <= min(SHORTEST * 2**number, LONGEST) + PACE for number, delay in enumerate(delays))
    assert delays[0] >= SHORTEST * 0.5
    assert sum(delays) > 4 * LONGEST * 0.5
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "protection: cannot protect this ECS task, will retry: ThrottlingException: Rate exceeded",
        "protection: this ECS task is protected",
    ]


def test_a_refused_renewal_of_the_protection_is_repeated(capsys):
    """A renewal of the protection that ECS refuses is repeated until it succeeds, and logged once."""
    calls = followed(Recorder("", "DEPLOYMENT_BLOCKED", "DEPLOYMENT_BLOCKED"), lambda now: True, RENEW + 60)
    assert [enabled for _, enabled in calls] == [True] * 4
    assert capsys.readouterr().out.count("DEPLOYMENT_BLOCKED") == 1


def test_after_a_failed_protection_call_the_state_is_requested_again():
    """After a failed release, a new task is protected again; after a failed protection, an idle worker is released."""
    calls = followed(Recorder("", "ServerException"), lambda now: now in (0, IDLE + 8), 200)
    assert calls[0] == (0, True)
    assert [enabled for _, enabled in calls] == [True, False, False, True, False]
    assert followed(Recorder("ServerException"), lambda now: now == 0, 1) == [(0, True)]
    late = Recorder("ServerException", *["ServerException"] * 9)
    assert [enabled for _, enabled in followed(late, lambda now: now == 0, 300)].count(False) > 2


def test_a_failed_release_is_not_repeated_after_the_protection_expired():
    """A failed release is not repeated after the protection has expired."""
    calls = followed(Recorder(*["AccessDeniedException"] * 999), lambda now: now == 0, 2 * EXPIRES * 60)
    assert 0.9 < calls[-1][0] / (EXPIRES * 60) <= 1


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (failure("DEPLOYMENT_BLOCKED"), "DEPLOYMENT_BLOCKED"),
        (failure("TASK_NOT_VALID"), "TASK_NOT_VALID"),
        (error(400, "ThrottlingException", "Rate exceeded"), "ThrottlingException: Rate exceeded"),
        (error(400, "AccessDeniedException", "no permission"), "AccessDeniedException: no permission"),
        (error(504, "RequestCanceled", "Timed out"), "RequestCanceled: Timed out"),
        ((404, None), "status 404"),
        ((200, []), "status 200"),
        ((200, {"failure": None}), "status 200"),
    ],
    ids=str,
)
def test_an_unsuccessful_response_of_the_ecs_agent_is_returned_as_a_reason(response, reason):
    """A failure or an error in the agent's response is returned as a reason."""
    with FakeAgent([response]) as fake:
        agent = Agent(fake.uri)
        assert agent.protect(True) == reason
        assert agent.protect(True) == agent.protect(False) == ""
    protect = {"ProtectionEnabled": True, "ExpiresInMinutes": EXPIRES}
    assert fake.bodies == [protect, protect, {"ProtectionEnabled": False}]


def test_a_missing_or_slow_ecs_agent_is_a_failed_call(monkeypatch):
    """If the ECS agent is missing or slow, the protection call fails with a reason."""
    assert "ConnectionRefusedError" in Agent(f"http://127.0.0.1:{free_port()}/api/4711").protect(True)
    monkeypatch.setattr(worker_protection, "TIMEOUT", 0.001)
    with FakeAgent() as fake:
        monkeypatch.setattr(fake, "responses", Slow())
        assert "imeout" in Agent(fake.uri).protect(True)


class Slow(list):
    """An HTTP handler whose responses are late."""

    def __bool__(self) -> bool:
        time.sleep(0.2)
        return False


def test_the_ecs_agent_is_called_without_a_proxy(monkeypatch):
    """Calls to the ECS agent do not use the proxy in the container's environment."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with FakeAgent() as fake:
        assert Agent(fake.uri).protect(True) == ""


@contextmanager
def running(folder: Path, variables: Mapping[str, str], boto3: str = BOTO3) -> Iterator[subprocess.Popen[bytes]]:
    """Run the worker through worker_protection.py, with shorter times."""
    text = program("worker_protection")
    for name, value in (("PACE", 0.05), ("IDLE", 0.5), ("RENEW", 0.7)):
        text, changed = re.subn(rf"(?m)^{name} = [\d.]+", f"{name} = {value}", text)
        assert changed == 1
    (folder / "boto3.py").write_text(boto3)
    (folder / "botocore").mkdir()
    (folder / "botocore/config.py").write_text("from types import SimpleNamespace as Config")
    (folder / "deployment").write_text(json.dumps([time.time() - 60, 2]))
    os.mkfifo(folder / "tasks")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), **variables}
    command = [sys.executable, "-c", text, sys.executable, "-c", WORKER, str(folder / "tasks")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def background(folder: Path, worker: subprocess.Popen[bytes]) -> list[int]:
    """Return the pids of worker_protection.py in other sessions than the worker's."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = str(folder).encode() in (process / "cmdline").read_bytes()
            if is_ours and os.getsid(int(process.name)) not in (worker.pid, int(process.name)):
                found.append(int(process.name))
        except (OSError, ValueError):
            continue
    return found


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until *condition* is true, or raise TimeoutError."""
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def test_a_worker_is_protected_while_a_celery_pool_process_has_a_child(tmp_path):
    """A task protects the worker; the log server's child process does not. The protection ends with a killed worker."""
    with FakeAgent() as agent, running(tmp_path, agent.environment) as worker:
        eventually(
            lambda: len(background(tmp_path, worker)) == 1
        )  # the process has its own session, so signals to the worker do not reach it
        time.sleep(0.3)
        assert agent.bodies == []
        (tmp_path / "tasks").write_text("1.5\n")
        agent.wait_for(True, False)
        assert len(agent.bodies) > 2  # includes renewals
        (tmp_path / "tasks").write_text("60\n")
        agent.wait_for(True, False, True)
        worker.kill()  # the worker remains a zombie
        eventually(lambda: background(tmp_path, worker) == [])
    assert (tmp_path / "log").read_text() == ""


def test_without_an_ecs_agent_only_the_worker_runs(tmp_path):
    """Without ECS_AGENT_URI, worker_protection.py only executes the command."""
    with running(tmp_path, {}) as worker:
        eventually(lambda: b"def watch" not in Path(f"/proc/{worker.pid}/cmdline").read_bytes())
        assert background(tmp_path, worker) == []
    assert (tmp_path / "log").read_text() == ""


@pytest.mark.parametrize(
    ("deployment", "running", "expected"),
    [
        ({}, 3, False),
        ({"runningCount": 1}, 3, False),
        ({"runningCount": 2}, 3, True),
        ({"runningCount": 2, "createdAt": datetime.fromtimestamp(99, timezone.utc)}, 2, False),
        ({"runningCount": 2, "status": "ACTIVE"}, 2, False),
        ({"runningCount": 2, "rolloutState": "FAILED"}, 4, False),
        ({"desiredCount": 0}, 1, True),
        ({}, 4, True),
        ({"rolloutState": "FAILED"}, 4, False),
    ],
)
def test_a_worker_is_superseded_when_the_new_tasks_run_or_ecs_can_start_no_more(deployment, running, expected):
    """A deployment whose tasks cannot start drains no worker, unless twice the desired tasks run: ECS then waits."""
    created = datetime.fromtimestamp(101, timezone.utc)
    primary = {"status": "PRIMARY", "createdAt": created, "desiredCount": 2, "runningCount": 0}
    primary |= {"rolloutState": "IN_PROGRESS", **deployment}
    service = {"desiredCount": 2, "runningCount": running, "deployments": [primary]}
    assert worker_protection.has_newer_deployment(service, 100) is expected


def test_a_busy_worker_of_an_old_deployment_accepts_no_more_tasks(tmp_path):
    """When the tasks of a newer deployment run, a busy worker gets one SIGTERM: Celery's warm shutdown."""
    with FakeAgent() as agent, running(tmp_path, agent.environment) as worker:
        eventually(lambda: len(background(tmp_path, worker)) == 1)
        (tmp_path / "tasks").write_text("60\n")
        agent.wait_for(True)
        eventually(lambda: len(agent.bodies) > 2)  # after two looks
        assert worker.poll() is None
        (tmp_path / "deployment").write_text(json.dumps([time.time(), 1]))
        seen = len(agent.bodies)
        eventually(lambda: len(agent.bodies) > seen + 2)
        assert worker.poll() is None
        (tmp_path / "deployment").write_text(json.dumps([time.time(), 2]))
        assert worker.wait(30) == -signal.SIGTERM
    assert (tmp_path / "log").read_text().count("accepts no more") == 1


def test_a_worker_continues_if_the_ecs_deployment_cannot_be_read(tmp_path):
    """If the ECS API cannot be read, the worker continues and remains protected."""
    broken = "def client(name, config): raise OSError('no route')"
    with FakeAgent() as agent, running(tmp_path, agent.environment, broken) as worker:
        (tmp_path / "tasks").write_text("60\n")
        eventually(lambda: len(agent.bodies) > 2)
        assert worker.poll() is None
        assert agent.states == [True]
    assert "cannot read the deployments of this service: OSError: no route" in (tmp_path / "log").read_text()


def test_between_two_slow_calls_of_the_ecs_api_the_protection_is_renewed(tmp_path):
    """The time until the next look at the deployments starts when the last look has ended."""
    slow = """
import pathlib, time
def client(name, config):
    for pause in (1, 0):
        with pathlib.Path(__file__).with_name("calls").open("a") as file:
            print(time.monotonic(), file=file)
        time.sleep(pause)
    raise TimeoutError
"""
    calls = tmp_path / "calls"
    with FakeAgent() as agent, running(tmp_path, agent.environment, slow):
        (tmp_path / "tasks").write_text("60\n")
        eventually(lambda: calls.exists() and len(calls.read_text().splitlines()) >= 4)
        _, end, start, *_ = map(float, calls.read_text().split())
    assert start - end >= 0.7
