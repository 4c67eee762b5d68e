"""What is kept and told: mail, state, results, events and the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clove.kernel.async_results import AsyncResults
from clove.kernel.audit import AuditLog, SecurityFile
from clove.kernel.events import EventBus
from clove.kernel.logs.limits import LogLimits
from clove.kernel.logs.log_file import LogFile
from clove.kernel.mail import Mailboxes
from clove.kernel.observers import Observers
from clove.kernel.state import StateStore
from clove.sharing.shares import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

    from clove.kernel.mail import IMailboxes
    from clove.kernel.state import IStateStore
    from clove.kernel.wiring.foundation import Foundation

__all__ = ["Stores"]


class Stores:
    """All of them.

    @ivar observers: make events and audit entries of what the parts report.
    """

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation
        reactor, limits, ids = foundation.reactor, foundation.limits, foundation.ids
        security_file = _security_file(foundation)
        in_turns = foundation.loop_time.in_turns
        self.audit = AuditLog(
            foundation.wall, limits.audit, security_file, ids.audit.take_always, in_turns
        )
        self.events = EventBus(
            reactor, limits.events, limits.shares, foundation.wall, self._in_time_of
        )
        self.observers = Observers(self.events, self.audit)
        self.mail: IMailboxes = Mailboxes(
            reactor,
            foundation.registry,
            limits.mail,
            self.observers.mail,
            limits.shares,
            ids.messages.take,
            in_turns,
        )
        self.state: IStateStore = StateStore(
            reactor, limits.state, self.observers.state, limits.shares, in_turns
        )
        self.results = AsyncResults(limits.results, limits.shares)

    def _in_time_of(self, source_id: int, call: Callable[[], object]) -> None:
        """As L{clove.kernel.events.spread.InTimeOf}."""
        family = self._foundation.registry.family_of(source_id)
        self._foundation.loop_time.charge(OPERATORS if family is None else family, call)


def _security_file(foundation: Foundation) -> SecurityFile:
    limits, threads = foundation.limits.audit, foundation.threads
    rotation = LogLimits(file=limits.file, files=limits.files)
    file = LogFile(foundation.state_dir.security_log, rotation)

    def append(lines: Callable[[], bytes]) -> Deferred[None]:
        return threads.run(lambda: file.append(lines()))

    return SecurityFile(foundation.reactor, append, limits, foundation.wall)
