"""Results of `"async": true` requests until ASYNC_POLL collects them."""

from __future__ import annotations

from collections import deque
from itertools import count

import msgspec
from twisted.internet.defer import Deferred

from clove.errors import LimitExceeded
from clove.messages.session import AsyncResult

__all__ = ["AsyncLimits", "AsyncResults"]


class AsyncLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds for each agent."""

    max_open: int = 256
    """Asynchronous requests running or not collected; one more is refused."""
    max_bytes: int = 32 << 20
    """Bytes of results not collected; past it the oldest results lose their payload
    to an error of code `limit_exceeded`."""


class _Box:
    """One agent's results."""

    __slots__ = ("done", "running", "size", "tasks")

    def __init__(self) -> None:
        self.running = 0
        self.tasks: set[Deferred[None]] = set()
        self.done: deque[AsyncResult] = deque()
        self.size = 0


_LOST = '{"success":false,"error":"the result was dropped: too much was not collected","code":"limit_exceeded"}'


class AsyncResults:
    """Every agent's finished asynchronous requests."""

    def __init__(self, limits: AsyncLimits | None = None) -> None:
        self._limits = limits or AsyncLimits()
        self._boxes: dict[int, _Box] = {}
        self._ids = count(1)

    def open(self, agent_id: int, request_id: str | int | None) -> str | int:
        """Take a request in; gives its id (ours if the caller named none).

        @raise LimitExceeded: too many are open.
        """
        box = self._boxes.setdefault(agent_id, _Box())
        if box.running + len(box.done) >= self._limits.max_open:
            raise LimitExceeded(
                f"{self._limits.max_open} asynchronous requests are open",
                hint="collect results with ASYNC_POLL first",
            )
        box.running += 1
        return next(self._ids) if request_id is None else request_id

    def track(self, agent_id: int, task: Deferred[None]) -> None:
        """Keep hold of a running request, to cancel it when its agent is gone."""
        box = self._boxes.get(agent_id)
        if box is None:
            task.cancel()
        elif not task.called:
            box.tasks.add(task)
            task.addCallback(lambda _: box.tasks.discard(task))

    def finish(self, agent_id: int, result: AsyncResult) -> None:
        """Keep a result; it is dropped when its agent is gone."""
        box = self._boxes.get(agent_id)
        if box is None:
            return
        box.running -= 1
        box.done.append(result)
        box.size += len(result.payload)
        if box.size > self._limits.max_bytes:
            self._shrink(box)

    def _shrink(self, box: _Box) -> None:
        for index, result in enumerate(box.done):
            if box.size <= self._limits.max_bytes:
                return
            if len(result.payload) > len(_LOST):
                box.size -= len(result.payload) - len(_LOST)
                box.done[index] = msgspec.structs.replace(result, payload=_LOST)

    def collect(self, agent_id: int, most: int) -> list[AsyncResult]:
        """Take out at most so many results, oldest first."""
        box = self._boxes.get(agent_id)
        if box is None:
            return []
        taken = [box.done.popleft() for _ in range(min(most, len(box.done)))]
        box.size -= sum(len(result.payload) for result in taken)
        return taken

    def close(self, agent_id: int) -> None:
        """Forget an agent's results and cancel what still runs."""
        box = self._boxes.pop(agent_id, None)
        if box is not None:
            for task in list(box.tasks):
                task.cancel()
