"""Whether a server's certificate is for the host that was meant.

Twisted's own check lets a certificate pass that names no host at all (no C{subjectAltName}), when an authority that
is trusted has signed it: what reads the names then raises an error that it only logs (26.4, C{_verifyCB} in
C{twisted.internet._sslverify}). So this one takes its place.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from OpenSSL import SSL
from service_identity.hazmat import DNS_ID, IPAddress_ID, ServiceID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

__all__ = ["CheckedPolicy", "HostChecked"]

_MODE: Final = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT


@implementer(IOpenSSLClientConnectionCreator)
class HostChecked:
    """Makes TLS connections that end where the certificate is for another host, or for none.

    @param creator: makes them.
    @param host: a name or an address.
    """

    def __init__(self, creator: Any, host: str) -> None:
        self._creator = creator
        self._wanted = _identity(host)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """A connection."""
        connection: SSL.Connection = self._creator.clientConnectionForTLS(tlsProtocol)
        connection.set_verify(_MODE, self._verified)
        return connection

    def _verified(self, _connection: object, certificate: Any, _: int, depth: int, ok: int) -> bool:
        """Asked by OpenSSL of each certificate of the chain; the server's own is at depth 0."""
        if not ok or depth:
            return bool(ok)
        try:
            verify_service_identity(extract_patterns(certificate), [self._wanted], [])
        except Exception:  # whatever is wrong with it, it is not that host's
            return False
        return True


@implementer(IPolicyForHTTPS)
class CheckedPolicy:
    """The same for HTTPS.

    @param policy: whose connections these are.
    """

    def __init__(self, policy: Any) -> None:
        self._policy = policy

    def creatorForNetloc(self, hostname: bytes, port: int) -> HostChecked:
        """Makes connections to a host."""
        return HostChecked(self._policy.creatorForNetloc(hostname, port), hostname.decode("ascii"))


def _identity(host: str) -> ServiceID:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return DNS_ID(host)
    return IPAddress_ID(host)
