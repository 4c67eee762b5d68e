"""What a call is given: who asks, the kernel's parts, and a way to stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from clove.kernel.agents import Agents
    from clove.kernel.attempts import Attempts
    from clove.kernel.audit import AuditLog
    from clove.kernel.egress import Egress
    from clove.kernel.events import EventBus
    from clove.kernel.files import Commands, FileLimits
    from clove.kernel.gateway import Gateways
    from clove.kernel.llm import LLM
    from clove.kernel.mail import Mailboxes
    from clove.kernel.metrics import Metrics
    from clove.kernel.pending import AsyncResults
    from clove.kernel.principal import Principal
    from clove.kernel.registry import Registry
    from clove.kernel.state import StateStore
    from clove.kernel.stream import Stream
    from clove.kernel.threads import Threads
    from clove.messages import Reply

__all__ = ["Context", "Kernel"]


@dataclass(slots=True)
class Kernel:
    """The kernel's parts. `wiring.py` builds it; calls only read it."""

    clock: IReactorTime
    registry: Registry
    agents: Agents
    mail: Mailboxes
    state: StateStore
    events: EventBus
    audit: AuditLog
    metrics: Metrics
    llm: LLM
    egress: Egress
    results: AsyncResults
    threads: Threads
    commands: Commands
    file_limits: FileLimits
    attempts: Attempts
    gateways: Gateways


@dataclass(slots=True)
class Context:
    """One request's surroundings.

    @ivar stream: sends one more partial reply before the last (version 2 with
        `stream` or `follow`); None where the client cannot take it.
    @ivar push: sends an unasked frame on this connection, False if it could not;
        None on version 1.
    """

    kernel: Kernel
    principal: Principal
    stream: Stream | None = None
    push: Callable[[Reply], bool] | None = None

    @property
    def protocol_version(self) -> int:
        """1 or 2: what the connection speaks."""
        return 1 if self.push is None else 2
