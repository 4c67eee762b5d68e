"""The requests of one connection that wait for replies, without any I/O. Standard library only.

A channel holds its lock while it calls any of this; finalizers append to `orphans` without it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from clove.client.exchange import PUSH
from clove.client.limits import ClientLimits
from clove.errors import CloveError, LimitExceeded

if TYPE_CHECKING:
    from typing import Protocol

    class Turn(Protocol):
        """What wakes threads or tasks: a `threading.Condition`, say."""

        def notify_all(self) -> None:
            """Wake all of them."""


__all__ = ["Waiter", "Waiters"]

N = TypeVar("N", bound="Turn")


class Waiter(Generic[N]):
    """What one request waits for.

    @ivar frames: replies that came and were not taken: (payload, more).
    @ivar held: bytes in `frames`.
    @ivar dropped: frames thrown away (pushes only).
    @ivar turn: wakes what waits for it, if anything does.
    """

    __slots__ = ("dropped", "error", "frames", "held", "number", "turn")

    def __init__(self, number: int) -> None:
        self.number = number
        self.frames: deque[tuple[bytes, bool]] = deque()
        self.held = 0
        self.dropped = 0
        self.error: CloveError | None = None
        self.turn: N | None = None

    def next_frame(self) -> tuple[bytes, bool]:
        """Take the first of `frames`, which must not be empty."""
        frame = self.frames.popleft()
        self.held -= len(frame[0])
        return frame


class Waiters(Generic[N]):
    """Waiters by the number of their request.

    @ivar pushes: receives the frames that answer no request.
    @ivar orphans: what is to be abandoned with the next request.
    """

    __slots__ = ("_by_number", "_limits", "orphans", "pushes")

    def __init__(self, limits: ClientLimits) -> None:
        self.pushes: Waiter[N] = Waiter(PUSH)
        self.orphans: deque[Waiter[N]] = deque()
        self._limits = limits
        self._by_number: dict[int, Waiter[N]] = {}

    @property
    def held(self) -> int:
        """Bytes that were received for requests that expect more, and not taken."""
        return sum(waiter.held for waiter in self._by_number.values())

    def require_room(self, unsent: int = 0) -> None:
        """Refuse one call more than there may be.

        @param unsent: calls that are not here yet, since they wait to be sent.
        @raise LimitExceeded: too many calls are in flight.
        """
        if len(self._by_number) + unsent >= self._limits.outstanding:
            raise LimitExceeded(
                f"{self._limits.outstanding} calls are in flight on this connection",
                hint="wait for their results, or use another client",
            )

    def add(self, number: int) -> Waiter[N]:
        """A waiter for a request's replies."""
        waiter: Waiter[N] = Waiter(number)
        self._by_number[number] = waiter
        return waiter

    def remove(self, number: int) -> bool:
        """Expect no further reply to a request; False if none was expected."""
        return self._by_number.pop(number, None) is not None

    def clear(self) -> None:
        """Expect no further replies at all."""
        self._by_number.clear()

    def deliver(self, number: int, more: bool, payload: bytes) -> None:
        """Give a frame to its waiter, and wake what waits for it.

        Frames past the limits are dropped: of pushes the oldest, of a stream all from
        then on, and the stream is abandoned.
        """
        if number == PUSH:
            waiter = self.pushes
            if len(waiter.frames) >= self._limits.events:
                waiter.next_frame()
                waiter.dropped += 1
        else:
            expected = self._by_number
            found = expected.get(number) if more else expected.pop(number, None)
            if found is None or found.error is not None:
                return
            waiter = found
            if waiter.frames and waiter.held + len(payload) > self._limits.stream_bytes:
                self._overflow(waiter)
                return
        waiter.frames.append((payload, more))
        waiter.held += len(payload)
        if waiter.turn is not None:
            waiter.turn.notify_all()

    def _overflow(self, waiter: Waiter[N]) -> None:
        waiter.error = LimitExceeded(
            f"over {self._limits.stream_bytes} bytes of this stream were not taken",
            hint="take its pieces before making other calls on this client",
        )
        self.orphans.append(waiter)
