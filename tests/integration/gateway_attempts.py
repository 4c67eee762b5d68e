"""Runs inside a sandboxed agent with the network: tries what it is told, says what came of it.

Arguments: the socket, the ports of the upstream servers (plain, TLS, lines).
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PLAIN, SECURE, OTHER = map(int, sys.argv[2].split(","))
NAME = "api.test"


def names(name: str) -> list[str]:
    return sorted(
        {str(found[4][0]) for found in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)}
    )


def exchange(host: str, port: int, text: bytes) -> str:
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(text)
        data = b""
        while piece := connection.recv(65536):
            data += piece
        return data.decode()


def get(host: str, port: int, head_host: str = "", target: str = "/") -> str:
    named = head_host or f"{host}:{port}"
    return exchange(host, port, f"GET {target} HTTP/1.1\r\nHost: {named}\r\n\r\n".encode())[:12]


def first_line(host: str, port: int) -> str:
    with socket.create_connection((host, port), timeout=10) as connection:
        return connection.makefile().readline().strip()


def tls(host: str, port: int, name: str | None) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((host, port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=name) as secure,
    ):
        secure.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        return secure.recv(12).decode()


def query(name: str, server: str, kind: int = 1, tcp: bool = False) -> list[int]:
    """Response code and number of answers."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    text = struct.pack("!6H", 1, 256, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)
    how = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, how) as connection:
        connection.settimeout(10)
        connection.connect((server, 53))
        connection.sendall(struct.pack("!H", len(text)) + text if tcp else text)
        reply = connection.recv(512)
        reply = reply[2:] if tcp else reply
        _, flags, _, answers, _, _ = struct.unpack_from("!6H", reply)
        return [flags & 15, answers]


def own_server() -> str:
    """Loopback inside is the agent's own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=lambda: listening.accept()[0].sendall(b"mine"), daemon=True).start()
        with socket.create_connection(listening.getsockname()) as connection:
            return connection.recv(10).decode()


def abstract(name: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("\0" + name)
    return "connected"


def program(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def forward(size: int) -> dict[str, float]:
    """Read so many bytes from the server."""
    started = time.monotonic()
    with socket.create_connection((NAME, OTHER), timeout=10) as connection:
        connection.sendall(f"send {size}\n".encode())
        buffer = bytearray(1 << 20)
        received = 0
        while received < size and (got := connection.recv_into(buffer)):
            received += got
    return {"received": received, "seconds": time.monotonic() - started}


def echo(size: int) -> bool:
    """Send what the server sends back, without reading for a while: both ways are held."""
    sent = os.urandom(1 << 16) * (size >> 16)
    with socket.create_connection((NAME, OTHER), timeout=20) as connection:
        connection.sendall(b"echo\n")

        def push() -> None:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)

        pushing = threading.Thread(target=push)
        pushing.start()
        received = bytearray()
        while piece := connection.recv(1 << 16):
            received += piece
        pushing.join()
    return bytes(received) == sent


KEPT: list[socket.socket] = []


def keep(times: int) -> int:
    """Connections that stay open."""
    KEPT.extend(socket.create_connection((NAME, OTHER), timeout=10) for _ in range(times))
    for connection in KEPT:  # until the kernel has opened each, and the server answers
        connection.sendall(b"echo\nx")
        connection.recv(1)
    return len(KEPT)


def pool(times: int) -> int:
    """Connections that are used once and kept, as clients' pools do; how many were answered."""
    for _ in range(times):
        connection = socket.create_connection((NAME, OTHER), timeout=10)
        KEPT.append(connection)
        connection.sendall(b"echo\nx")
        if connection.recv(1) != b"x":
            break
    return len(KEPT)


def one_more(times: int) -> list[str]:
    """What comes of a connection while so many wait for an answer, and when one of those ends."""
    address = socket.gethostbyname(NAME)
    held = [socket.create_connection((address, OTHER), timeout=30) for _ in range(times)]
    for one in held:
        one.sendall(b"ech")  # a line without an end: no answer comes
    with socket.create_connection((address, OTHER), timeout=30) as connection:
        connection.sendall(b"hello\n")
        connection.settimeout(1)
        try:
            found = [connection.recv(10).decode()]
        except TimeoutError:
            found = ["waits"]
        held.pop().close()
        connection.settimeout(30)
        found.append(connection.recv(10).decode())
    for one in held:
        one.close()
    return found


def at_once(times: int) -> int:
    """How many of so many connections that are begun together get their answer."""
    begun = threading.Barrier(times)
    address = socket.gethostbyname(NAME)

    def one(_: int) -> bool:
        begun.wait(30)
        with socket.create_connection((address, OTHER), timeout=30) as connection:
            connection.sendall(b"hello\n")
            return connection.recv(10) == b"hello\n"

    with ThreadPoolExecutor(times) as pool:
        return sum(pool.map(one, range(times)))


def latency(times: int) -> list[float]:
    found = []
    for _ in range(times):
        with socket.create_connection((NAME, OTHER), timeout=10) as connection:
            started = time.perf_counter()
            connection.sendall(b"hello\n")
            connection.recv(10)
            found.append(time.perf_counter() - started)
    return found


def rounds(times: int) -> list[float]:
    """Seconds from connect to the first bytes of the server, names already known."""
    address = socket.gethostbyname(NAME)
    found = []
    for _ in range(times):
        started = time.perf_counter()
        with socket.create_connection((address, OTHER), timeout=10) as connection:
            connection.sendall(b"hello\n")
            connection.recv(10)
            found.append(time.perf_counter() - started)
    return found


def attempt(what: str, arguments: list[Any]) -> Any:
    try:
        return globals()[what](*arguments)
    except Exception as error:
        return f"{type(error).__name__} {getattr(error, 'errno', None)}"


def main() -> None:
    from clove import CloveClient

    with CloveClient() as client:
        while True:
            [mail] = client.recv_messages(wait=600, max=1)["messages"]
            asked = mail["message"]
            answers = [attempt(what, given) for what, *given in asked["attempts"]]
            client.send_message({"answers": answers}, to_name="judge")


if __name__ == "__main__":
    main()
