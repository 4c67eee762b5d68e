"""Descriptors that the kernel is sent and did not ask for."""

from __future__ import annotations

import array
import os
import socket
import struct

from clove.framing import HEADER, MAGIC, Opcode
from tests.soak.hostile.frame import SECONDS, W, Way, attack, frame, give, until_refused


@attack
def a_socket_with_a_lingering_close(way: Way) -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    for _ in range(way.dice.randint(1, 8)):
        full = socket.create_connection(listener.getsockname())
        way.held.append(listener.accept()[0])
        full.setblocking(False)
        with until_refused():
            while True:
                full.send(bytes(4096))
        linger = struct.pack("ii", 1, 30)
        full.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        give(way.raw(), full.fileno())
        full.close()
    way.rest()


@attack
def its_own_output(way: Way) -> None:
    """And ends, with the connection unread by anybody."""
    for _ in range(20):
        give(way.raw(), 1, 2, 0)


@attack
def its_own_output_in_half_a_frame(way: Way) -> None:
    """Bytes that the kernel waits for the rest of."""
    connection = way.raw()
    half = HEADER.pack(MAGIC, 0, Opcode.NOOP, 1 << 19)
    give(connection, 1, 2, data=half)
    way.rest()


@attack
def a_child_gives_its_output_away_and_ends(way: Way) -> None:
    text = """
import array, os, socket
for _ in range(8):
    k = socket.socket(socket.AF_UNIX); k.connect(os.environ["CLOVE_SOCKET"])
    k.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1, 2]))])
"""
    reply = way.child(text)
    if way.dice.random() < 0.5:
        way.client().kill(reply["id"])


@attack
def much_memory(way: Way) -> None:
    block = bytes(1 << 20)
    memory = os.memfd_create("x")
    with until_refused():
        for _ in range(64):
            os.write(memory, block)
    give(way.raw(), memory)


@attack
def a_deleted_file_of_many_extents(way: Way) -> None:
    path = f"{W}/{way.name()}"
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    os.unlink(path)
    with until_refused():
        for number in range(3000):
            os.pwrite(file, b"x" * 4096, number * 8192)
    give(way.raw(), file)


@attack
def hundreds_of_descriptors(way: Way) -> None:
    connection = way.raw()
    places = [os.pipe() for _ in range(100)]
    for _ in range(20):
        give(connection, *(end for pair in places for end in pair), data=frame(Opcode.NOOP))
    way.rest()


@attack
def descriptors_in_flight(way: Way) -> None:
    """Never received by anybody; the count is the user's (unix(7), ETOOMANYREFS)."""
    rights = array.array("i", [0] * 250)
    with until_refused():
        for _ in range(60):
            pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            way.held.append(pair)
            pair[0].setblocking(False)
            with until_refused():
                while True:
                    pair[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    way.rest()


@attack
def sockets_that_hold_themselves(way: Way) -> None:
    """Work for the operating system's collector of cycles."""
    for _ in range(200):
        first, second = socket.socketpair()
        give(first, first.fileno(), second.fileno())
        give(second, first.fileno(), second.fileno())
        first.close()
        second.close()
    give(way.raw(), way.raw().fileno())


@attack
def descriptors_byte_by_byte(way: Way) -> None:
    connection = way.raw()
    pipe = os.pipe()
    for byte in frame(Opcode.STORE, key="x", value=1, scope="agent") * 8:
        give(connection, *pipe, data=bytes([byte]))
    connection.settimeout(SECONDS)
    connection.recv(1 << 16)
