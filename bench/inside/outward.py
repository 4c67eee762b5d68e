"""An agent that connects to the bench's server and says how long it took.

Arguments: the socket, its own mail name, the server's name or address, its port.
"""

from __future__ import annotations

import socket
import sys
import time

from clove.client.blocking import CloveClient

NAME, HOST, PORT = sys.argv[2], sys.argv[3], int(sys.argv[4])


def connect(times: int) -> list[float]:
    """Seconds from connecting to the first bytes of the server; the name is known already."""
    address = socket.gethostbyname(HOST)
    found = []
    for _ in range(times):
        started = time.perf_counter()
        with socket.create_connection((address, PORT), timeout=10) as connection:
            connection.sendall(b"hello\n")
            connection.recv(10)
            found.append(time.perf_counter() - started)
    return found


def receive(size: int) -> list[float]:
    """Seconds to get so many bytes."""
    buffer = bytearray(1 << 20)
    started = time.perf_counter()
    with socket.create_connection((HOST, PORT), timeout=10) as connection:
        connection.sendall(f"send {size}\n".encode())
        left = size
        while left and (got := connection.recv_into(buffer)):
            left -= got
    if left:
        raise ConnectionError(f"{left} bytes are missing")
    return [time.perf_counter() - started]


with CloveClient(sys.argv[1]) as client:
    while True:
        for mail in client.recv_messages(wait=3600, max=1)["messages"]:
            what, number = mail["message"]
            try:
                seconds, problem = (connect if what == "connect" else receive)(number), ""
            except OSError as error:
                seconds, problem = [], f"{what}: {error}"
            client.send_message({"seconds": seconds, "problem": problem}, to_name="bench")
