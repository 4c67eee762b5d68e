"""Another relay's remote agent on a tunnel of version 1: frames on its channel, JSON texts on the tunnel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from clove.channels.sender import Sender
from clove.errors import CloveError
from clove.framing import BadFrame, FrameDecoder, encode

if TYPE_CHECKING:
    from clove.channels.multiplexed import MultiplexedChannel
    from clove.messages.relay import Caller
    from clove.relay.hub.agent_v1 import Way
    from clove.relay.hub.limits import HubLimits
    from clove.relay.hub.machine_v1 import MachineV1

__all__ = ["FarAgentV1"]

MOST_UNREAD: Final = 48 << 20
"""Bytes of answers that wait for a relay that does not read them; then the channel is closed."""


class FarAgentV1:
    """To the tunnel it is what L{AgentV1<clove.relay.hub.agent_v1.AgentV1>} is.

    @param ended: called once with the reason, when its channel is gone.
    """

    def __init__(
        self,
        limits: HubLimits,
        caller: Caller,
        machine: MachineV1,
        channel: MultiplexedChannel,
        ended: Callable[[str], object],
    ) -> None:
        self.caller = caller
        self._most_waiting = limits.waiting
        self._waiting = 0
        self._channel = channel
        self._ended = ended
        self._decoder = FrameDecoder(limits.syscall)
        self._sender = Sender(channel, resume_below=MOST_UNREAD, unsent_limit=MOST_UNREAD)
        self._way: Way | None = machine.way(self)
        channel.deliver_to(self)

    # the channel's receiver

    def data_received(self, data: bytes) -> None:
        """Requests. One that the tunnel does not take ends the channel: its answer would have its place between others."""
        try:
            for frame in self._decoder.feed(data):
                if self._way is not None:
                    self._ask(self._way, frame.opcode, frame.payload)
        except (CloveError, BadFrame) as error:
            self._channel.refuse(error.message)

    def _ask(self, way: Way, opcode: int, payload: bytes) -> None:
        self._waiting += 1
        way.ask(opcode, payload)
        if self._waiting >= self._most_waiting or way.is_behind:
            self._channel.pause()

    def descriptors_received(self) -> None:
        """Links carry none."""

    def drained(self) -> None:
        """All was sent."""
        self._sender.drained()

    def lost(self) -> None:
        """The agent is gone, or its relay."""
        self._sender.lost()
        way, self._way = self._way, None
        if way is not None:
            way.close()
        self._ended(self._channel.error)

    # what the tunnel says

    def answered(self, opcode: int, payload: bytes) -> None:
        """The kernel's answer to the request that has waited longest."""
        if not self._waiting:
            return
        self._waiting -= 1
        self._sender.send(encode(0, opcode, payload))
        if self._waiting == self._most_waiting // 2:
            self._channel.resume()

    def way_drained(self) -> None:
        """The kernel has read what was asked."""
        if self._waiting < self._most_waiting:
            self._channel.resume()

    def way_lost(self, reason: str) -> None:
        """The kernel is gone, with what was asked and not answered."""
        self._way = None
        self._channel.refuse(reason)
