"""Signed requests to the paths that the local AWS API adds to those of AWS."""

import json
import urllib.request
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def signed(url: str, key: tuple[str, str], body: bytes = b"", service: str = "emulator") -> urllib.request.Request:
    """Return a signed POST request."""
    request = AWSRequest("POST", url, data=body)
    SigV4Auth(Credentials(*key), service, "us-east-1").add_auth(request)
    return urllib.request.Request(url, body, dict(request.headers), method="POST")


def post_json(url: str, key: tuple[str, str], value: Any = None) -> Any:
    """Post JSON and return the JSON of the response."""
    with urllib.request.urlopen(signed(url, key, json.dumps(value).encode()), timeout=60) as answer:
        return json.load(answer)
