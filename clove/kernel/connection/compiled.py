"""Reads a connection with the compiled part (L{clove.kernel.compiled}) while nothing waits on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.main import CONNECTION_LOST

from clove.kernel.connection.framing_v1 import FramingV1

if TYPE_CHECKING:
    from clove.kernel.compiled import Compiled
    from clove.kernel.connection.connection import KernelConnection
    from clove.kernel.connection.framing_v1 import Held
    from clove.kernel.loop_time import LoopTime

__all__ = ["CompiledReader"]


class CompiledReader:
    """Reads in place of the channel; what is unusual goes the general way, and so does what follows it.

    @param descriptor: the channel's.
    @param time: whose C{serving} says that requests are served.
    """

    def __init__(
        self,
        compiled: Compiled,
        connection: KernelConnection,
        descriptor: tuple[int, bool],
        time: LoopTime,
    ) -> None:
        self._serve, self._left = compiled.serve, compiled.LEFT
        self._connection = connection
        self._number, self._peeks = descriptor
        self._time = time
        self._usual = connection.channel.read_through(self.read)

    def read(self) -> object:
        """Read once."""
        connection = self._connection
        flow, framing = connection.flow, connection.framing
        running = framing.running
        if not flow.is_free() or (running and len(running) >= framing.few):
            return self._usual()
        self._time.serving = True
        try:
            served = self._serve(
                self._number,
                connection,
                framing.answer,
                connection.decoder.max_payload,
                flow.turn_length,
                running,
                self._peeks,
            )
        finally:
            self._time.serving = False
        if served.__class__ is not int:
            self._go_on(*served)
        elif served >= 0:
            flow.received += served
        else:
            return self._usual() if served == self._left else CONNECTION_LOST
        return None

    def _go_on(self, served: int, rest: bytes, late: bool, held: Held | None) -> None:
        """Go on where the compiled part has left off."""
        connection = self._connection
        flow = connection.flow
        flow.received += served
        if held is not None and isinstance(connection.framing, FramingV1):
            connection.framing.hold(*held)
        if rest and not connection.closing:
            if late:
                flow.wait_for_turn()
            connection.data_received(rest)
