"""A program that emulates AWS with moto on the port in its argument; run by the emulator's Python.

``/credentials/<name>`` returns a task's credentials; ``/calls`` lists the calls to SQS and DynamoDB.
"""

from __future__ import annotations

import io
import json
import sys
from urllib.parse import parse_qsl

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

AWS = DomainDispatcherApplication(create_backend_app)
CALLS: set[tuple[str, str, str]] = set()


class Quiet(WSGIRequestHandler):
    """A request handler without logs."""

    def log_request(self, *_: object) -> None:
        """Do not log."""


def note(environ: dict) -> None:
    """Record a request if it is for SQS or DynamoDB."""
    # The header contains Credential=<key>/<day>/<region>/<service>/aws4_request.
    key, _, _, service, *_ = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split("/") + [""] * 4
    if service in ("sqs", "dynamodb"):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        if "HTTP_X_AMZ_TARGET" in environ:
            parameters, action = json.loads(body), environ["HTTP_X_AMZ_TARGET"].rpartition(".")[2]
        else:  # kombu 5.3 (Airflow 2.8) uses SQS's query protocol
            parameters = dict(parse_qsl(body.decode()))
            action = parameters["Action"]
        name = parameters.get("TableName") or parameters.get("QueueUrl", environ["PATH_INFO"]).rpartition("/")[2]
        CALLS.add((key, f"{service}:{action}", name))


def serve(environ: dict, start_response) -> object:
    """Handle one request."""
    first, _, rest = environ["PATH_INFO"].strip("/").partition("/")
    if first == "credentials":
        answer = {"AccessKeyId": rest, "SecretAccessKey": "x", "Token": "x", "Expiration": "2099-01-01T00:00:00Z"}
    elif first == "calls":
        answer = sorted(CALLS)
    else:
        note(environ)
        return AWS(environ, start_response)
    text = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
    return [text]


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), serve, threaded=True, request_handler=Quiet)
