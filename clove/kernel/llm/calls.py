"""The calls of the model: sent in turn and within quota, completed as the services answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from clove.errors import (
    Cancelled,
    CloveError,
    PermissionDenied,
    TimedOut,
    Unavailable,
    error_from_reply,
)
from clove.kernel.llm.queue import BoundedQueue
from clove.llm.exchange import Cancel, Done, Failed, Said, Text, ask_line, line
from clove.messages.think import ThinkReply

if TYPE_CHECKING:
    from clove.kernel.llm.call import Call
    from clove.kernel.llm.ledger import Ledger
    from clove.kernel.llm.process import ModelService
    from clove.kernel.llm.settings import LLMSettings
    from clove.policy import Permissions
    from clove.sharing.shares import ShareLimits

__all__ = ["Calls"]


class Calls:
    """Calls that wait for their turn, and those that a service answers now.

    @ivar services: those that answer, by name; a call names its own.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: LLMSettings,
        ledger: Ledger,
        services: Mapping[str, ModelService],
        permissions_of: Callable[[int], Permissions | None],
        shares: ShareLimits | None,
    ) -> None:
        """
        @param services: may be filled later, before the first call.
        @param permissions_of: what a live agent may do now, by its id.
        """
        self.services = services
        self._reactor = reactor
        self._limits = settings.limits
        self._output_tokens = settings.default_output_tokens
        self._ledger = ledger
        self._permissions_of = permissions_of
        self._queue: BoundedQueue[Call] = BoundedQueue(settings.limits, shares)
        self._sent: dict[int, Call] = {}
        self._of_agent: Counter[int] = Counter()
        self._numbers = count(1)

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """How many a service has."""
        return len(self._sent)

    def add(self, call: Call) -> None:
        """Let a call wait for its turn, which may have come.

        @raise LimitExceeded: too many wait.
        """
        self._queue.add(call)
        call.time_out(self._reactor, self._limits.queue_timeout, self._waited_too_long)
        self.services[call.service].ensure_started()
        self.send_next()

    def send_next(self) -> None:
        """Send what may go now; refuse what can never go."""
        if not any(service.ready for service in self.services.values()):
            return
        refused = []
        while (call := self._queue.next(self._may_go)) is not None:
            if call.refusal is None:
                self._send(call)
            else:
                self._queue.finish(call)
                refused.append(call)
        for call in refused:
            call.fail(call.refusal or Unavailable("refused"))

    def _may_go(self, call: Call) -> bool:
        """Reserve a waiting call's share; True if it has one, or is refused for good."""
        if not self.services[call.service].ready:
            return False
        now = self._permissions_of(call.agent_id)
        if now is not None and not now.can_think:  # narrowed while it waited
            call.refusal = PermissionDenied("THINK", rule="can_think", hint="ask the operator")
            return True
        if self._of_agent[call.agent_id] >= self._limits.max_concurrent_per_agent:
            return False
        wanted = call.request.max_tokens or self._output_tokens
        try:
            call.reservation = self._ledger.reserve(
                call.agent_id, call.quota, call.estimate, wanted
            )
        except CloveError as error:
            call.refusal = error
            return True
        return call.reservation is not None

    def _send(self, call: Call) -> None:
        call.number = next(self._numbers)
        call.sent_at = self._reactor.seconds()
        self._sent[call.number] = call
        self._of_agent[call.agent_id] += 1
        call.time_out(self._reactor, self._limits.timeout, self._took_too_long)
        self.services[call.service].send(ask_line(call.number, call.within_share()))

    # what services say

    def received(self, service: str, message: Said) -> None:
        """A message of a service: a piece of an answer, its end, or that it is ready."""
        if isinstance(message, Text):
            call = self._of_service(service, message.id)
            if call is not None:
                call.append_text(message.text)
            return
        if isinstance(message, Failed) and message.id is None:
            self.log.error("the LLM service did not understand: {error}", error=message.error)
        elif isinstance(message, (Done, Failed)):
            call = self._of_service(service, message.id)
            if call is not None:
                self._remove(call)
                self._complete(call, message)
        self.send_next()

    def service_ended(self, name: str) -> None:
        """A service is gone: what it was asked is lost; what waits goes on waiting."""
        lost = [call for call in self._sent.values() if call.service == name]
        for call in lost:
            self._remove(call)
        for call in lost:
            self._charge(call, 0)
            call.fail(Unavailable("the LLM service ended", hint="ask again; it is being restarted"))
        broken = self.services[name].broken
        if broken:
            for call in self._queue.waiting():
                if call.service == name and self._queue.withdraw(call):
                    call.fail(Unavailable("the LLM service cannot be started", hint=broken))
        self.send_next()

    def _of_service(self, service: str, number: int | None) -> Call | None:
        call = self._sent.get(number or 0)
        return call if call is not None and call.service == service else None

    def _remove(self, call: Call) -> None:
        """A service has a call no longer."""
        del self._sent[call.number]
        self._queue.finish(call)
        self._of_agent[call.agent_id] -= 1
        if not self._of_agent[call.agent_id]:
            del self._of_agent[call.agent_id]

    def _complete(self, call: Call, message: Done | Failed) -> None:
        """End a call, which may be abandoned already, as its service says."""
        spent = message.input_tokens + message.output_tokens
        if isinstance(message, Failed):
            self._charge(call, spent)
            reply: dict[str, object] = {
                "code": message.code,
                "error": message.error,
                "hint": message.hint,
            }
            call.fail(error_from_reply(reply))
            return
        if call.reservation is not None:
            self._ledger.settle(call.reservation, spent)
        call.succeed(
            ThinkReply(
                content=message.content,
                tokens=spent,
                input_tokens=message.input_tokens,
                output_tokens=message.output_tokens,
                model=message.model,
                provider=message.provider,
                queued_ms=round((call.sent_at - call.asked_at) * 1000),
                finish_reason=message.finish_reason,
                tool_calls=message.tool_calls,
            )
        )

    def _charge(self, call: Call, spent: int) -> None:
        """Charge what was received or billed for a call that has no answer; give back the rest."""
        if call.reservation is None:
            return
        spent = spent or call.cost_of_received()
        if spent:
            self._ledger.settle(call.reservation, spent)
        else:
            self._ledger.release(call.reservation)

    # giving up

    def abandon_all(self, error: CloveError, agent_id: int | None = None) -> None:
        """Give up an agent's calls, waiting or sent; None: those of all agents."""
        for call in [*self._queue.waiting(), *self._sent.values()]:
            if agent_id is None or call.agent_id == agent_id:
                self._abandon(call, error)

    def cancel(self, call: Call) -> None:
        """Give a call up, since its answer is wanted no more."""
        self._abandon(call, Cancelled("the question was abandoned"))

    def _abandon(self, call: Call, error: CloveError) -> None:
        """Give a call up; a sent one keeps its place until the service confirms it."""
        if self._queue.withdraw(call):
            call.fail(error)
        elif not call.abandoned and call.number in self._sent:
            call.abandoned = True
            call.fail(error)
            self.services[call.service].send(line(Cancel(cancel=call.number)))
            call.time_out(self._reactor, self._limits.cancel_timeout, self._not_confirmed)

    def _waited_too_long(self, call: Call) -> None:
        seconds = self._limits.queue_timeout
        self._abandon(
            call, TimedOut(f"no turn within {seconds:g} s", hint="the model is busy; try later")
        )

    def _took_too_long(self, call: Call) -> None:
        self._abandon(call, TimedOut(f"no answer within {self._limits.timeout:g} s"))

    def _not_confirmed(self, call: Call) -> None:
        self.services[call.service].kill(
            f"it did not confirm that question {call.number} is abandoned"
        )
