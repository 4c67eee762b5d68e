"""CONNECT to an HTTP proxy (RFC 9110, 9.3.6), over a socket that was dialled to it."""

from __future__ import annotations

import base64
import re
import socket
from typing import Any, Final

from clove.errors import InvalidRequest, Unavailable
from clove.kernel.network.proxy_answers import read_answer
from clove.kernel.network.settings import EgressSettings, proxy_target
from clove.kernel.network.socks import MOST_WORD
from clove.regular import read_credentials

__all__ = ["authorization", "open_tunnel", "proxy_credentials"]

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: ([^\r\n]*))?\r\n")
_SCHEME: Final = re.compile(rb"(?im)^proxy-authenticate:[ \t]*([A-Za-z0-9-]{1,32})")
_END: Final = b"\r\n\r\n"


def proxy_credentials(settings: EgressSettings) -> tuple[str, str] | None:
    """User and password for the proxy; None without.

    @raise InvalidRequest: the file cannot be read, all users may read it, it has none, or they
        are too long for the proxy's protocol.
    """
    path = settings.proxy_credentials_file
    if not path:
        return None
    try:
        found = read_credentials(path)
    except ValueError as error:
        raise InvalidRequest(f"egress.proxy_credentials_file: {error}") from None
    longest = max(len(word.encode()) for word in found)
    if proxy_target(settings.proxy).scheme == "socks5" and not (found[1] and longest <= MOST_WORD):
        raise InvalidRequest(
            f"egress.proxy_credentials_file: SOCKS has words of 1 to {MOST_WORD} bytes"
        )
    return found


def authorization(credentials: tuple[str, str] | None) -> str:
    """What is sent to the proxy as `Proxy-Authorization`; "" without credentials."""
    if credentials is None:
        return ""
    return "Basic " + base64.b64encode(":".join(credentials).encode()).decode("ascii")


async def open_tunnel(
    reactor: Any, connection: socket.socket, where: str, credentials: str, timeout: float
) -> None:
    """Have the proxy connect a socket that is connected to it to somewhere else.

    Nothing behind the proxy's answer is read: it is the other end's.

    @param where: HOST:PORT, an IPv6 address in brackets.
    @param credentials: as L{authorization} gives them.
    @raise Unavailable: the proxy does not, and why. The caller closes the socket.
    """
    lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
    if credentials:
        lines.append(f"Proxy-Authorization: {credentials}")
    request = "\r\n".join([*lines, "", ""]).encode("ascii")
    if connection.send(request) != len(request):
        raise Unavailable("the proxy takes no request")
    answer = await read_answer(reactor, connection, _measure, timeout)
    _check(answer, where, bool(credentials))


def _measure(begin: bytes) -> int | None:
    """A head ends with an empty line."""
    end = begin.find(_END)
    return None if end < 0 else end + len(_END)


def _check(head: bytes, where: str, sent_credentials: bool) -> None:
    """@raise Unavailable: it is no yes."""
    match = _STATUS.match(head)
    if match is None:
        raise Unavailable("the proxy's answer is not HTTP/1", hint="check egress.proxy")
    status = int(match[1])
    if 200 <= status < 300:
        return
    reason = re.sub(r"[^ -~]+", " ", (match[2] or b"").decode("latin-1")).strip()[:80]
    said = f"the proxy answers CONNECT {where} with {status} {reason}".rstrip()
    if status == 407:
        schemes = sorted({one.decode().capitalize() for one in _SCHEME.findall(head)})
        offers = f" (it takes {', '.join(schemes[:5])}; Clove has Basic)" if schemes else ""
        what = "does not take these credentials" if sent_credentials else "wants credentials"
        raise Unavailable(
            f"{said}: it {what}{offers}", hint="the operator sets egress.proxy_credentials_file"
        )
    if status in (403, 405):
        hint = "the proxy forbids this host or port; many allow CONNECT to port 443 alone"
        raise Unavailable(said, hint=hint)
    raise Unavailable(said, hint="the proxy may not know the host; ask its operator")
