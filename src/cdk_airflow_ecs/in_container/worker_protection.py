"""Protect an ECS task from scale-in while its Celery worker runs Airflow tasks, and execute the worker: ``COMMAND...``.

A background process observes the worker's processes and calls the ECS agent (Amazon ECS developer guide, "task scale-in
protection endpoint"). Without the agent, only the command runs. If the tasks of a newer deployment run, a busy worker
finishes its Airflow tasks and accepts no more, because deployments wait for protected ECS tasks.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

# Seconds between two looks at the processes. Until the next look, ECS can stop a worker with a new task. A look costs
# about 2 ms: 0.4 % of a vCPU.
PACE = 0.5
IDLE = 30  # seconds without a task until the protection ends, so that short tasks do not cause two calls each
# ECS may refuse renewals while protected tasks outnumber the desired count (DEPLOYMENT_BLOCKED), so this is the default
# of ECS, not a few minutes. Should this process be killed, CloudFormation waits longer, for three hours.
EXPIRES = 120  # minutes
RENEW = 300  # seconds between two renewals, and between two looks at the service's deployment
SHORTEST = 2  # seconds until a failed call is repeated at first, doubled with each failure
LONGEST = 60  # seconds between two attempts of a call, at most
TIMEOUT = 10  # seconds, per request to the ECS agent
# Titles of the worker's child processes that always have children: the log server of Airflow 2, and Python's fork
# server (the default of Python 3.14).
LOG_SERVERS = ("airflow serve-logs", "gunicorn")
FORK_SERVER = "-c from multiprocessing.forkserver "


def say(message: str) -> None:
    """Print a line without buffering."""
    print(f"protection: {message}", flush=True)


def parents() -> dict[int, int]:
    """Return the parent of each process that has not ended."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", errors="replace") as file:
                    state, parent = file.read().rpartition(")")[2].split()[:2]
            except (OSError, ValueError):
                continue
            if state not in "ZX":
                found[int(name)] = int(parent)
    return found


def is_helper(process: int) -> bool:
    """Return whether a child process of the worker is not one of Celery's pool."""
    try:
        with open(f"/proc/{process}/cmdline", errors="replace") as file:
            title = file.read().replace("\0", " ")
    except OSError:
        return True  # it has ended
    return title.startswith(LOG_SERVERS) or FORK_SERVER in title


def is_busy(worker: int, known: dict[int, int]) -> bool:
    """Return whether a process of Celery's pool has a child, which runs a task.

    The titles of processes do not show it: idle ones keep that of their last task (Airflow 3).
    """
    pool = {process for process, parent in known.items() if parent == worker}
    return any(not is_helper(parent) for parent in {*known.values()} & pool)


class Agent:
    """The ECS agent's endpoint for the protection of this task."""

    def __init__(self, uri: str) -> None:
        self.url = urllib.parse.urlsplit(uri)

    def protect(self, enabled: bool) -> str:
        """Set or remove the protection. Return the reason if that fails."""
        body = {"ProtectionEnabled": True, "ExpiresInMinutes": EXPIRES} if enabled else {"ProtectionEnabled": False}
        headers = {"Content-Type": "application/json"}
        connection = http.client.HTTPConnection(self.url.netloc, timeout=TIMEOUT)
        try:
            connection.request("PUT", f"{self.url.path}/task-protection/v1/state", json.dumps(body), headers)
            response = connection.getresponse()
            return refusal(response.status, response.read())
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connection.close()


def refusal(status: int, text: bytes) -> str:
    """Return the reason in the agent's response; empty if it is a success."""
    try:
        answer = json.loads(text)
        if answer.get("protection"):
            return ""
        failure, error = answer.get("failure") or {}, answer.get("error") or {}
        words = (failure.get("Reason"), failure.get("Detail"), error.get("Code"), error.get("Message"))
        return ": ".join(str(word) for word in words if word) or f"status {status}"
    except (ValueError, AttributeError):
        return f"status {status}"


