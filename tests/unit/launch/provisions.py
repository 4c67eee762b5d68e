"""A provisioner with real directories and threads, and processes that are made up."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from clove.errors import PermissionDenied, Unavailable
from clove.kernel.launch.agent_spec import Host
from clove.kernel.launch.allocation import UserLeases
from clove.kernel.launch.disk_limit import DiskWatches
from clove.kernel.launch.facilities import Facilities
from clove.kernel.launch.limits import AgentLimits
from clove.kernel.launch.program import Program
from clove.kernel.launch.provision import Provision
from clove.kernel.launch.provisioner import Provisioner
from clove.kernel.launch.record import AgentRecord
from clove.kernel.mounts.interpreter import own_interpreter
from clove.kernel.mounts.mount_planner import MountPlanner
from clove.kernel.network.published import Publisher, PublishLimits
from clove.kernel.principal import Kind, Principal
from clove.kernel.state_dir import StateDir
from clove.messages.agents import SpawnRequest
from clove.policy import Level, Permissions, for_level
from clove.sandbox.interface import ExitStatus
from clove.sandbox.spec import Isolation
from clove.sandbox.zygote.ids import IdRange
from clove.threads.threads import Threads

ID = 1 << 16
"""An agent whose user id is the first of all."""
BASE = os.getuid() or 0x70000000


class Script:
    """A program that was found. @see: L{clove.kernel.launch.program.Program}."""

    found_now = True
    reader: Permissions | None = None

    def __init__(self, path: str, text: bytes = b"print(1)\n") -> None:
        self.path = self.source = path
        self.interpreter = own_interpreter()
        self.text = text
        self.closed = 0

    async def find(self) -> Program:
        return self

    def check(self, path: str) -> None:
        """It may be read."""

    def load(self) -> bytes:
        return self.text

    def close(self) -> None:
        self.closed += 1


class Child:
    """A process that is to become an agent."""

    cgroup = None

    def __init__(self) -> None:
        self.abandoned = 0
        self.opened: list[Any] = []

    def abandon(self) -> None:
        self.abandoned += 1

    def open_ahead(self, binds: Any) -> None:
        self.opened.extend(binds)


class Box:
    """A sandbox that has started."""

    pid = 9
    warm = False

    def __init__(self, spec: Any) -> None:
        self.spec = spec
        self.isolation = Isolation(namespaces={}, cgroup=bool(spec.cgroup_procs))
        self.done: Deferred[ExitStatus] = Deferred()


class Launcher:
    """Starts nothing; says what it was asked for."""

    def __init__(self) -> None:
        self.pool: list[Child] = []
        self.forked: list[Child] = []
        self.launched: list[tuple[Any, Any]] = []
        self.error: Exception | None = None

    def preforked(self) -> Child | None:
        return self.pool.pop() if self.pool else None

    async def fork(self, cgroup: Any) -> Child:
        self.forked.append(Child())
        return self.forked[-1]

    async def launch(
        self,
        spec: Any,
        output: Any,
        fallback: Any,
        adopt: Any,
        child: Any,
        threads: Any,
        stdin: Any,
    ) -> Box:
        if self.error is not None:
            raise self.error
        self.launched.append((spec, child))
        return Box(spec)


class Cgroup:
    """A cgroup in memory."""

    applied = frozenset({"memory", "pids", "cpu"})

    def __init__(self, number: int, limits: Any) -> None:
        self.path = f"/cgroup/{number}"
        self.procs_path = f"{self.path}/cgroup.procs"
        self.limits = limits
        self.told: list[str] = []
        self.error: OSError | None = None

    @property
    def events(self) -> Any:
        raise OSError

    def thaw(self) -> None:
        self.told.append("thaw")

    def remove(self) -> None:
        self.told.append("remove")
        if self.error is not None:
            raise self.error


class Cgroups:
    """All of them."""

    def __init__(self) -> None:
        self.made: dict[int, Cgroup] = {}
        self.error: OSError | None = None

    def create(self, number: int, limits: Any) -> Cgroup:
        if self.error is not None:
            raise self.error
        self.made[number] = Cgroup(number, limits)
        return self.made[number]


class Gateway:
    """A gateway that carries nothing."""

    def __init__(self, gateways: list[Gateway]) -> None:
        self._gateways = gateways
        gateways.append(self)

    def adopt(self, descriptors: list[int]) -> None:
        """There are none."""

    def close(self) -> None:
        self._gateways.remove(self)


class Fixture:
    """A provisioner and what it has."""

    def __init__(self, directory: str, threads: Threads) -> None:
        self.directory = directory
        self.state_dir = StateDir(f"{directory}/state")
        self.state_dir.prepare()
        self.launcher = Launcher()
        self.cgroups = Cgroups()
        self.leases = UserLeases(IdRange(BASE))
        self.sockets: set[str] = set()
        self.gateways: list[Gateway] = []
        self.refused_reader = ""
        self.clock = Clock()
        self.asked_for_disks = 0
        launcher: Any = self.launcher
        cgroups: Any = self.cgroups
        self.provisioner = Provisioner(
            Facilities(
                threads=threads,
                state_dir=self.state_dir,
                cgroups=cgroups,
                launcher=launcher,
                host=Host("/lib/clove", frozenset({"memory", "pids", "cpu"}), True, {}, "/srv"),
                bounds=AgentLimits(),
                mounts=MountPlanner(self.state_dir, "/lib/clove", (), mounts=9, entries=99),
                listen=self.listen,
                open_gateway=self.open_gateway,
                open_ports=Publisher(None, PublishLimits(), None, os.close).open,
                disks=self.disks,
                check_reader=self.check_reader,
                users=self.leases,
            )
        )

    def disks(self) -> DiskWatches:
        self.asked_for_disks += 1
        return DiskWatches(self.clock, AgentLimits(), None)

    async def listen(self, principal: Principal, path: str) -> Any:
        self.sockets.add(path)

        def close() -> Deferred[None]:
            self.sockets.discard(path)
            return succeed(None)

        return close

    async def open_gateway(self, principal: Principal, log: Callable[[bytes], None]) -> Any:
        return Gateway(self.gateways)

    def check_reader(self, record: AgentRecord, path: str) -> None:
        if self.refused_reader and path.startswith(self.refused_reader):
            raise PermissionDenied(f"not {path}", rule="blocked_paths")

    def record(self, agent_id: int = ID, **fields: Any) -> AgentRecord:
        return AgentRecord(
            agent_id=agent_id,
            ancestors=(1,),
            family=agent_id,
            request=SpawnRequest(name="a", script="/a.py", **fields),
            permissions=for_level(Level.STANDARD),
            network=False,
        )

    async def prepared(self, record: AgentRecord, script: Script | None = None) -> Provision:
        find = script.find if script is not None else None
        return await self.provisioner.prepare(principal_of(record), record, find)

    @property
    def left(self) -> list[str]:
        """What there is of agents on the host."""
        agents = os.listdir(f"{self.state_dir.path}/agents")
        cgroups = [one.path for one in self.cgroups.made.values() if "remove" not in one.told]
        return [*agents, *cgroups, *self.sockets, *map(str, self.gateways)]


def principal_of(record: AgentRecord) -> Principal:
    return Principal(
        record.agent_id,
        Kind.AGENT,
        record.permissions,
        family=record.family,
        sandboxed=record.request.sandboxed,
    )


def ignore_output(stream: int, data: bytes) -> None:
    """Take no notice of what an agent writes."""


class Refusing(set[str]):
    """Sockets that cannot be opened."""

    def add(self, path: str) -> None:
        raise Unavailable(path)
