"""Authenticates API requests: they must be signed with the key of this run or one that the API issued.

Without authentication, other users and web pages could run commands as the user of the API, because they can reach its
port. Signatures are Signature Version 4:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import io
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

_Signer: Any = SigV4Auth  # botocore has no types
_ALGORITHM = "AWS4-HMAC-SHA256"
_FORM = "%Y%m%dT%H%M%SZ"
_SKEW = timedelta(minutes=15)  # like S3
_LONGEST = timedelta(days=7)  # for a presigned URL
# Values of x-amz-content-sha256 for S3 payloads that are unsigned or signed by chunk.
_UNHASHED = re.compile(r"UNSIGNED-PAYLOAD|STREAMING-[A-Z0-9-]+")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An access key; *token* is empty for the key of the run."""

    id: str
    secret: str
    token: str = ""
    expires: datetime | None = None

    def __repr__(self) -> str:
        return f"Key({self.id})"


class Refused(Exception):
    """A request was refused."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The signature of a request, from its header or (presigned) its query.

    Args:
        date: date in the credential scope, which also has region and service.
        headers: names of the signed headers, in lower case.
        at: time of the signature.
        payload: hash of the body, or empty.
        expires: validity of a presigned URL; None for a header.
    """

    key: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str
    at: str
    token: str
    payload: str
    expires: timedelta | None = None

    @classmethod
    def of(cls, environ: Mapping[str, Any]) -> Signature:
        """Parse the signature of a request, or raise Refused."""
        query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        payload = environ.get("HTTP_X_AMZ_CONTENT_SHA256", "")
        if header := environ.get("HTTP_AUTHORIZATION", ""):
            algorithm, _, rest = header.partition(" ")
            given = dict(part.strip().partition("=")[::2] for part in rest.split(","))
            at = environ.get("HTTP_X_AMZ_DATE") or _iso(environ.get("HTTP_DATE", ""))
            token, expires = environ.get("HTTP_X_AMZ_SECURITY_TOKEN", ""), None
        else:
            algorithm, token = query.get("X-Amz-Algorithm", ""), query.get("X-Amz-Security-Token", "")
            given = {name: query.get(f"X-Amz-{name}", "") for name in ("Credential", "SignedHeaders", "Signature")}
            at, seconds = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
            if algorithm and not seconds.isdecimal():
                raise Refused("AccessDenied", "A presigned request must have X-Amz-Expires in seconds")
            expires = timedelta(seconds=int(seconds or 0))
        scope = given.get("Credential", "").split("/")
        if algorithm != _ALGORITHM or len(scope) != 5 or not given.get("SignedHeaders") or not given.get("Signature"):
            raise Refused("MissingAuthenticationToken", "The request must be signed with Signature Version 4")
        return cls(
            key=scope[0],
            date=scope[1],
            region=scope[2],
            service=scope[3],
            headers=tuple(given["SignedHeaders"].split(";")),
            signature=given["Signature"],
            at=at,
            token=token,
            payload=payload,
            expires=expires,
        )

    def refuse_old(self) -> None:
        """Raise Refused if the signature is too old or in the future."""
        try:
            at = datetime.strptime(self.at, _FORM).replace(tzinfo=timezone.utc)
        except ValueError as error:
            raise Refused("AccessDenied", "The date of the signature is missing or malformed") from error
        now, lives = datetime.now(timezone.utc), _SKEW if self.expires is None else min(self.expires, _LONGEST)
        if not self.at.startswith(self.date) or at - now > _SKEW or now - at > lives:
            raise Refused("RequestExpired", "The signature is too old or in the future")


class _Check(_Signer):
    def headers_to_sign(self, request: Any) -> Any:
        return request.headers

    def payload(self, request: Any) -> str:
        return str(request.context["payload"])

    def _normalize_url_path(self, path: str) -> str:
        return path if self._service_name == "s3" else str(super()._normalize_url_path(path))


