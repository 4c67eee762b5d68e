"""One agent on a clock of its own, in sandboxes that note what they are told."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from clove.errors import Unavailable
from clove.kernel.agents.agent import Agent
from clove.kernel.agents.end_limiter import EndLimiter
from clove.kernel.agents.lifecycle import Lifecycle
from clove.kernel.agents.restart import restart_policy
from clove.kernel.launch.launch import Launched
from clove.kernel.logs.limits import LogLimits
from clove.kernel.logs.logbook import Logbook
from clove.kernel.mounts.mount_request import MountRequest
from clove.kernel.principal import Kind, Principal
from clove.policy import Level, for_level
from clove.sandbox.interface import ExitStatus, ISandbox
from clove.sandbox.spec import SandboxSpec


@implementer(ISandbox)
class Box:
    """A sandbox that remembers what it was told."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.processes = (pid,)
        self.done: Deferred[ExitStatus] = Deferred()
        self.warm = False
        self.told: list[str] = []

    def resolve(self, path: str) -> Any:
        raise AssertionError("not asked for here")

    def enter(self, path: str) -> Any:
        raise AssertionError("not asked for here")

    def on_host(self, path: str) -> Any:
        raise AssertionError("not asked for here")

    def run(self, command: Any, output: Any) -> Any:
        raise AssertionError("not asked for here")

    def terminate(self) -> None:
        self.told.append("terminate")

    def kill(self) -> None:
        self.told.append("kill")
        if not self.done.called:
            self.done.callback(ExitStatus(signal=9))

    @property
    def outputs(self) -> Any:
        return self

    def hold(self, hold: bool) -> None:
        self.told.append("hold" if hold else "go on")

    def widen(self) -> None:
        self.told.append("widen")

    def read_in(self, time: object) -> None:
        self.told.append("read in")

    def divert(self, taker: object) -> None:
        self.told.append("divert")

    def stall(self, stream: int, stall: bool) -> None:
        self.told.append(f"stall {stream}" if stall else f"go on with {stream}")

    def signal(self, number: int) -> Deferred[None]:
        self.told.append(f"signal {number}")
        return succeed(None)

    def pause(self) -> Deferred[None]:
        self.told.append("pause")
        return succeed(None)

    def resume(self) -> Deferred[None]:
        self.told.append("resume")
        return succeed(None)

    def open_sockets(self) -> Deferred[list[int]]:
        raise AssertionError("no port is published here")


def launched(box: Any) -> Launched:
    return Launched(box, SandboxSpec(argv=("python",)), MountRequest(), {}, None)


class AgentFixture:
    """One agent, its clock, and what was told of it."""

    def __init__(self, policy: str = "never", most: int = 5) -> None:
        self.clock = Clock()
        self.boxes: list[Box] = []
        self.events: list[str] = []
        self.over = 0
        self.fails = False
        self.ends = EndLimiter(self.clock, 1, 0.5)
        principal = Principal(4, Kind.AGENT, for_level(Level.STANDARD), name="a", ancestors=(1,))
        self.agent = Agent(
            principal,
            Lifecycle(restart_policy(policy, most)),
            Logbook(None, None, LogLimits(), lambda: 0.0),  # type: ignore[arg-type]
            clock=self.clock,
            launch=self.launch,
            notify=lambda agent, event, data: self.events.append(event),
            over=self.ended,
            grace=5,
            ends=self.ends,
        )
        self.agent.logbook.append_output = lambda stream, data: None  # type: ignore[method-assign]

    async def launch(self, agent: Agent) -> Any:
        if self.fails:
            raise Unavailable("no more of it")
        self.boxes.append(Box(100 + len(self.boxes)))
        return launched(self.boxes[-1])

    def ended(self, agent: Agent) -> None:
        self.over += 1

    def start(self) -> AgentFixture:
        Deferred.fromCoroutine(self.agent.start())
        return self

    @property
    def box(self) -> Box:
        return self.boxes[-1]
