"""A whole kernel: its parts, their start, and their end in order."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clove.framing import Opcode
from clove.kernel.attached_commands import AttachedCommands
from clove.kernel.connection.connection import KernelConnection
from clove.kernel.context import Kernel
from clove.kernel.dispatch import Dispatcher
from clove.kernel.files import Commands
from clove.kernel.files.watches import Watches
from clove.kernel.listening import AgentSockets
from clove.kernel.llm import LLM
from clove.kernel.metrics import Metrics
from clove.kernel.principal import Kind, Principal
from clove.kernel.principals import Principals
from clove.kernel.table import TABLE
from clove.kernel.wiring.agents import AgentParts
from clove.kernel.wiring.foundation import Foundation
from clove.kernel.wiring.lifetimes import Lifetimes
from clove.kernel.wiring.network import Network, model_route
from clove.kernel.wiring.remote import make_tunnels
from clove.kernel.wiring.stores import Stores
from clove.policy import Level, for_level
from clove.sandbox.host import HostView
from clove.sharing.shares import OPERATORS

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from clove.channels.channel import Channel
    from clove.kernel.clocks import Wall
    from clove.kernel.compiled import Compiled
    from clove.kernel.config import Config
    from clove.kernel.credentials import Credentials
    from clove.kernel.id_file import IdFile
    from clove.kernel.remote.caller_socket import CallerSocket
    from clove.kernel.state_dir import StateDir
    from clove.messages.metrics import ReactorTurns
    from clove.policy import Permissions

__all__ = ["Parts"]


class Parts:
    """What a kernel is made of. Making them takes the kernel's cgroups, and starts nothing.

    @ivar kernel: those that calls use.
    @ivar principals: of all connections.
    @ivar threads: for what blocks.
    @ivar disposal: for closes that may block.
    @param reactor: its clock is monotonic.
    @param kept: files and directories that no agent may change.
    @param ids: of all that is given an id for ever.
    @param wall: dates what people read.
    @param turns: what the watchdog has seen.
    @param compiled: serves connections, as far as it can.
    """

    def __init__(
        self,
        reactor: Any,
        config: Config,
        state_dir: StateDir,
        kept: tuple[str, ...],
        ids: IdFile,
        wall: Wall = time.time,
        turns: ReactorTurns | None = None,
        compiled: Compiled | None = None,
    ) -> None:
        self._foundation = foundation = Foundation(reactor, config, state_dir, ids, wall)
        self._compiled = compiled
        self.disposal, self.threads = foundation.disposal, foundation.threads
        self._stores = stores = Stores(foundation)
        self._network = network = Network(
            foundation, self._report_refused, stores.observers.connection_carried
        )
        self._llm = LLM(
            reactor,
            config.llm,
            os.environ,
            foundation.limits.shares,
            permissions_of=self._permissions_of,
            route_to=functools.partial(model_route, config.egress),
            load=foundation.import_later,
        )
        lifetimes = Lifetimes(foundation, stores, self._llm)
        self._tunnels = make_tunnels(
            foundation, network, stores, accept=self.accept, noop=self._noop
        )
        limits = foundation.per_connection
        most = limits.max_connections_per_agent
        sockets = AgentSockets(reactor, self.accept, most, self.disposal)
        self._agents = AgentParts(foundation, network, lifetimes, sockets.open, kept)
        self.kernel = self._make_kernel(turns)
        self.principals = sockets.principals = self._make_principals(lifetimes)
        self._dispatcher = Dispatcher(self.kernel, TABLE, warnings=limits.warnings)

    def _make_kernel(self, turns: ReactorTurns | None) -> Kernel:
        foundation, stores, network = self._foundation, self._stores, self._network
        reactor, limits, agents = foundation.reactor, foundation.limits, self._agents.agents
        close = functools.partial(foundation.disposal.close_descriptor, "watches")
        return Kernel(
            clock=reactor,
            loop_time=foundation.loop_time,
            registry=foundation.registry,
            agents=agents,
            mail=stores.mail,
            state=stores.state,
            events=stores.events,
            audit=stores.audit,
            metrics=Metrics(
                reactor,
                foundation.threads,
                agents,
                foundation.registry,
                llm_usage=self._llm.usage,
                traffic=network.gateways.traffic.figures,
                limits=limits.metrics,
                turns=turns,
                next_turn=foundation.loop_time.next_turn,
                begun=foundation.loop_time.begun,
                compiled=self._compiled is not None,
            ),
            llm=self._llm,
            egress=network.egress,
            results=stores.results,
            threads=foundation.threads,
            commands=Commands(reactor, limits.exec, limits.shares, foundation.loop_time.of),
            attached=AttachedCommands(reactor, foundation.pumps, limits.remote.commands),
            file_limits=limits.files,
            watches=Watches(reactor, limits.files.watches, close, limits.shares),
            dry_runs=self._agents.dry_runs,
            gateways=network.gateways,
            dialler=network.dialler,
            tunnels=self._tunnels,
            syscalls=TABLE,
        )

    def _make_principals(self, lifetimes: Lifetimes) -> Principals:
        foundation = self._foundation
        operators = foundation.threads.of((OPERATORS, 0))
        return Principals(
            foundation.reactor,
            foundation.registry,
            foundation.per_connection,
            host=HostView(
                operators, foundation.launcher, os.getcwd(), disposal=foundation.disposal
            ),
            grants=foundation.config.access.uids,
            agent_of=self._agents.finder.of_process,
            opened=lifetimes.open,
            closed=lifetimes.close,
            shares=foundation.limits.shares,
            time=foundation.loop_time,
        )

    # starting and stopping

    def start(self) -> None:
        """Begin to work, in a reactor that runs."""
        foundation = self._foundation
        foundation.threads.start()
        self._agents.zygote.start()  # takes longest, beside all else
        foundation.ids.start(foundation.reactor, foundation.threads)
        self._network.names.start()
        foundation.disposal.start()
        self._agents.log_files.start()
        self._llm.start()
        self._tunnels.start()

    async def stop(self) -> None:
        """Agents end, replies go out, connections close, then the rest; but for the threads."""
        background = self._foundation.background
        self._tunnels.stop()
        await self._agents.dry_runs.stop()
        await self._agents.agents.stop()
        await background.drain()
        for connection in list(self.principals.connections):
            connection.close()
        self.principals.stop()
        background.finish(self._stores.state.stop())
        await background.drain()
        await self._llm.stop()
        await self._agents.zygote.stop()
        self._network.names.stop()
        await self._foundation.threads.run(self._foundation.id_maps.close)
        self.disposal.stop()
        background.finish(self._stores.audit.stop())
        await background.drain()

    def clear(self) -> None:
        """Remove what they have on the host. Blocking.

        @raise OSError: something cannot be removed.
        """
        self._foundation.state_dir.clear()
        if self._agents.cgroups is not None:
            self._agents.cgroups.close()

    # what the parts ask for, and tell each other

    def accept(self, identify: Callable[[], Credentials], channel: Channel) -> None:
        """Serve the peer at the other end of a channel."""
        limits = self._foundation.per_connection
        connection = KernelConnection(
            self._dispatcher, self.principals, limits, channel, self._compiled
        )
        connection.open(identify)

    def _noop(self) -> bytes | Deferred[bytes]:
        """As from a remote caller."""
        prober = Principal(0, Kind.REMOTE, for_level(Level.MINIMAL))
        return self._dispatcher.answer(prober, Opcode.NOOP, b"")

    def caller_socket(self, tunnel_uid: int | None = None) -> CallerSocket:
        """What accepts connections of a tunnel beside this kernel."""
        from clove.kernel.remote.caller_socket import CallerSocket

        tunnels, finder = self._tunnels, self._agents.finder
        clock = self._foundation.reactor
        return CallerSocket(
            clock, tunnels.enter, tunnels.answer_noop, finder.of_process, tunnel_uid
        )

    def _permissions_of(self, agent_id: int) -> Permissions | None:
        principal = self._foundation.registry.get(agent_id)
        return None if principal is None else principal.permissions

    def _report_refused(
        self, principal: Principal, host: str, port: int, rule: str, reason: str
    ) -> None:
        """A gateway has refused a connection."""
        self._stores.observers.connection_refused(principal, host, port, rule, reason)
        self._dispatcher.failed.publish_blocked(principal, "CONNECT", rule)
