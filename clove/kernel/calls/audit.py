"""GET_AUDIT_LOG and SET_AUDIT_CONFIG: the whole log is the operator's."""

from __future__ import annotations

from clove.errors import PermissionDenied
from clove.kernel.context import Context
from clove.messages.audit import (
    GetAuditLogReply,
    GetAuditLogRequest,
    SetAuditConfigReply,
    SetAuditConfigRequest,
)

__all__ = ["get_audit_log", "set_audit_config"]


def get_audit_log(ctx: Context, request: GetAuditLogRequest) -> GetAuditLogReply:
    """Entries of the log; for all but operators only one's own.

    @raise PermissionDenied: rule `operator`, for another one's entries.
    """
    agent_id = request.agent_id
    if not ctx.principal.is_operator:
        own = ctx.principal.agent_id
        if agent_id not in (None, own):
            raise PermissionDenied(
                "an agent sees its own audit entries only",
                rule="operator",
                hint="ask without agent_id",
            )
        agent_id = own
    entries = ctx.kernel.audit.query(request.category, agent_id, request.since_id, request.limit)
    return GetAuditLogReply(count=len(entries), entries=entries)


def set_audit_config(ctx: Context, request: SetAuditConfigRequest) -> SetAuditConfigReply:
    """Change what is recorded.

    @raise PermissionDenied: rule `operator`.
    @raise LimitExceeded: more entries than may be kept.
    """
    principal = ctx.principal
    if not principal.is_operator:
        raise PermissionDenied("only the operator changes what is recorded", rule="operator")
    config = ctx.kernel.audit.configure(request, principal.agent_id, principal.name)
    return SetAuditConfigReply(config=config)
