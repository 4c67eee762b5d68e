"""Servers on the host's loopback for agents to reach: plain HTTP, TLS, and lines of text."""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

BLOCK = bytes(1 << 20)
WEB = f"127.77.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
"""A loopback address of this process's tests alone."""


class Http(socketserver.BaseRequestHandler):
    """Answers each request's head; keeps what it saw. /to/URL leads there, URL being quoted."""

    def handle(self) -> None:
        data = b""
        with contextlib.suppress(OSError):
            while b"\r\n\r\n" not in data:
                piece = self.request.recv(65536)
                if not piece:
                    return
                self.server.seen.append(piece)  # type: ignore[attr-defined]
                data += piece
            target = data.split(b" ")[1] if data.count(b" ") > 1 else b"/"
            if target.startswith(b"/to/"):
                location = unquote_to_bytes(target[4:])
                self.request.sendall(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\n")
                self.request.sendall(b"Content-Length: 0\r\n\r\n")
            else:
                self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")


class Secure(Http):
    """The same behind TLS."""

    def setup(self) -> None:
        self.request.settimeout(10)

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            begin = self.request.recv(4096, socket.MSG_PEEK)
            if not begin:  # ssl leaks a socket that is reset
                return
            self.server.hellos.append(begin)  # type: ignore[attr-defined]
            self.request = self.server.context.wrap_socket(  # type: ignore[attr-defined]
                self.request, server_side=True
            )
            super().handle()

    def finish(self) -> None:
        self.request.close()


class Lines(socketserver.BaseRequestHandler):
    """`hello`, `send SIZE`, `echo`."""

    def handle(self) -> None:
        connection: socket.socket = self.request
        with contextlib.suppress(OSError):
            words = b""
            while not words.endswith(b"\n"):
                got = connection.recv(1)
                if not got:
                    return
                words += got
            word, *rest = words.split()
            if word == b"hello":
                connection.sendall(b"hello\n")
            elif word == b"send":
                left = int(rest[0])
                while left:
                    left -= connection.send(memoryview(BLOCK)[:left])
            elif word == b"echo":
                while piece := connection.recv(1 << 16):
                    connection.sendall(piece)


class Server(socketserver.ThreadingTCPServer):
    """One of them.

    @ivar seen: what it was sent.
    @ivar hellos: how TLS began.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self,
        handler: type[socketserver.BaseRequestHandler],
        address: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        super().__init__(address, handler)
        self.seen: list[bytes] = []
        self.hellos: list[bytes] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def handle_error(self, request: object, client_address: object) -> None:
        """An agent that was cut off is no error."""

    def ask_twice(self) -> None:
        """Take another group than clients guess first, so that they send a second ClientHello."""
        self.context.set_ecdh_curve("secp384r1")
        self.context.sni_callback = lambda _, name, __: self.seen.append((name or "").encode())

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Upstream:
    """All three; and on the ports of the web, where the test may have them, HTTP and TLS again.

    @ivar web: on ports 80 and 443 of L{WEB}; empty where an ordinary user cannot have them.

    @ivar plain: HTTP.
    @ivar secure: HTTP with TLS.
    @ivar lines: text.
    @ivar certificate: what clients have to trust, in PEM.
    """

    def __init__(self, directory: str) -> None:
        self.plain, self.secure, self.lines = Server(Http), Server(Secure), Server(Lines)
        path = _certificate(directory)
        self.secure.context.load_cert_chain(path)
        self.secure.ask_twice()
        text = Path(path).read_text()
        self.certificate = text[text.index("-----BEGIN CERTIFICATE") :]
        self.web: tuple[Server, ...] = ()
        with contextlib.suppress(PermissionError):
            self.web = Server(Http, (WEB, 80)), Server(Secure, (WEB, 443))
            self.web[1].context.load_cert_chain(path)
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            for server in (*self.servers, *self.web)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def servers(self) -> tuple[Server, Server, Server]:
        return self.plain, self.secure, self.lines

    @property
    def ports(self) -> str:
        return ",".join(str(server.port) for server in self.servers)

    def stop(self) -> None:
        for server in (*self.servers, *self.web):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def upstream(directory: str) -> Iterator[Upstream]:
    servers = Upstream(directory)
    try:
        yield servers
    finally:
        servers.stop()


def _certificate(directory: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "api.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("api.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = Path(directory, "upstream.pem")
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return str(path)
