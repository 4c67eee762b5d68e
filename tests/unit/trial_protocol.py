"""Frames over a real Unix socket, under Twisted's own runner.

Trial's asynchronous TestCase fails a test that leaves the reactor dirty or a
failure unhandled. Run by `make trial`.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import weakref
from typing import Any, cast

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, UNIXServerEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from clove.framing import TooLarge, encode
from tests.frame_end import FrameEnd, FrameEnds

reactor: Any = global_reactor


class Collector(Protocol):
    """Keeps bytes until there are as many as somebody waits for."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.waiting: tuple[int, Deferred[bytes]] | None = None
        self.lost: Deferred[None] = Deferred()

    def take(self, size: int) -> Deferred[bytes]:
        """The next bytes, once they are all there."""
        self.waiting = (size, Deferred())
        found = self.waiting[1]
        self.dataReceived(b"")
        return found

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if self.waiting and len(self.data) >= self.waiting[0]:
            (size, deferred), self.waiting = self.waiting, None
            taken = bytes(self.data[:size])
            del self.data[:size]
            deferred.callback(taken)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


class UnixChannelTests(TestCase):
    """Frames over a real socket."""

    timeout = 60

    async def _connect(self, max_payload: int = 1 << 20) -> tuple[Collector, FrameEnds]:
        place = tempfile.mkdtemp(dir="/tmp", prefix="ct")
        self.addCleanup(shutil.rmtree, place)
        path = os.path.join(place, "s")
        factory = FrameEnds(max_payload=max_payload)
        port = await UNIXServerEndpoint(reactor, path).listen(factory)
        client = await connectProtocol(UNIXClientEndpoint(reactor, path), Collector())

        async def close() -> None:
            cast("Any", client.transport).abortConnection()
            if not client.lost.called:
                await client.lost
            for made in factory.made:
                await self._lost(made)
            await port.stopListening()

        self.addCleanup(lambda: Deferred.fromCoroutine(close()))
        return client, factory

    async def _turn(self) -> None:
        turn: Deferred[None] = Deferred()
        reactor.callLater(0.001, turn.callback, None)
        await turn

    async def _lost(self, end: FrameEnd) -> None:
        while not end.lost_times:
            await self._turn()

    def test_a_frame_comes_back(self) -> Deferred[None]:
        async def scenario() -> None:
            client, _ = await self._connect()
            frame = encode(7, 0, b"hello")
            cast("Any", client.transport).write(frame)
            assert await client.take(len(frame)) == frame

        return Deferred.fromCoroutine(scenario())

    def test_a_lost_connection_leaves_nothing_to_the_collector_of_cycles(self) -> Deferred[None]:
        async def scenario() -> None:
            client, factory = await self._connect()
            cast("Any", client.transport).write(encode(7, 0, b"hello"))
            await client.take(len(encode(7, 0, b"hello")))
            end = factory.made[0]
            cast("Any", client.transport).loseConnection()
            await self._lost(end)
            seen = weakref.ref(end)
            gc.collect()
            gc.disable()
            try:
                await deferLater(reactor, 0)
                factory.made.clear()
                del end
                assert seen() is None
            finally:
                gc.enable()

        return Deferred.fromCoroutine(scenario())

    def test_many_frames_in_pieces_come_back_in_order(self) -> Deferred[None]:
        async def scenario() -> None:
            client, _ = await self._connect()
            stream = b"".join(encode(n, 0, bytes([n]) * n * 37) for n in range(200))
            for start in range(0, len(stream), 1009):
                cast("Any", client.transport).write(stream[start : start + 1009])
            assert await client.take(len(stream)) == stream

        return Deferred.fromCoroutine(scenario())

    def test_more_than_the_socket_holds_is_buffered_and_arrives_whole(self) -> Deferred[None]:
        async def scenario() -> None:
            client, factory = await self._connect(8 << 20)
            frame = encode(1, 0, os.urandom(8 << 20))
            transport = cast("Any", client.transport)
            transport.pauseProducing()
            transport.write(frame)
            while not (factory.made and factory.made[0].sender.congested):
                await self._turn()
            transport.resumeProducing()
            assert await client.take(len(frame)) == frame

        return Deferred.fromCoroutine(scenario())

    def test_a_frame_over_the_limit_breaks_the_stream_and_closes_it(self) -> Deferred[None]:
        async def scenario() -> None:
            client, factory = await self._connect(16)
            cast("Any", client.transport).write(encode(3, 9, b"x" * 17))
            await client.lost
            error = factory.made[0].broken
            assert isinstance(error, TooLarge)
            assert (error.agent_id, error.opcode) == (3, 9)

        return Deferred.fromCoroutine(scenario())

    def test_frames_before_a_broken_one_are_answered(self) -> Deferred[None]:
        async def scenario() -> None:
            client, _ = await self._connect()
            good = encode(1, 0, b"good")
            cast("Any", client.transport).write(good + b"not a header")
            assert await client.take(len(good)) == good
            await client.lost

        return Deferred.fromCoroutine(scenario())

    def test_a_peer_that_reads_nothing_is_cut_off(self) -> Deferred[None]:
        async def scenario() -> None:
            client, factory = await self._connect()
            transport = cast("Any", client.transport)
            transport.write(encode(1, 0, b""))
            await client.take(17)
            (server,) = factory.made
            server.sender.unsent_limit = 1 << 20
            transport.pauseProducing()
            server.sender.send(bytes(4 << 20))
            await self._lost(server)

        return Deferred.fromCoroutine(scenario())
