"""What was refused: by relays, and by kernels to requests of their REST API."""

from __future__ import annotations

import msgspec

from clove.relay.rest.audit_types import Audit, AuditEntry
from clove.relay.rest.context import Context, shown_time
from clove.relay.rest.route import Call

__all__ = ["list_denials"]


async def list_denials(context: Context, call: Call) -> Audit:
    """The newest first."""
    query = call.query
    found = await context.audit.read(
        query.before, query.limit + 1, kind=query.kind, machine_id=query.machine_id
    )
    shown = [
        AuditEntry(
            id=each.id,
            at=shown_time(each.at),
            last=shown_time(each.last),
            count=each.count,
            **msgspec.structs.asdict(each.refusal),
        )
        for each in found[: query.limit]
    ]
    return Audit(entries=shown, next=shown[-1].id if len(found) > query.limit else 0)
