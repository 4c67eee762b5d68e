"""What attacks are made with: the table that they enter, and ways to reach the kernel.

The files of this directory become one program (`tests/soak/program.py`), because an agent sees its
own script and no neighbours. It runs inside a sandbox, with Python and Clove's client alone.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from clove import CloveClient
from clove.framing import TAG, Opcode, encode

Random = random.Random
W = "/workspace"
SECONDS = 3.0
"""How long one attack may go on."""


@dataclass
class Way:
    """What an attack knows.

    @ivar dice: all chance comes from here, so that a seed tells what is done.
    @ivar facts: what the soak says: `names` (there is a resolver that never answers), `port` (of a
        server on this machine that `held.test` stands for).
    @ivar held: what stays open until the attack is over.
    """

    dice: Random
    facts: dict[str, Any]
    held: list[Any] = field(default_factory=list)
    end: float = field(default_factory=lambda: time.monotonic() + SECONDS)

    def goes_on(self) -> bool:
        return time.monotonic() < self.end

    def rest(self) -> None:
        """Hold what is held until the end."""
        while self.goes_on():
            time.sleep(0.05)

    def client(self) -> CloveClient:
        client = CloveClient()
        self.held.append(client)
        return client

    def raw(self) -> socket.socket:
        """A connection without a client; what it would wait for longer than a second is an error."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(os.environ["CLOVE_SOCKET"])
        connection.settimeout(1.0)
        self.held.append(connection)
        return connection

    def second_version(self) -> socket.socket:
        connection = self.raw()
        connection.sendall(encode(0, Opcode.HELLO, b'{"protocol_version": 2}'))
        connection.recv(1 << 16)
        return connection

    def name(self) -> str:
        return f"h{self.dice.getrandbits(60):x}"

    def child(self, text: str, *arguments: str, **fields: Any) -> Any:
        """Spawn a script of this text."""
        path = f"{W}/{self.name()}.py"
        with open(path, "w") as file:
            file.write(text)
        fields.setdefault("permissions", {"can_http": False})
        return self.client().spawn(self.name(), path, args=list(arguments), **fields)


Attack = Callable[[Way], None]
TABLE: dict[str, Attack] = {}


def attack(function: Attack) -> Attack:
    """Enter an attack into the table."""
    TABLE[function.__name__] = function
    return function


def frame(opcode: int, tag: int | None = None, **fields: Any) -> bytes:
    head = b"" if tag is None else TAG.pack(tag)
    return encode(0, opcode, head + json.dumps(fields).encode())


def give(connection: socket.socket, *descriptors: int, data: bytes = b"x") -> None:
    """Send descriptors beside bytes (SCM_RIGHTS, unix(7))."""
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
    connection.sendmsg([data], [rights])


@contextlib.contextmanager
def until_refused() -> Iterator[None]:
    """For what goes on until something says no."""
    with contextlib.suppress(OSError, ValueError):
        yield
