"""Reaching the kernel and saying HELLO, for the clients that await: Twisted's and asyncio's.

Nothing here knows which of the two loops it runs on. Standard library only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from clove.client.exchange import Exchange
from clove.client.limits import ClientLimits
from clove.errors import CloveError, ConnectionLost

__all__ = ["Greetable", "Reaching"]


class Greetable(Protocol):
    """One connection."""

    exchange: Exchange

    def drop(self, reason: CloveError) -> None:
        """End the connection at once."""


L = TypeVar("L", bound=Greetable)


class Reaching(Generic[L]):
    """How a client gets its connections, with the token that resumes its identity.

    @param dial: connects once; nothing was sent on what it gives.
    @param greet: says HELLO with a token and gives its answer's payload.
    @param sleep: waits some seconds.
    @ivar token: "" for a new identity.
    """

    def __init__(
        self,
        dial: Callable[[], Awaitable[L]],
        greet: Callable[[L, str], Awaitable[bytes]],
        sleep: Callable[[float], Awaitable[object]],
        limits: ClientLimits,
    ) -> None:
        self.token = ""
        self._dial = dial
        self._greet = greet
        self._sleep = sleep
        self._limits = limits

    async def reach(self, *, again: bool) -> L:
        """Connect; after a loss with several attempts, since the kernel may be restarting.

        @raise ConnectionLost: the kernel cannot be reached; its hint says what to do.
        @raise PermissionDenied: the kernel refuses this user, or is another user's.
        """
        failure = ConnectionLost("the kernel cannot be reached")
        for pause in self._limits.pauses() if again else [0.0]:
            if pause:
                await self._sleep(pause)
            try:
                return await self._greeted()
            except ConnectionLost as error:
                failure = error
        raise failure

    async def _greeted(self) -> L:
        """Connect once and say HELLO; with the token first, if there is one."""
        for token in dict.fromkeys((self.token, "")):
            link = await self._dial()
            try:
                answer = await self._greet(link, token)
                if link.exchange.welcomed(answer, resuming=bool(token)):
                    self.token = str(link.exchange.welcome.get("resume", ""))
                    return link
            except BaseException as error:
                link.drop(ConnectionLost(f"not greeted: {error}"))
                raise
            link.drop(ConnectionLost("the resume token was refused"))
        raise ConnectionLost("the kernel does not greet")
