"""What is done to agents beside starting and ending them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clove.client.call import Call, optional
from clove.client.methods.target import agent_fields
from clove.errors import InvalidRequest
from clove.framing import Opcode

if TYPE_CHECKING:
    from clove.client.results import (
        InspectReply,
        PruneReply,
        RenameReply,
        RestartReply,
        SignalReply,
        UpdateReply,
    )

__all__ = [
    "inspect",
    "prune",
    "rename",
    "restart",
    "send_signal",
    "update_limits",
    "update_ports",
]


def inspect(name: str | int | None = None, *, agent_id: int | None = None) -> Call[InspectReply]:
    """All that is known of an agent, also of one that has ended.

    @return: success, agent (as `list_agents` has it), script, args, command, cwd, python, env
        (names alone), restart_policy, max_restarts, sandboxed, network, warm, ancestors, limits,
        permissions, isolation, cgroup.
    @raise NotFound, PermissionDenied:
    """
    return Call(Opcode.INSPECT, agent_fields(name, agent_id), idempotent=True)


def restart(
    name: str | int | None = None, *, agent_id: int | None = None, grace: float | None = None
) -> Call[RestartReply]:
    """End an agent's process and start it anew, under its id; answers when it runs again.

    @param grace: seconds between SIGTERM and SIGKILL (default: the kernel's).
    @return: success, restarted, agent_id, pid, restarts.
    @raise InvalidRequest: it does not run. @raise NotFound, PermissionDenied:
    """
    fields = {**agent_fields(name, agent_id), **optional(grace=grace)}
    return Call(Opcode.RESTART, fields, patience=grace or 0.0)


def send_signal(
    name: str | int | None = None, signal: str | int = "SIGTERM", *, agent_id: int | None = None
) -> Call[SignalReply]:
    """Send a signal to an agent's main program alone; its restart policy sees how it ends.

    @param signal: a name (`SIGHUP`, `HUP`) or a number.
    @return: success, signalled, agent_id, signal (its name).
    @raise InvalidRequest: no such signal, or it does not run.
    """
    return Call(Opcode.SIGNAL, {**agent_fields(name, agent_id), "signal": signal})


def rename(
    name: str | int | None = None, new_name: str = "", *, agent_id: int | None = None
) -> Call[RenameReply]:
    """Give an agent another name; the old one is free then.

    @return: success, agent_id, name, old_name.
    @raise AlreadyExists: another live agent bears it.
    """
    return Call(Opcode.RENAME, {**agent_fields(name, agent_id), "new_name": new_name})


def prune(
    name: str | int | None = None,
    *,
    agent_id: int | None = None,
    older_than: float | None = None,
) -> Call[PruneReply]:
    """Forget ended agents: the one that is named, else all that one may manage.

    @param older_than: only those that ended at least so many seconds ago.
    @return: success, count, agent_ids.
    """
    if name is None and agent_id is None:
        return Call(Opcode.PRUNE, {"older_than": older_than or 0})
    if older_than is not None:
        raise InvalidRequest("older_than is for all ended agents, not for one that is named")
    return Call(Opcode.PRUNE, agent_fields(name, agent_id))


def update_limits(
    name: str | int | None = None,
    limits: Mapping[str, int] | None = None,
    *,
    agent_id: int | None = None,
) -> Call[UpdateReply]:
    """Change the limits of a running agent: those that are named, the others stay.

    @param limits: as of `spawn`: memory (bytes), max_pids, cpu_quota and cpu_period (us),
        cpu_shares, tmp and shm (bytes).
    @return: success, agent_id, limits (all that it has now), applied (which bind its processes from
        now on), at_restart (which bind from its next start on).
    @raise PermissionDenied: more than its parent has. @raise IsolationUnavailable:
    @raise InvalidRequest: it uses more memory than that already.
    """
    return Call(Opcode.UPDATE, {**agent_fields(name, agent_id), "limits": dict(limits or {})})


def update_ports(
    name: str | int | None = None,
    publish: Sequence[Mapping[str, Any]] = (),
    unpublish: Sequence[int] = (),
    *,
    agent_id: int | None = None,
) -> Call[UpdateReply]:
    """Change which ports of a running agent are reachable on the host's loopback. For operators.

    @param publish: {port, host, host_port} of each; the host is 127.0.0.1 and its port the same
        where they are left out, and 0 is one that is free.
    @param unpublish: ports of the host; their connections are reset.
    @return: success, agent_id, published (all of its ports: port, host, host_port, connections).
    @raise Unavailable: a port is in use. @raise NotFound: one is not published for this agent.
    """
    asked = {"publish": [dict(one) for one in publish], "unpublish": list(unpublish)}
    fields = {**agent_fields(name, agent_id), **optional(**asked)}
    return Call(Opcode.UPDATE, fields)
