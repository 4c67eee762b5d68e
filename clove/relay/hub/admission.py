"""Connections that have to show within some seconds who is there, or are closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as NotInTime
from twisted.logger import Logger

from clove.channels.session import BrokenLink
from clove.channels.websocket_messages import MessageSocket, serving
from clove.errors import CloveError
from clove.messages.relay import AuthError
from clove.relay.hub.admission_limit import AdmissionLimit
from clove.relay.hub.conversation import Conversation, Refusal
from clove.relay.hub.strangers import Strangers

if TYPE_CHECKING:
    from twisted.python.failure import Failure

__all__ = ["Admission"]


_EXPECTED: Final = (Refusal, CloveError, BrokenLink, CancelledError)


class Admission:
    """Has each connection's first messages heard.

    @param admit: serves who is there; raises a L{Refusal} or L{CloveError} where it does not.
    @param seconds: for that.
    @param unknown: connections of which it is not known yet.
    @param refused: is told of each that is not served.
    @ivar admission_limit: for the port on which they come.
    """

    log = Logger()

    def __init__(
        self,
        clock: Any,
        admit: Callable[[Conversation], Awaitable[object]],
        seconds: float,
        unknown: int,
        refused: Callable[[Conversation, AuthError], object] = lambda conversation, answer: None,
    ) -> None:
        self._clock = clock
        self._admit = admit
        self._seconds = seconds
        self._refused = refused
        self._strangers = Strangers(unknown)
        self.admission_limit = AdmissionLimit(clock.seconds)
        self._unknown: set[Deferred[Any]] = set()

    def factory(self, reactor: Any, **more: Any) -> Any:
        """For a listening endpoint.

        @param more: of L{serving<clove.channels.websocket_messages.serving>}.
        """
        return serving(self.accept, reactor=reactor, arrived=self._arrived, **more)

    def _arrived(self, address: str, close: Callable[[], object]) -> Callable[[], None]:
        forget, end = self._strangers.add(address, close), self.admission_limit.begin()

        def known() -> None:
            forget()
            end()

        return known

    def stop(self) -> None:
        """Close the connections that have not shown who they are."""
        for each in list(self._unknown):
            each.cancel()

    def accept(self, socket: MessageSocket) -> None:
        """A new connection."""
        conversation = Conversation(socket)
        admitted = Deferred.fromCoroutine(self._serve(conversation))
        admitted.addErrback(_without_frames)
        if not admitted.called:
            self._unknown.add(admitted)
            admitted.addTimeout(self._seconds, self._clock)
            admitted.addErrback(_without_frames)  # of what the time-out has made of it
        admitted.addErrback(self._refuse, conversation)
        admitted.addBoth(lambda _: self._unknown.discard(admitted))

    async def _serve(self, conversation: Conversation) -> None:
        await self._admit(conversation)
        conversation.socket.known()

    def _refuse(self, failure: Failure, conversation: Conversation) -> None:
        error = failure.value
        if isinstance(error, Refusal):
            answer = error.answer
        elif isinstance(error, NotInTime):
            answer = AuthError(
                error=f"the connection did not show who it is within {self._seconds:g} s",
                code="timeout",
                hint="its first message is kernel_auth or agent_auth (docs/wire.md)",
            )
        elif isinstance(error, CloveError):
            answer = AuthError(error=error.message, code=error.code, hint=error.hint)
        elif isinstance(error, _EXPECTED):
            answer = AuthError(error=str(error) or "the relay stops", code="unavailable")
        else:
            self.log.failure("a connection could not be admitted", failure)
            answer = AuthError(
                error="a fault of the relay: its log has more", code="internal_error"
            )
        self._refused(conversation, answer)
        conversation.socket.send_text(msgspec.json.encode(answer))
        conversation.socket.end(answer.error)


def _without_frames(failure: Failure) -> Failure:
    """An error that came into a coroutine leads to itself, by the frame that threw it in: no cycle is left."""
    if isinstance(failure.value, (*_EXPECTED, NotInTime)):
        failure.value.__traceback__ = failure.value.__context__ = failure.tb = None
    return failure
