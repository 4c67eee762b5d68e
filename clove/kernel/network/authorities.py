"""Certificates that are trusted beside the host's, read when the kernel starts."""

from __future__ import annotations

import re
import ssl
from typing import Final

from clove.errors import InvalidRequest
from clove.regular import read_regular

__all__ = ["read_certificates"]

MOST_BYTES: Final = 4 << 20
"""Bytes of a file of certificates."""
_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----"
)


def read_certificates(path: str) -> tuple[str, ...]:
    """The certificates of a file in PEM, each for itself; what else is in it does not matter.

    @raise InvalidRequest: it cannot be read, holds none, or one that makes no sense.
    """
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
