"""Requests in numbers, of sizes and at moments that nobody needs."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time

from clove.errors import CloveError
from clove.framing import HEADER, MAGIC, TAG, Opcode, encode
from tests.soak.hostile.frame import W, Way, attack, frame, until_refused


def flood(way: Way, opcode: int, connections: int, at_once: int, **fields: object) -> None:
    """Keep many requests outstanding on many connections; replies are thrown away, and connections
    that the kernel closes are made again."""
    number = 0
    open_ones: list[socket.socket] = []
    while way.goes_on():
        with until_refused():
            while len(open_ones) < connections:
                open_ones.append(way.second_version())
                open_ones[-1].setblocking(False)
        for connection in list(open_ones):
            batch = b"".join(frame(opcode, number + each, **fields) for each in range(1, at_once))
            number += at_once
            try:
                with contextlib.suppress(BlockingIOError):
                    connection.send(batch)
                with contextlib.suppress(BlockingIOError):
                    while connection.recv(1 << 18):
                        pass
            except OSError:
                open_ones.remove(connection)
                connection.close()
        time.sleep(0.01)


@attack
def metrics_without_end(way: Way) -> None:
    flood(way, Opcode.METRICS_AGENT, 30, 100)


@attack
def metrics_of_all(way: Way) -> None:
    flood(way, Opcode.METRICS_ALL_AGENTS, 8, 30)


@attack
def reads_without_end(way: Way) -> None:
    with open(f"{W}/read", "w") as file:
        file.write("x" * 1000)
    flood(way, Opcode.READ, 20, 50, path=f"{W}/read")


@attack
def big_reads_never_taken(way: Way) -> None:
    with open(f"{W}/big", "wb") as file:
        file.write(bytes(4 << 20))
    for _ in range(10):
        connection = way.second_version()
        for number in range(1, 30):
            connection.sendall(frame(Opcode.READ, number, path=f"{W}/big", encoding="base64"))
    way.rest()


@attack
def commands_without_end(way: Way) -> None:
    flood(way, Opcode.EXEC, 4, 20, command="sleep 5", timeout=5)


@attack
def commands_that_say_much(way: Way) -> None:
    flood(way, Opcode.EXEC, 2, 3, command="yes", timeout=1, stream=True)


@attack
def thoughts_without_end(way: Way) -> None:
    flood(way, Opcode.THINK, 8, 40, prompt="why? " * 1000)


@attack
def writes_without_end(way: Way) -> None:
    flood(way, Opcode.WRITE, 8, 20, path=f"{W}/written", content="x" * 10_000)


@attack
def waits_without_end(way: Way) -> None:
    flood(way, Opcode.RECV, 20, 100, wait=60)


@attack
def messages_to_anybody(way: Way) -> None:
    flood(way, Opcode.BROADCAST, 4, 50, message="x" * 5000)


@attack
def messages_to_the_healthy(way: Way) -> None:
    flood(way, Opcode.SEND, 4, 50, to_name="healthy", message={"noise": "x" * 2000})


@attack
def events_without_end(way: Way) -> None:
    flood(way, Opcode.EMIT, 4, 100, event_type="noise", data="x" * 1000)


@attack
def unread_events(way: Way) -> None:
    client = way.client()
    client.subscribe(all=True, push=True)
    flood(way, Opcode.EMIT, 1, 100, event_type="noise", data="x" * 100)


@attack
def entries_that_wash_the_audit(way: Way) -> None:
    with contextlib.suppress(CloveError):
        way.client().read_file("/root/.ssh/id_rsa")
    flood(way, Opcode.STORE, 4, 200, key="x", value=1, scope="agent")


@attack
def state_until_it_is_full(way: Way) -> None:
    client = way.client()
    names = [way.name() for _ in range(300)]
    with contextlib.suppress(CloveError):
        for name in names:
            client.store(name, "x" * 100_000, scope=way.dice.choice(["global", "agent", "session"]))
    client.list_keys()
    for name in names[:250]:
        with contextlib.suppress(CloveError):
            client.delete_key(name)


@attack
def mail_to_itself_until_it_is_full(way: Way) -> None:
    client = way.client()
    for _ in range(200):
        client.send_message("x" * 100_000, to=client.agent_id)


@attack
def questions_about_the_audit(way: Way) -> None:
    flood(way, Opcode.GET_AUDIT_LOG, 4, 20, limit=1000)


@attack
def connections_that_come_and_go(way: Way) -> None:
    while way.goes_on():
        with socket.socket(socket.AF_UNIX) as connection, until_refused():
            connection.connect(os.environ["CLOVE_SOCKET"])
            if way.dice.random() < 0.5:
                connection.sendall(frame(Opcode.HELLO, protocol_version=2))


@attack
def connections_that_stay(way: Way) -> None:
    with until_refused():
        for _ in range(500):
            way.raw().sendall(frame(Opcode.NOOP))
    way.rest()


@attack
def half_frames_slowly(way: Way) -> None:
    parts = [way.raw() for _ in range(20)]
    text = HEADER.pack(MAGIC, 0, Opcode.STORE, 1 << 20) + bytes(100)
    for byte in text:
        for part in parts:
            part.send(bytes([byte]))
        time.sleep(0.02)


@attack
def frames_without_sense(way: Way) -> None:
    bad = [
        b"\0" * 17,
        HEADER.pack(MAGIC, 0, Opcode.STORE, 1 << 63),
        HEADER.pack(MAGIC, 7, 0xEE, 4) + b"null",
        encode(0, Opcode.SPAWN, b"[" * 50_000),
        encode(0, Opcode.STORE, b"\xff" * 1000),
        encode(0, Opcode.SET_PERMS, json.dumps({"permissions": {"level": "root"}}).encode()),
    ]
    while way.goes_on():
        with until_refused():
            connection = way.raw()
            connection.sendall(way.dice.choice(bad) + way.dice.randbytes(way.dice.randint(0, 99)))
            connection.recv(1 << 16)
            connection.close()


@attack
def an_endless_payload(way: Way) -> None:
    connection = way.raw()
    connection.sendall(HEADER.pack(MAGIC, 0, Opcode.STORE, 1 << 20))
    with until_refused():
        while way.goes_on():
            connection.send(bytes(1 << 16))


@attack
def requests_taken_back(way: Way) -> None:
    connection = way.second_version()
    with until_refused():
        for number in range(1, 2000):
            connection.sendall(frame(Opcode.RECV, number, wait=60))
            cancel = encode(0, Opcode.CANCEL, TAG.pack(number + 5000) + TAG.pack(number))
            connection.sendall(cancel)


@attack
def lines_followed_and_not_read(way: Way) -> None:
    me = way.client().agent_id
    for number in range(1, 40):
        way.second_version().sendall(frame(Opcode.LOGS, number, id=me, follow=True))
    for _ in range(2000):
        print("x" * 200)
    way.rest()


@attack
def long_paths(way: Way) -> None:
    flood(way, Opcode.READ, 8, 20, path=f"{W}/" + "a/x1111y/" * 440)


@attack
def questions_why(way: Way) -> None:
    flood(way, Opcode.WHY, 8, 20, syscall="READ", arguments={"path": f"{W}/" + "../a/" * 700})
