"""All agents, with provisions and processes that are made when a test says so."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from clove.kernel.agents.agents import Agents
from clove.kernel.launch.facilities import PublishedPorts
from clove.kernel.launch.launch import Launched
from clove.kernel.launch.limits import AgentLimits
from clove.kernel.launch.program import Find
from clove.kernel.launch.record import AgentRecord
from clove.kernel.logs.limits import LogLimits
from clove.kernel.logs.logbook import Logbook
from clove.kernel.mounts.mount_request import MountRequest
from clove.kernel.principal import Kind, Principal
from clove.kernel.registry import Registry
from clove.messages.agents import SpawnRequest
from clove.policy import Level, for_level
from clove.sandbox.interface import ExitStatus, Output
from clove.sandbox.spec import SandboxSpec

OPERATOR = Principal(1000, Kind.OPERATOR, for_level(Level.UNRESTRICTED))


class Box:
    """A process that dies when it is told to."""

    def __init__(self) -> None:
        self.pid = 77
        self.warm = False
        self.outputs: Any = None
        self.done: Deferred[ExitStatus] = Deferred()

    def terminate(self) -> None:
        self.done.callback(ExitStatus(signal=15))

    kill = terminate


class Fixture:
    """All agents, with provisions and processes that are made when the test says so."""

    def __init__(self, **limits: int) -> None:
        self.registry = Registry()
        self.preparing: list[Deferred[None]] = []
        self.launching: list[Deferred[Box]] = []
        self.opened: list[int] = []
        self.closed: list[int] = []
        self.released: list[int] = []
        self.releasing: Deferred[None] = succeed(None)
        self.events: list[str] = []
        self.names: list[str] = []
        self.aside: list[str] = []
        self.clock = Clock()
        self.agents = Agents(
            self.clock,
            self.registry,
            AgentLimits(**limits),
            prepare=self.prepare,
            release=self.release,
            later=self.later,
            logbook=self.logbook,
            notify=lambda agent, event, facts: self.events.append(event),
            opened=lambda principal: self.opened.append(principal.agent_id),
            closed=lambda principal: self.closed.append(principal.agent_id),
            set_log_aside=self.aside.append,
        )

    async def prepare(
        self, principal: Principal, record: AgentRecord, find: Find | None
    ) -> Fixture:
        self.preparing.append(Deferred())
        await self.preparing[-1]
        return self

    async def update_limits(self, asked: Any, bounds: Any, children: Any = tuple) -> Any:
        raise AssertionError("not asked for here")

    def rename(self, name: str) -> None:
        self.names.append(name)

    stdin = None
    ports = None
    end: Any = None

    def open_ports(self) -> PublishedPorts:
        raise AssertionError("no port is published here")

    async def launch(self, output: Output, *, first: bool) -> Launched:
        self.launching.append(Deferred())
        box: Any = await self.launching[-1]
        return Launched(box, SandboxSpec(argv=("python",)), MountRequest(), {}, None)

    async def release(self, agent_id: int) -> None:
        self.released.append(agent_id)
        await self.releasing

    def later(self, work: Awaitable[None]) -> None:
        Deferred.fromCoroutine(work)  # type: ignore[arg-type]

    def logbook(self, name: str, family: int, agent_id: int) -> Logbook:
        book = Logbook(None, None, LogLimits(), lambda: 0.0)  # type: ignore[arg-type]
        book.append_output = lambda stream, data: None  # type: ignore[method-assign]
        return book

    def spawn(self, name: str = "a", parent: Principal = OPERATOR, **fields: Any) -> Deferred[Any]:
        request = SpawnRequest(name=name, script="/s", **fields)
        permissions = for_level(Level.STANDARD)

        async def find() -> Any:
            raise AssertionError("this preparation needs no script")

        return Deferred.fromCoroutine(self.agents.spawn(parent, request, permissions, find))

    def left(self) -> list[object]:
        """What there is of agents."""
        open_still = set(self.opened) - set(self.closed)
        return [*self.agents.records(), *self.registry, *open_still]


def failure_of(deferred: Deferred[Any]) -> BaseException:
    caught: list[BaseException] = []

    def catch(failure: Failure) -> None:
        assert failure.value is not None
        caught.append(failure.value)

    deferred.addErrback(catch)
    [error] = caught
    return error


def parent(family: int) -> Principal:
    return Principal(family, Kind.AGENT, for_level(Level.UNRESTRICTED))


async def running(fixture: Fixture, name: str, by: Principal = OPERATOR, **fields: Any) -> Any:
    """An agent that was spawned and runs, with what it runs in."""
    spawning = fixture.spawn(name, by, **fields)
    fixture.preparing[-1].callback(None)
    fixture.launching[-1].callback(Box())
    return await spawning
