"""What the compiled part is told of a connection, and the socket that it serves."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

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


def echo(opcode: int, payload: bytes) -> bytes | None:
    return payload


class Served:
    """A connection in the form that the compiled part asks for, with both ends of its socket."""

    def __init__(self) -> None:
        self.principal = Caller()
        self.sender = Kept()
        self.closing = False
        self.ours, self.theirs = socket.socketpair()
        self.theirs.settimeout(0)

    def serve(
        self,
        *said: bytes,
        answer: Callable[[int, bytes], object] = echo,
        limit: int = 1 << 20,
        turn: float = 1000.0,
        running: dict[int, Any] | None = None,
        peeks: bool = False,
    ) -> Any:
        """Say something, and have it served."""
        for each in said:
            self.theirs.sendall(each)
        fd = self.ours.fileno()
        return fast.serve(fd, self, answer, limit, turn, running, peeks)

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
