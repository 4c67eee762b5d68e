"""Twisted's reactor without TLS, which an idle kernel does not need.

The reactor imports OpenSSL's bindings for C{startTLS} on its TCP connections, C{connectSSL} and
C{listenSSL}: 12 MB. The kernel uses none of these. What needs TLS wraps a connection in it
(C{wrapClientTLS}), and imports it only then.
"""

from __future__ import annotations

import sys
from typing import Final

__all__ = ["import_reactor"]

TLS: Final = ("twisted.internet._newtls", "twisted.internet.ssl", "twisted.protocols.tls")
"""What the reactor imports if it can, and goes without if it cannot."""


def import_reactor() -> None:
    """Import the reactor for the first time; what is imported already stays as it is."""
    if "twisted.internet.reactor" in sys.modules or not sys.modules.keys().isdisjoint(TLS):
        return
    for name in TLS:
        sys.modules[name] = None  # type: ignore[assignment]  # importing it raises ImportError
    try:
        import twisted.internet.reactor  # noqa: F401
    finally:
        for name in TLS:
            del sys.modules[name]
