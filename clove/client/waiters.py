"""The requests of one connection that wait for replies, without any I/O. Standard library only.

The channel holds its lock while it calls any of this; finalizers append to `orphans` without it.
"""

from __future__ import annotations

import threading
from collections import deque

from clove.client.exchange import PUSH
from clove.client.limits import ClientLimits
from clove.errors import CloveError, LimitExceeded

__all__ = ["Waiter", "Waiters"]


class Waiter:
    """What one request waits for.

    @ivar frames: replies that came and were not taken: (payload, more).
    @ivar held: bytes in `frames`.
    @ivar dropped: frames thrown away (pushes only).
    @ivar turn: wakes the thread that waits for it, if one does.
    """

    __slots__ = ("dropped", "error", "frames", "held", "number", "turn")

    def __init__(self, number: int) -> None:
        self.number = number
        self.frames: deque[tuple[bytes, bool]] = deque()
        self.held = 0
        self.dropped = 0
        self.error: CloveError | None = None
        self.turn: threading.Condition | None = None


class Waiters:
    """Waiters by the number of their request.

    @ivar pushes: receives the frames that answer no request.
    @ivar orphans: what is to be abandoned with the next request.
    """

    __slots__ = ("_by_number", "_limits", "orphans", "pushes")

    def __init__(self, limits: ClientLimits) -> None:
        self.pushes = Waiter(PUSH)
        self.orphans: deque[Waiter] = deque()
        self._limits = limits
        self._by_number: dict[int, Waiter] = {}

    def require_room(self) -> None:
        """@raise LimitExceeded: too many calls are in flight."""
        if len(self._by_number) >= self._limits.outstanding:
            raise LimitExceeded(
                f"{self._limits.outstanding} calls are in flight on this connection",
                hint="wait for their results, or use another client",
            )

    def add(self, number: int) -> Waiter:
        """A waiter for a request's replies."""
        waiter = self._by_number[number] = Waiter(number)
        return waiter

    def remove(self, number: int) -> bool:
        """Expect no further reply to a request; False if none was expected."""
        return self._by_number.pop(number, None) is not None

    def clear(self) -> None:
        """Expect no further replies at all."""
        self._by_number.clear()

    def deliver(self, number: int, more: bool, payload: bytes) -> None:
        """Give a frame to its waiter, and wake the thread that waits for it.

        Frames past the limits are dropped: of pushes the oldest, of a stream all from
        then on, and the stream is abandoned.
        """
        if number == PUSH:
            waiter = self.pushes
            if len(waiter.frames) >= self._limits.events:
                waiter.held -= len(waiter.frames.popleft()[0])
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

    def _overflow(self, waiter: Waiter) -> None:
        waiter.error = LimitExceeded(
            f"over {self._limits.stream_bytes} bytes of this stream were not taken",
            hint="take its pieces before making other calls on this client",
        )
        self.orphans.append(waiter)
