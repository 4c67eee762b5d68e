"""A server on loopback for agents to reach: `python -m bench.upstream` prints its port.

It answers `hello` with a line, and `send SIZE` with so many bytes; it ends with
its standard input.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["upstream"]

BLOCK = bytes(1 << 20)


class Lines(socketserver.BaseRequestHandler):
    """One connection, one request."""

    def handle(self) -> None:
        connection: socket.socket = self.request
        with contextlib.suppress(OSError):
            word, _, size = connection.recv(64).decode().partition(" ")
            if word.strip() == "hello":
                connection.sendall(b"hello\n")
            left = int(size or 0)
            while left:
                left -= connection.send(memoryview(BLOCK)[:left])


class Server(socketserver.ThreadingTCPServer):
    """Takes any number of connections."""

    daemon_threads = True
    request_queue_size = 64


@contextmanager
def upstream() -> Iterator[int]:
    """Have one in a process of its own; its port."""
    command = [sys.executable, "-m", "bench.upstream"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]
        yield int(process.stdout.readline())
        process.communicate()


def main() -> None:
    """Serve."""
    with Server(("127.0.0.1", 0), Lines) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
