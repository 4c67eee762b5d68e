"""Questions to a sandbox's init, and the answers that belong to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReactorTime

from clove.errors import LimitExceeded, TimedOut
from clove.sandbox.channel import ControlSocket
from clove.sandbox.init_errors import ended, not_sent

__all__ = ["Answer", "Requests"]


class Answer(NamedTuple):
    """What init said; the descriptors are the asker's to close."""

    fields: dict[str, Any]
    fds: list[int]


class Requests:
    """The requests under way to one init.

    @param timeout: seconds that an answer may take.
    @param most: requests under way at once; one more is refused.
    @param close: closes a descriptor that is not waited for.
    """

    def __init__(
        self,
        clock: IReactorTime,
        control: ControlSocket,
        timeout: float,
        most: int,
        close: Callable[[int], None] = os.close,
    ) -> None:
        self._clock = clock
        self._control = control
        self._timeout = timeout
        self._most = most
        self._close = close
        self._counter = 0
        self._waiting: dict[int, Deferred[Answer]] = {}

    def number(self) -> int:
        """A number for one more request."""
        self._counter += 1
        return self._counter

    async def ask(
        self, message: dict[str, Any], fds: Sequence[int] = (), number: int | None = None
    ) -> Answer:
        """Send a request and wait for its answer, which may be a refusal.

        @raise LimitExceeded: too many are under way, or too many descriptors of the
            kernel's user are.
        @raise TimedOut: no answer in time.
        @raise Unavailable: the sandbox has ended, or could not be asked.
        """
        if not self._control.open:
            raise ended()
        if len(self._waiting) >= self._most:
            raise LimitExceeded("too many requests wait for this sandbox; try again later")
        number = self.number() if number is None else number
        answer: Deferred[Answer] = Deferred()
        self._waiting[number] = answer

        def failed(error: OSError) -> None:
            if self._waiting.pop(number, None) is answer:
                answer.errback(not_sent(error))

        try:
            self._control.send({**message, "id": number}, fds, failed)
            answer.addTimeout(self._timeout, self._clock)
            return await answer
        except DeferredTimeout:
            raise TimedOut("the agent's sandbox does not answer; is it paused?") from None
        finally:
            self._waiting.pop(number, None)

    def tell(self, message: dict[str, Any]) -> None:
        """Send what has no answer; nothing happens when the sandbox has ended.

        It ends if this cannot be sent.
        """
        self._control.send(message)

    def answered(self, fields: dict[str, Any], fds: list[int]) -> bool:
        """Give an answer to its request; false if that is no longer waited for."""
        waiter = self._waiting.pop(fields.get("id", -1), None)
        if waiter is None:
            for descriptor in fds:
                self._close(descriptor)
            return False
        waiter.callback(Answer(fields, fds))
        return True

    def end(self) -> None:
        """The sandbox is gone: fail whatever waits."""
        while self._waiting:
            _, waiter = self._waiting.popitem()
            waiter.errback(ended())
