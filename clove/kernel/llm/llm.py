"""THINK from end to end: admission, queue, quota, the service, the reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from clove.errors import (
    Cancelled,
    CloveError,
    LimitExceeded,
    PermissionDenied,
    TimedOut,
    Unavailable,
    error_from_reply,
)
from clove.kernel.llm.call import Call
from clove.kernel.llm.ledger import Ledger, Quota
from clove.kernel.llm.process import ModelService
from clove.kernel.llm.queue import FairQueue
from clove.kernel.llm.settings import LLMSettings, service_options
from clove.kernel.shares import OPERATORS, ShareLimits, divide
from clove.llm.exchange import (
    Cancel,
    Done,
    Failed,
    Said,
    Text,
    ask_line,
    estimate_input,
    line,
)
from clove.messages.think import LLMReportReply, ThinkReply, ThinkRequest

if TYPE_CHECKING:
    from clove.policy import Permissions

__all__ = ["LLM"]


class LLM:
    """The kernel's one way to a model."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: LLMSettings,
        environ: Mapping[str, str],
        shares: ShareLimits | None = None,
        permissions_of: Callable[[int], Permissions | None] = lambda _: None,
    ) -> None:
        """Make the object; `start` starts the service.

        @param permissions_of: what a live agent may do now, by its id.
        @param environ: where the key is looked for; nothing else of it goes to
            the service but PATH and LANG.
        @raise InvalidRequest: the configuration makes no provider.
        """
        self._reactor = reactor
        self._settings = settings
        self._limits = settings.limits

        def quota_of(agent_id: int) -> Quota | None:
            permissions = permissions_of(agent_id)
            return None if permissions is None else _quota(permissions)

        self._permissions_of = permissions_of
        self._ledger = Ledger(quota_of)
        self._queue: FairQueue[Call] = FairQueue(settings.limits, shares)
        kept, self._per_family = divide(self._limits.max_concurrent, shares or ShareLimits())
        self._for_agents = self._limits.max_concurrent - kept
        self._sent: dict[int, Call] = {}
        self._numbers = count(1)
        self._running = False
        options = service_options(settings, environ)
        self._service = ModelService(reactor, options, environ, self._said, self._down)

    @property
    def service(self) -> ModelService:
        """The service process, for diagnosis."""
        return self._service

    def start(self) -> None:
        """Start the service. Returns at once; questions wait until it is ready."""
        self._running = True
        self._service.start()

    def stop(self) -> Deferred[None]:
        """Abandon every question and end the service. Fires when it is gone."""
        self._running = False
        for call in [*self._queue.all(), *self._sent.values()]:
            self._abandon(call, Unavailable("the kernel is stopping"))
        return self._service.stop()

    def think(
        self,
        agent_id: int,
        permissions: Permissions,
        request: ThinkRequest,
        on_text: Callable[[str], None] | None = None,
        family: int | None = None,
    ) -> Deferred[ThinkReply]:
        """Ask the model, in this agent's turn and within its quota.

        Cancelling the Deferred abandons the question, waiting or sent.

        @param on_text: takes the answer's text piece by piece, if the request wants a stream.
        @param family: whose turns it takes; None: a family of its own.
        @raise CloveError: (by the Deferred) there is no answer: a quota, a limit, a
            time-out, a denial, a bad request, a cancellation, or no service.
        """
        quota = _quota(permissions)
        try:
            family = agent_id if family is None else family
            call = self._admit(agent_id, family, quota, request, on_text)
        except CloveError as error:
            return fail(error)
        self._pump()
        return call.deferred

    def report(
        self, agent_id: int, permissions: Permissions, tokens: int, success: bool = True
    ) -> LLMReportReply:
        """Charge usage that an agent had without the kernel."""
        quota = _quota(permissions)
        calls = 1 if success else 0
        may_ask = permissions.can_think
        empty = self._ledger.charge(agent_id, quota, tokens, calls, may_ask=may_ask)
        total, calls, _ = self._ledger.usage(agent_id)
        return LLMReportReply(
            tokens=tokens, quota_exceeded=empty, total_tokens=total, total_calls=calls
        )

    def usage(self, agent_id: int) -> dict[str, int]:
        """Tokens and calls used, and the token quota last seen as `budget` (0: none)."""
        tokens, calls, budget = self._ledger.usage(agent_id)
        return {"tokens": tokens, "calls": calls, "budget": budget}

    def status(self) -> dict[str, object]:
        """Who answers, and how much there is to do."""
        return {
            "provider": self._service.provider,
            "model": self._service.model,
            "ready": self._service.ready,
            "waiting": len(self._queue),
            "running": len(self._sent),
        }

    def open(self, agent_id: int, parent_id: int = 0) -> None:
        """An agent begins, whose use is its parent's too.

        @param parent_id: 0: nobody's quota bounds it.
        """
        self._ledger.open(agent_id, parent_id)

    def close(self, agent_id: int, permissions: Permissions | None = None) -> None:
        """An agent is gone: abandon its questions and close its account.

        @param permissions: its last; their quota goes on bounding those that it spawned.
        """
        for call in [*self._queue.all(), *self._sent.values()]:
            if call.agent_id == agent_id:
                self._abandon(call, Cancelled("the agent is gone"))
        self._ledger.close(agent_id, None if permissions is None else _quota(permissions))

    def _admit(
        self,
        agent_id: int,
        family: int,
        quota: Quota,
        request: ThinkRequest,
        on_text: Callable[[str], None] | None,
    ) -> Call:
        if not self._running:
            raise Unavailable("the LLM is not running")
        if self._service.broken:
            raise Unavailable(
                "the LLM service cannot be started", hint=f"its last words: {self._service.broken}"
            )
        self._check_model(request)
        if (request.stream and on_text is None) or (on_text is not None and not request.stream):
            request = msgspec.structs.replace(request, stream=on_text is not None)
        size = len(ask_line(0, request))
        if size + 32 > self._limits.max_request:
            raise LimitExceeded(
                f"the question has {size} bytes, the limit is {self._limits.max_request}"
            )
        estimate = estimate_input(request)
        self._ledger.check(agent_id, quota, estimate)
        now = self._reactor.seconds()
        call = Call(agent_id, family, quota, request, on_text, size, estimate, now, self._cancel)
        self._queue.push(call)
        call.time_out(self._reactor, self._limits.queue_timeout, self._waited_too_long)
        return call

    def _check_model(self, request: ThinkRequest) -> None:
        allowed = self._settings.allowed_models
        if request.model is not None and allowed and request.model not in allowed:
            raise PermissionDenied(
                f"the model {request.model} is not offered",
                rule="llm.allowed_models",
                hint=f"one of: {', '.join(allowed)}",
            )

    def _pump(self) -> None:
        """Send what may go now; refuse what can never go."""
        refused = []
        while self._service.ready and len(self._sent) < self._limits.max_concurrent:
            call = self._queue.pop(self._family_may, self._may_go)
            if call is None:
                break
            if call.refusal is None:
                self._send(call)
            else:
                refused.append(call)
        for call in refused:
            call.fail(call.refusal or Unavailable("refused"))

    def _family_may(self, family: int) -> bool:
        """Whether a family has a place with the provider, of those that are free."""
        if family == OPERATORS:
            return True
        running = sum(call.family == family for call in self._sent.values())
        return len(self._sent) < self._for_agents and running < self._per_family

    def _may_go(self, call: Call) -> bool:
        """Reserve a waiting call's share; True if it has one, or is refused for good."""
        now = self._permissions_of(call.agent_id)
        if now is not None and not now.can_think:  # narrowed while it waited
            call.refusal = PermissionDenied("THINK", rule="can_think", hint="ask the operator")
            return True
        running = sum(1 for other in self._sent.values() if other.agent_id == call.agent_id)
        if running >= self._limits.max_concurrent_per_agent:
            return False
        wanted = call.request.max_tokens or self._settings.default_output_tokens
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
        call.time_out(self._reactor, self._limits.timeout, self._took_too_long)
        self._service.send(ask_line(call.number, call.within_share()))

    def _said(self, message: Said) -> None:
        if isinstance(message, Text):
            call = self._sent.get(message.id)
            if call is not None:
                call.hear(message.text)
            return
        if isinstance(message, Failed) and message.id is None:
            self.log.error("the LLM service did not understand: {error}", error=message.error)
        elif isinstance(message, (Done, Failed)):
            call = self._sent.pop(message.id or 0, None)
            if call is not None:
                self._end(call, message)
        self._pump()

    def _end(self, call: Call, message: Done | Failed) -> None:
        """The service has said its last about a call, which may be abandoned already."""
        spent = message.input_tokens + message.output_tokens
        if isinstance(message, Failed):
            self._account(call, spent)
            call.fail(
                error_from_reply(
                    {"code": message.code, "error": message.error, "hint": message.hint}
                )
            )
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

    def _account(self, call: Call, spent: int) -> None:
        """A call ended without an answer: charge what was heard or billed, give the rest back."""
        if call.reservation is None:
            return
        spent = spent or call.cost_of_heard()
        if spent:
            self._ledger.settle(call.reservation, spent)
        else:
            self._ledger.release(call.reservation)

    def _abandon(self, call: Call, error: CloveError) -> None:
        """Give a call up; a sent one keeps its place until the service confirms it."""
        if self._queue.remove(call):
            call.fail(error)
        elif not call.abandoned and call.number in self._sent:
            call.abandoned = True
            call.fail(error)
            self._service.send(line(Cancel(cancel=call.number)))
            call.time_out(self._reactor, self._limits.cancel_timeout, self._not_confirmed)

    def _cancel(self, call: Call) -> None:
        self._abandon(call, Cancelled("the question was abandoned"))

    def _waited_too_long(self, call: Call) -> None:
        seconds = self._limits.queue_timeout
        self._abandon(
            call, TimedOut(f"no turn within {seconds:g} s", hint="the model is busy; try later")
        )

    def _took_too_long(self, call: Call) -> None:
        self._abandon(call, TimedOut(f"no answer within {self._limits.timeout:g} s"))

    def _not_confirmed(self, call: Call) -> None:
        self._service.kill(f"it did not confirm that question {call.number} is abandoned")

    def _down(self) -> None:
        """The service is gone: what it was asked is lost; what waits goes on waiting."""
        lost, self._sent = list(self._sent.values()), {}
        for call in lost:
            self._account(call, 0)
            call.fail(Unavailable("the LLM service ended", hint="ask again; it is being restarted"))
        if self._service.broken:
            for call in self._queue.all():
                self._queue.remove(call)
                call.fail(
                    Unavailable("the LLM service cannot be started", hint=self._service.broken)
                )


def _quota(permissions: Permissions) -> Quota:
    return Quota(permissions.max_llm_calls, permissions.max_llm_tokens)
