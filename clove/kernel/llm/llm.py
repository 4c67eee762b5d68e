"""THINK as the kernel sees it: what is asked is checked here, and sent by L{Calls}."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.defer import Deferred, DeferredList, fail

from clove.errors import Cancelled, CloveError, LimitExceeded, PermissionDenied, Unavailable
from clove.kernel.llm.call import Call
from clove.kernel.llm.calls import Calls
from clove.kernel.llm.ledger import Ledger, Quota
from clove.kernel.llm.process import ModelService
from clove.kernel.llm.settings import LLMSettings, Route, service_options
from clove.llm.exchange import ask_line, estimate_input
from clove.messages.think import LLMReportReply, ThinkReply, ThinkRequest

if TYPE_CHECKING:
    from clove.policy import Permissions
    from clove.sharing.fair_queue import Path
    from clove.sharing.shares import ShareLimits

__all__ = ["LLM"]

LINE_NUMBER: Final = 32
"""Bytes that the number of a question takes in its line, and more."""


class LLM:
    """The kernel's one way to a model.

    @ivar services: the processes that answer, by name; a service has its provider's.
    """

    def __init__(
        self,
        reactor: Any,
        settings: LLMSettings,
        environ: Mapping[str, str],
        shares: ShareLimits | None = None,
        permissions_of: Callable[[int], Permissions | None] = lambda _: None,
        route_to: Callable[[str], Route] = lambda _: Route(),
    ) -> None:
        """Make the object; `start` lets it be asked.

        @param permissions_of: what a live agent may do now, by its id.
        @param environ: where the key is looked for; nothing else of it goes to
            a service but PATH and LANG.
        @param route_to: how the provider's host is reached.
        @raise InvalidRequest: the configuration makes no provider.
        """

        def quota_of(agent_id: int) -> Quota | None:
            permissions = permissions_of(agent_id)
            return None if permissions is None else _quota(permissions)

        self._reactor = reactor
        self._settings = settings
        self._ledger = Ledger(quota_of)
        self.services: dict[str, ModelService] = {}
        self._calls = Calls(reactor, settings, self._ledger, self.services, permissions_of, shares)
        self._running = False
        options = service_options(settings, environ, route_to)
        self._default = name = options.provider
        self.services[name] = ModelService(
            reactor,
            options,
            environ,
            partial(self._calls.received, name),
            partial(self._calls.service_ended, name),
        )

    def start(self) -> None:
        """Take questions. The first one starts its service, and waits until that is ready."""
        self._running = True

    def stop(self) -> Deferred[None]:
        """Abandon every question and end the services. Fires when they are gone."""
        self._running = False
        self._calls.abandon_all(Unavailable("the kernel is stopping"))
        stopped = DeferredList([service.stop() for service in self.services.values()])
        return stopped.addCallback(lambda _: None)

    def think(
        self,
        agent_id: int,
        permissions: Permissions,
        request: ThinkRequest,
        on_text: Callable[[str], None] | None = None,
        path: Path | None = None,
    ) -> Deferred[ThinkReply]:
        """Ask the model, in the caller's turn and within its quota.

        Cancelling the Deferred abandons the question, waiting or sent.

        @param on_text: takes the answer's text piece by piece, if the request wants a stream.
        @param path: its position in the queue; None: that of a family of its own.
        @raise CloveError: (by the Deferred) there is no answer: a quota, a limit, a
            time-out, a denial, a bad request, a cancellation, or no service.
        """
        try:
            call = self._call(agent_id, path or (agent_id,), permissions, request, on_text)
            self._calls.add(call)
        except CloveError as error:
            return fail(error)
        return call.deferred

    def _call(
        self,
        agent_id: int,
        path: Path,
        permissions: Permissions,
        request: ThinkRequest,
        on_text: Callable[[str], None] | None,
    ) -> Call:
        """What is asked, if it may be.

        @raise CloveError: it may not, or never can be answered.
        """
        service = self._service_for(request)
        if (request.stream and on_text is None) or (on_text is not None and not request.stream):
            request = msgspec.structs.replace(request, stream=on_text is not None)
        size, most = len(ask_line(0, request)), self._settings.limits.max_request
        if size + LINE_NUMBER > most:
            raise LimitExceeded(f"the question has {size} bytes, the limit is {most}")
        quota, estimate = _quota(permissions), estimate_input(request)
        self._ledger.check(agent_id, quota, estimate)
        return Call(
            agent_id,
            path,
            service,
            quota,
            request,
            on_text,
            size,
            estimate,
            self._reactor.seconds(),
            self._calls.cancel,
        )

    def _service_for(self, request: ThinkRequest) -> str:
        """The name of the service that answers a request.

        @raise CloveError: there is none.
        """
        if not self._running:
            raise Unavailable("the LLM is not running")
        name = self._default
        broken = self.services[name].broken
        if broken:
            raise Unavailable(
                "the LLM service cannot be started", hint=f"it printed last: {broken}"
            )
        allowed = self._settings.allowed_models
        if request.model is not None and allowed and request.model not in allowed:
            raise PermissionDenied(
                f"the model {request.model} is not offered",
                rule="llm.allowed_models",
                hint=f"one of: {', '.join(allowed)}",
            )
        return name

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
        """Which services answer, and how much there is to do."""
        services = {
            name: {"provider": each.provider, "model": each.model, "ready": each.ready}
            for name, each in self.services.items()
        }
        return {
            "services": services,
            "waiting": self._calls.waiting,
            "running": self._calls.running,
        }

    def open(self, agent_id: int, parent_id: int = 0) -> None:
        """Open an agent's account; what it uses counts for its parent, too.

        @param parent_id: 0: it has no parent, and needs no account before it asks.
        """
        self._ledger.open(agent_id, parent_id)

    def close(self, agent_id: int, permissions: Permissions | None = None) -> None:
        """An agent is gone: abandon its questions and close its account.

        @param permissions: its last; their quota goes on bounding those that it spawned.
        """
        self._calls.abandon_all(Cancelled("the agent is gone"), agent_id)
        self._ledger.close(agent_id, None if permissions is None else _quota(permissions))


def _quota(permissions: Permissions) -> Quota:
    return Quota(permissions.max_llm_calls, permissions.max_llm_tokens)
