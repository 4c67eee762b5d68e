"""A dispatcher with one syscall that is made for tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.framing import Opcode
from clove.kernel.async_results import AsyncLimits, AsyncResults
from clove.kernel.audit import AuditLog
from clove.kernel.context import Context
from clove.kernel.dispatch import Dispatcher
from clove.kernel.principal import Kind, Principal
from clove.kernel.registry import Registry
from clove.kernel.syscall import Syscall
from clove.messages import Reply, Request
from clove.policy import Level, for_level
from tests.audit_entries import queried

__all__ = ["CALLED", "NO_STORE", "Answer", "Bench", "Question"]

CALLED = Opcode.FETCH
UNRESTRICTED = for_level(Level.UNRESTRICTED)
NO_STORE = msgspec.structs.replace(UNRESTRICTED, can_store=False)


class Question(Request, frozen=True, kw_only=True):
    word: str = ""
    number: int | None = None
    async_: bool = msgspec.field(name="async", default=False)
    stream: bool = False
    follow: bool = False
    request_id: str | int | None = None


class Answer(Reply, frozen=True, kw_only=True):
    word: str = ""


class Call:
    """What serves the syscall.

    @ivar answer: what it answers; an exception is raised, a Deferred awaited.
    @ivar seen: what it was called with.
    """

    def __init__(self) -> None:
        self.answer: Any = Answer(word="here")
        self.seen: list[tuple[Context, Question]] = []

    def __call__(self, context: Context, request: Question) -> Any:
        self.seen.append((context, request))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self._later(self.answer) if isinstance(self.answer, Deferred) else self.answer

    async def _later(self, answer: Deferred[Any]) -> Any:
        return await answer


class Bench:
    """A dispatcher with one syscall, and what it has told the kernel's other parts.

    @ivar entries: of the audit log: category, type, success and details.
    @ivar events: type and data of each.
    @ivar watchers: ids of those that the last event may be shown to.
    """

    def __init__(self, *, needs: tuple[str, ...] = (), audited: tuple[str, ...] = ()) -> None:
        self.call = Call()
        self.audit = AuditLog(Clock().seconds)
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.watchers: set[int] = set()
        self.registry = Registry()
        self.results = AsyncResults(AsyncLimits(max_open=2))
        kernel: Any = SimpleNamespace(
            audit=self.audit,
            events=SimpleNamespace(publish=self._publish),
            registry=self.registry,
            results=self.results,
        )
        syscall = Syscall(Question, Answer, self.call, "STATE_STORE", audited, needs)
        self.dispatcher = Dispatcher(kernel, {CALLED: syscall}, warnings=2)
        self.caller = self.principal(7)

    def principal(self, agent_id: int, kind: Kind = Kind.AGENT, **fields: Any) -> Principal:
        made = Principal(agent_id, kind, fields.pop("permissions", UNRESTRICTED), **fields)
        self.registry.add(made)
        return made

    @property
    def entries(self) -> list[tuple[str, str, bool, dict[str, Any]]]:
        """See the class."""
        found = queried(self.audit)
        for entry in found:
            who = self.registry.get(entry.agent_id)
            assert who is not None
            assert entry.agent_name == who.name
        return [
            (entry.category, entry.event_type, entry.success, msgspec.json.decode(entry.details))
            for entry in found
        ]

    def _publish(self, kind: str, data: dict[str, Any], source: int, audience: Any) -> None:
        assert source == self.caller.agent_id
        self.events.append((kind, data))
        self.watchers = {each for each in (*range(1, 20), 99) if audience(each)}

    def answer(self, payload: bytes = b"{}", opcode: int = CALLED, **more: Any) -> Any:
        return self.dispatcher.answer(self.caller, opcode, payload, **more)

    def ask(self, payload: bytes = b"{}", opcode: int = CALLED, **more: Any) -> Any:
        """The reply, which is there at once."""
        return msgspec.json.decode(self.answer(payload, opcode, **more))

    @property
    def collected(self) -> list[Any]:
        """The results of asynchronous requests that are there."""
        found = self.results.collect(self.caller.agent_id, 10)
        return [msgspec.json.decode(each.payload) for each in found]
