"""An HTTP proxy that knows CONNECT, on loopback: real sockets, with hosts as the test says, perhaps TLS."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator

__all__ = ["ConnectProxy", "carry", "connect_proxy"]


class _Connection(socketserver.BaseRequestHandler):
    """One client: its head, an answer, and then bytes both ways."""

    def finish(self) -> None:
        self.request.close()  # of TLS, which is around the one that the server closes

    def handle(self) -> None:
        proxy = self.server
        assert isinstance(proxy, ConnectProxy)
        with contextlib.suppress(OSError):
            if proxy.tls is not None:
                self.request = proxy.tls.wrap_socket(self.request, server_side=True)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = self.request.recv(65536)
                if not piece:
                    return
                head += piece
            proxy.heads.append(head.decode())
            answer, there = proxy.judge(head.decode())
            if there is None:
                self.request.sendall(answer)
                return
            with socket.create_connection(there, timeout=10) as server:
                self.request.sendall(answer + proxy.behind)
                carry(self.request, server)


def carry(client: socket.socket, server: socket.socket) -> None:
    """Bytes both ways until both have ended."""
    ends = {client: server, server: client}
    while ends:
        read = [one for one in ends if isinstance(one, ssl.SSLSocket) and one.pending()]
        for one in read or select.select(list(ends), [], [], 30)[0]:
            piece = one.recv(65536)
            if piece:
                ends[one].sendall(piece)
            else:
                socket.socket.shutdown(ends.pop(one), socket.SHUT_WR)  # of TLS, the TCP beneath it


class ConnectProxy(socketserver.ThreadingTCPServer):
    """Connects to the hosts that it knows.

    @ivar hosts: HOST:PORT of a CONNECT to where that really is.
    @ivar tls: what it speaks TLS with; None: it speaks none.
    @ivar credentials: USER:PASSWORD that it wants; "" for none.
    @ivar answer: what it says to every request, instead.
    @ivar behind: bytes right behind its yes.
    @ivar heads: what it was sent.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__((address, 0), _Connection)
        self.hosts: dict[str, tuple[str, int]] = {}
        self.tls: ssl.SSLContext | None = None
        self.credentials = ""
        self.answer = b""
        self.behind = b""
        self.heads: list[str] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://{self.server_address[0]!s}:{self.port}"

    @property
    def asked(self) -> list[str]:
        return [head.split("\r\n")[0] for head in self.heads]

    def judge(self, head: str) -> tuple[bytes, tuple[str, int] | None]:
        """The answer to a head, and where to connect."""
        if self.answer:
            return self.answer, None
        wanted = base64.b64encode(self.credentials.encode()).decode()
        if self.credentials and f"\r\nProxy-Authorization: Basic {wanted}\r\n" not in head:
            lines = "Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: Basic realm=x\r\n"
            return f"HTTP/1.1 407 Who Are You\r\n{lines}\r\n".encode(), None
        method, where, _ = head.split(" ", 2)
        if method != "CONNECT" or where not in self.hosts:
            return b"HTTP/1.1 502 No Such Host\r\nContent-Length: 0\r\n\r\n", None
        return b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n", self.hosts[where]

    def speak_tls(self, key: str, certificate: str) -> None:
        """Speak TLS with a key and a certificate, each in a file."""
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was cut off is no error."""


@contextlib.contextmanager
def connect_proxy(address: str = "127.0.0.1") -> Iterator[ConnectProxy]:
    """A proxy that runs, gone afterwards."""
    proxy = ConnectProxy(address)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
