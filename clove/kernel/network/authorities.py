"""Certificates that are trusted beside the host's, read when the kernel starts."""

from __future__ import annotations

import re
from typing import Final

from clove.errors import InvalidRequest
from clove.regular import read_regular

__all__ = ["bundle", "read_certificates"]

HOST_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where distributions have what they trust, in one file."""
MOST_BYTES: Final = 4 << 20
"""Bytes of a file of certificates."""
_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----"
)


def read_certificates(path: str) -> tuple[str, ...]:
    """The certificates of a file in PEM, each for itself; what else is in it does not matter.

    @raise InvalidRequest: it cannot be read, holds none, or one that makes no sense.
    """
    import ssl  # a kernel that is told of no certificates has no use for it

    try:
        text = read_regular(path, MOST_BYTES).decode("latin-1")
        found = tuple(_CERTIFICATE.findall(text))
        if not found:
            raise ValueError("it holds no certificate in PEM")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata="\n".join(found))
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or str(error)
        raise InvalidRequest(f"egress.ca_file: cannot use {path}: {reason}") from None
    except ValueError as error:
        raise InvalidRequest(f"egress.ca_file: cannot use {path}: {error}") from None
    return found


def bundle(certificates: tuple[str, ...], hosts: tuple[str, ...] = HOST_BUNDLES) -> str:
    """Certificates beside the host's, in one file's text: programs take one or the other.

    @param hosts: where the host's may be; the first that there is counts.
    """
    for path in hosts:
        try:
            found = _CERTIFICATE.findall(read_regular(path, MOST_BYTES).decode("latin-1"))
        except OSError:
            continue
        return "\n".join([*found, *certificates, ""])
    return "\n".join([*certificates, ""])
