"""Channels in memory for their contract: the test is the peer."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet import reactor

from clove.channels.channel import Channel
from clove.testing.memory_channel import MemoryChannel
from tests.contracts.channel import Far

__all__ = ["MemoryPairs"]


class MemoryPairs:
    """In memory: the test's own end needs no channel."""

    early = 0

    def __init__(self) -> None:
        self._channels: list[MemoryChannel] = []

    async def connect(self, accept: Callable[[Channel], object]) -> Far:
        channel = MemoryChannel(reactor)
        self._channels.append(channel)
        accept(channel)
        return MemoryFar(channel)

    async def stop(self) -> None:
        for channel in self._channels:
            channel.lose()


class MemoryFar:
    def __init__(self, channel: MemoryChannel) -> None:
        self._channel = channel
        self._heard = b""

    def say(self, data: bytes) -> None:
        self._channel.feed(data)

    def end_sending(self) -> bool:
        self._channel.end_sending()
        return True

    def heard(self) -> bytes:
        self._heard += self._channel.take()
        return self._heard

    def stop_reading(self) -> None:
        self._channel.stop_reading()

    def go_on_reading(self) -> None:
        self._channel.go_on_reading()

    def go(self) -> None:
        self._channel.lose()

    def is_gone(self) -> bool:
        return self._channel.is_lost
