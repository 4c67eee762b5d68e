"""What the kernel asks of its audit log."""

# ruff: noqa: N805 - methods of a zope interface have no self

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from zope.interface import Attribute, Interface

from clove.kernel.answers import Answer
from clove.messages.audit import AuditConfig, AuditEntry, SetAuditConfigRequest

__all__ = ["IAuditLog", "RecordDone"]

RecordDone: TypeAlias = Callable[[int, str, object, int], None]
"""Takes (agent id, agent's name, request, family)."""


class IAuditLog(Interface):
    """Entries with ascending ids, in categories that can be switched off.

    L{record} and what L{recorder} gives answer nothing: no request waits for the disk. A log that takes its time puts
    entries down in the order in which they came, and a query sees all that came before it.
    """

    config: AuditConfig = Attribute("What is recorded now.")

    def record(
        category: str,
        event_type: str,
        agent_id: int,
        agent_name: str,
        success: bool,
        details: Mapping[str, object],
        family: int = 0,
    ) -> None:
        """Add an entry, unless its category is switched off.

        Control characters are taken out of all texts, and details are cut to size.

        @param family: the family that the entry counts for (L{clove.sharing.shares}).
        """

    def recorder(category: str, event_type: str, fields: tuple[str, ...]) -> RecordDone:
        """What adds the entries of a syscall that was done, as L{record} would with its details.

        A request is not kept; what is kept of its texts is cut.

        @param fields: those of the request that the details are; one that it has not is null.
        """

    def query(
        category: str | None = None,
        agent_id: int | None = None,
        since_id: int | None = None,
        limit: int = 100,
        family: int = 0,
    ) -> Answer[list[AuditEntry]]:
        """Entries of a category and an agent, oldest first: the first after
        `since_id`, or without it the newest.

        Where that takes long, entries that are recorded until the answer comes may be among them.

        @param family: the family the time of which it takes.
        """

    def configure(
        changes: SetAuditConfigRequest, agent_id: int = 0, agent_name: str = ""
    ) -> Answer[AuditConfig]:
        """Change what is recorded; the change itself always is (category SECURITY).

        @raise LimitExceeded: more entries than may be kept.
        """

    def stop() -> Answer[None]:
        """What was recorded is kept as well as it ever will be; nothing more comes."""
