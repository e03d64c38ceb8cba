"""The emulator's process: moto's server with our CloudFormation, the gaps filled, and a few hooks for tests."""

import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
os.environ["MOTO_SERVER_MODE_RESET_ON_START"] = "false"

import moto.cloudformation.urls
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from . import ecs, gaps, identity, lambdas, monitoring, nested, network, stores, web
from .cloudformation import CloudFormationResponse

TYPES = (ecs, identity, lambdas, monitoring, nested, network, stores, web)
moto.cloudformation.urls.url_paths = {"{0}/$": CloudFormationResponse.dispatch}


class Application:
    """Answers our own paths, and leaves every other request to moto."""

    def __init__(self) -> None:
        self.moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        """Answers one request."""
        path = environ["PATH_INFO"]
        if not path.startswith("/_emulator/"):
            return self.moto(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        answer = self.hook(path.removeprefix("/_emulator/"), body)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer, default=str).encode()]

    @staticmethod
    def hook(path: str, body: bytes) -> Any:
        """What a test asks for, or a custom resource answers."""
        if path.startswith("answers/"):
            return lambdas.Answers.take(path.removeprefix("answers/"), body)
        if path == "plans":
            gaps.Agent.plans[:] = json.loads(body)
        if path == "clock":
            gaps.Clock.seconds = json.loads(body)
        if path == "zone":
            web.hosted_zone(*json.loads(body))
        return {"ran": gaps.Agent.ran}


def main() -> None:
    """Serves on a free port, and prints it as the first line."""
    gaps.fill()
    server = make_server("127.0.0.1", 0, Application(), threaded=True, request_handler=MotoRequestHandler)
    os.environ["EMULATOR_URL"] = f"http://127.0.0.1:{server.server_port}"
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
