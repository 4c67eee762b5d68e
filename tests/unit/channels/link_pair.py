"""Two ends of a link in memory, whose connection is cut and made anew."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.task import Clock

from clove.channels.multiplex import Multiplex
from clove.channels.multiplexed import LinkLimits, MultiplexedChannel
from clove.channels.sender import Sender


class Wire:
    """One direction of a connection: messages on their way."""

    def __init__(self) -> None:
        self.full = False
        self.messages: deque[bytes] = deque()
        self.ended = ""

    def send(self, message: bytes) -> None:
        self.messages.append(message)

    def end(self, reason: str) -> None:
        self.ended = reason


class Reader:
    """A receiver that keeps what comes, and sends."""

    def __init__(self, channel: MultiplexedChannel) -> None:
        self.channel = channel
        self.sender = Sender(channel)
        self.heard = bytearray()
        self.lost_times = 0
        channel.deliver_to(self)

    def data_received(self, data: bytes) -> None:
        assert not self.lost_times
        self.heard += data

    def descriptors_received(self) -> None:
        raise AssertionError("no descriptors were sent")

    def drained(self) -> None:
        assert not self.lost_times
        self.sender.drained()

    def lost(self) -> None:
        self.lost_times += 1
        self.sender.lost()


class LinkPair:
    """Both ends; the first opens channels."""

    def __init__(self, limits: LinkLimits | None = None) -> None:
        self.clock = Clock()
        self.readers: tuple[list[Reader], list[Reader]] = ([], [])
        self.said: list[dict[str, Any]] = []
        self.reasons: list[str] = []
        self.links = tuple(
            Multiplex(
                self.clock,
                accept=self._accept if side else None,
                control=self.said.append,
                ended=self.reasons.append,
                limits=limits,
            )
            for side in (0, 1)
        )
        self.wires: tuple[Wire, Wire] = (Wire(), Wire())
        self.connect()

    def _accept(self, channel: MultiplexedChannel, said: dict[str, Any]) -> None:
        self.readers[1].append(Reader(channel))

    def open(self) -> None:
        self.readers[0].append(Reader(self.links[0].open({})))

    def connect(self) -> None:
        self.wires = (Wire(), Wire())
        counts = [link.session.received for link in self.links]
        for side in (0, 1):
            self.links[side].attach(self.wires[side], counts[1 - side])

    def cut(self) -> None:
        """What is on its way is lost."""
        for link in self.links:
            link.detach()

    def carry(self, side: int, count: int) -> None:
        """Some messages of a side arrive."""
        messages = self.wires[side].messages
        for _ in range(min(count, len(messages))):
            self.links[1 - side].received(messages.popleft())

    def settle(self) -> None:
        """All that is on its way arrives, and what that leads to."""
        for wire, link in zip(self.wires, self.links, strict=True):
            wire.full = False
            link.writable()
        while any(wire.messages for wire in self.wires) or self.clock.getDelayedCalls():
            for side in (0, 1):
                self.carry(side, 1 << 30)
            self.clock.advance(0.2)
