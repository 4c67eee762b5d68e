"""What every channel must do (L{clove.channels.channel.Channel})."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from clove.channels.channel import Channel
from clove.channels.sender import Sender
from clove.framing import TAG, FrameDecoder, Opcode, encode
from clove.kernel.connection.connection import KernelConnection
from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.connection.stream import Stream
from clove.messages import Reply
from tests.unit.kernel.connection_peer import Peer

__all__ = ["ChannelContract", "End", "Far", "Pairs", "until"]

PIECE = bytes(range(256)) * 256


class Far(Protocol):
    """The peer."""

    def say(self, data: bytes) -> None: ...
    def end_sending(self) -> bool:
        """Send no more, and go on reading; False: this kind cannot."""

    def heard(self) -> bytes:
        """Everything so far."""

    def stop_reading(self) -> None: ...
    def go_on_reading(self) -> None: ...
    def go(self) -> None:
        """Cut the connection off."""

    def is_gone(self) -> bool:
        """It has seen the end."""


class Pairs(Protocol):
    """Makes channels.

    @ivar early: bytes that may still come after a pause: they were read before.
    """

    early: int

    async def connect(self, accept: Callable[[Channel], object]) -> Far:
        """Have a channel accepted; gives its peer."""

    async def stop(self) -> None: ...


class End:
    """A receiver that keeps what it is told, and sends."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.sender = Sender(channel)
        self.text = bytearray()
        self.lost_times = self.drained_times = 0
        channel.deliver_to(self)

    def data_received(self, data: bytes) -> None:
        assert not self.lost_times
        self.text += data

    def descriptors_received(self) -> None:
        raise AssertionError("no descriptors were sent")

    def drained(self) -> None:
        assert not self.lost_times
        self.drained_times += 1
        self.sender.drained()

    def lost(self) -> None:
        self.lost_times += 1
        self.sender.lost()


async def turns(count: int = 30) -> None:
    for _ in range(count):
        await deferLater(reactor, 0.001)


async def until(there: Callable[[], object]) -> None:
    while not there():
        await deferLater(reactor, 0.001)


