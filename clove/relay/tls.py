"""The relay's certificate: read again when its files have changed, without a restart."""

from __future__ import annotations

import os
from typing import Any, Final, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.logger import Logger
from zope.interface import implementer

from clove.errors import InvalidRequest
from clove.regular import read_regular, read_secret

__all__ = ["RenewedCertificate"]

_MOST_BYTES: Final = 1 << 20


@implementer(IOpenSSLServerConnectionCreator)
class RenewedCertificate:
    """Makes the server's side of TLS connections, each with the certificate that is there now.

    @param certificate: file with it and those above it, in PEM.
    @param key: file with its private key.
    @raise InvalidRequest: they cannot be used; in words.
    """

    log = Logger()

    def __init__(self, certificate: str, key: str) -> None:
        self._files = (certificate, key)
        self._seen = self._state()
        self._context = self._load()

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """For Twisted."""
        return SSL.Connection(self._context, None)

    def renew(self) -> None:
        """Read the files again if they have changed; keep what there is if they are no good. Blocking."""
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        try:
            self._context = self._load()
        except InvalidRequest as error:
            self.log.error(
                "the certificate in use stays: {error} ({hint})", error=str(error), hint=error.hint
            )
        else:
            self.log.info("new connections get the certificate in {file}", file=self._files[0])

    def _state(self) -> list[tuple[int, int, int] | None]:
        """What tells whether a file is another one."""
        found: list[tuple[int, int, int] | None] = []
        for path in self._files:
            try:
                facts = os.stat(path)
            except OSError:
                found.append(None)
            else:
                found.append((facts.st_ino, facts.st_mtime_ns, facts.st_size))
        return found

    def _load(self) -> SSL.Context:
        certificate_file, key_file = self._files
        try:
            own, *chain = x509.load_pem_x509_certificates(
                read_regular(certificate_file, _MOST_BYTES)
            )
            key = load_pem_private_key(read_secret(key_file, _MOST_BYTES), password=None)
            context = CertificateOptions(raiseMinimumTo=TLSVersion.TLSv1_2).getContext()
            context.use_certificate(own)
            for each in chain:
                context.add_extra_chain_cert(each)
            context.use_privatekey(cast(Any, key))  # of any kind that OpenSSL knows
            context.check_privatekey()
        except OSError as error:
            raise InvalidRequest(f"cannot read {certificate_file}: {error.strerror}") from None
        except (ValueError, TypeError, UnsupportedAlgorithm, SSL.Error) as error:
            reason = str(error) if "users can" in str(error) else "they do not fit or are damaged"
            raise InvalidRequest(
                f"the certificate in {certificate_file} with the key in {key_file}: {reason}",
                hint="both are PEM files; see tls in docs/fleet.md",
            ) from None
        return context
