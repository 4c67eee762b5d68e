"""CONNECT to a SOCKS 5 proxy (RFC 1928, RFC 1929), over a socket that was dialled to it."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any, Final

from clove.errors import Unavailable
from clove.kernel.network.proxy_answers import Measure, read_answer
from clove.policy.hosts import as_address

__all__ = ["MOST_WORD", "open_socks"]

VERSION: Final = 5
NO_LOGIN, LOGIN, CONNECT = 0, 2, 1
IPV4, NAME, IPV6 = 1, 3, 4
MOST_WORD: Final = 255
"""Bytes of a user name, and of a password."""
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


async def open_socks(
    reactor: Any,
    connection: socket.socket,
    host: str,
    port: int,
    credentials: tuple[str, str] | None,
    timeout: float,
) -> None:
    """Have the proxy connect a socket that is connected to it to somewhere else.

    Nothing behind the proxy's answer is read: it is the other end's.

    @param host: an address or a name, in normal form.
    @param credentials: user and password.
    @param timeout: seconds for all of it.
    @raise Unavailable: the proxy does not, and why. The caller closes the socket.
    """
    talk = _Talk(reactor, connection, reactor.seconds() + timeout)
    methods = bytes((NO_LOGIN, LOGIN) if credentials else (NO_LOGIN,))
    version, method = await talk.ask(bytes((VERSION, len(methods))) + methods, _pair)
    if version != VERSION:
        raise Unavailable("the proxy's answer is not SOCKS 5", hint="check egress.proxy")
    if method == LOGIN and credentials is not None:
        user, password = (word.encode() for word in credentials)
        login = bytes((1, len(user))) + user + bytes((len(password),)) + password
        if (await talk.ask(login, _pair))[1]:
            raise _unwelcome("does not take these credentials")
    elif method != NO_LOGIN:
        raise _unwelcome("wants credentials" if credentials is None else "takes no password")
    request = bytes((VERSION, CONNECT, 0)) + _written(host) + port.to_bytes(2, "big")
    _check(await talk.ask(request, _reply), host, port)


class _Talk:
    """Questions and answers until a point of time."""

    def __init__(self, reactor: Any, connection: socket.socket, until: float) -> None:
        self._reactor = reactor
        self._connection = connection
        self._until = until

    async def ask(self, words: bytes, measure: Measure) -> bytes:
        """@raise Unavailable: there is no answer in time."""
        if self._connection.send(words) != len(words):
            raise Unavailable("the proxy takes no request")
        left = max(0.001, self._until - self._reactor.seconds())
        return await read_answer(self._reactor, self._connection, measure, left)


def _pair(begin: bytes) -> int | None:
    """Version and method, or version and status."""
    return 2 if len(begin) >= 2 else None


def _reply(begin: bytes) -> int | None:
    """Version, reply, 0, and the address that the proxy connects from, of which nothing is used."""
    if begin[:1] not in (b"", bytes((VERSION,))) or begin[1:2] not in (b"", b"\0"):
        return _pair(begin)
    if len(begin) < 5:
        return None
    size = {IPV4: 4, IPV6: 16, NAME: 1 + begin[4]}.get(begin[3])
    return 4 if size is None else 4 + size + 2


def _check(reply: bytes, host: str, port: int) -> None:
    """@raise Unavailable: it is no yes."""
    if reply[0] != VERSION or (not reply[1] and len(reply) < 10 and reply[3:4] != bytes((NAME,))):
        raise Unavailable("the proxy's answer is not SOCKS 5", hint="check egress.proxy")
    if reply[1]:
        why = _REASONS.get(reply[1], f"error {reply[1]}")
        raise Unavailable(
            f"the proxy does not connect to {host}:{port}: {why}",
            hint="the proxy may not know or not allow the host; ask its operator",
        )


def _unwelcome(what: str) -> Unavailable:
    return Unavailable(
        f"the proxy {what}; Clove has user and password (RFC 1929)",
        hint="the operator sets egress.proxy_credentials_file",
    )


def _written(host: str) -> bytes:
    """An address or a name, with its kind before it."""
    if as_address(host) is None:
        return bytes((NAME, len(host))) + host.encode("ascii")
    address = ipaddress.ip_address(host)
    return bytes((IPV4 if address.version == 4 else IPV6,)) + address.packed
