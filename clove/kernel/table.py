"""The table of syscalls: a new one is a line here, a message type and a call."""

from __future__ import annotations

from dataclasses import replace

from clove.framing import Opcode
from clove.kernel.calls import (
    agents,
    audit,
    events,
    execute,
    files,
    http,
    mail,
    metrics,
    permissions,
    results,
    state,
    think,
)
from clove.kernel.dispatch import Syscall
from clove.messages import agents as am
from clove.messages import audit as um
from clove.messages import events as em
from clove.messages import execute as xm
from clove.messages import files as fm
from clove.messages import http as hm
from clove.messages import mail as mm
from clove.messages import metrics as cm
from clove.messages import permissions as pm
from clove.messages import session as sm
from clove.messages import state as tm
from clove.messages import think as lm
from clove.policy import NEEDS

__all__ = ["TABLE"]

LIFE = "AGENT_LIFECYCLE"
WHO = ("name", "id")

_CALLS: dict[Opcode, Syscall] = {
    Opcode.THINK: Syscall(lm.ThinkRequest, lm.ThinkReply, think.think, "RESOURCE"),
    Opcode.EXEC: Syscall(xm.ExecRequest, xm.ExecReply, execute.execute, "SECURITY", ("command",)),
    Opcode.READ: Syscall(fm.ReadRequest, fm.ReadReply, files.read, "SYSCALL", ("path",)),
    Opcode.WRITE: Syscall(fm.WriteRequest, fm.WriteReply, files.write, "SYSCALL", ("path",)),
    Opcode.SPAWN: Syscall(am.SpawnRequest, am.SpawnReply, agents.spawn, LIFE, ("name", "script")),
    Opcode.KILL: Syscall(am.TargetRequest, am.KillReply, agents.kill, LIFE, WHO),
    Opcode.LIST: Syscall(sm.EmptyRequest, None, agents.list_agents),
    Opcode.PAUSE: Syscall(am.TargetRequest, am.PauseReply, agents.pause, LIFE, WHO),
    Opcode.RESUME: Syscall(am.TargetRequest, am.ResumeReply, agents.resume, LIFE, WHO),
    Opcode.LOGS: Syscall(am.LogsRequest, am.LogsReply, agents.logs),
    Opcode.WAIT: Syscall(am.WaitRequest, am.WaitReply, agents.wait),
    Opcode.SEND: Syscall(mm.SendRequest, mm.SendReply, mail.send, "IPC", ("to", "to_name")),
    Opcode.RECV: Syscall(mm.RecvRequest, mm.RecvReply, mail.recv),
    Opcode.BROADCAST: Syscall(mm.BroadcastRequest, mm.BroadcastReply, mail.broadcast, "IPC"),
    Opcode.REGISTER: Syscall(mm.RegisterRequest, mm.RegisterReply, mail.register, "IPC", ("name",)),
    Opcode.ACK: Syscall(mm.AckRequest, mm.AckReply, mail.ack),
    Opcode.STORE: Syscall(
        tm.StoreRequest, tm.StoreReply, state.store, "STATE_STORE", ("key", "scope")
    ),
    Opcode.FETCH: Syscall(tm.FetchRequest, tm.FetchReply, state.fetch),
    Opcode.DELETE: Syscall(tm.DeleteRequest, tm.DeleteReply, state.delete, "STATE_STORE", ("key",)),
    Opcode.KEYS: Syscall(tm.KeysRequest, tm.KeysReply, state.keys),
    Opcode.GET_PERMS: Syscall(pm.GetPermsRequest, pm.GetPermsReply, permissions.get_perms),
    Opcode.SET_PERMS: Syscall(
        pm.SetPermsRequest,
        pm.SetPermsReply,
        permissions.set_perms,
        "SECURITY",
        ("agent_id", "level"),
    ),
    Opcode.WHY: Syscall(pm.WhyRequest, pm.WhyReply, permissions.why),
    Opcode.HTTP: Syscall(hm.HttpRequest, hm.HttpReply, http.http, "NETWORK", ("method", "url")),
    Opcode.SUBSCRIBE: Syscall(em.SubscribeRequest, em.SubscribeReply, events.subscribe),
    Opcode.UNSUBSCRIBE: Syscall(em.UnsubscribeRequest, em.UnsubscribeReply, events.unsubscribe),
    Opcode.POLL_EVENTS: Syscall(em.PollEventsRequest, em.PollEventsReply, events.poll_events),
    Opcode.EMIT: Syscall(em.EmitRequest, em.EmitReply, events.emit, "IPC", ("event_type",)),
    Opcode.GET_AUDIT_LOG: Syscall(um.GetAuditLogRequest, um.GetAuditLogReply, audit.get_audit_log),
    Opcode.SET_AUDIT_CONFIG: Syscall(
        um.SetAuditConfigRequest, um.SetAuditConfigReply, audit.set_audit_config, "SECURITY"
    ),
    Opcode.ASYNC_POLL: Syscall(sm.AsyncPollRequest, sm.AsyncPollReply, results.async_poll),
    Opcode.METRICS_SYSTEM: Syscall(sm.EmptyRequest, cm.MetricsSystemReply, metrics.metrics_system),
    Opcode.METRICS_AGENT: Syscall(
        cm.MetricsAgentRequest, cm.MetricsAgentReply, metrics.metrics_agent
    ),
    Opcode.METRICS_ALL_AGENTS: Syscall(
        sm.EmptyRequest, cm.MetricsAllAgentsReply, metrics.metrics_all_agents
    ),
    Opcode.METRICS_CGROUP: Syscall(
        cm.MetricsCgroupRequest, cm.MetricsCgroupReply, metrics.metrics_cgroup
    ),
    Opcode.LLM_REPORT: Syscall(
        lm.LLMReportRequest, lm.LLMReportReply, think.llm_report, "RESOURCE", ("tokens",)
    ),
}
TABLE: dict[int, Syscall] = {
    opcode: replace(syscall, needs=NEEDS.get(opcode.name, ())) for opcode, syscall in _CALLS.items()
}
"""What dispatch serves, each with the permission flags that it needs."""
