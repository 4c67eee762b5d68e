"""Everything that can be asked of the kernel, each once, as a pure function.

A function here takes what a caller says and gives a `Call`. The clients bind
these functions as their methods, so a signature or a docstring is written here
and nowhere else. Standard library only.

Where a method takes an agent it is its name or its id; `name` and `agent_id`
by keyword say which. Replies are the JSON objects of `docs/wire.md`.
"""

from clove.client.vocabulary.agents import (
    follow_logs,
    get_permissions,
    kill,
    list_agents,
    logs,
    pause,
    register_name,
    resume,
    set_permissions,
    spawn,
    wait,
    why,
)
from clove.client.vocabulary.sharing import (
    ack_messages,
    broadcast,
    delete_key,
    emit_event,
    fetch,
    list_keys,
    poll_events,
    recv_messages,
    send_message,
    store,
    subscribe,
    unsubscribe,
)
from clove.client.vocabulary.watching import (
    get_agent_metrics,
    get_all_agent_metrics,
    get_audit_log,
    get_cgroup_metrics,
    get_system_metrics,
    set_audit_config,
)
from clove.client.vocabulary.work import (
    exec,
    exec_stream,
    exit,
    http,
    llm_report,
    noop,
    poll_async,
    read_file,
    think,
    think_stream,
    write_file,
)

__all__ = [
    "ack_messages",
    "broadcast",
    "delete_key",
    "emit_event",
    "exec",
    "exec_stream",
    "exit",
    "fetch",
    "follow_logs",
    "get_agent_metrics",
    "get_all_agent_metrics",
    "get_audit_log",
    "get_cgroup_metrics",
    "get_permissions",
    "get_system_metrics",
    "http",
    "kill",
    "list_agents",
    "list_keys",
    "llm_report",
    "logs",
    "noop",
    "pause",
    "poll_async",
    "poll_events",
    "read_file",
    "recv_messages",
    "register_name",
    "resume",
    "send_message",
    "set_audit_config",
    "set_permissions",
    "spawn",
    "store",
    "subscribe",
    "think",
    "think_stream",
    "unsubscribe",
    "wait",
    "why",
    "write_file",
]
