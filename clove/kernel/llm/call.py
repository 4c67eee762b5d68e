"""One question on its way: waiting, sent, or over."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from clove.errors import CloveError
from clove.kernel.llm.ledger import Quota, Reservation
from clove.llm.exchange import count_tokens
from clove.messages.think import ThinkReply, ThinkRequest

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from clove.sharing.fair_queue import Path

__all__ = ["Call"]


class Call:
    """A question and its Deferred, which fires exactly once.

    @ivar path: its position in the queue (L{clove.sharing.fair_queue.FairQueue}).
    @ivar service: the name of the service that answers it.
    @ivar size: bytes of the question.
    @ivar estimate: tokens of the question.
    @ivar asked_at, sent_at: seconds of the reactor's clock.
    @ivar number: its number in the service's protocol; 0 before it is sent.
    @ivar reservation: its share of the quota, while it is sent.
    @ivar refusal: why it can never be sent.
    @ivar abandoned: its answer is no longer wanted.
    """

    log = Logger()

    __slots__ = (
        "_fired",
        "_on_text",
        "_received",
        "_timer",
        "abandoned",
        "agent_id",
        "asked_at",
        "deferred",
        "estimate",
        "number",
        "path",
        "quota",
        "refusal",
        "request",
        "reservation",
        "sent_at",
        "service",
        "size",
    )

    def __init__(
        self,
        agent_id: int,
        path: Path,
        service: str,
        quota: Quota,
        request: ThinkRequest,
        on_text: Callable[[str], None] | None,
        size: int,
        estimate: int,
        asked_at: float,
        on_cancel: Callable[[Call], None],
    ) -> None:
        self.agent_id = agent_id
        self.path = path
        self.service = service
        self.quota = quota
        self.request = request
        self.size = size
        self.estimate = estimate
        self.asked_at = asked_at
        self.sent_at = asked_at
        self.number = 0
        self.reservation: Reservation | None = None
        self.refusal: CloveError | None = None
        self.abandoned = False
        self.deferred: Deferred[ThinkReply] = Deferred(lambda _: on_cancel(self))
        self._on_text = on_text
        self._received = 0
        self._fired = False
        self._timer: IDelayedCall | None = None

    def within_share(self) -> ThinkRequest:
        """The request, its answer capped to what was reserved for it."""
        if self.reservation is None or not self.reservation.tokens:
            return self.request
        most = max(1, self.reservation.tokens - self.estimate)
        return msgspec.structs.replace(
            self.request, max_tokens=min(most, self.request.max_tokens or most)
        )

    def append_text(self, text: str) -> None:
        """A piece of the answer came."""
        self._received += count_tokens(text)
        if self._on_text is None or self.abandoned:
            return
        try:
            self._on_text(text)
        except Exception:
            self.log.failure("a listener to an answer failed")

    def cost_of_received(self) -> int:
        """Tokens of the question and of what was received; 0 if nothing was."""
        return self.estimate + self._received if self._received else 0

    def time_out(self, reactor: Any, seconds: float, then: Callable[[Call], None]) -> None:
        """Set the one timer of this question anew."""
        self._stop_timer()
        self._timer = reactor.callLater(seconds, then, self)

    def succeed(self, reply: ThinkReply) -> None:
        """Fire with the answer, unless it has fired."""
        self._stop_timer()
        if not self._fired:
            self._fired = True
            self.deferred.callback(reply)

    def fail(self, error: CloveError) -> None:
        """Fire with an error, unless it has fired; the timer stops in any case."""
        self._stop_timer()
        if not self._fired:
            self._fired = True
            self.deferred.errback(error)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
