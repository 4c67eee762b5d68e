"""Reads a connection with the compiled part (L{clove.kernel.compiled}) while nothing waits on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clove.kernel.connection.framing_v1 import FramingV1

if TYPE_CHECKING:
    from clove.kernel.compiled import Compiled
    from clove.kernel.connection.connection import KernelConnection
    from clove.kernel.connection.framing_v1 import Held
    from clove.kernel.loop_time import LoopTime

__all__ = ["read_compiled"]


def read_compiled(
    compiled: Compiled, connection: KernelConnection, descriptor: tuple[int, bool], time: LoopTime
) -> None:
    """Have it read in place of the channel; what is unusual goes the general way, and so does what follows it.

    @param descriptor: the channel's.
    @param time: whose C{serving} says that requests are served.
    """

    def go_on(rest: bytes, late: bool, held: Held | None) -> None:
        """Go on where the compiled part has left off."""
        if held is not None and isinstance(connection.framing, FramingV1):
            connection.framing.hold(*held)
        if rest and not connection.closing:
            if late:
                connection.flow.wait_for_turn()
            connection.data_received(rest)

    compiled.Reader(connection, descriptor, time, go_on)
