"""The ECS agent's HTTP endpoints for credentials and metadata."""

from __future__ import annotations

import json
import socket
import struct
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import pytest

from cdk_airflow_ecs.local.agent.endpoints import Endpoints, TaskIdentity

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/cluster/4711"
ROLE = "arn:aws:iam::123456789012:role/task"


@pytest.fixture
def agent():
    """Start endpoints with two tasks, one of them without a role."""
    made = datetime(2030, 1, 1, tzinfo=timezone.utc)
    endpoints = Endpoints(
        lambda role, session: {
            "AccessKeyId": f"key of {role} for {session}",
            "SecretAccessKey": "s",
            "SessionToken": "t",
            "Expiration": made,
        }
    )
    described = {"TaskARN": TASK, "Containers": [{"Name": "worker", "Image": "i"}]}
    endpoints.add("4711", TaskIdentity(arn=TASK, role=ROLE, describe=lambda: described))
    endpoints.add("4712", TaskIdentity(arn=TASK, role="", describe=lambda: described))
    listening = socket.create_server(("127.0.0.1", 0))
    endpoints.start(listening)
    yield endpoints, f"http://127.0.0.1:{listening.getsockname()[1]}"
    endpoints.stop()


def call(url: str, body: dict | None = None, method: str = "GET") -> tuple[int, dict]:
    """Send one request."""
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_credentials_endpoint_returns_those_of_the_task_role(agent):
    """A task receives the credentials of its role; a task without role, or an unknown task, receives none."""
    _, url = agent
    status, found = call(f"{url}/v2/credentials/4711")
    assert (status, found["AccessKeyId"]) == (200, f"key of {ROLE} for 4711")
    assert found["Expiration"] == "2030-01-01T00:00:00Z"
    assert call(f"{url}/v2/credentials/4712")[0] == 404
    assert call(f"{url}/v2/credentials/1")[0] == 404


def test_task_credentials_are_fetched_before_the_first_request():
    """Credentials are fetched at the task's start and before they expire."""
    now = datetime.now(timezone.utc)
    lives, assumed = [timedelta(minutes=4), timedelta(hours=1)], []

    def assume(role: str, session: str) -> dict:
        assumed.append(role)
        expires = now + lives[len(assumed) - 1]
        return {"AccessKeyId": str(len(assumed)), "SecretAccessKey": "s", "SessionToken": "t", "Expiration": expires}

    endpoints = Endpoints(assume)
    endpoints.add("4711", TaskIdentity(arn=TASK, role=ROLE, describe=dict))
    assert assumed == [ROLE]
    answers = [endpoints.answer("GET", "/v2/credentials/4711", b"")[1]["AccessKeyId"] for _ in range(3)]
    assert answers == ["2", "2", "2"]  # the first credentials expire soon
    assert assumed == [ROLE, ROLE]


def test_the_metadata_endpoint_describes_container_and_task(agent):
    """The metadata endpoint describes the container and its task."""
    _, url = agent
    assert call(f"{url}/v4/4711-c-worker") == (200, {"Name": "worker", "Image": "i"})
    assert call(f"{url}/v4/4711-c-worker/task")[1]["TaskARN"] == TASK


def test_a_client_that_disconnects_early_causes_no_traceback(agent, capfd):
    """A client that disconnects early causes no traceback."""
    url = urlsplit(agent[1])
    for _ in range(20):
        with socket.create_connection((url.hostname, url.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(b"GET /v2/credentials/abc HTTP/1.1\r\nContent-Length: 0\r\n\r\n" * 50)
    time.sleep(0.3)
    assert capfd.readouterr().err == ""
