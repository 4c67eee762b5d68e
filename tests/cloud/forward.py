"""C{forward.py PORT}: what the emulator runs for each connection of a guest, which it has as standard input and output."""

from __future__ import annotations

import os
import socket
import sys
import threading


def copy(source: int, sink: socket.socket | None, target: int) -> None:
    """Everything from one to the other, then its end."""
    while data := os.read(source, 1 << 16):
        while data:
            data = data[os.write(target, data) :]
    if sink is not None:
        sink.shutdown(socket.SHUT_WR)


def main() -> None:
    """Copy both ways until the server has ended."""
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as server:
        up = threading.Thread(target=copy, args=(0, server, server.fileno()), daemon=True)
        up.start()
        copy(server.fileno(), None, 1)


if __name__ == "__main__":
    main()
