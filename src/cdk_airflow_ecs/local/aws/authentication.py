"""Who may ask the AWS API: programs that sign with the key of this run, or with one that the API issued.

The API starts commands as the user who runs it, so it is a door to that user's account. Other users of the machine and
pages in a browser reach its port; without a key they get nothing. Signatures are Signature Version 4:
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
_SKEW = timedelta(minutes=15)  # as S3 allows
_LONGEST = timedelta(days=7)  # of a presigned URL
# Payloads that S3 takes without their hash in the signature, or with one for each chunk.
_UNHASHED = re.compile(r"UNSIGNED-PAYLOAD|STREAMING-[A-Z0-9-]+")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An access key.

    Args:
        id: its public half.
        secret: its secret half.
        token: the session token that goes with it; empty for a key of the run.
        expires: when it is over, if ever.
    """

    id: str
    secret: str
    token: str = ""
    expires: datetime | None = None

    def __repr__(self) -> str:
        return f"Key({self.id})"


class Refused(Exception):
    """Why a request is refused."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a request says of its signature, whether in a header or, presigned, in its query.

    Args:
        key: the id of the access key.
        date: the day, region and service of the signature.
        region: see date.
        service: see date.
        headers: the names of the signed headers, in lower case.
        signature: the signature.
        at: when it was made, as the request says it.
        token: the session token.
        payload: the hash of the body that the signature covers; empty if no header says it.
        expires: how long a presigned URL is valid; None for a header.
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
        """Read the signature of a request.

        Raises:
            Refused: if the request has none.
        """
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
                raise Refused("AccessDenied", "A presigned request needs X-Amz-Expires in seconds")
            expires = timedelta(seconds=int(seconds or 0))
        scope = given.get("Credential", "").split("/")
        if algorithm != _ALGORITHM or len(scope) != 5 or not given.get("SignedHeaders") or not given.get("Signature"):
            raise Refused("MissingAuthenticationToken", "The request is not signed with Signature Version 4")
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
        """Check that the signature is of this time.

        Raises:
            Refused: if it is not.
        """
        try:
            at = datetime.strptime(self.at, _FORM).replace(tzinfo=timezone.utc)
        except ValueError as error:
            raise Refused("AccessDenied", "The date of the signature is missing or malformed") from error
        now, lives = datetime.now(timezone.utc), _SKEW if self.expires is None else min(self.expires, _LONGEST)
        if not self.at.startswith(self.date) or at - now > _SKEW or now - at > lives:
            raise Refused("RequestExpired", "The signature is too old, or of the future")


class _Check(_Signer):
    """Computes the signature that a request must have: botocore's own way, over the headers that the caller chose."""

    def headers_to_sign(self, request: Any) -> Any:
        return request.headers

    def payload(self, request: Any) -> str:
        return str(request.context["payload"])

    def _normalize_url_path(self, path: str) -> str:
        return path if self._service_name == "s3" else str(super()._normalize_url_path(path))


class Doorkeeper:
    """Lets requests in, or not.

    Args:
        key: the key of this run, with which every path may be asked.
        issued: gives a key that the API issued, by its id; None if it issued no such key.
        hosts: the `Host` headers that clients of this API send.
    """

    def __init__(self, *, key: Key, issued: Callable[[str], Key | None], hosts: Collection[str]) -> None:
        self.key = key
        self.hosts = set(hosts)
        self._issued = issued

    def refuse_strangers(self, environ: Mapping[str, Any]) -> None:
        """Check that no browser sent a request: those give an origin, or a name that leads here by DNS.

        Raises:
            Refused: if one did.
        """
        if environ.get("HTTP_HOST", "") not in self.hosts:
            raise Refused("AccessDenied", "The Host header is not that of this API")
        if "HTTP_ORIGIN" in environ:
            raise Refused("AccessDenied", "Pages of a browser may not ask this API")

    def refuse_unsigned(self, environ: dict[str, Any], *, own: bool = False) -> None:
        """Check the signature of a request; its body is read only if the key exists.

        Args:
            environ: the request, as WSGI describes it. Its body can be read again afterwards.
            own: whether only the key of this run is accepted.

        Raises:
            Refused: if the signature is not one of a key of this run, or of another body, address or time.
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
            raise Refused("SignatureDoesNotMatch", "The signature is not that of the request")

    @staticmethod
    def _payload(given: Signature, environ: dict[str, Any]) -> str:
        """The hash that the signature must cover, compared with the body if it is one."""
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
            raise Refused("XAmzContentSHA256Mismatch", "The body is not the one that was signed")
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
    return str(value).encode("latin-1").decode(errors="replace")  # as WSGI has the bytes of a header


def _iso(date: str) -> str:
    """The date of a `Date` header, as a signature has it."""
    try:
        return parsedate_to_datetime(date).astimezone(timezone.utc).strftime(_FORM) if date else ""
    except ValueError:
        return date