class Doorkeeper:
    """Checks requests; *issued* returns an issued key by its id, *hosts* are the accepted `Host` headers."""

    def __init__(self, *, key: Key, issued: Callable[[str], Key | None], hosts: Collection[str]) -> None:
        self.key = key
        self.hosts = set(hosts)
        self._issued = issued

    def refuse_strangers(self, environ: Mapping[str, Any]) -> None:
        """Raise Refused for browsers' requests, which have an Origin header or (DNS rebinding) an unknown Host."""
        if environ.get("HTTP_HOST", "") not in self.hosts:
            raise Refused("AccessDenied", "The Host header does not match this API")
        if "HTTP_ORIGIN" in environ:
            raise Refused("AccessDenied", "Web pages must not call this API")

    def refuse_unsigned(self, environ: dict[str, Any], *, own: bool = False) -> None:
        """Raise Refused unless the signature matches; *own* accepts only the key of this run.

        Reads the body only if the key exists; the application can read it again.
        """
        given = Signature.of(environ)
        run = hmac.compare_digest(given.key, self.key.id)
        key = self.key if run else None if own else self._issued(given.key)
        if key is None:
            raise Refused("InvalidClientTokenId", "The security token included in the request is invalid")
        if not hmac.compare_digest(given.token.encode(), key.token.encode()):
            raise Refused("InvalidClientTokenId", "The security token included in the request is invalid")
        given.refuse_old()
        if key.expires and key.expires < datetime.now(timezone.utc):
            raise Refused("ExpiredToken", "The security token included in the request is expired")
        if "host" not in given.headers:
            raise Refused("SignatureDoesNotMatch", "The signature does not cover the Host header")
        payload = self._payload(given, environ)
        if not hmac.compare_digest(_expected(given, key, environ, payload), given.signature):
            raise Refused("SignatureDoesNotMatch", "The signature does not match the request")

    @staticmethod
    def _payload(given: Signature, environ: dict[str, Any]) -> str:
        """Return the signed hash of the body; raise Refused if the body has another one."""
        if given.expires is not None and given.service == "s3":
            return given.payload or "UNSIGNED-PAYLOAD"
        if _UNHASHED.fullmatch(given.payload):
            return given.payload
        stream = environ["wsgi.input"]
        terminated = environ.get("wsgi.input_terminated")
        body = stream.read() if terminated else stream.read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        actual = sha256(body).hexdigest()
        if given.payload and (not _HASH.fullmatch(given.payload) or given.payload != actual):
            raise Refused("XAmzContentSHA256Mismatch", "The body does not match the signature")
        return actual


def _expected(given: Signature, key: Key, environ: Mapping[str, Any], payload: str) -> str:
    address = environ.get("RAW_URI") or environ["PATH_INFO"]
    path, _, query = address.partition("?")
    if given.expires is not None:
        query = "&".join(part for part in query.split("&") if not part.startswith("X-Amz-Signature="))
    headers: Any = HTTPHeaders()
    for name in given.headers:
        headers[name] = _header(environ, name)
    request: Any = AWSRequest(environ["REQUEST_METHOD"], f"http://{environ['HTTP_HOST']}{path}?{query}", headers)
    request.context |= {"timestamp": given.at, "payload": payload}
    check = _Check(Credentials(key.id, key.secret), given.service, given.region)
    text = check.string_to_sign(request, check.canonical_request(request))
    return str(check.signature(text, request))


def _header(environ: Mapping[str, Any], name: str) -> str:
    upper = name.upper().replace("-", "_")
    value = environ.get(upper if upper in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{upper}", "")
    return str(value).encode("latin-1").decode(errors="replace")  # WSGI decodes headers as latin-1


def _iso(date: str) -> str:
    try:
        return parsedate_to_datetime(date).astimezone(timezone.utc).strftime(_FORM) if date else ""
    except ValueError:
        return date
