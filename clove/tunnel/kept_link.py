"""A kernel's link to its relay, which outlives its connections: a session is resumed, or ends for good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from clove.channels.link_receiver import LinkReceiver
from clove.channels.multiplex import LinkLimits, Multiplex
from clove.channels.session import BrokenLink
from clove.errors import CloveError
from clove.messages.relay import AuthOk, Caller

if TYPE_CHECKING:
    from clove.channels.channel import Channel
    from clove.channels.websocket_messages import MessageSocket

__all__ = ["KeptLink"]

MESSAGE: Final = 1 << 18
"""Bytes of a message on a link."""
LOOK_SECONDS: Final = 0.1
"""Between two looks whether callers have anything under way through a relay that is about to stop."""
MOST_WAIT: Final = 60.0
"""Seconds for that, whatever the relay says."""
MOST_PINGS: Final = 4
"""Pings that are answered at once."""


class KeptLink:
    """The session with a relay.

    @param accept: takes what the relay says of a caller, and its channel.
    @param alive: gets through the kernel's dispatch.
    @param move: leaves a relay that is about to stop.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        accept: Callable[[Caller, Channel], object],
        alive: Callable[[], Awaitable[object]],
        move: Callable[[], object],
        limits: LinkLimits | None,
    ) -> None:
        self._reactor = reactor
        self._accept_caller = accept
        self._alive = alive
        self._move = move
        self._moving: Any = None
        self._limits = limits
        self._link: Multiplex | None = None
        self._session = ""
        self._expiry: Any = None
        self._pings: set[Deferred[None]] = set()

    @property
    def channels(self) -> int:
        """Of remote callers, now."""
        return 0 if self._link is None else len(self._link.channels)

    @property
    def messages(self) -> int:
        """How many came on this session."""
        return 0 if self._link is None else self._link.messages

    @property
    def resumes(self) -> dict[str, Any]:
        """What kernel_auth says to resume the session; nothing where there is none."""
        if self._link is None or not self._session:
            return {}
        return {"session": self._session, "received": self._link.session.received}

    def attach(
        self, socket: MessageSocket, answer: AuthOk, closed: Callable[[str], object]
    ) -> None:
        """The session goes on over a new connection, or a new one begins.

        @param closed: called with the reason when the connection is gone.
        @raise BrokenLink: the relay says to have what was never sent.
        """
        self._stop_expiry()
        if not (answer.resumed and self._link is not None):
            self.end("the relay does not know this session any more")
            self._link = Multiplex(
                self._reactor,
                accept=self._accept,
                control=self._control,
                ended=self._ended,
                limits=self._limits,
            )
        self._session = answer.session
        socket.allow(MESSAGE)
        link = self._link
        assert link is not None

        def gone(reason: str) -> None:
            if not link.is_over:
                self._expiry = self._reactor.callLater(answer.resume_seconds, self._expired)
            closed(reason)

        socket.receiver = LinkReceiver(link, gone)
        try:
            link.attach(socket, answer.received)
        except BrokenLink as error:
            self.end(str(error))
            raise

    def end(self, reason: str) -> None:
        """End the session, if there is one: its channels are lost."""
        self._stop_expiry()
        self._stop_moving()
        link, self._link, self._session = self._link, None, ""
        if link is not None:
            link.end(reason)

    def leave(self) -> None:
        """Tell the relay that the session will not be resumed."""
        if self._link is not None:
            self._link.send_control({"type": "leave"}, is_last=True)

    def stop(self) -> None:
        """End it, and what is being answered."""
        for ping in list(self._pings):
            ping.cancel()
        self.end("the tunnel was closed")

    def probe(self) -> None:
        """Ask the relay for an answer."""
        if self._link is not None:
            self._link.send_control({"type": "ping", "id": 0})

    def _expired(self) -> None:
        self._expiry = None
        self.end("the relay could not be reached again in time")

    def _stop_expiry(self) -> None:
        expiry, self._expiry = self._expiry, None
        if expiry is not None:
            expiry.cancel()

    def _ended(self, reason: str) -> None:
        """It broke the rules, or was ended here."""
        if self._link is not None and self._link.is_over:
            self.log.warn("the tunnel's session has ended: {reason}", reason=reason)
            self._link, self._session = None, ""

    # what the relay says

    def _accept(self, channel: Channel, said: dict[str, Any]) -> None:
        try:
            caller = msgspec.convert(said.get("caller"), Caller)
        except msgspec.ValidationError as error:
            raise BrokenLink(f"OPEN says no caller: {error}") from None
        self._accept_caller(caller, channel)

    def _control(self, said: dict[str, Any]) -> None:
        if said.get("type") == "ping" and len(self._pings) < MOST_PINGS:
            answered = Deferred.fromCoroutine(self._answer(said.get("id")))
            if not answered.called:
                self._pings.add(answered)
            answered.addErrback(self._unanswered)
            answered.addBoth(lambda _: self._pings.discard(answered))
        elif said.get("type") == "drain":
            self.log.info("the relay is about to stop")
            self._stop_moving()
            seconds = said.get("seconds")
            wait = min(seconds, MOST_WAIT) if isinstance(seconds, (int, float)) else 0.0
            self._look_at_end(self._reactor.seconds() + wait)

    def _look_at_end(self, end: float) -> None:
        """Leave as soon as no caller has anything under way, or at the end."""
        self._moving = None
        if self._link is None:
            return
        if not self._link.channels or self._reactor.seconds() >= end:
            self._move()
            self.end("the relay stops")
        else:
            self._moving = self._reactor.callLater(LOOK_SECONDS, self._look_at_end, end)

    def _stop_moving(self) -> None:
        moving, self._moving = self._moving, None
        if moving is not None and moving.active():
            moving.cancel()

    async def _answer(self, number: object) -> None:
        """A ping is answered by the kernel itself: through its dispatch."""
        await self._alive()
        if self._link is not None and isinstance(number, int):
            self._link.send_control({"type": "pong", "id": number})

    def _unanswered(self, failure: Any) -> None:
        if failure.check(CloveError) is not None:
            self.log.warn("a ping is not answered: {error}", error=failure.getErrorMessage())
        elif failure.check(CancelledError) is None:
            self.log.failure("a ping of the relay could not be answered", failure)
