"""Questions to the model: what is asked is checked here, and sent by L{Calls}."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.defer import DeferredList

from clove.errors import CloveError, LimitExceeded, PermissionDenied, Unavailable
from clove.kernel.llm.call import Call
from clove.kernel.llm.calls import Calls
from clove.kernel.llm.ledger import quota_of
from clove.kernel.llm.process import ModelService
from clove.llm.exchange import ask_line, estimate_input

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from clove.kernel.llm.ledger import Ledger
    from clove.kernel.llm.settings import LLMSettings
    from clove.llm.options import Options
    from clove.messages.think import ThinkReply, ThinkRequest
    from clove.policy import Permissions
    from clove.sharing.fair_queue import Path
    from clove.sharing.shares import ShareLimits

__all__ = ["Questions"]

LINE_NUMBER: Final = 32
"""Bytes that the number of a question takes in its line, and more."""


class Questions:
    """All of a kernel's.

    @ivar services: the processes that answer, by name; a service has its provider's.
    """

    def __init__(
        self,
        reactor: Any,
        settings: LLMSettings,
        options: Options,
        environ: Mapping[str, str],
        ledger: Ledger,
        permissions_of: Callable[[int], Permissions | None],
        shares: ShareLimits | None,
    ) -> None:
        """Start nothing.

        @param options: what the default service is told.
        """
        self._reactor = reactor
        self._settings = settings
        self._ledger = ledger
        self.services: dict[str, ModelService] = {}
        self._calls = Calls(reactor, settings, ledger, self.services, permissions_of, shares)
        self._default = name = options.provider
        self.services[name] = ModelService(
            reactor,
            options,
            environ,
            partial(self._calls.received, name),
            partial(self._calls.service_ended, name),
        )

    def stop(self) -> Deferred[None]:
        """Abandon all of them and end the services. Fires when they are gone."""
        self._calls.abandon_all(Unavailable("the kernel is stopping"))
        stopped = DeferredList([service.stop() for service in self.services.values()])
        return stopped.addCallback(lambda _: None)

    def ask(
        self,
        agent_id: int,
        path: Path,
        permissions: Permissions,
        request: ThinkRequest,
        on_text: Callable[[str], None] | None,
    ) -> Deferred[ThinkReply]:
        """Ask, if it may be, in the caller's turn.

        @raise CloveError: it may not, or never can be answered.
        """
        service = self._service_for(request)
        if (request.stream and on_text is None) or (on_text is not None and not request.stream):
            request = msgspec.structs.replace(request, stream=on_text is not None)
        size, most = len(ask_line(0, request)), self._settings.limits.max_request
        if size + LINE_NUMBER > most:
            raise LimitExceeded(f"the question has {size} bytes, the limit is {most}")
        quota, estimate = quota_of(permissions), estimate_input(request)
        self._ledger.check(agent_id, quota, estimate)
        call = Call(
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
        self._calls.add(call)
        return call.deferred

    def _service_for(self, request: ThinkRequest) -> str:
        """The name of the service that answers a request.

        @raise CloveError: there is none.
        """
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

    def abandon(self, error: CloveError, agent_id: int) -> None:
        """Give up an agent's, waiting or sent."""
        self._calls.abandon_all(error, agent_id)
