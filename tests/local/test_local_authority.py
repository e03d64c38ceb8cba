"""Clients verify certificates of the local certificate authority."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cdk_airflow_ecs.local.network.certificate_authority import Authority, Issued


def shake_hands(issued: Issued, trusted: Path, name: str) -> None:
    """Connect a TLS client that trusts *trusted* to a server with the certificate *issued*."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(issued.certificate, issued.key)
    local, other = socket.socketpair()

    def serve() -> None:
        try:
            server_context.wrap_socket(other, server_side=True).close()
        except (ssl.SSLError, OSError):
            other.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        context = ssl.create_default_context(cafile=str(trusted))
        # Strict verification is the default since Python 3.13.
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.wrap_socket(local, server_hostname=name).close()
    finally:
        local.close()
        thread.join()


@pytest.mark.parametrize("name", ["db.example.com", "127.64.1.2", "198.18.1.11"])
def test_tls_clients_accept_each_name_in_a_certificate(tmp_path: Path, name: str):
    """A strict client accepts a certificate for each of its DNS names and IP addresses."""
    authority = Authority(tmp_path / "authority")
    issued = authority.issue(["db.example.com", "127.64.1.2", "198.18.1.11"])
    for trusted in (authority.certificate, authority.bundle):
        shake_hands(issued, trusted, name)


def test_tls_clients_refuse_other_names_and_authorities(tmp_path: Path):
    """A TLS client refuses a name that is not in the certificate, and a certificate of another authority."""
    authority = Authority(tmp_path / "a")
    issued = authority.issue(["db.example.com"])
    with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for 'cache\.example\.com'"):
        shake_hands(issued, authority.certificate, "cache.example.com")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(issued, Authority(tmp_path / "b").certificate, "db.example.com")


def test_a_second_run_reuses_the_local_certificates(tmp_path: Path):
    """A second run uses the same authority and certificates, so that clients keep trusting them."""
    first = Authority(tmp_path / "a")
    issued = first.issue(["a", "b"])
    before = issued.certificate.read_bytes(), first.certificate.read_bytes()
    again = Authority(tmp_path / "a")
    assert again.issue(["b", "a", "a"]) == issued
    assert (issued.certificate.read_bytes(), again.certificate.read_bytes()) == before


def test_an_expiring_certificate_is_replaced(tmp_path: Path):
    """A certificate that is about to expire is replaced."""
    old = Authority(tmp_path / "a", days=20)
    issued = old.issue(["a"])
    new = Authority(tmp_path / "a")
    assert new.issue(["a"]) == issued
    shake_hands(issued, new.certificate, "a")
    from cryptography import x509

    ends = x509.load_pem_x509_certificate(issued.certificate.read_bytes()).not_valid_after_utc
    assert ends > datetime.now(timezone.utc) + timedelta(days=300)


def test_public_authorities_are_still_trusted(tmp_path: Path):
    """The file of trusted authorities has public ones and the local one; only the owner can read keys."""
    authority = Authority(tmp_path / "a")
    context = ssl.create_default_context(cafile=str(authority.bundle))
    subjects = [dict(pair[0] for pair in each["subject"]) for each in context.get_ca_certs()]
    names = [each.get("organizationalUnitName") for each in subjects]
    assert "cdk-airflow-ecs local authority" in names
    assert len(names) > 50
    authority.issue(["a"])
    modes = {path.suffix: path.stat().st_mode & 0o777 for path in (tmp_path / "a").iterdir()}
    assert modes == {".key": 0o600, ".crt": 0o600}
