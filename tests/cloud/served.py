"""A small HTTP server on loopback, in threads of its own, answered by one function."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Answer", "Served"]

Answer = Callable[[str, str, Any], tuple[int, bytes]]
"""Method, path and headers to status and body."""


class Served:
    """The server.

    @param tls: files with its key and certificate; None: it serves in clear.
    @ivar port: its TCP port.
    """

    def __init__(self, answer: Answer, tls: tuple[str, str] | None = None) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(answer))
        self._server.daemon_threads = True
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls[1], tls[0])
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = int(self._server.server_address[1])
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers by that function."""

        timeout = 30

        def _reply(self) -> None:
            status, data = answer(self.command, urlsplit(self.path).path, self.headers)
            self.send_response(status, HTTPStatus(status).phrase)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = _reply

        def log_message(self, *args: Any) -> None:
            """Not on stderr."""

    return Handler
