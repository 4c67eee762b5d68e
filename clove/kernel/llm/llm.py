"""THINK as the kernel sees it: accounts from the start, and what asks a model from the first question on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, fail, succeed

from clove.errors import Cancelled, CloveError, Unavailable
from clove.kernel.llm.ledger import Ledger, Quota, quota_of
from clove.kernel.llm.settings import LLMSettings, Route, service_options
from clove.messages.think import LLMReportReply, ThinkReply, ThinkRequest

if TYPE_CHECKING:
    from clove.kernel.llm.process import ModelService
    from clove.kernel.llm.questions import Questions
    from clove.policy import Permissions
    from clove.sharing.fair_queue import Path
    from clove.sharing.shares import ShareLimits

__all__ = ["LLM"]

_MODULE: Final = "clove.kernel.llm.questions"
"""What a kernel that is asked nothing has no use for: 7 modules, 0.15 MB."""


class LLM:
    """The kernel's one way to a model."""

    def __init__(
        self,
        reactor: Any,
        settings: LLMSettings,
        environ: Mapping[str, str],
        shares: ShareLimits | None = None,
        permissions_of: Callable[[int], Permissions | None] = lambda _: None,
        route_to: Callable[[str], Route] = lambda _: Route(),
        load: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """Make the object; `start` lets it be asked.

        @param permissions_of: what a live agent may do now, by its id.
        @param environ: where the key is looked for; nothing else of it goes to
            a service but PATH and LANG.
        @param route_to: how the provider's host is reached.
        @param load: imports a module in a thread; None: the first question imports it.
        @raise InvalidRequest: the configuration makes no provider.
        """

        def quota(agent_id: int) -> Quota | None:
            permissions = permissions_of(agent_id)
            return None if permissions is None else quota_of(permissions)

        self._reactor = reactor
        self._settings = settings
        self._environ = environ
        self._shares = shares
        self._permissions_of = permissions_of
        self._load = load
        self._ledger = Ledger(quota)
        self._running = False
        self._loading: dict[Deferred[ThinkReply], int] = {}
        self._options = service_options(settings, environ, route_to)

    @cached_property
    def _questions(self) -> Questions:
        from clove.kernel.llm.questions import Questions

        return Questions(
            self._reactor,
            self._settings,
            self._options,
            self._environ,
            self._ledger,
            self._permissions_of,
            self._shares,
        )

    @property
    def _asked(self) -> bool:
        return "_questions" in self.__dict__

    @property
    def services(self) -> dict[str, ModelService]:
        """The processes that answer, by name; a service has its provider's."""
        return self._questions.services

    def start(self) -> None:
        """Take questions. The first one starts its service, and waits until that is ready."""
        self._running = True

    def stop(self) -> Deferred[None]:
        """Abandon every question and end the services. Fires when they are gone."""
        self._running = False
        return self._questions.stop() if self._asked else succeed(None)

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
        asked = (agent_id, path or (agent_id,), permissions, request, on_text)
        if self._load is not None and not self._asked:
            answer = Deferred.fromCoroutine(self._ask_loaded(self._load, asked))
            self._loading[answer] = agent_id
            return answer.addBoth(self._loaded, answer)
        return self._ask(asked)

    def _loaded(self, result: Any, answer: Deferred[ThinkReply]) -> Any:
        del self._loading[answer]
        return result

    def _ask(self, asked: tuple[Any, ...]) -> Deferred[ThinkReply]:
        try:
            if not self._running:
                raise Unavailable("the LLM is not running")
            return self._questions.ask(*asked)
        except CloveError as error:
            return fail(error)

    async def _ask_loaded(
        self, load: Callable[[str], Awaitable[None]], asked: tuple[Any, ...]
    ) -> ThinkReply:
        await load(_MODULE)
        return await self._ask(asked)

    def report(
        self, agent_id: int, permissions: Permissions, tokens: int, success: bool = True
    ) -> LLMReportReply:
        """Charge usage that an agent had without the kernel."""
        calls = 1 if success else 0
        empty = self._ledger.charge(
            agent_id, quota_of(permissions), tokens, calls, may_ask=permissions.can_think
        )
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
        return self._questions.status()

    def open(self, agent_id: int, parent_id: int = 0) -> None:
        """Open an agent's account; what it uses counts for its parent, too.

        @param parent_id: 0: it has no parent, and needs no account before it asks.
        """
        self._ledger.open(agent_id, parent_id)

    def close(self, agent_id: int, permissions: Permissions | None = None) -> None:
        """An agent is gone: abandon its questions and close its account.

        @param permissions: its last; their quota goes on bounding those that it spawned.
        """
        for answer in [each for each, of in self._loading.items() if of == agent_id]:
            answer.cancel()
        if self._asked:
            self._questions.abandon(Cancelled("the agent is gone"), agent_id)
        self._ledger.close(agent_id, None if permissions is None else quota_of(permissions))
