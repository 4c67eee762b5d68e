"""Results of `"async": true` requests until ASYNC_POLL collects them."""

from __future__ import annotations

from collections import deque
from itertools import count

import msgspec
from twisted.internet.defer import Deferred

from clove.errors import LimitExceeded
from clove.framing import MAX_REPLY
from clove.messages.session import AsyncResult
from clove.sharing.shares import ShareLimits, Shares

__all__ = ["AsyncLimits", "AsyncResults"]


class AsyncLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds for each agent, and for all of them."""

    max_open: int = 256
    """Asynchronous requests running or not collected; one more is refused."""
    max_bytes: int = 32 << 20
    """Bytes of requests that run: past it one more is refused. And bytes of results
    not collected: past it the oldest results lose their payload to an error of code
    `limit_exceeded`."""
    all_bytes: int = 128 << 20
    """Bytes of both, of all agents: past it, or past a family's share of them, a request is
    refused, and a result that is done loses its payload."""
    max_id: int = 256
    """Characters of a `request_id`; a longer one is refused."""


class _Box:
    """One agent's results."""

    __slots__ = ("done", "family", "held", "running", "size", "tasks")

    def __init__(self, family: int) -> None:
        self.family = family
        self.running = 0
        self.held = 0
        self.tasks: set[Deferred[None]] = set()
        self.done: deque[AsyncResult] = deque()
        self.size = 0


_FIELDS = 1024
"""Bytes of a result in a reply, but for its payload."""
_REPLY = MAX_REPLY - (64 << 10)


def _escaped(payload: str) -> int:
    """Bytes of JSON text as a string in JSON, at most."""
    if payload.isascii():
        return len(payload) + payload.count('"') + payload.count("\\")
    return len(payload.encode("utf-8", "replace")) + payload.count('"') + payload.count("\\")


_TOO_LARGE = (
    '{"success":false,"error":"the result is too large for ASYNC_POLL","code":"limit_exceeded"}'
)
_LOST = '{"success":false,"error":"the result was dropped: too much was not collected","code":"limit_exceeded"}'


class AsyncResults:
    """Every agent's finished asynchronous requests."""

    def __init__(
        self, limits: AsyncLimits | None = None, shares: ShareLimits | None = None
    ) -> None:
        self._limits = limits or AsyncLimits()
        self._shares = Shares(
            "bytes of asynchronous requests and their results",
            "limits.results.all_bytes",
            self._limits.all_bytes,
            shares,
            memory=True,
        )
        self._boxes: dict[int, _Box] = {}
        self._ids = count(1)

    def open(
        self,
        agent_id: int,
        request_id: str | int | None,
        size: int = 0,
        family: int | None = None,
    ) -> str | int:
        """Accept a request; gives its id (a new one if the caller named none).

        @param size: bytes of the request.
        @param family: the family that its bytes count for; None: a family of its own.
        @raise LimitExceeded: too many are open, or too large ones.
        """
        box = self._boxes.get(agent_id)
        if box is None:
            box = self._boxes[agent_id] = _Box(agent_id if family is None else family)
        if isinstance(request_id, str) and len(request_id) > self._limits.max_id:
            raise LimitExceeded(f"a request_id has at most {self._limits.max_id} characters")
        if box.held + size > self._limits.max_bytes:
            raise LimitExceeded(
                f"asynchronous requests of {box.held} bytes run already",
                hint="wait for their results",
            )
        if box.running + len(box.done) >= self._limits.max_open:
            raise LimitExceeded(
                f"{self._limits.max_open} asynchronous requests are open",
                hint="collect results with ASYNC_POLL first",
            )
        self._shares.take(box.family, size + _FIELDS)
        box.running += 1
        box.held += size
        return next(self._ids) if request_id is None else request_id

    def track(self, agent_id: int, task: Deferred[None]) -> None:
        """Keep hold of a running request, to cancel it when its agent is gone."""
        box = self._boxes.get(agent_id)
        if box is None:
            task.cancel()
        elif not task.called:
            box.tasks.add(task)
            task.addCallback(lambda _: box.tasks.discard(task))

    def finish(self, agent_id: int, result: AsyncResult, size: int = 0) -> None:
        """Keep a result; it is dropped when its agent is gone.

        @param size: of its request, as it was given to L{open}.
        """
        box = self._boxes.get(agent_id)
        if box is None:
            return
        box.running -= 1
        box.held -= size
        self._shares.give(box.family, size)
        if self._shares.refusal(box.family, len(result.payload)) is not None:
            result = msgspec.structs.replace(result, payload=_LOST)
        self._shares.add(box.family, len(result.payload))
        box.done.append(result)
        box.size += len(result.payload)
        if box.size > self._limits.max_bytes:
            self._shrink(box)

    def _shrink(self, box: _Box) -> None:
        for index, result in enumerate(box.done):
            if box.size <= self._limits.max_bytes:
                return
            if len(result.payload) > len(_LOST):
                less = len(result.payload) - len(_LOST)
                box.size -= less
                self._shares.give(box.family, less)
                box.done[index] = msgspec.structs.replace(result, payload=_LOST)

    def collect(self, agent_id: int, most: int) -> list[AsyncResult]:
        """Take out at most so many results, oldest first, and no more than one reply holds.

        A result that no reply could hold, as its quotes are doubled there, becomes
        an error of code `limit_exceeded`.
        """
        box = self._boxes.get(agent_id)
        taken: list[AsyncResult] = []
        room = _REPLY
        while box is not None and box.done and len(taken) < most:
            result = box.done[0]
            need = _escaped(result.payload)
            if need > _REPLY:
                result = msgspec.structs.replace(result, payload=_TOO_LARGE)
                need = len(_TOO_LARGE)
            if need > room:
                break
            room -= need + _FIELDS
            size = len(box.done.popleft().payload)
            box.size -= size
            self._shares.give(box.family, size + _FIELDS)
            taken.append(result)
        return taken

    def close(self, agent_id: int) -> None:
        """Forget an agent's results and cancel what still runs."""
        box = self._boxes.pop(agent_id, None)
        if box is not None:
            open_still = box.running + len(box.done)
            self._shares.give(box.family, box.held + box.size + open_still * _FIELDS)
            for task in list(box.tasks):
                task.cancel()
