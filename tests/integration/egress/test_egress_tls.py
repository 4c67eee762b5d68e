"""The HTTP syscall over TLS, with a certificate authority of the test's own."""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.web.client import BrowserLikePolicyForHTTPS
from zope.interface import implementer

from clove.client.deferred import DeferredClient
from clove.errors import Unavailable
from clove.kernel.network.egress.fetch import Egress
from clove.messages.http import HttpReply
from tests.integration.conftest import running_kernel
from tests.integration.egress.pages import (
    REACTOR,
    Pages,
    Server,
    allowing,
    fetch,
)
from tests.scripted_names import ScriptedNames

HOSTS = ("right.test", "127.0.0.1")


@implementer(IOpenSSLContextFactory)
class Contexts:
    """Gives a server one context (Twisted's own way makes pyOpenSSL warn)."""

    def __init__(self, context: SSL.Context) -> None:
        self.context = context

    def getContext(self) -> SSL.Context:
        return self.context


class Authority:
    """A certificate authority that lives for one test run."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign("authority", self.key, [], True)

    def _sign(self, name: str, key: Any, names: list[x509.GeneralName], ca: bool) -> Any:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def server(self, *names: x509.GeneralName) -> Any:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign("server", key, list(names), False)
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        return Contexts(context)

    def trust(self) -> BrowserLikePolicyForHTTPS:
        pem = self.certificate.public_bytes(serialization.Encoding.PEM)
        root = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(pem)])
        return BrowserLikePolicyForHTTPS(root)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def over_tls(
    authority: Authority, names: list[x509.GeneralName], host: str, trust: bool
) -> HttpReply:
    server = Server(Pages(), authority.server(*names))
    egress = Egress(
        REACTOR, resolver=ScriptedNames(["127.0.0.1"]), trust=authority.trust() if trust else None
    )
    rules = allowing(f"127.0.0.1:{server.number}", f"right.test:{server.number}")
    try:
        return await fetch(rules, server.url("hello", host, "https"), egress)
    finally:
        await server.stop()


async def test_tls_with_the_right_name(authority: Authority) -> None:
    for names, host in (
        ([x509.DNSName("right.test")], "right.test"),
        ([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))], "127.0.0.1"),
    ):
        reply = await over_tls(authority, [*names], host, True)
        assert (reply.status_code, reply.body) == (200, "grüezi")


@pytest.mark.parametrize(("name", "trusted"), [("wrong.test", True), ("right.test", False)])
async def test_tls_with_a_wrong_name_or_an_unknown_authority_is_refused(
    authority: Authority, name: str, trusted: bool
) -> None:
    with pytest.raises(Unavailable, match=r"TLS with right\.test") as caught:
        await over_tls(authority, [x509.DNSName(name)], "right.test", trusted)
    assert "certificate" in caught.value.hint


@pytest.mark.parametrize("told", ["environment", "configuration"])
async def test_a_whole_kernel_loads_tls_when_it_is_needed_and_not_before(
    authority: Authority, tmp_path: Path, told: str
) -> None:
    """And trusts nobody less for that: the same kernel refuses an unknown authority."""
    bundle = tmp_path / "authority.pem"
    bundle.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    server = Server(Pages(), authority.server(x509.DNSName("right.test")))
    stranger = Server(Pages(), Authority().server(x509.DNSName("right.test")))
    environ, config = {"SSL_CERT_FILE": str(bundle)}, ""
    if told == "configuration":
        environ, config = {}, f'[egress]\nca_file = "{bundle}"\n'
    config += '[egress.hosts]\n"right.test" = "127.0.0.1"\n'

    with running_kernel(config, environ) as kernel:
        if os.geteuid() == 0:  # others cannot see what a kernel has loaded: it is undumpable
            assert "cryptography" not in Path(f"/proc/{kernel.pid}/maps").read_text()
        async with DeferredClient(REACTOR, kernel.socket) as client:
            places = [f"{host}:{one.number}" for one in (server, stranger) for host in HOSTS]
            await client.set_permissions({"allowed_domains": places})
            reply = await client.http(server.url("hello", "right.test", "https"))
            assert (reply["status_code"], reply["body"]) == (200, "grüezi")
            with pytest.raises(Unavailable, match=r"TLS with right\.test"):
                await client.http(stranger.url("hello", "right.test", "https"))
    await server.stop()
    await stranger.stop()
