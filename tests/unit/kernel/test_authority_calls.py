"""The calls do to others what the table of authority says, and no more."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from twisted.internet.defer import succeed

from clove.errors import PermissionDenied
from clove.kernel.agents.restart import restart_policy
from clove.kernel.calls import agents, audit, managing, metrics, permissions
from clove.kernel.context import Context
from clove.kernel.principal import Kind, Principal
from clove.kernel.table import TABLE as SYSCALLS
from clove.messages.agents import KillRequest, LogsRequest, TargetRequest, WaitRequest
from clove.messages.audit import GetAuditLogRequest, SetAuditConfigRequest
from clove.messages.managing import (
    PruneRequest,
    RenameRequest,
    RestartRequest,
    SignalRequest,
)
from clove.messages.metrics import MetricsAgentRequest
from clove.messages.permissions import GetPermsRequest, SetPermsRequest, WhyRequest
from tests.unit.kernel.relations import (
    EXPECTED,
    ME,
    OPERATOR,
    PARENT,
    SIBLING,
    STRANGER,
    TARGETS,
    principal,
)


class Agent:
    """Takes whatever it is told."""

    name, restarts, pid, state, uptime_ms, parent_id = "x", 0, 0, "exited", 0, 0
    ended_ms_ago, command, warm, cgroup, request = 0, "", False, None, None
    isolation: ClassVar[dict[str, Any]] = {}
    labels: ClassVar[dict[str, str]] = {}
    sandbox = SimpleNamespace(signal=lambda number: succeed(None))
    provision = None

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.agent_id = principal.agent_id
        self.pausing = Pausing()
        self.lifecycle = SimpleNamespace(
            over=True,
            status=SimpleNamespace(code=0, signal=None, reason=""),
            reason="exited",
            policy=restart_policy(),
            require_running=lambda what: None,
        )
        self.logbook = SimpleNamespace(lines_since=lambda *_: ([], 0), next_offset=0)

    def wait(self) -> Any:
        return succeed(None)

    def stop(self, grace: float | None = None) -> None: ...

    def restart(self, grace: float | None = None) -> Any:
        return succeed(None)


class Pausing:
    """Of an agent that does as it is told."""

    async def pause(self) -> None: ...

    async def resume(self) -> None: ...


async def _metrics(*_: object) -> dict[str, Any]:
    return {}


KNOWN = {one.agent_id: one for one in TARGETS.values() if one is not None}
KERNEL: Any = SimpleNamespace(
    registry=SimpleNamespace(get=KNOWN.get, find=lambda agent_id: KNOWN[agent_id]),
    agents=SimpleNamespace(
        find=lambda agent_id, **_: Agent(KNOWN[agent_id]),
        rename=lambda agent, name, operator: None,
        known=SimpleNamespace(forget=lambda agent_id: None),
    ),
    audit=SimpleNamespace(query=lambda *_: [], configure=lambda *_: {}),
    metrics=SimpleNamespace(agent=_metrics),
    syscalls=SYSCALLS,
)
CALLS: dict[str, Callable[[Context, int], Any]] = {
    "KILL": lambda ctx, id: agents.kill(ctx, KillRequest(id=id)),
    "PAUSE": lambda ctx, id: agents.pause(ctx, TargetRequest(id=id)),
    "RESUME": lambda ctx, id: agents.resume(ctx, TargetRequest(id=id)),
    "LOGS": lambda ctx, id: agents.logs(ctx, LogsRequest(id=id)),
    "WAIT": lambda ctx, id: agents.wait(ctx, WaitRequest(id=id)),
    "INSPECT": lambda ctx, id: managing.inspect(ctx, TargetRequest(id=id)),
    "RESTART": lambda ctx, id: managing.restart(ctx, RestartRequest(id=id)),
    "SIGNAL": lambda ctx, id: managing.send_signal(ctx, SignalRequest(id=id, signal="HUP")),
    "RENAME": lambda ctx, id: managing.rename(ctx, RenameRequest(id=id, new_name="y")),
    "PRUNE": lambda ctx, id: managing.prune(ctx, PruneRequest(id=id)),
    "GET_PERMS": lambda ctx, id: permissions.get_perms(ctx, GetPermsRequest(agent_id=id)),
    "WHY": lambda ctx, id: permissions.why(
        ctx, WhyRequest(syscall="THINK", agent_id=id, attempt=False)
    ),
    "METRICS_AGENT": lambda ctx, id: metrics.metrics_agent(ctx, MetricsAgentRequest(agent_id=id)),
    "GET_AUDIT_LOG": lambda ctx, id: audit.get_audit_log(ctx, GetAuditLogRequest(agent_id=id)),
    "SET_AUDIT_CONFIG": lambda ctx, id: audit.set_audit_config(ctx, SetAuditConfigRequest()),
}


async def _answer(call: str, context: Context, agent_id: int) -> None:
    answer = CALLS[call](context, agent_id)
    if inspect.isawaitable(answer):
        await answer


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", [Kind.AGENT, Kind.OPERATOR])
async def test_calls_do_as_the_table_says(call: str, kind: Kind) -> None:
    caller = principal(11, 10, 1, kind=kind)
    context = Context(KERNEL, caller)
    for name, target in TARGETS.items():
        if target is None:
            continue
        try:
            await _answer(call, context, target.agent_id)
            served = True
        except PermissionDenied:
            served = False
        expected = EXPECTED[call][kind is Kind.OPERATOR]
        assert served is (name in expected or (call == "SET_AUDIT_CONFIG" and bool(expected))), name


@pytest.mark.parametrize("call", ["GET_PERMS", "WHY", "METRICS_AGENT", "GET_AUDIT_LOG"])
async def test_an_unknown_target_is_refused_like_a_stranger(call: str) -> None:
    context = Context(KERNEL, ME)
    with pytest.raises(PermissionDenied):
        await _answer(call, context, 12345)


async def test_no_descendant_narrows_its_ancestor() -> None:
    for target in (PARENT, OPERATOR, SIBLING, STRANGER):
        with pytest.raises(PermissionDenied):
            permissions.set_perms(
                Context(KERNEL, ME), SetPermsRequest(agent_id=target.agent_id, level="minimal")
            )
