"""A SOCKS 5 proxy on loopback: real sockets, with hosts as the test says."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import socketserver
import threading
from collections.abc import Iterator

from tests.connect_proxy import carry

__all__ = ["SocksProxy", "socks_proxy"]


class _Connection(socketserver.BaseRequestHandler):
    """One client: its greeting, perhaps a login, a request, and then bytes both ways."""

    def handle(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            if self._enter():
                self._connect()

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.request.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def _enter(self) -> bool:
        proxy = self.server
        assert isinstance(proxy, SocksProxy)
        _, count = self._read(2)
        offered = self._read(count)
        if proxy.greeting:
            self.request.sendall(proxy.greeting)
            return False
        wanted = 2 if proxy.credentials else 0
        if wanted not in offered:
            self.request.sendall(b"\5\xff")
            return False
        self.request.sendall(bytes((5, wanted)))
        if not proxy.credentials:
            return True
        user = self._read(self._read(2)[1])
        password = self._read(self._read(1)[0])
        good = b":".join((user, password)).decode() == proxy.credentials
        self.request.sendall(bytes((1, 0 if good else 1)))
        return good

    def _connect(self) -> None:
        proxy = self.server
        assert isinstance(proxy, SocksProxy)
        kind = self._read(4)[3]
        if kind == 3:
            host = self._read(self._read(1)[0]).decode()
        else:
            host = str(ipaddress.ip_address(self._read(4 if kind == 1 else 16)))
        where = f"{host}:{int.from_bytes(self._read(2), 'big')}"
        proxy.asked.append(where)
        if where not in proxy.hosts:
            self.request.sendall(bytes((5, proxy.refusal, 0, 1)) + bytes(6))
            return
        with socket.create_connection(proxy.hosts[where], timeout=10) as server:
            for piece in (b"\5\0", b"\0\3", b"\4name", b"\0\1" + proxy.behind):
                self.request.sendall(piece)
            carry(self.request, server)


class SocksProxy(socketserver.ThreadingTCPServer):
    """Connects to the hosts that it knows.

    @ivar hosts: HOST:PORT of a request to where that really is.
    @ivar credentials: USER:PASSWORD that it wants; "" for none.
    @ivar greeting: what it says first, instead.
    @ivar refusal: the code for a host that it does not know.
    @ivar behind: bytes right behind its yes.
    @ivar asked: what it was asked for.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.hosts: dict[str, tuple[str, int]] = {}
        self.credentials = ""
        self.greeting = b""
        self.refusal = 4
        self.behind = b""
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"socks5://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was cut off is no error."""


@contextlib.contextmanager
def socks_proxy() -> Iterator[SocksProxy]:
    """A proxy that runs, gone afterwards."""
    proxy = SocksProxy()
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
