"""The agent's endpoints for containers: credentials, metadata and task scale-in protection."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from cdk_airflow_ecs.local.agent import protection

_FORM = "%Y-%m-%dT%H:%M:%SZ"
# botocore requests new credentials 15 minutes before the old ones expire.
_FRESH = timedelta(minutes=15)


@dataclass(kw_only=True)
class TaskIdentity:
    """A task known to the endpoints; *role* is the task role's ARN or empty."""

    arn: str
    role: str
    describe: Callable[[], dict[str, Any]]
    credentials: dict[str, Any] = field(default_factory=dict)
    ecs: Any = None


@dataclass
class Endpoints:
    """Serves credentials, metadata and scale-in protection to containers on one socket."""

    assume: Callable[[str, str], dict[str, Any]]
    ecs: Callable[[dict[str, Any]], Any] = lambda credentials: None
    _identities: dict[str, TaskIdentity] = field(default_factory=dict)
    _server: _Server | None = None

    def add(self, identity: str, task_identity: TaskIdentity) -> None:
        """Register a task; fetch its credentials now, because SDKs wait only two seconds for a response."""
        if task_identity.role:
            self._refresh(task_identity)
        self._identities[identity] = task_identity

    def remove(self, identity: str) -> None:
        """Unregister a task."""
        self._identities.pop(identity, None)

    def start(self, listening: socket.socket) -> None:
        """Serve in a background thread."""
        self._server = _Server(listening, self)
        threading.Thread(target=self._server.serve_forever, args=(0.2,), daemon=True).start()

    def stop(self) -> None:
        """Stop serving."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Return status and body for one request."""
        parts = path.strip("/").split("/")
        kind, rest = "/".join(parts[:2]) if parts[0] == "v2" else parts[0], parts[2:]
        identity, _, container = (rest[0] if kind == "v2/credentials" and rest else [*parts, ""][1]).partition("-c-")
        task_identity = self._identities.get(identity)
        if task_identity is None and kind == "api":
            return protection.no_task()
        if task_identity is None:
            return 404, {"message": f"no task {identity}"}
        if kind == "v2/credentials":
            return self._credentials(task_identity)
        if kind == "v4":
            return self._metadata(task_identity, container, rest)
        if kind == "api" and rest == ["task-protection", "v1", "state"]:
            return self._protection(task_identity, method, body)
        return 404, {"message": f"nothing at {path}"}

    def _credentials(self, task_identity: TaskIdentity) -> tuple[int, Any]:
        if not task_identity.role:
            return 404, {"message": "the task has no role"}
        self._renew(task_identity)
        found = task_identity.credentials
        return 200, {
            "RoleArn": task_identity.role,
            "AccessKeyId": found["AccessKeyId"],
            "SecretAccessKey": found["SecretAccessKey"],
            "Token": found["SessionToken"],
            "Expiration": found["Expiration"].strftime(_FORM),
        }

    def _renew(self, task_identity: TaskIdentity) -> None:
        if task_identity.credentials["Expiration"] < datetime.now(timezone.utc) + _FRESH:
            self._refresh(task_identity)

    def _refresh(self, task_identity: TaskIdentity) -> None:
        task_identity.credentials = self.assume(task_identity.role, task_identity.arn.rpartition("/")[2])
        task_identity.ecs = None

    @staticmethod
    def _metadata(task_identity: TaskIdentity, container: str, rest: list[str]) -> tuple[int, Any]:
        described = task_identity.describe()
        if rest[:1] == ["task"]:
            return 200, {} if rest[1:] else described
        if rest[:1] == ["stats"]:
            return 200, {}
        return 200, next((item for item in described["Containers"] if item["Name"] == container), {})

    def _protection(self, task_identity: TaskIdentity, method: str, body: bytes) -> tuple[int, Any]:
        if not task_identity.role:
            return protection.no_role(task_identity.arn)
        self._renew(task_identity)
        task_identity.ecs = ecs = task_identity.ecs or self.ecs(task_identity.credentials)
        return protection.answer(ecs, task_identity.arn, method, body)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            # Browsers send an Origin header, or (DNS rebinding) another Host.
            if self.headers.get("Origin") or self.headers.get("Host") not in self.server.hosts:
                status, answer = 403, {"message": "only tasks may call this endpoint"}
            else:
                status, answer = self.server.endpoints.answer(self.command, self.path, body)
        except Exception as error:  # reported to the caller
            status, answer = 500, {"message": f"{type(error).__name__}: {error}"}
        text = json.dumps(answer, default=str).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = _do

    def log_message(self, format: str, *args: Any) -> None:  # the base class has this name
        """Log nothing."""


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = True

    def __init__(self, listening: socket.socket, endpoints: Endpoints) -> None:
        super().__init__(listening.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.endpoints = endpoints
        host, port = listening.getsockname()[:2]
        self.hosts = {f"{host}:{port}", *([host] if port == 80 else [])}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore dropped connections; report other errors."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)
