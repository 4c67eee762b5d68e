"""One end of a channel that keeps the frames which come, and sends them back if told to."""

from __future__ import annotations

from twisted.internet.protocol import Factory

from clove.channels.channel import Channel
from clove.channels.sender import Sender
from clove.framing import BadFrame, Frame, FrameDecoder, encode
from clove.protocol import ChannelProtocol

__all__ = ["FrameEnd", "FrameEnds"]


class FrameEnd:
    """Closes a channel on which something comes that is no frame.

    @ivar broken: what was wrong; it is answered with C{refusal}.
    @ivar slow: frames sent back while the peer was slow.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        max_payload: int = 1 << 20,
        echoes: bool = True,
        refusal: bytes = b"",
    ) -> None:
        self.channel = channel
        self.sender = Sender(channel)
        self.decoder = FrameDecoder(max_payload)
        self.frames: list[Frame] = []
        self.broken: BadFrame | None = None
        self.lost_times = self.slow = self.drained_times = 0
        self._echoes = echoes
        self._refusal = refusal
        channel.deliver_to(self)

    def data_received(self, data: bytes) -> None:
        try:
            frames = self.decoder.feed(data)
        except BadFrame as error:
            self._take(getattr(error, "frames", []))
            self._break(error)
        else:
            self._take(frames)

    def _take(self, frames: list[Frame]) -> None:
        self.frames += frames
        for frame in frames if self._echoes else ():
            self.sender.send(encode(*frame))
            self.slow += self.sender.congested

    def _break(self, error: BadFrame) -> None:
        self.broken = error
        if self._refusal:
            self.sender.send(self._refusal)
        self.channel.close()

    def descriptors_received(self) -> None:
        self._break(BadFrame("descriptors"))

    def drained(self) -> None:
        self.drained_times += 1
        if self.sender.drained():
            self.channel.resume()

    def lost(self) -> None:
        self.sender.lost()
        self.lost_times += 1


class FrameEnds(Factory):
    """Keeps the ends that it makes."""

    noisy = False

    def __init__(
        self, *, max_payload: int = 1 << 20, echoes: bool = True, refusal: bytes = b""
    ) -> None:
        self.made: list[FrameEnd] = []
        self._max_payload = max_payload
        self._echoes = echoes
        self._refusal = refusal

    def buildProtocol(self, addr: object) -> ChannelProtocol:
        return ChannelProtocol(self._accept)

    def _accept(self, channel: Channel, transport: object) -> None:
        end = FrameEnd(
            channel, max_payload=self._max_payload, echoes=self._echoes, refusal=self._refusal
        )
        self.made.append(end)
