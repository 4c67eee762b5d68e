"""The table of hosts that each policy is asked about through both doors."""

from __future__ import annotations

from typing import Any

CONFIG = """
[egress.hosts]
"api.test" = "127.0.0.1"
"sub.api.test" = "127.0.0.1"
"evil.test" = "127.0.0.1"
"""

PLACES: dict[str, tuple[str, str, str]] = {
    "api": ("http", "api.test", "PLAIN"),
    "api, shouted": ("http", "API.Test.", "PLAIN"),
    "api, no http": ("lines", "api.test", "LINES"),
    "api, secure": ("https", "api.test", "SECURE"),
    "below api": ("http", "sub.api.test", "PLAIN"),
    "evil": ("http", "evil.test", "PLAIN"),
    "api.test.evil": ("http", "api.test.evil.test", "PLAIN"),
    "address": ("http", "127.0.0.1", "PLAIN"),
    "localhost": ("http", "localhost", "PLAIN"),
    "metadata": ("http", "169.254.169.254", "PLAIN"),
    "private": ("http", "10.255.255.1", "PLAIN"),
    "IPv6 loopback": ("http", "[::1]", "PLAIN"),
}
"""Scheme (`lines`: a protocol of its own), host and port; the servers of C{gateway_upstream} have the ports."""

TRY = """
import socket, ssl
from __main__ import client
from clove.errors import CloveError

def syscall(scheme, host, port):
    scheme = "http" if scheme == "lines" else scheme
    try:
        return client.http(f"{scheme}://{host}:{port}/", timeout=10)["status_code"] == 200
    except CloveError:
        return False

def direct(scheme, host, port):
    text = f"GET / HTTP/1.1\\r\\nHost: {host}:{port}\\r\\n\\r\\n".encode()
    text = b"hello\\n" if scheme == "lines" else text
    try:
        with socket.create_connection((host.strip("[]"), port), timeout=10) as plain:
            connection = plain
            if scheme == "https":
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                connection = context.wrap_socket(plain, server_hostname=host)
            connection.sendall(text)
            answer = connection.recv(12)
            connection.close()
            return answer in (b"HTTP/1.1 200", b"hello\\n")
    except OSError:
        return False

found = {name: [syscall(*place), direct(*place)] for name, place in PLACES.items()}
"""

LOOPBACK = "127.0.0.1:PLAIN"
POLICIES: dict[str, Any] = {
    "unrestricted": "unrestricted",
    "standard": "standard",
    "sandboxed": "sandboxed",
    "readonly": "readonly",
    "minimal": "minimal",
    "api": {"allowed_domains": ["api.test:PLAIN", LOOPBACK]},
    "api, shouted": {"allowed_domains": ["API.TEST:PLAIN", LOOPBACK]},
    "api, secure": {"allowed_domains": ["api.test:SECURE", "127.0.0.1:SECURE"]},
    "api of the web's ports": {"allowed_domains": ["api.test", LOOPBACK]},
    "api of another port": {"allowed_domains": ["api.test:LINES", "127.0.0.1:LINES"]},
    "api without its address": {"allowed_domains": ["api.test:PLAIN"]},
    "api in a network": {"allowed_domains": ["api.test:PLAIN", "127.0.0.0/8:PLAIN"]},
    "api in another network": {"allowed_domains": ["api.test:PLAIN", "10.0.0.0/8:PLAIN"]},
    "below api": {"allowed_domains": ["*.api.test:PLAIN", LOOPBACK]},
    "every name": {"allowed_domains": ["*:PLAIN", LOOPBACK]},
    "the address alone": {"allowed_domains": [LOOPBACK]},
    "localhost": {"allowed_domains": ["localhost:PLAIN"]},
    "api without http": {"allowed_domains": ["api.test:PLAIN", LOOPBACK], "can_http": False},
    "api for posts": {
        "allowed_domains": ["api.test:PLAIN", LOOPBACK],
        "allowed_http_methods": ["POST"],
    },
}
"""Each agent has `network: true`."""

OWN, PROTOCOLS, CERTIFICATES = "own-loopback", "other-protocols", "certificates"
_ADDRESS = {"address": OWN}
KNOWN: dict[str, dict[str, str]] = {
    "api": _ADDRESS,
    "api, shouted": _ADDRESS,
    "api, secure": {"api, secure": CERTIFICATES},
    "api of the web's ports": _ADDRESS,
    "api of another port": {"api, no http": PROTOCOLS},
    "api in a network": _ADDRESS,
    "below api": _ADDRESS,
    "every name": {**_ADDRESS, "localhost": OWN},
    "the address alone": _ADDRESS,
    "localhost": {"localhost": OWN},
}
"""The differences that `docs/agreement.md` admits, by policy and place: each must be there."""
