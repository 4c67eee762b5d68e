"""GET_AUDIT_LOG and SET_AUDIT_CONFIG: the whole log is the operator's."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from clove.kernel.answers import then
from clove.kernel.authority import may, require
from clove.kernel.context import Context
from clove.messages.audit import (
    AuditConfig,
    AuditEntry,
    GetAuditLogReply,
    GetAuditLogRequest,
    SetAuditConfigReply,
    SetAuditConfigRequest,
)

__all__ = ["get_audit_log", "set_audit_config"]


def get_audit_log(
    ctx: Context, request: GetAuditLogRequest
) -> GetAuditLogReply | Coroutine[Any, Any, GetAuditLogReply]:
    """Entries of the log; for all but operators only one's own.

    @raise PermissionDenied: rule `operator`, for another one's entries.
    """
    agent_id = request.agent_id
    if ctx.push is None:  # on version 1 0 stands for no id
        agent_id = agent_id or None
    caller = ctx.principal
    if agent_id is None and not may(caller, "GET_AUDIT_LOG", None):  # all: strangers' too
        agent_id = caller.agent_id
    if agent_id is not None:
        target = caller if agent_id == caller.agent_id else ctx.kernel.registry.get(agent_id)
        require(caller, "GET_AUDIT_LOG", target, agent_id)
    entries = ctx.kernel.audit.query(
        request.category, agent_id, request.since_id, request.limit, caller.family
    )
    return then(entries, _shown, None)


def _shown(entries: list[AuditEntry], _: None) -> GetAuditLogReply:
    return GetAuditLogReply(count=len(entries), entries=entries)


def set_audit_config(
    ctx: Context, request: SetAuditConfigRequest
) -> SetAuditConfigReply | Coroutine[Any, Any, SetAuditConfigReply]:
    """Change what is recorded.

    @raise PermissionDenied: rule `operator`.
    @raise LimitExceeded: more entries than may be kept.
    """
    principal = ctx.principal
    require(principal, "SET_AUDIT_CONFIG", None)
    config = ctx.kernel.audit.configure(request, principal.agent_id, principal.name)
    return then(config, _configured, None)


def _configured(config: AuditConfig, _: None) -> SetAuditConfigReply:
    return SetAuditConfigReply(config=config)
