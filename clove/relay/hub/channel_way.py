"""The way of a version 1 agent through a tunnel of version 2: frames on a channel of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clove.channels.sender import Sender
from clove.framing import MAX_REPLY, BadFrame, FrameDecoder, encode

if TYPE_CHECKING:
    from clove.channels.multiplexed import MultiplexedChannel
    from clove.relay.hub.agent_v1 import AgentV1

__all__ = ["ChannelWay"]

MOST_UNSENT: Final = 8 << 20
"""Bytes of requests that wait; more than can have come when the agent is not read any more."""


class ChannelWay:
    """Speaks the kernel's protocol, version 1, for an agent that speaks JSON."""

    def __init__(self, channel: MultiplexedChannel, agent: AgentV1) -> None:
        self._channel = channel
        self._agent: AgentV1 | None = agent
        # where requests wait, the agent is not read; answers come all the same
        self._sender = Sender(channel, resume_below=MOST_UNSENT, unsent_limit=MOST_UNSENT)
        self._decoder = FrameDecoder(MAX_REPLY)
        channel.deliver_to(self)

    @property
    def is_behind(self) -> bool:
        """Requests wait until the kernel reads."""
        return self._sender.congested

    def ask(self, opcode: int, payload: bytes) -> None:
        """Send a request."""
        self._sender.send(encode(0, opcode, payload))

    def pause(self) -> None:
        """Fetch no more."""
        self._channel.pause()

    def resume(self) -> None:
        """Fetch again."""
        self._channel.resume()

    def close(self) -> None:
        """The agent is gone."""
        self._agent = None
        self._channel.abort()

    # the channel's receiver

    def data_received(self, data: bytes) -> None:
        """Answers of the kernel."""
        try:
            for frame in self._decoder.feed(data):
                if self._agent is not None:
                    self._agent.answered(frame.opcode, frame.payload)
        except BadFrame as error:
            self._channel.refuse(error.message)

    def descriptors_received(self) -> None:
        """Links carry none."""

    def drained(self) -> None:
        """All was sent."""
        if self._sender.drained() and self._agent is not None:
            self._agent.way_drained()

    def lost(self) -> None:
        """The kernel has closed the channel, or is gone."""
        self._sender.lost()
        agent, self._agent = self._agent, None
        if agent is not None:
            agent.way_lost(self._channel.error or "it has closed the connection")
