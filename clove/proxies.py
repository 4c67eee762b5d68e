"""What is said to proxies so that they connect somewhere, and what their answers mean. Pure.

CONNECT of HTTP (RFC 9110, 9.3.6) and of SOCKS 5 (RFC 1928, RFC 1929), for all that have sockets of their
own kind: the kernel and the model service.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Generator
from typing import Final

from clove.errors import Unavailable

__all__ = [
    "MOST_ANSWER",
    "MOST_WORD",
    "Exchange",
    "Measure",
    "authorization",
    "connect_by_http",
    "connect_by_socks",
    "where",
]

MOST_ANSWER: Final = 16 << 10
"""Bytes of an answer."""
MOST_WORD: Final = 255
"""Bytes of a user name, and of a password, of SOCKS."""

Measure = Callable[[bytes], int | None]
"""Gives an answer's length by how it begins; None while that is open."""
Exchange = Generator[tuple[bytes, Measure], bytes, None]
"""Gives what to send and the measure of the answer; is sent the answer, whole and nothing behind it. At its end
the proxy has connected; else it raises Unavailable."""

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: ([^\r\n]*))?\r\n")
_SCHEME: Final = re.compile(rb"(?im)^proxy-authenticate:[ \t]*([A-Za-z0-9-]{1,32})")
_END: Final = b"\r\n\r\n"

SOCKS: Final = 5
NO_LOGIN, LOGIN, CONNECT = 0, 2, 1
IPV4, NAME, IPV6 = 1, 3, 4
_REASONS: Final = {
    1: "it failed",
    2: "its rules do not allow it",
    3: "the network cannot be reached",
    4: "the host cannot be reached",
    5: "the connection was refused",
    6: "it took too long",
    7: "it does not connect",
    8: "it takes no such addresses",
}


def where(host: str, port: int) -> str:
    """HOST:PORT, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def authorization(credentials: tuple[str, str] | None) -> str:
    """What is sent to an HTTP proxy as `Proxy-Authorization`; "" without user and password."""
    if credentials is None:
        return ""
    return "Basic " + base64.b64encode(":".join(credentials).encode()).decode("ascii")


def connect_by_http(host: str, port: int, credentials: tuple[str, str] | None) -> Exchange:
    """Have an HTTP proxy connect to a host, which is an address or a name in normal form."""
    target, secret = where(host, port), authorization(credentials)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if secret:
        lines.append(f"Proxy-Authorization: {secret}")
    head = yield "\r\n".join([*lines, "", ""]).encode("ascii"), _head
    _check_status(head, target, bool(secret))


def _head(begin: bytes) -> int | None:
    """A head ends with an empty line."""
    end = begin.find(_END)
    return None if end < 0 else end + len(_END)


def _check_status(head: bytes, target: str, sent_credentials: bool) -> None:
    """@raise Unavailable: it is no yes."""
    match = _STATUS.match(head)
    if match is None:
        raise Unavailable("the proxy's answer is not HTTP/1", hint="check egress.proxy")
    status = int(match[1])
    if 200 <= status < 300:
        return
    reason = re.sub(r"[^ -~]+", " ", (match[2] or b"").decode("latin-1")).strip()[:80]
    said = f"the proxy answers CONNECT {target} with {status} {reason}".rstrip()
    if status == 407:
        raise _unwelcome_by_http(said, head, sent_credentials)
    if status in (403, 405):
        hint = "the proxy forbids this host or port; many allow CONNECT to port 443 alone"
        raise Unavailable(said, hint=hint)
    raise Unavailable(said, hint="the proxy may not know the host; ask its operator")


def _unwelcome_by_http(said: str, head: bytes, sent_credentials: bool) -> Unavailable:
    """The proxy wants to know who asks."""
    schemes = sorted({one.decode().capitalize() for one in _SCHEME.findall(head)})
    offers = f" (it takes {', '.join(schemes[:5])}; Clove has Basic)" if schemes else ""
    what = "does not take these credentials" if sent_credentials else "wants credentials"
    hint = "the operator sets egress.proxy_credentials_file"
    if schemes and "Basic" not in schemes:
        hint = "run what signs on to it, such as cntlm or px, on this host, and name that as egress.proxy"
    return Unavailable(f"{said}: it {what}{offers}", hint=hint)


def connect_by_socks(host: str, port: int, credentials: tuple[str, str] | None) -> Exchange:
    """Have a SOCKS 5 proxy connect to a host, which is an address or a name in normal form.

    @param credentials: of at most L{MOST_WORD} bytes each, and not empty.
    """
    methods = bytes((NO_LOGIN, LOGIN) if credentials else (NO_LOGIN,))
    version, method = yield bytes((SOCKS, len(methods))) + methods, _pair
    if version != SOCKS:
        raise Unavailable("the proxy's answer is not SOCKS 5", hint="check egress.proxy")
    if method == LOGIN and credentials is not None:
        user, password = (word.encode() for word in credentials)
        login = bytes((1, len(user))) + user + bytes((len(password),)) + password
        if (yield login, _pair)[1]:
            raise _unwelcome_by_socks("does not take these credentials")
    elif method != NO_LOGIN:
        raise _unwelcome_by_socks(
            "wants credentials" if credentials is None else "takes no password"
        )
    reply = yield bytes((SOCKS, CONNECT, 0)) + _written(host) + port.to_bytes(2, "big"), _reply
    _check_reply(reply, where(host, port))


def _pair(begin: bytes) -> int | None:
    """Version and method, or version and status."""
    return 2 if len(begin) >= 2 else None


def _reply(begin: bytes) -> int | None:
    """Version, reply, 0, and the address that the proxy connects from, of which nothing is used."""
    if begin[:1] not in (b"", bytes((SOCKS,))) or begin[1:2] not in (b"", b"\0"):
        return _pair(begin)
    if len(begin) < 5:
        return None
    size = {IPV4: 4, IPV6: 16, NAME: 1 + begin[4]}.get(begin[3])
    return 4 if size is None else 4 + size + 2


def _check_reply(reply: bytes, target: str) -> None:
    """@raise Unavailable: it is no yes."""
    if reply[0] != SOCKS or (not reply[1] and len(reply) < 10 and reply[3:4] != bytes((NAME,))):
        raise Unavailable("the proxy's answer is not SOCKS 5", hint="check egress.proxy")
    if reply[1]:
        why = _REASONS.get(reply[1], f"error {reply[1]}")
        raise Unavailable(
            f"the proxy does not connect to {target}: {why}",
            hint="the proxy may not know or not allow the host; ask its operator",
        )


def _unwelcome_by_socks(what: str) -> Unavailable:
    return Unavailable(
        f"the proxy {what}; Clove has user and password (RFC 1929)",
        hint="the operator sets egress.proxy_credentials_file",
    )


def _written(host: str) -> bytes:
    """An address or a name, with its kind before it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return bytes((NAME, len(host))) + host.encode("ascii")
    return bytes((IPV4 if address.version == 4 else IPV6,)) + address.packed
