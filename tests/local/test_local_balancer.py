"""The local load balancer sets forwarded headers and refuses ports in use."""

from __future__ import annotations

import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from cdk_airflow_ecs.local.network.load_balancer import Balancer, refuse_shared
from cdk_airflow_ecs.local.refusal import Refusal

FORWARD = {"Type": "forward", "TargetGroupArn": "group"}


class Echo(BaseHTTPRequestHandler):
    """A server that returns the headers of the request."""

    def do_GET(self) -> None:
        """Return the headers."""
        body = json.dumps([[name, value] for name, value in self.headers.items()]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "session=secure; Secure; HttpOnly; Path=/; SameSite=Lax")
        self.send_header("Set-Cookie", "theme=dark;secure")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *words: object) -> None:
        """Do not log."""


@pytest.fixture
def balancer() -> Iterator[Balancer]:
    """Start a load balancer with one target."""
    server = HTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    target = {"Target": {"Id": "198.18.7.11", "Port": 8080}}
    api = SimpleNamespace(
        describe_listeners=lambda **_: {"Listeners": [{"ListenerArn": "l", "DefaultActions": [FORWARD]}]},
        describe_rules=lambda **_: {"Rules": []},
        describe_target_health=lambda **_: {"TargetHealthDescriptions": [target]},
    )

    def connect(address: tuple[str, int], seconds: float) -> socket.socket:
        assert address == ("198.18.7.11", 8080)
        return socket.create_connection(server.server_address[:2], seconds)

    made = Balancer(arn="a", client=lambda: api, connect=connect)
    made.start()
    yield made
    made.stop()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("given", "passed"), [(None, "127.0.0.1"), ("1.2.3.4", "1.2.3.4, 127.0.0.1"), ("a, b", "a, b, 127.0.0.1")]
)
def test_the_client_address_is_appended_to_x_forwarded_for(balancer, given, passed):
    """The client's address is appended to X-Forwarded-For, as an Application Load Balancer does."""
    headers = {"X-Forwarded-For": given, "x-forwarded-proto": "https"} if given else {}
    with urllib.request.urlopen(urllib.request.Request(balancer.url, headers=headers), timeout=60) as answer:
        received = [(name.lower(), value) for name, value in json.load(answer)]
    assert [value for name, value in received if name == "x-forwarded-for"] == [passed]
    assert [value for name, value in received if name == "x-forwarded-proto"] == ["http"]


def test_a_port_of_the_template_that_another_program_uses_is_refused():
    """The run is refused if another program uses a port of the template and would get its requests."""
    with socket.create_server(("127.0.0.1", 0)) as other_program:
        port = other_program.getsockname()[1]
        with pytest.raises(Refusal, match=f"port {port} of 127.0.0.1, which a task of this template needs"):
            refuse_shared(0, {port})
    refuse_shared(0, {port})


def test_the_load_balancer_cannot_use_the_port_of_a_task():
    """`--shared --port 8080` is refused if a task uses the same port."""
    with pytest.raises(Refusal, match=r"port 8080 is also used by a task.*--port"):
        refuse_shared(8080, {8080, 8081})


def test_cookies_are_not_secure_over_http(balancer):
    """The load balancer removes `Secure` from cookies, because clients do not return such cookies over HTTP."""
    with urllib.request.urlopen(balancer.url, timeout=60) as answer:
        cookies = answer.headers.get_all("Set-Cookie")
    assert cookies == ["session=secure; HttpOnly; Path=/; SameSite=Lax", "theme=dark"]
