"""The AWS API: moto's server with the emulator's CloudFormation and patches."""

import functools
import json
import os
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
os.environ["MOTO_SERVER_MODE_RESET_ON_START"] = "false"

import moto.cloudformation.urls
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from . import connections, databases, ecs, identity, lambdas, monitoring, nested, network, schedules, stores, web
from .account import Account
from .authentication import Doorkeeper, Refused
from .calls import Calls
from .cloudformation import responses

TYPES = (databases, ecs, identity, lambdas, monitoring, nested, network, schedules, stores, web)


class Application:
    """The WSGI application: handles paths below `/_emulator/`, and passes other requests to moto.

    *hook* receives path and body of requests to further `/_emulator/` paths; *calls* counts requests to moto.
    """

    def __init__(self, account: Account, hook: Callable[[str, bytes], Any] = lambda path, body: None) -> None:
        self.account = account
        moto.cloudformation.urls.url_paths = {"{0}/$": responses(account).dispatch}
        self.moto = DomainDispatcherApplication(create_backend_app)
        # Cached, because this function lists a folder at each request, a fifth of the response time.
        self.moto.get_backend_for_host = functools.cache(self.moto.get_backend_for_host)
        self.hook = hook
        self.doorkeeper = Doorkeeper(key=account.key, issued=account.issued, hosts=())
        self.calls = Calls()

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        """Handle one request."""
        path = environ["PATH_INFO"]
        own, token = path.startswith("/_emulator/"), path.removeprefix("/_emulator/answers/")
        try:
            self.doorkeeper.refuse_strangers(environ)
            if path.startswith(("/moto-api", "/latest/")):  # moto's own API, and EC2 instance metadata
                raise Refused("AccessDenied", "The path does not exist")
            if not self.account.answers.is_expected(token):  # such a URL needs no signature
                self.doorkeeper.refuse_unsigned(environ, own=own)
        except Refused as refused:
            return _refuse(refused, environ, start_response)
        if not own:
            self.calls.add(environ)
            connections.current.client = environ.get("werkzeug.socket")
            return self.moto(environ, _without_cors(start_response))
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        answer = self._own(path.removeprefix("/_emulator/"), body)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer, default=str).encode()]

    def _own(self, path: str, body: bytes) -> Any:
        if path.startswith("answers/"):  # response of a custom resource
            return self.account.answers.take(path.removeprefix("answers/"), body)
        if path == "calls":
            return self.calls.rows()
        return self.hook(path, body)


def _refuse(refused: Refused, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
    if "HTTP_X_AMZ_TARGET" in environ or "json" in environ.get("CONTENT_TYPE", ""):
        kind, text = "application/json", json.dumps({"__type": refused.code, "message": str(refused)})
    else:
        error = f"<Error><Code>{refused.code}</Code><Message>{refused}</Message></Error>"
        kind, text = "text/xml", f"<ErrorResponse>{error}</ErrorResponse>"
    headers = [("Content-Type", kind), ("Connection", "close"), ("x-amzn-errortype", refused.code)]
    start_response("403 Forbidden", headers)
    return [text.encode()]


def _without_cors(start_response: Callable) -> Callable:
    """Remove moto's CORS headers, because they would allow any web page to read responses."""

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        return start_response(
            status, [each for each in headers if not each[0].lower().startswith("access-control-")], *rest
        )

    return start


class Quiet(MotoRequestHandler):
    """A request handler that logs no requests."""

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Log nothing."""


class Api:
    """The API server on 127.0.0.1; *inside* returns a socket for tasks in network namespaces, or None without those."""

    def __init__(
        self,
        application: Application,
        inside: Callable[[int], socket.socket | None] = lambda port: None,
        handler: type = MotoRequestHandler,
    ) -> None:
        account = application.account
        loopback = make_server("127.0.0.1", 0, application, threaded=True, request_handler=handler)
        self.port = loopback.server_port
        self.servers = [loopback]
        account.url = account.task_url = f"http://127.0.0.1:{self.port}"
        application.doorkeeper.hosts |= {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}
        listening = inside(self.port)
        if listening is not None:
            host, fd = listening.getsockname()[0], listening.detach()
            server = make_server(host, self.port, application, threaded=True, request_handler=handler, fd=fd)
            self.servers.append(server)
            account.task_url = f"http://{host}:{self.port}"
            application.doorkeeper.hosts.add(f"{host}:{self.port}")

    def start(self) -> None:
        """Serve in background threads."""
        for server in self.servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stop serving."""
        for server in self.servers:
            server.shutdown()
            server.server_close()
