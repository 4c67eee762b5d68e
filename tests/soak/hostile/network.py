"""Names and connections, through the gateway and by HTTP."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

from clove.errors import CloveError
from clove.framing import Opcode
from tests.soak.hostile.frame import Way, attack, until_refused
from tests.soak.hostile.requests import flood


def query(name: str) -> bytes:
    """A question for an address (RFC 1035, 4.1)."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)


@attack
def names_that_are_not_answered(way: Way) -> None:
    if not way.facts["names"]:
        return
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(300):
        with until_refused():
            asking.sendto(query(f"{way.name()}.silent.test"), ("127.0.0.53", 53))
    way.rest()


@attack
def urls_of_names_that_are_not_answered(way: Way) -> None:
    if way.facts["names"]:
        url = f"http://{way.name()}.silent.test/"
        flood(way, Opcode.HTTP, 4, 30, url=url, timeout=0.1)


@attack
def connections_to_silent_names(way: Way) -> None:
    if not way.facts["names"]:
        return

    def one() -> None:
        with until_refused():
            way.held.append(socket.create_connection((f"{way.name()}.silent.test", 80), 2))

    for _ in range(30):
        threading.Thread(target=one, daemon=True).start()
    way.rest()


@attack
def connections_to_a_host(way: Way) -> None:
    with until_refused():
        for _ in range(200):
            way.held.append(socket.create_connection(("held.test", way.facts["port"]), 2))
    way.rest()


@attack
def connections_that_say_nonsense(way: Way) -> None:
    texts = [b"\x16\x03\x01\xff\xff", b"GET \t/ HTTP/1.1\r\n", b"\r\nGET /", b"\xff" * 5000, b"\0"]
    with until_refused():
        while way.goes_on():
            to = socket.create_connection(("held.test", way.facts["port"]), 2)
            for _ in range(3):
                to.send(way.dice.choice(texts))
            way.held.append(to)
            if len(way.held) > 50:
                way.held.pop(0).close()


@attack
def bytes_without_end(way: Way) -> None:
    to = socket.create_connection(("held.test", way.facts["port"]), 2)
    to.settimeout(1)
    to.sendall(b"send 200000000\n")
    with until_refused():
        while way.goes_on() and to.recv(1 << 18):
            pass


@attack
def urls_of_a_slow_host(way: Way) -> None:
    url = f"http://held.test:{way.facts['port']}/"
    with contextlib.suppress(CloveError):
        flood(way, Opcode.HTTP, 4, 30, url=url, timeout=2)
