"""Load balancer: an HTTP proxy on 127.0.0.1 with the template's listener rules."""

from __future__ import annotations

import http.client
import itertools
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

from cdk_airflow_ecs.local.refusal import Refusal

_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Removed from cookies: without TLS, clients do not send a cookie with the attribute `Secure` back.
_SECURE: Final = re.compile(r";\s*secure(?=\s*(;|$))", re.IGNORECASE)
_CHUNK: Final = 1 << 16
_FRESH_SECONDS: Final = 2.0
_TESTED: Final = ("path-pattern", "host-header", "http-request-method")


def refuse_taken(port: int) -> None:
    """Raise a Refusal if a port is in use; 0 means any free port."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise _taken(port, error) from error


def refuse_shared(port: int, others: Iterable[int]) -> None:
    """Raise a Refusal if a task's port (*others*) on the shared loopback is in use or the load balancer's *port*."""
    for other in sorted(others):
        if port == other:
            raise Refusal(f"port {port} is also used by a task on the shared loopback; choose another with --port")
        try:
            socket.create_server(("127.0.0.1", other)).close()
        except OSError as error:
            raise Refusal(
                f"port {other} of 127.0.0.1, which a task of this template needs, is not available"
                f" ({os.strerror(error.errno or 0)}); stop the program that uses it, or run as root with --isolated"
            ) from error


def _taken(port: int, error: OSError) -> Refusal:
    return Refusal(
        f"port {port} of 127.0.0.1 is not available ({os.strerror(error.errno or 0)}); choose another with --port"
    )


@dataclass(kw_only=True)
class Balancer:
    """One load balancer of the template."""

    arn: str
    client: Callable[[], Any]
    connect: Callable[[tuple[str, int], float], socket.socket]
    _server: _Server | None = None
    _turn: Iterator[int] = field(default_factory=itertools.count)
    _rules: list[dict[str, Any]] = field(default_factory=list)
    _targets: dict[str, tuple[float, list[tuple[str, int]]]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """URL of the proxy."""
        return f"http://127.0.0.1:{self._server.server_port}" if self._server else ""

    def start(self, port: int = 0) -> None:
        """Serve in a background thread; port 0 means any free port.

        Raises a Refusal if the port is in use, or a rule has an unsupported condition.
        """
        self._rules = self._described()
        for rule in self._rules:
            for condition in rule["Conditions"]:
                if condition["Field"] not in _TESTED:
                    raise Refusal(f"listener rule condition {condition['Field']} is not supported locally")
        try:
            self._server = _Server(("127.0.0.1", port), self)
        except OSError as error:
            raise _taken(port, error) from error
        threading.Thread(target=self._server.serve_forever, args=(0.2,), daemon=True).start()

    def stop(self) -> None:
        """Stop serving."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    def action(self, method: str, path: str, host: str) -> dict[str, Any]:
        """Return the action of the first matching rule."""
        for rule in self._rules:
            if all(_holds(condition, method, path, host) for condition in rule["Conditions"]):
                # Skip sign-in (OIDC or Cognito) and run the next action.
                return next(each for each in rule["Actions"] if not each["Type"].startswith("authenticate"))
        return {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "MessageBody": ""}}

    def targets(self, action: dict[str, Any]) -> list[tuple[str, int]]:
        """Return the targets for a request, in round-robin order."""
        group = action.get("TargetGroupArn") or action["ForwardConfig"]["TargetGroups"][0]["TargetGroupArn"]
        at, found = self._targets.get(group, (0.0, []))
        if not found or time.monotonic() - at > _FRESH_SECONDS:
            described = self.client().describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
            found = sorted((item["Target"]["Id"], int(item["Target"]["Port"])) for item in described)
            self._targets[group] = time.monotonic(), found
        first = next(self._turn) % len(found) if found else 0
        return found[first:] + found[:first]

    def _described(self) -> list[dict[str, Any]]:
        """Return the rules of the listener that forwards to target groups, by priority."""
        api = self.client()
        listeners = api.describe_listeners(LoadBalancerArn=self.arn)["Listeners"]
        forwarding = [each for each in listeners if any(a["Type"] == "forward" for a in each["DefaultActions"])]
        listener = (forwarding or listeners)[0]
        rules = [
            rule for rule in api.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"] if rule["Conditions"]
        ]
        rules.sort(key=lambda rule: int(rule["Priority"]))
        return [*rules, {"Conditions": [], "Actions": listener["DefaultActions"]}]


def _holds(condition: dict[str, Any], method: str, path: str, host: str) -> bool:
    kind = condition["Field"]
    configured = {
        "path-pattern": "PathPatternConfig",
        "host-header": "HostHeaderConfig",
        "http-request-method": "HttpRequestMethodConfig",
    }
    values = (condition.get(configured[kind]) or {}).get("Values") or condition.get("Values", [])
    given = {"path-pattern": path, "host-header": host, "http-request-method": method}[kind]
    return any(fnmatchcase(given, value) for value in values)


def _appended(given: list[str], client: str) -> str:
    """Return X-Forwarded-For as an Application Load Balancer sets it.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
    """
    return ", ".join([*given, client])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        host = self.headers.get("Host", "")
        action = self.server.balancer.action(self.command, urlsplit(self.path).path, host.partition(":")[0])
        if action["Type"] == "forward":
            self._forward(action, body, host)
        elif action["Type"] == "fixed-response":
            config = action["FixedResponseConfig"]
            self._answer(int(config["StatusCode"]), config.get("MessageBody") or "", config.get("ContentType"))
        else:
            self._answer(501, f"action {action['Type']} is not supported locally")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _do

    def _forward(self, action: dict[str, Any], body: bytes, host: str) -> None:
        dropped = _HOP_BY_HOP | {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-port"}
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        headers |= {
            "X-Forwarded-For": _appended(self.headers.get_all("X-Forwarded-For", []), self.client_address[0]),
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Port": host.partition(":")[2] or "80",
        }
        for address in self.server.balancer.targets(action):
            connection = http.client.HTTPConnection(*address, timeout=120)
            try:
                connection.sock = self.server.balancer.connect(address, 120)
            except OSError:
                continue
            try:
                connection.request(self.command, self.path, body or None, headers)
                self._copy(connection.getresponse())
            except (OSError, http.client.HTTPException):
                self.close_connection = True
            finally:
                connection.close()
            return
        self._answer(503, "no target responds")

    def _copy(self, answer: http.client.HTTPResponse) -> None:
        self.send_response_only(answer.status, answer.reason)
        length = answer.getheader("Content-Length")
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, _SECURE.sub("", value) if name.lower() == "set-cookie" else value)
        empty = self.command == "HEAD" or answer.status in (204, 304)
        if length is None and not empty:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while not empty and (chunk := answer.read1(_CHUNK)):
            self.wfile.write(chunk if length is not None else b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.flush()
        if length is None and not empty:
            self.wfile.write(b"0\r\n\r\n")

    def _answer(self, status: int, text: str, kind: str | None = None) -> None:
        body = text.encode()
        self.send_response_only(status)
        self.send_header("Content-Type", kind or "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # the base class has this name
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], balancer: Balancer) -> None:
        super().__init__(address, _Handler)
        self.balancer = balancer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore dropped connections; report other errors."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)
