"""The AWS API: moto's server with our CloudFormation and the gaps filled, on loopback or a bridge of ours."""

import functools
import json
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
os.environ["MOTO_SERVER_MODE_RESET_ON_START"] = "false"

import moto.cloudformation.urls
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from . import databases, ecs, identity, lambdas, monitoring, nested, network, stores, web
from .account import Account
from .calls import Calls
from .cloudformation import responses

TYPES = (databases, ecs, identity, lambdas, monitoring, nested, network, stores, web)


class Application:
    """Answers our own paths, and leaves every other request to moto.

    Args:
        account: Whose API this is.
        hook: What is done with a path of our own and the body sent to it.

    Attributes:
        calls: What was asked of moto, and by whom.
    """

    def __init__(self, account: Account, hook: Callable[[str, bytes], Any] = lambda path, body: None) -> None:
        self.account = account
        moto.cloudformation.urls.url_paths = {"{0}/$": responses(account).dispatch}
        self.moto = DomainDispatcherApplication(create_backend_app)
        # It lists a folder at each request, to know a service by its name: a fifth of what an answer takes.
        self.moto.get_backend_for_host = functools.cache(self.moto.get_backend_for_host)
        self.hook = hook
        self.calls = Calls()

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        """Answers one request."""
        path = environ["PATH_INFO"]
        if not path.startswith("/_emulator/"):
            self.calls.add(environ)
            return self.moto(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        answer = self._own(path.removeprefix("/_emulator/"), body)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer, default=str).encode()]

    def _own(self, path: str, body: bytes) -> Any:
        if path.startswith("answers/"):  # of a custom resource
            return self.account.answers.take(path.removeprefix("answers/"), body)
        if path == "calls":
            return self.calls.rows()
        return self.hook(path, body)


class Quiet(MotoRequestHandler):
    """Writes no line for each request."""

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Says nothing."""


class Api:
    """The running API.

    Attributes:
        url: Where it listens.
    """

    def __init__(self, host: str, application: Application, handler: type = MotoRequestHandler) -> None:
        self.server = make_server(host, 0, application, threaded=True, request_handler=handler)
        self.url = application.account.url = f"http://{host}:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def start(self) -> None:
        """Serves in the background."""
        self.thread.start()

    def stop(self) -> None:
        """Serves no more."""
        self.server.shutdown()
        self.server.server_close()
