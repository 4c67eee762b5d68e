"""What of a connection is read, what waits and what is served, and when.

What waits for its family's turn, for the peer to read or for an earlier request is kept here and
counted for the family; what is whole and has its turn is served by the connection's framing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from clove.channels.sender import Sender
from clove.kernel.connection.buffers import FEW, REQUEST, SMALL, Buffered
from clove.sharing.shares import OPERATORS

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from clove.channels.channel import Channel
    from clove.kernel.connection.connection import KernelConnection
    from clove.kernel.connection.limits import ConnectionLimits
    from clove.kernel.loop_time import Waiter
    from clove.kernel.principal import Principal
    from clove.kernel.principals import Principals

__all__ = ["LOST", "FlowControl", "Request"]

_FRAME = 128  # bytes counted for a request that waits, likewise
_OPERATORS_TURN = 0.005  # seconds that an operator's connection is served before the others are
LOST: Any = None
"""In the place of a lost connection's attributes: they no longer refer to each other, so that the
collector of cycles, during which the loop stands still, finds nothing left of it."""
Request = tuple[int, int, bytes]
"""A waiting L{clove.framing.Frame}. There may be hundreds of thousands, and the garbage collector
would walk all of them again and again; it stops tracking tuples that hold only such tuples."""


def _plain(frame: Request) -> Request:
    return frame if frame.__class__ is tuple else (*frame,)


class FlowControl:
    """Flow control of one connection, in both directions.

    @ivar sender: everything is sent by it.
    @ivar buffered: what waits, counted for the family.
    @ivar received: frames so far.
    @ivar serving: some of what waited is being served.
    @ivar turn_length: seconds for which requests are served before those of others are.
    """

    def __init__(
        self,
        connection: KernelConnection,
        channel: Channel,
        principals: Principals,
        limits: ConnectionLimits,
    ) -> None:
        self._connection = connection
        self._channel = channel
        self._principals = principals
        self._limits = limits
        self._decoder = connection.decoder
        self.sender = Sender(
            channel,
            unsent_limit=limits.unsent,
            backlog=self._backlog,
            # Whether the family may not leave so much unread.
            refuses=lambda unsent: self.buffered.count() is not None and unsent > SMALL,
        )
        self._inbox: deque[tuple[Request, ...]] = deque()
        self._turn: IDelayedCall | Waiter | None = None
        self._clock = principals.clock
        self._time = principals.time
        self._family = OPERATORS
        self._shares_time = True
        self.turn_length = limits.family_turn
        self._begun: float | None = None  # the second at which what is read now was begun
        self._read: Callable[[], object] = lambda: None
        self._reads_once = False  # whatever time the family has left
        self.buffered = Buffered(principals.buffers, self._elsewhere)
        self.received = 0
        self.serving = False

    def begin(self, principal: Principal) -> None:
        """The peer is known: what it does counts for its family, reading included."""
        self._family = self.buffered.family = principal.family
        self._shares_time = principal.family != OPERATORS
        if self._shares_time:
            self._read = self._channel.read_through(self._read_in_share)
        else:
            self.turn_length = _OPERATORS_TURN

    # reading and serving

    def _read_in_share(self) -> object:
        """Read if the family has time left for it, else in its turn; it is charged for reading, too."""
        self._begun = begun = self._clock.seconds()
        if not self._time.may(self._family, begun):
            if not (self._reads_once or self._connection.closing):
                self._begun = None
                if self._turn is None:
                    self.wait_for_turn()
                return None
            self._reads_once = False
        end = self._read()
        if self._begun is not None:  # nothing was served; else that is counted from here on, too
            self._begun = None
            ended = self._clock.seconds()
            self._time.spend(self._family, ended - begun, ended)
        return end

    def is_free(self) -> bool:
        """Whether nothing waits, so that requests can be served as they come; what reads charges the family."""
        return not (
            self._inbox
            or self.sender.congested
            or self._turn is not None
            or self._connection.framing.current is not None
            or self._connection.closing
            or self.buffered.counted
            or self._decoder.pending
            or (self._shares_time and self._begun is None)
        )

    def serve_one(self, opcode: int, payload: bytes) -> None:
        """Serve a request of a connection that L{is_free}."""
        self.received += 1
        self._time.serving = True
        try:
            self._connection.framing.serve_one(opcode, payload)
        finally:
            self._time.serving = False

    def receive(self, frames: list[Request]) -> None:
        """Serve whole frames, or keep them until their turn.

        @param frames: none: what came is part of one, which counts for the family while it waits for the rest.
        """
        if not frames:
            if self._decoder.pending > SMALL and not self._connection.closing:
                self.close_if_full()
            return
        self.received += len(frames)
        if self._connection.closing:
            self.buffered.recount()
            return
        if self.buffered.counted or self._decoder.pending > SMALL:
            self.buffered.count()
        if self._inbox or self._is_held():
            self.wait(frames)
            return
        if (
            self._shares_time
            and self._begun is None
            and not self._time.may(self._family, self._clock.seconds())
        ):
            self.wait(frames)
            self.wait_for_turn()
            return
        self._serve(iter(frames))

    def _serve(self, frames: Iterator[Request]) -> None:
        now = self._clock.seconds
        begun = now()
        self._time.serving = self.serving = True
        try:
            self._connection.framing.serve(frames, begun + self.turn_length)
        finally:
            self._time.serving = self.serving = False
        if self._shares_time:
            ended = now()
            if self._begun is not None:
                begun, self._begun = self._begun, None
            self._time.spend(self._family, ended - begun, ended)

    # waiting

    def wait(self, frames: Iterable[Request]) -> None:
        """Keep frames until their turn; read no more while there are many."""
        batch = tuple(map(_plain, frames))
        if batch:  # counted as it comes: counting all anew would cost more the more there is
            self._inbox.append(batch)
            self.buffered.queued += sum(len(payload) + _FRAME for _, _, payload in batch)
        limits = self._limits
        number = sum(map(len, self._inbox))
        size = self.buffered.queued - number * _FRAME
        if number >= limits.max_waiting or size >= limits.max_payload:
            self._channel.pause()
        if self.buffered.queued > SMALL:
            self.close_if_full()

    def wait_in_turn(self, frames: Iterable[Request]) -> None:
        """Keep frames until others have had their turn."""
        self.wait(frames)
        if self._inbox:
            self.wait_for_turn()

    def wait_for_turn(self) -> None:
        """Go on when the others have had their turn; what waits is read no further until then."""
        if self._shares_time:
            self._channel.pause()
            self._turn = self._time.wait(self._family, self._next_turn)
        else:
            self._turn = self._clock.callLater(0, self._next_turn)

    def _is_held(self) -> bool:
        """Nothing can be served now: what must come first will call L{go_on}."""
        return (
            self._connection.framing.current is not None
            or self.sender.congested
            or self._turn is not None
        )

    def _next_turn(self) -> None:
        self._turn = None
        if self._connection.closing:
            return
        if self._shares_time and not self._inbox and not self._is_held():
            self._reads_once = True
            # An end is found by the reactor, which acts upon it.
            self._reads_once = self._read_in_share() is not None
        self.go_on()

    def go_on(self) -> None:
        """Serve what waits, as far as it goes; but never within another connection's request.

        Else a chain of requests, of which each answers the one that the next waits behind, would be
        as deep as there are connections, and cost the time of the first one's family.
        """
        if self._time.serving and self._may_go_on():
            self.wait_for_turn()
        while self._may_go_on():
            waiting, self._inbox, self.buffered.queued = self._inbox, deque(), 0
            self._serve(chain.from_iterable(waiting))
        self.buffered.recount()
        if not self._inbox and not self.sender.congested and self._turn is None:
            self._connection.read_on()

    def abandon(self) -> None:
        """Serve nothing more of what was asked for. Idempotent."""
        if self._connection is LOST:
            return
        self._inbox.clear()
        self.buffered.queued = 0
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        abandoned = [each.cancel for each in self._connection.framing.take_running()]
        if self._shares_time and len(abandoned) > FEW:
            self._time.call_all(self._family, abandoned)
        else:
            for cancel in abandoned:
                cancel()

    def _may_go_on(self) -> bool:
        return bool(self._inbox) and not self._is_held() and not self._connection.closing

    # what counts for the family

    def _elsewhere(self) -> int:
        """Bytes that wait in the channel and the decoder, and what requests in work cost."""
        running = self._connection.framing.outstanding * REQUEST
        return self.sender.unsent + self._decoder.pending + running

    def close_if_full(self) -> None:
        """Close where the requests that wait are more than the family may have waiting."""
        refusal = self.buffered.count()
        if refusal is not None:
            self._inbox.clear()
            self.buffered.queued = 0
            self._connection.refuse(0, refusal)

    def held_by_all(self) -> int:
        """Bytes of requests in work, over all connections of the same agent."""
        siblings = self._principals.siblings(self._connection)
        return sum(each.flow.buffered.in_work for each in siblings)

    def end(self) -> None:
        """The connection is gone, with all that waits on it."""
        self.abandon()
        self.buffered.end()
        self._read = lambda: None
        self._connection = LOST

    def _backlog(self, unsent: int) -> int:
        """All that this agent has not read, on any of its connections."""
        siblings = self._principals.siblings(self._connection)
        if len(siblings) == 1:
            return unsent
        return sum(connection.sender.unsent for connection in siblings)
