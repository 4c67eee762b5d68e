"""The table of syscalls: a new one is a line here, a message type and a call.

`needs` names the permission flags of which one suffices, for dispatch and for WHY. A principal may
read what agents share if it may change it, or if it may read files. A line without flags concerns
the caller itself, shows what every agent may know (LIST, the machine's metrics), or is governed by
authority alone (`authority.py`).
"""

from __future__ import annotations

from clove.framing import Opcode
from clove.kernel.calls import (
    agents,
    audit,
    dial,
    events,
    execute,
    file_tree,
    files,
    http,
    listing,
    mail,
    managing,
    metrics,
    output,
    permissions,
    results,
    run,
    state,
    think,
    tunnel,
)
from clove.kernel.syscall import Syscall
from clove.messages import agents as am
from clove.messages import audit as um
from clove.messages import events as em
from clove.messages import execute as xm
from clove.messages import file_tree as dm
from clove.messages import files as fm
from clove.messages import http as hm
from clove.messages import mail as mm
from clove.messages import managing as gm
from clove.messages import metrics as cm
from clove.messages import output as om
from clove.messages import permissions as pm
from clove.messages import session as sm
from clove.messages import state as tm
from clove.messages import think as lm
from clove.messages import tunnel as rm
from clove.policy import explain_exec, explain_http, explain_read, explain_spawn, explain_write

__all__ = ["TABLE"]

LIFECYCLE = "AGENT_LIFECYCLE"
TARGET = ("name", "id")
STREAM = (*TARGET, "stream")