class ChannelContract:
    """Mixed into a class of tests with a fixture `pairs`, which stops them."""

    async def connected(self, pairs: Pairs) -> tuple[End, Far]:
        ends: list[End] = []
        far = await pairs.connect(lambda channel: ends.append(End(channel)))
        await until(lambda: ends)
        return ends[0], far

    async def fill(self, end: End) -> bytes:
        """Send more than the peer, which does not read, and what is between take."""
        said = bytearray()
        quiet = 0
        while quiet < 5:  # Linux may give a socket more room meanwhile
            piece = bytes([len(said) % 251]) * 65_521
            if end.channel.unsent < 300_000:
                end.sender.send(piece)
                said += piece
                quiet = 0
            else:
                await turns(5)
                quiet += 1
        return bytes(said)

    async def test_bytes_come_and_go_in_order(self, pairs: Pairs) -> None:
        end, far = await self.connected(pairs)
        said = b"".join(b"%d," % number for number in range(2000))
        for at in range(0, len(said), 911):
            end.sender.send(said[at : at + 911])
            far.say(said[at : at + 911])
        await until(lambda: far.heard() == said and end.text == said)
        assert end.drained_times == 0 or not end.sender.congested

    async def test_what_is_written_is_sent_and_then_drained_is_called(self, pairs: Pairs) -> None:
        end, far = await self.connected(pairs)
        end.channel.write(b"kept")
        await until(lambda: far.heard() == b"kept" and end.drained_times)
        assert end.channel.unsent == 0

    async def test_nothing_is_read_while_paused(self, pairs: Pairs) -> None:
        end, far = await self.connected(pairs)
        end.channel.pause()
        end.channel.pause()
        for _ in range(20):
            far.say(PIECE)
        await turns()
        assert len(end.text) <= pairs.early
        end.channel.resume()
        end.channel.resume()
        await until(lambda: len(end.text) == 20 * len(PIECE))
        assert end.text == 20 * PIECE

    async def test_a_peer_that_does_not_read_gets_everything_later(self, pairs: Pairs) -> None:
        end, far = await self.connected(pairs)
        far.stop_reading()
        said = await self.fill(end)
        drained = end.drained_times
        await turns()
        assert end.sender.congested
        assert end.drained_times == drained
        assert end.sender.unsent == end.channel.unsent > 0
        waiting = end.sender.when_drained()
        far.go_on_reading()
        await waiting
        assert end.channel.unsent == end.sender.unsent == 0
        assert not end.sender.congested
        end.sender.send(b"the end")
        await until(lambda: far.heard() == said + b"the end")

    async def test_a_peer_that_leaves_too_much_unread_is_cut_off(self, pairs: Pairs) -> None:
        end, far = await self.connected(pairs)
        far.stop_reading()
        await self.fill(end)
        end.sender.unsent_limit = end.sender.resume_below = 1000
        end.sender.send(b"one too many")
        await until(lambda: end.lost_times)

    async def test_closing_sends_what_is_kept(self, pairs: Pairs) -> None:
        end, far = await self.connected(pairs)
        far.stop_reading()
        said = await self.fill(end)
        end.channel.close()
        assert end.channel.closing
        await turns(5)
        assert not far.is_gone()
        far.go_on_reading()
        await until(lambda: far.heard() == said and far.is_gone())
        await until(lambda: end.lost_times)
        await turns(5)
        assert end.lost_times == 1

    async def test_nothing_comes_after_close(self, pairs: Pairs) -> None:
        end, far = await self.connected(pairs)
        far.say(b"before")
        await until(lambda: end.text == b"before")
        end.channel.close()
        end.channel.close()
        far.say(b"after")
        await until(lambda: end.lost_times and far.is_gone())
        assert end.text == b"before"

    async def test_an_abort_waits_for_nothing(self, pairs: Pairs) -> None:
        end, far = await self.connected(pairs)
        far.stop_reading()
        await self.fill(end)
        end.channel.abort()
        await until(lambda: end.lost_times)
        end.sender.send(b"into the void")
        end.channel.abort()
        await turns(5)
        assert end.lost_times == 1

    async def test_a_peer_that_goes_is_lost_once_and_last(self, pairs: Pairs) -> None:
        end, far = await self.connected(pairs)
        far.go()
        await until(lambda: end.lost_times)
        end.sender.send(b"into the void")
        end.channel.close()
        await turns(5)
        assert end.lost_times == 1
        assert not end.sender.congested

    async def test_a_peer_that_sends_no_more_reads_yet(self, pairs: Pairs) -> None:
        end, far = await self.connected(pairs)
        ended: list[bytes] = []
        end.channel.on_half_close(lambda: ended.append(bytes(end.text)))
        far.say(b"last")
        if not far.end_sending():
            pytest.skip("a half of it cannot be closed, or that is not seen")
        await until(lambda: ended)
        assert ended == [b"last"]
        end.channel.resume()
        for _ in range(20):
            end.sender.send(PIECE)
        await until(lambda: far.heard() == 20 * PIECE)
        await turns(5)
        assert (ended, end.lost_times, end.channel.hung_up) == ([b"last"], 0, False)
        end.channel.close()
        await until(lambda: far.is_gone() and end.lost_times)

    async def test_one_that_is_gone_since_is_seen(self, pairs: Pairs) -> None:
        end, far = await self.connected(pairs)
        ended: list[bool] = []
        end.channel.on_half_close(lambda: ended.append(True))
        if not far.end_sending():
            pytest.skip("a half of it cannot be closed, or that is not seen")
        await until(lambda: ended)
        far.go()
        await until(lambda: end.channel.hung_up or end.lost_times)
        end.channel.abort()
        await until(lambda: end.lost_times)
        assert ended == [True]

    async def test_one_that_sends_no_more_is_lost_where_nothing_waits_for_that(
        self, pairs: Pairs
    ) -> None:
        end, far = await self.connected(pairs)
        far.say(b"last")
        if not far.end_sending():
            pytest.skip("a half of it cannot be closed, or that is not seen")
        await until(lambda: end.lost_times)
        assert end.text == b"last"

    async def test_a_stream_waits_for_its_reader(self, pairs: Pairs) -> None:
        end, far = await self.connected(pairs)
        end.sender.unsent_limit = 600_000
        far.stop_reading()
        await self.fill(end)
        stream = Stream(end.sender, lambda *said: None, Opcode.LOGS, 1)
        waiting = Deferred.fromCoroutine(stream.clear())
        await turns(5)
        assert not waiting.called
        far.go_on_reading()
        await waiting

    async def test_the_kernels_protocol_runs_over_it(self, pairs: Pairs) -> None:
        peer = Peer()
        limits = ConnectionLimits()
        made: list[KernelConnection] = []

        def accept(channel: Channel) -> None:
            answers: Any = peer.answers
            made.append(KernelConnection(answers, peer.principals, limits, channel))
            made[0].open(peer.own)

        far = await pairs.connect(accept)
        far.say(encode(0, 2, b"first") + encode(0, 0xFE, b'{"protocol_version":2}'))
        far.say(encode(0, 3, TAG.pack(7) + b"slow") + encode(0, 4, TAG.pack(8) + b"quick"))
        decoder = FrameDecoder()
        await until(lambda: peer.answers.waiting and b"quick" in far.heard())
        made[0].push(Reply())
        peer.answers.waiting[0].callback(b"done")
        await until(lambda: b"done" in far.heard())
        frames = decoder.feed(far.heard())
        assert [frame.opcode for frame in frames] == [2, 0xFE, 4, Opcode.EMIT, 3]
        assert frames[0].payload == b"first"
        assert json.loads(frames[1].payload)["protocol_version"] == 2
        assert frames[2].payload == TAG.pack(8) + b"quick"
        assert frames[4].payload == TAG.pack(7) + b"done"
        assert {frame.agent_id for frame in frames} == {made[0].principal.agent_id}
        far.go()
        await until(lambda: not made[0].principal.connections)
        peer.principals.stop()
