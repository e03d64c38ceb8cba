"""A fake ECS agent with the HTTP endpoint for task scale-in protection."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/cluster/4711"
PATH = "/api/4711-worker/task-protection/v1/state"
METADATA = {"Cluster": "cluster", "Family": "stack-Pools-default", "Revision": "1"}


def success(enabled: bool) -> tuple[int, Any]:
    """Return the agent's response to an accepted request."""
    expires = "2030-01-01T00:00:00Z" if enabled else None
    return 200, {"protection": {"ExpirationDate": expires, "ProtectionEnabled": enabled, "TaskArn": TASK}}


def failure(reason: str) -> tuple[int, Any]:
    """Return the agent's response to a request that ECS does not accept for this task."""
    return 200, {"failure": {"Arn": TASK, "Detail": None, "Reason": reason}}


def error(status: int, code: str, message: str) -> tuple[int, Any]:
    """Return the agent's response to a failed request."""
    return status, {"requestID": "4711", "error": {"Arn": TASK, "Code": code, "Message": message}}


@dataclass
class FakeAgent:
    """A fake ECS agent on a free port.

    Attributes:
        responses: status and body of the responses to the next requests; later requests succeed.
        bodies: the bodies of all requests.

    Example:
        with FakeAgent() as agent:
            subprocess.run(command, env=agent.environment)
    """

    responses: list[tuple[int, Any]] = field(default_factory=list)
    bodies: list[Mapping[str, Any]] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    @property
    def uri(self) -> str:
        """The value for ECS_AGENT_URI."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_port}/api/4711-worker"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the agent sets in containers."""
        return {"ECS_AGENT_URI": self.uri, "ECS_CONTAINER_METADATA_URI_V4": self.uri.replace("/api/", "/v4/")}

    @property
    def states(self) -> list[bool]:
        """The requested protection states in order, without repetitions."""
        return [state for state, _ in itertools.groupby(body["ProtectionEnabled"] for body in self.bodies)]

    def __enter__(self) -> FakeAgent:
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                assert self.path == PATH
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                agent.bodies.append(body)
                self.answer(*(agent.responses.pop(0) if agent.responses else success(body["ProtectionEnabled"])))

            def do_GET(self) -> None:
                assert self.path == "/v4/4711-worker/task"
                self.answer(200, METADATA)

            def answer(self, status: int, body: Any) -> None:
                text = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                with suppress(BrokenPipeError):  # the client has closed the connection after its timeout
                    self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, *states: bool, seconds: float = 30) -> None:
        """Wait until exactly these protection states were requested, or raise TimeoutError."""
        end = time.monotonic() + seconds
        while self.states != list(states):
            if time.monotonic() > end:
                raise TimeoutError(f"expected {list(states)}, got {self.bodies}")
            time.sleep(0.02)
