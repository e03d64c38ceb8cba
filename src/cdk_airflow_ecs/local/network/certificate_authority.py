"""A local certificate authority, so that TLS works as in the template."""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import certifi
import trustme
from cryptography import x509

_AUTHORITY = "cdk-airflow-ecs local authority"
_RENEW = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Issued:
    """The PEM files of a server's certificate and key."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates that only local clusters trust.

    Args:
        folder: folder for certificates and keys; only its owner can read the keys.
        days: validity of server certificates; default: the longest that macOS accepts (support.apple.com/103769).
    """

    def __init__(self, folder: Path, *, days: int = 825) -> None:
        self._days = days
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self.certificate = folder / "ca.crt"
        self.bundle = folder / "bundle.crt"
        if not _is_fresh(self.certificate):
            for file in folder.glob("*.crt"):
                file.unlink()
            self._create()
        _write(self.bundle, _trusted() + self.certificate.read_bytes())

    def issue(self, names: Sequence[str]) -> Issued:
        """Return a server certificate for these DNS names and IP addresses; reuse an existing one."""
        wanted = sorted(set(names))
        name = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:16]
        issued = Issued(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        if _is_fresh(issued.certificate) and issued.key.exists():
            return issued
        signer = trustme.CA.from_pem(self.certificate.read_bytes(), (self._folder / "ca.key").read_bytes())
        made = signer.issue_cert(*wanted, common_name="cdk-airflow-ecs local server", not_after=self._end())
        _write(issued.key, made.private_key_pem.bytes())
        _write(issued.certificate, b"".join(each.bytes() for each in made.cert_chain_pems))
        return issued

    def _end(self) -> datetime:
        return datetime.now(timezone.utc) + timedelta(days=self._days)

    def _create(self) -> None:
        made = trustme.CA(organization_name="cdk-airflow-ecs", organization_unit_name=_AUTHORITY)
        _write(self._folder / "ca.key", made.private_key_pem.bytes())
        _write(self.certificate, made.cert_pem.bytes())


def _is_fresh(certificate: Path) -> bool:
    if not certificate.exists():
        return False
    ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    return bool(ends - datetime.now(timezone.utc) > _RENEW)


def _trusted() -> bytes:
    """Return the machine's authorities, because containers also connect to servers on the internet."""
    file = ssl.get_default_verify_paths().cafile
    return Path(file or certifi.where()).read_bytes().rstrip() + b"\n"


def _write(file: Path, content: bytes) -> None:
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)
