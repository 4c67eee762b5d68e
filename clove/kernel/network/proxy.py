"""Has proxies connect, over sockets that were dialled to them."""

from __future__ import annotations

import socket
from typing import Any

from clove.errors import InvalidRequest, Unavailable
from clove.kernel.network.proxy_answers import read_answer
from clove.kernel.network.settings import EgressSettings, proxy_target
from clove.proxies import MOST_WORD, Exchange
from clove.regular import read_credentials

__all__ = ["perform_exchange", "proxy_credentials"]


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


async def perform_exchange(
    reactor: Any, connection: socket.socket, exchange: Exchange, timeout: float
) -> None:
    """Have the proxy connect a socket that is connected to it to somewhere else.

    Nothing behind the proxy's answers is read: it is the other end's.

    @param timeout: seconds for all of it.
    @raise Unavailable: the proxy does not, and why. The caller closes the socket.
    """
    until = reactor.seconds() + timeout
    words, measure = next(exchange)
    while True:
        if connection.send(words) != len(words):
            raise Unavailable("the proxy takes no request")
        left = max(0.001, until - reactor.seconds())
        answer = await read_answer(reactor, connection, measure, left)
        try:
            words, measure = exchange.send(answer)
        except StopIteration:
            return
