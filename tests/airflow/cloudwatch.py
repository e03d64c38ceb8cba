"""A program that emulates CloudWatch Logs with moto and enforces a policy; run by the emulator's Python.

Arguments: port, policy file ``{access key: {action: [resource pattern]}}``, and the file to which each call is written
as a JSON line of access key, action, resource and whether it was allowed.
"""

from __future__ import annotations

import io
import json
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

GROUP = "arn:aws:logs:eu-central-1:123456789012:log-group:"


class Quiet(WSGIRequestHandler):
    """A request handler without logs."""

    def log_request(self, *_: object) -> None:
        """Do not log."""


class Gate:
    """A WSGI application that enforces the policy and passes allowed requests to moto."""

    def __init__(self, policy: Path, calls: Path) -> None:
        self.policy, self.calls = policy, calls
        self.moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict, start_response) -> object:
        """Allow or refuse one request, and record it."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        key = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition("/")[0]
        action = "logs:" + environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        parameters = json.loads(body or "{}")
        # As in AWS's messages, the resource of DescribeLogGroups is all log groups, of other actions one log stream.
        resource = (
            f"{GROUP}:log-stream:" if action == "logs:DescribeLogGroups" else GROUP + parameters.get("logGroupName", "")
        )
        if "logStreamName" in parameters:
            resource += f":log-stream:{parameters['logStreamName']}"
        policy = json.loads(self.policy.read_text())
        allowed = key == "root" or any(fnmatchcase(resource, to) for to in policy.get(key, {}).get(action, ()))
        if key != "root":
            with self.calls.open("a") as calls:
                calls.write(json.dumps([key, action, resource, allowed]) + "\n")
        if allowed:
            return self.moto(environ, start_response)
        message = f"User: {key} is not authorized to perform: {action} on resource: {resource}"
        text = json.dumps({"__type": "AccessDeniedException", "message": message}).encode()
        start_response("400 Bad Request", [("Content-Type", "application/x-amz-json-1.1")])
        return [text]


if __name__ == "__main__":
    gate = Gate(Path(sys.argv[2]), Path(sys.argv[3]))
    run_simple("127.0.0.1", int(sys.argv[1]), gate, threaded=True, request_handler=Quiet)
