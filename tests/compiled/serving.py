"""What the compiled part is told of a connection, and the socket that it serves."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.main import CONNECTION_LOST

from clove.framing import Frame, FrameDecoder

fast: Any = pytest.importorskip("clove_fast", reason="clove-fast is not installed: make test-fast")


@dataclass
class Caller:
    agent_id: int = 7
    syscalls: int = 0


@dataclass
class Kept:
    """A sender that sends nothing."""

    congested: bool = False
    sent: list[bytes] = field(default_factory=list)

    def send(self, data: bytes) -> None:
        self.sent.append(data)


@dataclass
class Flow:
    """Flow control, as far as reading is concerned."""

    turn_length: float = 1000.0
    received: int = 0
    buffered: Any = field(default_factory=lambda: SimpleNamespace(counted=0))
    free: bool = True

    def is_free(self) -> bool:
        return self.free


def echo(opcode: int, payload: bytes) -> bytes | None:
    return payload


LEFT, FAILED = object(), CONNECTION_LOST


class Served:
    """A connection in the form that the compiled part asks for, with both ends of its socket."""

    def __init__(self) -> None:
        self.principal = Caller()
        self.sender = Kept()
        self.closing = False
        self.flow = Flow()
        self.framing: Any = SimpleNamespace(running=None, answer=echo, few=8)
        self.decoder = SimpleNamespace(max_payload=1 << 20)
        self.channel = self
        self.time = SimpleNamespace(serving=False)
        self.left: tuple[bytes, bool, Any] | None = None
        self.ours, self.theirs = socket.socketpair()
        self.theirs.settimeout(0)

    def read_through(self, reader: Callable[[], object]) -> Callable[[], object]:
        return lambda: LEFT

    def reader(self, peeks: bool = False, number: int | None = None) -> Callable[[], object]:
        """One for this connection."""
        fd = self.ours.fileno() if number is None else number
        made: Callable[[], object] = fast.Reader(self, (fd, peeks), self.time, self.go_on)
        return made

    def go_on(self, *left: Any) -> None:
        assert not self.time.serving
        self.left = left

    def serve(
        self,
        *said: bytes,
        answer: Callable[[int, bytes], object] = echo,
        limit: int = 1 << 20,
        turn: float = 1000.0,
        running: dict[int, Any] | None = None,
        peeks: bool = False,
        number: int | None = None,
    ) -> Any:
        """Say something, and have it served: how many requests were, with what was left, or why none was."""
        for each in said:
            self.theirs.sendall(each)
        self.framing = SimpleNamespace(running=running, answer=answer, few=8)
        self.decoder.max_payload, self.flow.turn_length = limit, turn
        self.flow.received, self.left = 0, None
        end = self.reader(peeks, number)()
        if end is not None:
            return end
        return self.flow.received if self.left is None else (self.flow.received, *self.left)

    def heard(self) -> bytes:
        """What the socket was given."""
        try:
            return self.theirs.recv(1 << 20)
        except BlockingIOError:
            return b""

    def replies(self) -> list[Frame]:
        """All replies: those that the socket was given, or else those that the sender got."""
        return FrameDecoder(1 << 30).feed(self.heard() + b"".join(self.sender.sent))

    def end(self) -> None:
        self.ours.close()
        self.theirs.close()
