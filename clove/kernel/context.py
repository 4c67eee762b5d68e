"""What a call is given: the caller, the kernel's parts, and a way to stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from clove.kernel.agents import Agents
    from clove.kernel.async_results import AsyncResults
    from clove.kernel.attached_commands import AttachedCommands
    from clove.kernel.audit import IAuditLog
    from clove.kernel.connection.stream import Stream
    from clove.kernel.dry_run import DryRunsOnDemand
    from clove.kernel.events import EventBus
    from clove.kernel.files import Commands, FileLimits
    from clove.kernel.files.watches import Watches
    from clove.kernel.llm import LLM
    from clove.kernel.loop_time import LoopTime
    from clove.kernel.mail import IMailboxes
    from clove.kernel.metrics import Metrics
    from clove.kernel.network.egress.fetch import Egress
    from clove.kernel.network.gateway import Gateways
    from clove.kernel.network.published.dialler import Dialler
    from clove.kernel.principal import Principal
    from clove.kernel.registry import Registry
    from clove.kernel.remote.tunnels import Tunnels
    from clove.kernel.state import IStateStore
    from clove.kernel.syscall import Syscall
    from clove.messages import Reply
    from clove.threads.threads import Threads

__all__ = ["Context", "Kernel"]


class Kernel(Struct):
    """The kernel's parts. `wiring/` builds it; calls only read it."""

    clock: IReactorTime
    loop_time: LoopTime
    registry: Registry
    agents: Agents
    mail: IMailboxes
    state: IStateStore
    events: EventBus
    audit: IAuditLog
    metrics: Metrics
    llm: LLM
    egress: Egress
    results: AsyncResults
    threads: Threads
    commands: Commands
    attached: AttachedCommands
    file_limits: FileLimits
    watches: Watches
    dry_runs: DryRunsOnDemand
    gateways: Gateways
    dialler: Dialler
    tunnels: Tunnels
    syscalls: Mapping[int, Syscall]


class Context(Struct):
    """One request's surroundings.

    @ivar stream: sends one more partial reply before the last (version 2 with
        `stream` or `follow`); None where the client cannot take it.
    @ivar push: sends an unasked frame on this connection, False if it could not;
        None on version 1 of the wire.
    """

    kernel: Kernel
    principal: Principal
    stream: Stream | None = None
    push: Callable[[Reply], bool] | None = None