TABLE: dict[int, Syscall] = {
    Opcode.THINK: Syscall(
        lm.ThinkRequest, lm.ThinkReply, think.think, "RESOURCE", needs=("can_think",)
    ),
    Opcode.EXEC: Syscall(
        xm.ExecRequest,
        xm.ExecReply,
        execute.execute,
        "SECURITY",
        ("command",),
        needs=("can_exec",),
        by_arguments=explain_exec,
    ),
    Opcode.READ: Syscall(
        fm.ReadRequest,
        fm.ReadReply,
        files.read,
        "SYSCALL",
        ("path", "agent"),
        needs=("can_read",),
        by_arguments=explain_read,
    ),
    Opcode.WRITE: Syscall(
        fm.WriteRequest,
        fm.WriteReply,
        files.write,
        "SYSCALL",
        ("path", "agent"),
        needs=("can_write",),
        by_arguments=explain_write,
    ),
    Opcode.LISTDIR: Syscall(
        dm.ListDirRequest,
        dm.ListDirReply,
        file_tree.list_directory,
        "SYSCALL",
        ("path", "agent"),
        needs=("can_read",),
        by_arguments=explain_read,
    ),
    Opcode.STAT: Syscall(
        dm.StatRequest,
        dm.StatReply,
        file_tree.stat,
        "SYSCALL",
        ("path", "agent"),
        needs=("can_read",),
        by_arguments=explain_read,
    ),
    Opcode.MKDIR: Syscall(
        dm.MkdirRequest,
        dm.MkdirReply,
        file_tree.mkdir,
        "SYSCALL",
        ("path", "agent"),
        needs=("can_write",),
        by_arguments=explain_write,
    ),
    Opcode.MOVE: Syscall(
        dm.MoveRequest,
        dm.MoveReply,
        file_tree.move,
        "SYSCALL",
        ("path", "to", "agent"),
        needs=("can_write",),
        by_arguments=explain_write,
    ),
    Opcode.REMOVE: Syscall(
        dm.RemoveRequest,
        dm.RemoveReply,
        file_tree.remove,
        "SYSCALL",
        ("path", "agent"),
        needs=("can_write",),
        by_arguments=explain_write,
    ),
    Opcode.WATCH: Syscall(
        dm.WatchRequest,
        dm.WatchReply,
        file_tree.watch,
        "SYSCALL",
        ("path", "agent"),
        needs=("can_read",),
        by_arguments=explain_read,
        streams=True,
    ),
    Opcode.SPAWN: Syscall(
        am.SpawnRequest,
        am.SpawnReply,
        agents.spawn,
        LIFECYCLE,
        ("name", "script", "command", "publish"),
        needs=("can_spawn",),
        by_arguments=explain_spawn,
    ),
    Opcode.KILL: Syscall(am.KillRequest, am.KillReply, agents.kill, LIFECYCLE, TARGET),
    Opcode.LIST: Syscall(am.ListRequest, None, listing.list_agents),
    Opcode.PAUSE: Syscall(am.TargetRequest, am.PauseReply, agents.pause, LIFECYCLE, TARGET),
    Opcode.RESUME: Syscall(am.TargetRequest, am.ResumeReply, agents.resume, LIFECYCLE, TARGET),
    Opcode.LOGS: Syscall(am.LogsRequest, am.LogsReply, agents.logs),
    Opcode.WAIT: Syscall(am.WaitRequest, am.WaitReply, agents.wait),
    Opcode.OUTPUT: Syscall(om.OutputRequest, om.OutputReply, output.output),
    Opcode.INPUT: Syscall(
        om.InputRequest, om.InputReply, output.write_input, read_binary=om.read_binary
    ),
    Opcode.ATTACH: Syscall(om.AttachRequest, om.AttachReply, output.attach, streams=True),
    Opcode.CLOSE_STREAM: Syscall(
        om.CloseStreamRequest, om.CloseStreamReply, output.close_stream, LIFECYCLE, STREAM
    ),
    Opcode.INSPECT: Syscall(am.TargetRequest, gm.InspectReply, managing.inspect),
    Opcode.RESTART: Syscall(
        gm.RestartRequest, gm.RestartReply, managing.restart, LIFECYCLE, TARGET
    ),
    Opcode.SIGNAL: Syscall(
        gm.SignalRequest, gm.SignalReply, managing.send_signal, LIFECYCLE, (*TARGET, "signal")
    ),
    Opcode.RENAME: Syscall(
        gm.RenameRequest, gm.RenameReply, managing.rename, LIFECYCLE, (*TARGET, "new_name")
    ),
    Opcode.PRUNE: Syscall(gm.PruneRequest, gm.PruneReply, managing.prune, LIFECYCLE, TARGET),
    Opcode.UPDATE: Syscall(
        gm.UpdateRequest,
        gm.UpdateReply,
        managing.update,
        LIFECYCLE,
        (*TARGET, "limits", "publish", "unpublish"),
    ),
    Opcode.RESIZE: Syscall(om.ResizeRequest, om.ResizeReply, output.resize),
    Opcode.RUN: Syscall(
        xm.RunRequest, xm.RunReply, run.run, "SECURITY", ("name", "id", "command"), streams=True
    ),
    Opcode.DIAL: Syscall(
        xm.DialRequest, xm.DialReply, dial.dial, "NETWORK", (*TARGET, "port"), streams=True
    ),
    Opcode.SEND: Syscall(
        mm.SendRequest, mm.SendReply, mail.send, "IPC", ("to", "to_name"), needs=("can_message",)
    ),
    Opcode.RECV: Syscall(
        mm.RecvRequest, mm.RecvReply, mail.recv, needs=("can_message", "can_read")
    ),
    Opcode.BROADCAST: Syscall(
        mm.BroadcastRequest, mm.BroadcastReply, mail.broadcast, "IPC", needs=("can_message",)
    ),
    Opcode.REGISTER: Syscall(
        mm.RegisterRequest,
        mm.RegisterReply,
        mail.register,
        "IPC",
        ("name",),
        needs=("can_message",),
    ),
    Opcode.ACK: Syscall(mm.AckRequest, mm.AckReply, mail.ack, needs=("can_message", "can_read")),
    Opcode.STORE: Syscall(
        tm.StoreRequest,
        tm.StoreReply,
        state.store,
        "STATE_STORE",
        ("key", "scope"),
        needs=("can_store",),
    ),
    Opcode.FETCH: Syscall(
        tm.FetchRequest, tm.FetchReply, state.fetch, needs=("can_store", "can_read")
    ),
    Opcode.DELETE: Syscall(
        tm.DeleteRequest,
        tm.DeleteReply,
        state.delete,
        "STATE_STORE",
        ("key",),
        needs=("can_store",),
    ),
    Opcode.KEYS: Syscall(tm.KeysRequest, tm.KeysReply, state.keys, needs=("can_store", "can_read")),
    Opcode.GET_PERMS: Syscall(pm.GetPermsRequest, pm.GetPermsReply, permissions.get_perms),
    Opcode.SET_PERMS: Syscall(
        pm.SetPermsRequest,
        pm.SetPermsReply,
        permissions.set_perms,
        "SECURITY",
        ("agent_id", "level"),
    ),
    Opcode.WHY: Syscall(pm.WhyRequest, pm.WhyReply, permissions.why),
    Opcode.HTTP: Syscall(
        hm.HttpRequest,
        hm.HttpReply,
        http.http,
        "NETWORK",
        ("method", "url"),
        needs=("can_http",),
        by_arguments=explain_http,
    ),
    Opcode.SUBSCRIBE: Syscall(
        em.SubscribeRequest, em.SubscribeReply, events.subscribe, needs=("can_emit", "can_read")
    ),
    Opcode.UNSUBSCRIBE: Syscall(em.UnsubscribeRequest, em.UnsubscribeReply, events.unsubscribe),
    Opcode.POLL_EVENTS: Syscall(
        em.PollEventsRequest, em.PollEventsReply, events.poll_events, needs=("can_emit", "can_read")
    ),
    Opcode.EMIT: Syscall(
        em.EmitRequest, em.EmitReply, events.emit, "IPC", ("event_type",), needs=("can_emit",)
    ),
    Opcode.GET_AUDIT_LOG: Syscall(um.GetAuditLogRequest, um.GetAuditLogReply, audit.get_audit_log),
    Opcode.SET_AUDIT_CONFIG: Syscall(
        um.SetAuditConfigRequest, um.SetAuditConfigReply, audit.set_audit_config, "SECURITY"
    ),
    Opcode.ASYNC_POLL: Syscall(sm.AsyncPollRequest, sm.AsyncPollReply, results.async_poll),
    Opcode.TUNNEL_CONNECT: Syscall(
        rm.TunnelConnectRequest,
        rm.TunnelConnectReply,
        tunnel.connect,
        "SECURITY",
        ("relay_url", "machine_id"),
    ),
    Opcode.TUNNEL_DISCONNECT: Syscall(
        sm.EmptyRequest, rm.TunnelDisconnectReply, tunnel.disconnect, "SECURITY"
    ),
    Opcode.TUNNEL_STATUS: Syscall(sm.EmptyRequest, rm.TunnelStatusReply, tunnel.status),
    Opcode.TUNNEL_LIST_REMOTES: Syscall(
        sm.EmptyRequest, rm.TunnelListRemotesReply, tunnel.list_remotes
    ),
    Opcode.TUNNEL_CONFIG: Syscall(sm.EmptyRequest, rm.TunnelConfigReply, tunnel.config),
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
"""What dispatch serves."""