class Protection:
    """The protection of this task: when it is set, renewed and removed."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.is_on: bool | None = False  # None after a failed call, which may have had an effect
        self.last_busy = float("-inf")
        self.due = self.delay = 0.0
        self.reason = ""

    def follow(self, busy: bool, now: float) -> None:
        """Call the agent if the state at *now*, in seconds, requires it."""
        if busy:
            self.last_busy = now
        idle = now - self.last_busy
        wanted = idle < IDLE
        if not wanted and (self.is_on is False or idle > 60 * EXPIRES):
            return
        if now < self.due and (self.delay or wanted == self.is_on):
            return
        reason = self.agent.protect(wanted)
        if reason:
            self.is_on, self.delay = None, min(max(SHORTEST, 2 * self.delay), LONGEST)
            self.due = now + self.delay * random.uniform(0.5, 1)  # noqa: S311 (spreads the calls of many workers)
            if reason != self.reason:
                say(f"cannot {'protect' if wanted else 'release'} this ECS task, will retry: {reason}")
        else:
            self.is_on, self.delay, self.due = wanted, 0.0, now + RENEW
            if self.reason:
                say(f"this ECS task is {'protected' if wanted else 'released'}")
        self.reason = reason


def is_superseded(started: float) -> bool:
    """Return whether ECS replaces this task by a deployment since *started*, in seconds since 1970.

    Fargate's metadata lack the name of the service, so it is found by the family of its task definition.
    """
    url = urllib.parse.urlsplit(os.environ["ECS_CONTAINER_METADATA_URI_V4"])
    connection = http.client.HTTPConnection(url.netloc, timeout=TIMEOUT)
    connection.request("GET", f"{url.path}/task")
    task = json.loads(connection.getresponse().read())
    return any(
        has_newer_deployment(service, started)
        for service in services(task["Cluster"])
        if service["taskDefinition"].rpartition("/")[2].rpartition(":")[0] == task["Family"]
    )


def has_newer_deployment(service: dict[str, Any], started: float) -> bool:
    """Return whether all tasks of a deployment since *started* run, or ECS can start none before others end.

    The service's maximumPercent is 200. If new tasks cannot start, ECS rolls back, and old workers must continue.
    """
    is_full = service["runningCount"] >= 2 * service["desiredCount"]
    return any(
        deployment["status"] == "PRIMARY"
        and deployment.get("rolloutState") != "FAILED"
        and deployment["createdAt"].timestamp() > started
        and (is_full or deployment["runningCount"] >= deployment["desiredCount"])
        for deployment in service["deployments"]
    )


def services(cluster: str) -> Iterator[dict[str, Any]]:
    """Yield the services of an ECS cluster."""
    import boto3  # noqa: PLC0415 (only the child process needs it)
    from botocore.config import Config  # noqa: PLC0415

    # The protection is not renewed meanwhile. By default, five attempts would take five minutes.
    ecs: Any = boto3.client("ecs", config=Config(connect_timeout=3, read_timeout=5, retries={"max_attempts": 2}))
    for page in ecs.get_paginator("list_services").paginate(cluster=cluster):
        if page["serviceArns"]:
            yield from ecs.describe_services(cluster=cluster, services=page["serviceArns"])["services"]


def in_a_child(condition: Callable[[], bool]) -> bool:
    """Return *condition* of a child process, which frees the memory of boto3, about 60 MB. An error is False."""
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if condition() else 1
        except Exception as error:
            say(f"cannot read the deployments of this service: {type(error).__name__}: {error}")
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def watch(worker: int, agent: Agent) -> None:
    """Protect this task whenever the worker runs a task, until the worker ends."""
    protection, started = Protection(agent), time.time()
    look = time.monotonic() + RENEW
    while worker in (known := parents()):
        busy, now = is_busy(worker, known), time.monotonic()
        protection.follow(busy, now)
        if busy and now >= look:
            is_old = in_a_child(lambda: is_superseded(started))
            look = time.monotonic() + RENEW
            if is_old:
                say("ECS deploys a newer version: this worker finishes its tasks and accepts no more")
                os.kill(worker, signal.SIGTERM)  # Celery's warm shutdown
                look = float("inf")
        time.sleep(PACE)


def main(*command: str) -> None:
    """Start a background process that protects the task, and execute *command*."""
    uri, worker = os.environ.get("ECS_AGENT_URI"), os.getpid()
    if uri:
        # After two forks and setsid, the background process is not a child of the worker and does not receive its
        # signals.
        if middle := os.fork():
            os.waitpid(middle, 0)
        else:
            os.setsid()
            if not os.fork():
                watch(worker, Agent(uri))
            os._exit(0)
    os.execvp(command[0], command)  # noqa: S606 (exec, so that Airflow receives signals)


if __name__ == "__main__":
    main(*sys.argv[1:])
