"""What TLS trusts: the host's certificates, and others beside them.

Imported with the HTTP client alone: it needs OpenSSL.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from clove.channels.host_check import CheckedPolicy

__all__ = ["trusting"]


@implementer(IOpenSSLTrustRoot)
class _Beside:
    """The host's certificates and some more."""

    def __init__(self, certificates: list[Any]) -> None:
        self._certificates = certificates

    def _addCACertsToContext(self, context: SSL.Context) -> None:
        """Part of IOpenSSLTrustRoot."""
        context.set_default_verify_paths()
        store = context.get_cert_store()
        assert store is not None
        for one in self._certificates:
            store.add_cert(one)


def trusting(certificates: tuple[str, ...]) -> IPolicyForHTTPS:
    """TLS that trusts these certificates (each in PEM) beside the host's."""
    loaded = [ssl.Certificate.loadPEM(one.encode()).original for one in certificates]
    policy: IPolicyForHTTPS = CheckedPolicy(BrowserLikePolicyForHTTPS(_Beside(loaded)))
    return policy
