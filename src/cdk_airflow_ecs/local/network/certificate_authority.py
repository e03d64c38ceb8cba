"""A certificate authority of this machine's own, so that TLS stays on as the template says."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAYS = 825  # what Apple accepts of a server's certificate (support.apple.com/103769)
_RENEW = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Issued:
    """A server's certificate and its key, each a PEM file."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates that only this machine's local clusters trust.

    Args:
        folder: where its key and all certificates are kept; only the owner can read the keys.
    """

    def __init__(self, folder: Path) -> None:
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
        """Make a server's certificate, or return the one that was made for the same names.

        Args:
            names: DNS names and IP addresses under which the server is reached.
        """
        wanted = sorted(set(names))
        name = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:16]
        issued = Issued(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        if _is_fresh(issued.certificate) and issued.key.exists():
            return issued
        key = ec.generate_private_key(ec.SECP256R1())
        signer = serialization.load_pem_private_key((self._folder / "ca.key").read_bytes(), None)
        issuer = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        certificate = (
            _builder("cdk-airflow-ecs local server")
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .add_extension(x509.SubjectAlternativeName([_general_name(each) for each in wanted]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()),
                critical=False,
            )
            .sign(signer, hashes.SHA256())
        )
        _write_key(issued.key, key)
        _write(issued.certificate, certificate.public_bytes(serialization.Encoding.PEM))
        return issued

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder("cdk-airflow-ecs local authority")
        certificate = (
            builder.issuer_name(_name("cdk-airflow-ecs local authority"))
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_usage_of_an_authority(), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write_key(self._folder / "ca.key", key)
        _write(self.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: str) -> x509.CertificateBuilder:
    now = datetime.now(timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_DAYS))
    )


def _usage_of_an_authority() -> x509.KeyUsage:
    return x509.KeyUsage(
        key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _is_fresh(certificate: Path) -> bool:
    """Whether it exists and is not about to expire."""
    if not certificate.exists():
        return False
    ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    return bool(ends - datetime.now(timezone.utc) > _RENEW)


def _trusted() -> bytes:
    """The authorities that this machine trusts: a container must go on reaching the rest of the world."""
    file = ssl.get_default_verify_paths().cafile
    if file is None:
        try:
            import certifi  # noqa: PLC0415  # comes with boto3's relatives; not a requirement of its own
        except ImportError:
            return b""
        file = certifi.where()
    return Path(file).read_bytes().rstrip() + b"\n"


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    form = serialization.PrivateFormat.PKCS8
    _write(file, key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


def _write(file: Path, content: bytes) -> None:
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)
