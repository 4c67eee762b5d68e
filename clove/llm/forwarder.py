"""Proxies that HTTP libraries do not speak with: SOCKS 5, and TLS to the proxy itself.

The library is given an HTTP proxy on loopback, in this process, that knows CONNECT to the provider and
nothing else, and wants a password that is new each time; what it takes goes on through the real one.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import hmac
import secrets
import socket
import ssl
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from clove.errors import Unavailable
from clove.proxies import (
    MOST_ANSWER,
    Exchange,
    Measure,
    connect_by_http,
    connect_by_socks,
    where,
)

__all__ = ["Forwarder", "trust"]

CONNECT_SECONDS: Final = 15.0
"""Until the proxy has connected."""
CHUNK: Final = 64 << 10
USER: Final = "clove"


def trust(ca_file: str) -> ssl.SSLContext:
    """What TLS trusts: the host's certificates, and a file's.

    @param ca_file: "" for none.
    @raise ValueError: the file holds no certificates, or cannot be read.
    """
    context = ssl.create_default_context()
    try:
        if ca_file:
            context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"no certificates in {ca_file}: {error.strerror or error}") from None
    return context


class Forwarder:
    """Carries connections to one host through a proxy.

    @param proxy: `socks5://HOST:PORT` or `https://HOST:PORT`.
    @param host: what alone is connected to, with its port.
    @ivar url: what the library is given as its proxy.
    """

    def __init__(
        self,
        proxy: str,
        credentials: tuple[str, str] | None,
        ca_file: str,
        host: str,
        port: int,
        most: int,
    ) -> None:
        """Listen.

        @param most: connections at once; more are refused.
        @raise ValueError: the certificates cannot be used.
        """
        parts = urlsplit(proxy)
        self._proxy = parts.hostname or "", parts.port or 0
        self._tls = trust(ca_file) if parts.scheme == "https" else None
        connect = connect_by_http if self._tls else connect_by_socks
        self._exchange = functools.partial(connect, host, port, credentials)
        self._target = where(host, port)
        self._most = most
        self._open: set[asyncio.Task[None]] = set()
        password = secrets.token_urlsafe(32)
        self._login = b"Basic " + base64.b64encode(f"{USER}:{password}".encode())
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server: asyncio.Server | None = None
        self.url = f"http://{USER}:{password}@127.0.0.1:{self._socket.getsockname()[1]}"

    async def start(self) -> None:
        """Take connections. Idempotent."""
        if self._server is None:
            self._server = await asyncio.start_server(
                self._begin, sock=self._socket, limit=MOST_ANSWER
            )

    async def close(self) -> None:
        """End all connections."""
        if self._server is None:
            self._socket.close()
            return
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The library has connected."""
        if len(self._open) >= self._most:
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError), _closing(writer):
            refusal = self._judge(await reader.readuntil(b"\r\n\r\n"))
            if refusal:
                writer.write(_answer(refusal))
                return
            try:
                there = await self._connect()
            except (Unavailable, OSError) as error:
                writer.write(_answer(f"502 {_printable(_reason(error))}"))
                return
            with _closing(there[1]):
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
                await _carry((reader, writer), there)

    def _judge(self, head: bytes) -> str:
        """What is wrong with a request; "" if nothing is."""
        first, *rest = head.split(b"\r\n")
        fields = [line.partition(b":") for line in rest]
        logins = [
            value.strip() for name, _, value in fields if name.lower() == b"proxy-authorization"
        ]
        if not (len(logins) == 1 and hmac.compare_digest(logins[0], self._login)):
            return "407 Not for others"
        if first != f"CONNECT {self._target} HTTP/1.1".encode():
            return "403 The provider alone"
        return ""

    async def _connect(self) -> _Streams:
        """@raise Unavailable: the proxy does not connect."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                streams = await self._dial()
                try:
                    await _perform(self._exchange(), streams)
                except BaseException:
                    streams[1].close()
                    raise
                return streams
        except TimeoutError:
            raise Unavailable(f"it is not done within {CONNECT_SECONDS:g} s") from None
        except EOFError:
            raise Unavailable("the proxy closed the connection") from None

    async def _dial(self) -> _Streams:
        """@raise Unavailable: the proxy cannot be reached, or is not trusted."""
        host, port = self._proxy
        name = host if self._tls else None
        try:
            return await asyncio.open_connection(host, port, ssl=self._tls, server_hostname=name)
        except ssl.SSLCertVerificationError as error:
            text = f"the proxy's certificate is not trusted: {error.verify_message}"
            raise Unavailable(text, hint="egress.ca_file") from None
        except OSError as error:  # ssl.SSLError is one
            text = f"the proxy {where(host, port)} cannot be reached: {error.strerror or error}"
            raise Unavailable(text) from None


_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.contextmanager
def _closing(writer: asyncio.StreamWriter) -> Iterator[None]:
    try:
        yield
    finally:
        writer.close()


async def _perform(exchange: Exchange, streams: _Streams) -> None:
    """Have the proxy connect.

    @raise Unavailable: it does not.
    """
    reader, writer = streams
    words, measure = next(exchange)
    while True:
        writer.write(words)
        await writer.drain()
        answer = await _read_answer(reader, measure)
        try:
            words, measure = exchange.send(answer)
        except StopIteration:
            return


async def _read_answer(reader: asyncio.StreamReader, measure: Measure) -> bytes:
    """A whole answer, and nothing behind it.

    @raise Unavailable: it does not end.
    @raise EOFError: the proxy has closed the connection.
    """
    held = b""
    while (whole := measure(held)) is None:
        if len(held) >= MOST_ANSWER:
            raise Unavailable("the proxy sends a head without end")
        held += await reader.readexactly(1)
    return held + await reader.readexactly(whole - len(held))


async def _carry(one: _Streams, other: _Streams) -> None:
    """Bytes both ways, until one side has ended: no client of HTTP reads on after its own end."""
    tasks = {
        asyncio.ensure_future(_copy(source[0], target[1]))
        for source, target in ((one, other), (other, one))
    }
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


def _answer(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()


def _reason(error: Unavailable | OSError) -> str:
    if isinstance(error, Unavailable):
        return "; ".join(filter(None, (error.message, error.hint)))
    return error.strerror or str(error)


def _printable(text: str) -> str:
    return "".join(one if " " <= one <= "~" else "?" for one in text)
