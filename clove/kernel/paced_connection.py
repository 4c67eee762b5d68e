"""A connection at the pace that its peer's family has: what is read, what waits, how long.

What waits for its turn, for the peer to read or for an earlier request is kept here and
counted for the family; what is whole and has its turn is served by the subclass
(L{clove.kernel.connection.KernelConnection}).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred

from clove.errors import CloveError, InvalidRequest, LimitExceeded
from clove.kernel.buffers import Buffered
from clove.kernel.principal import Kind
from clove.protocol import FrameProtocol

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from clove.kernel.connection_limits import ConnectionLimits
    from clove.kernel.loop_time import Waiter
    from clove.kernel.principal import Principal
    from clove.kernel.sessions import Sessions

__all__ = ["FEW", "REQUEST", "SMALL", "PacedConnection", "Request"]

SMALL = 4096
"""Bytes of a request that `held` leaves out: `max_outstanding` bounds these."""
FEW = 8
"""Requests in work on a connection that are not counted, if they are small."""
REQUEST = 4096
"""Bytes counted for a request in work, beside its own: what the kernel makes of it."""
_FRAME = 128  # bytes counted for a request that waits, likewise
Request = tuple[int, int, bytes]
"""A L{clove.framing.Frame} as it waits. There may be hundreds of thousands, and the garbage collector
would go over all of them time and again; tuples in tuples it lets go of."""


def _plain(frame: Request) -> Request:
    return frame if frame.__class__ is tuple else (*frame,)


class PacedConnection(FrameProtocol):
    """What a connection may have, and when.

    @ivar principal: who is asking.
    @ivar received: frames so far.
    """

    principal: Principal

    def __init__(self, sessions: Sessions, limits: ConnectionLimits) -> None:
        super().__init__(limits.max_payload)
        self.unsent_limit = limits.unsent
        self._sessions = sessions
        self._limits = limits
        self._inbox: deque[tuple[Request, ...]] = deque()
        self._closing = False
        self._current: Deferred[bytes] | None = None
        self._turn: IDelayedCall | Waiter | None = None
        self._clock = sessions.clock
        self._time = sessions.time
        self._shares_time = True
        self._begun: float | None = None  # the second at which what is read now was begun
        self._read: Callable[[], object] = lambda: None
        self._reads_once = False  # whatever time the family has left
        self._running: dict[int, Deferred[bytes]] = {}
        self._buffered = Buffered(sessions.buffers)
        self.received = 0
        self._seen = (-1, 0, False)
        self._since = 0.0

    # what the subclass fills in

    def _serve(self, frames: Iterator[Request]) -> None:
        """Answer requests, as far as it goes; the rest is kept by L{_wait}."""
        raise NotImplementedError

    def refuse(self, opcode: int, error: CloveError) -> None:
        """Send an error and close."""
        raise NotImplementedError

    def _abandon(self) -> None:
        """Serve nothing more of what was asked for."""
        self._inbox.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        abandoned, self._running = [each.cancel for each in self._running.values()], {}
        if self._current is not None:
            abandoned.append(self._current.cancel)
        if self._shares_time and len(abandoned) > FEW:
            self._time.call_all(self.principal.family, abandoned)
        else:
            for cancel in abandoned:
                cancel()

    def _read_in_share(self) -> object:
        """Read if the family has time left for it, else in its turn; it is charged for reading, too."""
        self._begun = begun = self._clock.seconds()
        if not self._time.may(self.principal.family, begun):
            if not (self._reads_once or self._closing):
                self._begun = None
                if self._turn is None:
                    self._wait_for_turn()
                return None
            self._reads_once = False
        end = self._read()
        if self._begun is not None:  # nothing was served; else that is counted from here on, too
            self._begun = None
            ended = self._clock.seconds()
            self._time.spend(self.principal.family, ended - begun, ended)
        return end

    def _wait(self, frames: Iterable[Request]) -> None:
        """Keep frames until their turn; read no more while there are many."""
        batch = tuple(map(_plain, frames))
        if batch:
            self._inbox.append(batch)
        limits = self._limits
        number = sum(map(len, self._inbox))
        size = sum(len(payload) for _, _, payload in chain.from_iterable(self._inbox))
        self._buffered.queued = size + number * _FRAME
        if number >= limits.max_waiting or size >= limits.max_payload:
            self.pause_reading()
        if self._buffered.queued > SMALL:
            self._close_if_full()

    def partlyReceived(self) -> None:
        """Part of a large frame came: it counts for the family while it waits for the rest."""
        if self.decoder.pending > SMALL and not self._closing:
            self._close_if_full()

    def _count(self) -> LimitExceeded | None:
        """Count what waits here for the family; gives what is to be said if it is too much."""
        elsewhere = self.unsent + self.decoder.pending + len(self._running) * REQUEST
        return self._buffered.count(self.principal.family, elsewhere)

    def _close_if_full(self) -> None:
        """Close where the requests that wait are more than the family may have waiting."""
        refusal = self._count()
        if refusal is not None:
            self._inbox.clear()
            self._buffered.queued = 0
            self.refuse(0, refusal)

    def _wait_for_turn(self) -> None:
        """Go on when the others have had their turn; what waits is read no further until then."""
        if self._shares_time:
            self.pause_reading()
            self._turn = self._time.wait(self.principal.family, self._next_turn)
        else:
            self._turn = self._clock.callLater(0, self._next_turn)

    def has_room(self, unsent: int) -> bool:
        """Whether the agent, and its family, may leave so much unread."""
        if self._count() is not None and unsent > SMALL:
            return False
        return super().has_room(unsent)

    def backlog(self, unsent: int) -> int:
        """All that this agent has not read, on any of its connections."""
        siblings = self._sessions.siblings(self)
        return sum(connection.unsent for connection in siblings) if len(siblings) > 1 else unsent

    def _held_by_all(self) -> int:
        return sum(connection.in_work for connection in self._sessions.siblings(self))

    @property
    def in_work(self) -> int:
        """Bytes of requests that are being served."""
        return self._buffered.in_work

    def _is_held(self) -> bool:
        """Nothing can be served now: what must come first will call L{_go_on}."""
        return self._current is not None or self.congested or self._turn is not None

    def _next_turn(self) -> None:
        self._turn = None
        if self._closing:
            return
        if self._shares_time and not self._inbox and not self._is_held():
            self._reads_once = True
            # An end is found by the reactor, which acts upon it.
            self._reads_once = self._read_in_share() is not None
        self._go_on()

    def _go_on(self) -> None:
        """Serve what waits, as far as it goes."""
        while self._inbox and not self._is_held() and not self._closing:
            waiting, self._inbox, self._buffered.queued = self._inbox, deque(), 0
            self._serve(chain.from_iterable(waiting))
        if self._buffered.counted:
            self._count()
        if not self._inbox and not self.congested and self._turn is None:
            self.resume_reading()

    def drained(self) -> None:
        """The peer has read everything: go on."""
        super().drained()
        if self._buffered.counted:
            self._count()
        if not self._closing:
            self._go_on()

    def check(self, now: float) -> None:
        """Enforce the time-outs; called about once a second.

        @param now: seconds, monotonic.
        """
        if self._buffered.counted:
            self._count()
        mark = (self.received, self.unsent, bool(self.decoder.pending))
        if mark != self._seen:
            self._seen = mark
            self._since = now
            return
        waited = now - self._since
        limits = self._limits
        transport = cast("Any", self.transport)
        if self._closing:
            if waited > limits.frame_timeout:
                transport.abortConnection()
        elif self.congested:
            if waited > limits.write_timeout:
                transport.abortConnection()
        elif self.decoder.pending and not self._inbox and self._current is None:
            if waited > limits.frame_timeout:
                self.refuse(0, InvalidRequest("the frame did not arrive in time"))
        elif limits.idle_timeout and waited > limits.idle_timeout and not self._running:
            self.finish()

    def _is_agent(self) -> bool:
        """It was let in, and is a spawned agent's."""
        principal = getattr(self, "principal", None)
        return principal is not None and principal.kind is Kind.AGENT
