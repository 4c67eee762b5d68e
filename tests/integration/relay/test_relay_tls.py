"""TLS: the certificate that is configured, and a new one as soon as it is there."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from clove.errors import InvalidRequest
from clove.relay.tls import RenewedCertificate
from tests.integration.relay.relay_process import relay_process
from tests.tls_identity import make_identity


def trusting(certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False  # it is for clove.test
    return context


def test_requests_over_tls_are_served_and_plain_ones_are_not(tmp_path: Path) -> None:
    key, certificate = make_identity(tmp_path)
    os.chmod(key, 0o600)
    config = f'[rest]\nport = 0\n[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    with relay_process(tmp_path, config) as relay:
        tls = trusting(certificate)
        assert relay.ask("GET", "/api/v1/status", tls=tls)[0] == 200
        with relay.connect() as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert not plain.recv(100).startswith(b"HTTP/")


def test_a_new_certificate_is_used_without_a_restart(tmp_path: Path) -> None:
    key, certificate = make_identity(tmp_path)
    os.chmod(key, 0o600)
    renewed = RenewedCertificate(certificate, key)
    earlier = renewed._context
    renewed.renew()
    assert renewed._context is earlier
    os.unlink(key)
    make_identity(tmp_path)
    os.chmod(key, 0o600)
    renewed.renew()
    assert renewed._context is not earlier


def test_a_certificate_that_is_no_good_leaves_the_one_in_use(tmp_path: Path) -> None:
    key, certificate = make_identity(tmp_path)
    os.chmod(key, 0o600)
    renewed = RenewedCertificate(certificate, key)
    earlier = renewed._context
    Path(certificate).write_text("half of it")
    renewed.renew()
    assert renewed._context is earlier
    os.unlink(certificate)
    renewed.renew()
    assert renewed._context is earlier


@pytest.mark.parametrize("broken", ["key", "other", "readable", "none"])
def test_what_does_not_fit_is_said_at_the_start(broken: str, tmp_path: Path) -> None:
    key, certificate = make_identity(tmp_path)
    os.chmod(key, 0o600)
    if broken == "key":
        Path(key).write_text("no key")
    elif broken == "other":
        (tmp_path / "more").mkdir()
        key, _ = make_identity(tmp_path / "more")
        os.chmod(key, 0o600)
    elif broken == "readable":
        os.chmod(key, 0o644)
    else:
        Path(certificate).write_text("")
    with pytest.raises(InvalidRequest) as caught:
        RenewedCertificate(certificate, key)
    assert "BEGIN" not in str(caught.value)
