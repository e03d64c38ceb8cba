"""Run by the emulator's Python: AWS on a port of this machine (moto), which knows who calls what.

``/credentials/<name>`` hands out credentials as ECS does to a task; ``/calls`` lists whose credentials called which
action of SQS and DynamoDB on what. The argument is the port.
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
    """Logs no requests: there are hundreds."""

    def log_request(self, *_: object) -> None:
        """Do nothing."""


def note(environ: dict) -> None:
    """Remember a call of SQS or DynamoDB."""
    # Credential=<key>/<day>/<region>/<service>/aws4_request
    key, _, _, service, *_ = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split("/") + [""] * 4
    if service in ("sqs", "dynamodb"):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        if "HTTP_X_AMZ_TARGET" in environ:
            asked, action = json.loads(body), environ["HTTP_X_AMZ_TARGET"].rpartition(".")[2]
        else:  # kombu 5.3, of Airflow 2.8, asks as SQS was asked before it knew JSON
            asked = dict(parse_qsl(body.decode()))
            action = asked["Action"]
        name = asked.get("TableName") or asked.get("QueueUrl", environ["PATH_INFO"]).rpartition("/")[2]
        CALLS.add((key, f"{service}:{action}", name))


def serve(environ: dict, start_response) -> object:
    """Answer one request."""
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
