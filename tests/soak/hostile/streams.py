"""Output that nothing takes, input that nothing reads, and payloads that only look like bytes."""

from __future__ import annotations

import contextlib
import struct

from clove.errors import CloveError
from clove.framing import Opcode, encode
from tests.soak.hostile.frame import Way, attack, frame, until_refused

FLOOD = "import os\nwhile True: os.write(1 + os.getpid() % 2, b'x' * 65536)\n"
ALTERNATING = "import os\nwhile True: os.write(1, b'x'); os.write(2, b'y')\n"
DEAF = "import time\ntime.sleep(20)\n"


@attack
def output_that_is_held_and_never_taken(way: Way) -> None:
    with contextlib.suppress(CloveError):
        for text in (FLOOD, ALTERNATING):
            child = way.child(text, attach=True)
            held = way.client().hold_output(child["id"])
            way.held.append(held)
            next(held)
    way.rest()


@attack
def output_that_many_wait_for(way: Way) -> None:
    with contextlib.suppress(CloveError):
        child = way.child(FLOOD)["id"]
        connection = way.second_version()
        with until_refused():
            for tag in range(1, way.dice.randint(10, 400)):
                since = way.dice.choice([0, 1 << 40])
                fields = {"id": child, "since": since, "wait": 60, "max": 8 << 20}
                connection.sendall(frame(Opcode.OUTPUT, tag, **fields))
    way.rest()


@attack
def input_that_nothing_reads(way: Way) -> None:
    with contextlib.suppress(CloveError):
        child = way.child(DEAF, stdin="stream")["id"]
        connection = way.second_version()
        body = b'{"id":%d}' % child
        whole = struct.pack("<BI", 0, len(body)) + body + bytes(way.dice.randint(1, 900_000))
        with until_refused():
            for tag in range(1, 200):
                connection.sendall(encode(0, Opcode.INPUT, struct.pack("<Q", tag) + whole))
    way.rest()


@attack
def bytes_that_are_no_payload(way: Way) -> None:
    connection = way.second_version()
    with until_refused():
        for tag in range(1, 200):
            size = way.dice.choice([0, 2, 1 << 31, (1 << 32) - 1])
            junk = struct.pack("<QBI", tag, way.dice.randint(0, 1), size)
            junk += way.dice.randbytes(way.dice.randint(0, 64))
            opcode = way.dice.choice([Opcode.INPUT, Opcode.OUTPUT, Opcode.ATTACH, Opcode.NOOP])
            connection.sendall(encode(0, opcode, junk))
    way.rest()
