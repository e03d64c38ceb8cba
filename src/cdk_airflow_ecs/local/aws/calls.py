"""Counts API requests by client and operation."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qs


class Call(NamedTuple):
    """One kind of request.

    Args:
        address: client address; with network namespaces each task has its own.
        service: service in the signature, such as "s3"; empty if unsigned.
        operation: for S3 the method and "object" or "bucket"; empty if only the body has the operation.
        resource: the S3 bucket; empty for other services.
    """

    address: str
    service: str
    operation: str
    resource: str


@dataclass
class Calls:
    """Counter of API requests."""

    _seen: Counter[Call] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, environ: Mapping[str, Any]) -> None:
        """Count one request; *environ* is its WSGI environment."""
        call = read(environ)
        with self._lock:
            self._seen[call] += 1

    def rows(self) -> list[list[Any]]:
        """Return each call with its count, sorted."""
        with self._lock:
            return [[*call, times] for call, times in sorted(self._seen.items())]


def read(environ: Mapping[str, Any]) -> Call:
    """Return client, service and operation of a request, without reading its body.

    Examples:
        >>> signed = "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/sqs/aws4_request, Signature=1"
        >>> read({"HTTP_AUTHORIZATION": signed, "HTTP_X_AMZ_TARGET": "AmazonSQS.SendMessage"}).operation
        'SendMessage'
    """
    signed = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request", environ.get("HTTP_AUTHORIZATION", ""))
    service = signed[1] if signed else ""
    address = str(environ.get("REMOTE_ADDR", ""))
    if service == "s3":
        bucket, _, key = environ.get("PATH_INFO", "").lstrip("/").partition("/")
        operation = f"{environ.get('REQUEST_METHOD', '')} {'object' if key else 'bucket'}"
        return Call(address, service, operation, bucket)
    target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    query = parse_qs(environ.get("QUERY_STRING", "")).get("Action", [""])[0]
    return Call(address, service, target or query, "")
