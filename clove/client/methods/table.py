"""The one list of the methods of every client. Standard library only.

A client inherits L{Methods} and has two methods of its own: `ask`, which makes a `Call` and gives
its result, and `stream`, which makes a `StreamCall` (`binding.py` says what these may give). The
blocking client, the Deferred client and asyncio's are such clients; one that reaches a kernel through a relay
is another, and needs no list of its own, either: it says how a call travels, not which calls there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clove.client.methods import (
    agents,
    file_tree,
    managing,
    sharing,
    streams,
    tunnel,
    watching,
    work,
)
from clove.client.methods.binding import method, stream_method

if TYPE_CHECKING:
    from collections.abc import Callable

    from clove.client.call import StreamCall

__all__ = ["Methods"]


class Methods:
    """What every client can ask, bound to its `ask` and `stream`.

    `exit` is not here: each client ends its connection with it in its own way.
    """

    noop = method(work.noop)
    think = method(work.think)
    think_stream = stream_method(work.think_stream)
    exec = method(work.exec)
    exec_stream = stream_method(work.exec_stream)
    read_file = method(work.read_file)
    write_file = method(work.write_file)
    list_directory = method(file_tree.list_directory)
    stat_file = method(file_tree.stat_file)
    make_directory = method(file_tree.make_directory)
    move_file = method(file_tree.move_file)
    remove_file = method(file_tree.remove_file)
    watch_directory = stream_method(file_tree.watch_directory)
    http = method(work.http)
    poll_async = method(work.poll_async)
    llm_report = method(work.llm_report)

    spawn = method(agents.spawn)
    kill = method(agents.kill)
    pause = method(agents.pause)
    resume = method(agents.resume)
    list_agents = method(agents.list_agents)
    logs = method(agents.logs)
    follow_logs = stream_method(agents.follow_logs)
    wait = method(agents.wait)
    read_output = method(streams.read_output)
    hold_output = stream_method(streams.hold_output)
    dial = stream_method(streams.dial)
    close_stream = method(streams.close_stream)
    write_input = method(streams.write_input)
    resize_terminal = method(streams.resize_terminal)
    register_name = method(agents.register_name)
    get_permissions = method(agents.get_permissions)
    set_permissions = method(agents.set_permissions)
    why = method(agents.why)

    inspect = method(managing.inspect)
    restart = method(managing.restart)
    send_signal = method(managing.send_signal)
    rename = method(managing.rename)
    prune = method(managing.prune)
    update_limits = method(managing.update_limits)
    update_ports = method(managing.update_ports)

    send_message = method(sharing.send_message)
    recv_messages = method(sharing.recv_messages)
    ack_messages = method(sharing.ack_messages)
    broadcast = method(sharing.broadcast)
    store = method(sharing.store)
    fetch = method(sharing.fetch)
    delete_key = method(sharing.delete_key)
    list_keys = method(sharing.list_keys)
    subscribe = method(sharing.subscribe)
    unsubscribe = method(sharing.unsubscribe)
    poll_events = method(sharing.poll_events)
    emit_event = method(sharing.emit_event)

    get_system_metrics = method(watching.get_system_metrics)
    get_agent_metrics = method(watching.get_agent_metrics)
    get_all_agent_metrics = method(watching.get_all_agent_metrics)
    get_cgroup_metrics = method(watching.get_cgroup_metrics)
    get_audit_log = method(watching.get_audit_log)
    set_audit_config = method(watching.set_audit_config)

    tunnel_connect = method(tunnel.tunnel_connect)
    tunnel_disconnect = method(tunnel.tunnel_disconnect)
    tunnel_status = method(tunnel.tunnel_status)
    tunnel_remotes = method(tunnel.tunnel_remotes)
    tunnel_config = method(tunnel.tunnel_config)

    def _streamed(
        self: Any, build: Callable[..., StreamCall[Any, Any]], /, *args: Any, **kwargs: Any
    ) -> Any:
        """Make a call with a reply in pieces.

        A client with a `stream` of more arguments overrides this: the method's arguments
        say what they are.
        """
        return self.stream(build(*args, **kwargs))
