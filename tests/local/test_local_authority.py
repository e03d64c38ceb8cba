"""Certificates as clients judge them."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cdk_airflow_ecs.local.network.certificate_authority import Authority, Issued


def shake_hands(issued: Issued, trusted: Path, name: str) -> None:
    """Connect a client that trusts *trusted* to a server with that certificate."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(issued.certificate, issued.key)
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            server_context.wrap_socket(theirs, server_side=True).close()
        except (ssl.SSLError, OSError):
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        context = ssl.create_default_context(cafile=str(trusted))
        # The strictest that Python has, and from 3.13 on its default.
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.wrap_socket(ours, server_hostname=name).close()
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize("name", ["db.example.com", "127.64.1.2", "198.18.1.11"])
def test_clients_accept_each_name(tmp_path: Path, name: str):
    """A strict client accepts the server under each name and address that was asked for."""
    authority = Authority(tmp_path / "authority")
    issued = authority.issue(["db.example.com", "127.64.1.2", "198.18.1.11"])
    for trusted in (authority.certificate, authority.bundle):
        shake_hands(issued, trusted, name)


def test_clients_refuse_other_names_and_authorities(tmp_path: Path):
    """A name that was not asked for, and a certificate of another machine's authority, are refused."""
    authority = Authority(tmp_path / "a")
    issued = authority.issue(["db.example.com"])
    with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for 'cache\.example\.com'"):
        shake_hands(issued, authority.certificate, "cache.example.com")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(issued, Authority(tmp_path / "b").certificate, "db.example.com")


def test_the_same_again(tmp_path: Path):
    """A second run has the same authority and certificates: nothing that trusts them breaks."""
    first = Authority(tmp_path / "a")
    issued = first.issue(["a", "b"])
    before = issued.certificate.read_bytes(), first.certificate.read_bytes()
    again = Authority(tmp_path / "a")
    assert again.issue(["b", "a", "a"]) == issued
    assert (issued.certificate.read_bytes(), again.certificate.read_bytes()) == before


def test_what_expires_is_made_anew(tmp_path: Path):
    """A certificate at its end is replaced."""
    old = Authority(tmp_path / "a", days=20)
    issued = old.issue(["a"])
    new = Authority(tmp_path / "a")
    assert new.issue(["a"]) == issued
    shake_hands(issued, new.certificate, "a")
    from cryptography import x509

    ends = x509.load_pem_x509_certificate(issued.certificate.read_bytes()).not_valid_after_utc
    assert ends > datetime.now(timezone.utc) + timedelta(days=300)


def test_the_rest_of_the_world_is_still_trusted(tmp_path: Path):
    """The bundle has many authorities, ours among them; keys are for the owner alone."""
    authority = Authority(tmp_path / "a")
    context = ssl.create_default_context(cafile=str(authority.bundle))
    subjects = [dict(pair[0] for pair in each["subject"]) for each in context.get_ca_certs()]
    names = [each.get("organizationalUnitName") for each in subjects]
    assert "cdk-airflow-ecs local authority" in names
    assert len(names) > 50
    authority.issue(["a"])
    modes = {path.suffix: path.stat().st_mode & 0o777 for path in (tmp_path / "a").iterdir()}
    assert modes == {".key": 0o600, ".crt": 0o600}
