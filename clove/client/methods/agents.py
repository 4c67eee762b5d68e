"""Agents: their life, their output, their names and their permissions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clove.client.call import Call, Reply, StreamCall, optional
from clove.client.methods.target import agent_fields
from clove.framing import Opcode

if TYPE_CHECKING:
    from clove.client.results import (
        AgentEntry,
        GetPermsReply,
        KillReply,
        LogLine,
        LogsReply,
        PauseReply,
        RegisterReply,
        ResumeReply,
        SetPermsReply,
        SpawnReply,
        WaitReply,
        WhyReply,
    )

__all__ = [
    "follow_logs",
    "get_permissions",
    "kill",
    "list_agents",
    "logs",
    "pause",
    "register_name",
    "resume",
    "set_permissions",
    "spawn",
    "wait",
    "why",
]


def spawn(
    name: str,
    script: str | None = None,
    *,
    args: Sequence[str] | None = None,
    command: Sequence[str] | None = None,
    socket_argument: bool | None = None,
    cwd: str | None = None,
    python: str | None = None,
    env: Mapping[str, str] | None = None,
    sandboxed: bool = True,
    network: bool | None = None,
    mounts: Sequence[Mapping[str, Any]] | None = None,
    limits: Mapping[str, int] | None = None,
    permissions: Mapping[str, Any] | str | None = None,
    restart_policy: str = "never",
    max_restarts: int | None = None,
    restart_window: float | None = None,
    timeout: float | None = None,
    llm_budget: int | Mapping[str, int] | None = None,
    allow_degraded: bool = False,
    degrade: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    warm: bool | None = None,
    attach: bool | None = None,
    stdin: Mapping[str, str] | str | None = None,
    tty: Mapping[str, int] | None = None,
    publish: Sequence[Mapping[str, Any]] | None = None,
    secrets: Mapping[str, Mapping[str, Any]] | None = None,
    forget: bool | None = None,
) -> Call[SpawnReply]:
    """Start an agent: `python SCRIPT SOCKET ARGS...`, or a command as it is (docs/wire.md, SPAWN).

    A relative `script` is the caller's file if that is there, else the kernel's.

    @return: success, id and agent_id, name, pid, status, restart_policy, warm, isolation, published.
    @raise CloveError: it does not run.
    """
    fields = optional(**locals())  # the parameters, which are named as the request's fields
    return Call(Opcode.SPAWN, fields, local=("script",))


def kill(
    name: str | int | None = None, *, agent_id: int | None = None, grace: float | None = None
) -> Call[KillReply]:
    """End an agent and everything it started; it is not restarted.

    @param grace: seconds between SIGTERM and SIGKILL (default: the kernel's).

    @return: success, killed, agent_id.
    @raise NotFound, PermissionDenied:
    """
    fields = {**agent_fields(name, agent_id), **optional(grace=grace)}
    return Call(Opcode.KILL, fields, patience=grace or 0.0)


def pause(name: str | int | None = None, *, agent_id: int | None = None) -> Call[PauseReply]:
    """Stop an agent's processes until `resume`. Gives success, paused, agent_id."""
    return Call(Opcode.PAUSE, agent_fields(name, agent_id))


def resume(name: str | int | None = None, *, agent_id: int | None = None) -> Call[ResumeReply]:
    """Let a paused agent go on. Gives success, resumed, agent_id."""
    return Call(Opcode.RESUME, agent_fields(name, agent_id))


def list_agents(*, all: bool | None = None) -> Call[list[AgentEntry]]:
    """The agents: id, name, pid, state, running, uptime_ms, parent_id, restarts, command.

    @param all: also those that have ended and are still known; they have `ended`
        {exit_code, signal, reason, limit, ms_ago}.
    """
    return Call(Opcode.LIST, optional(all=all), idempotent=True)


def logs(
    name: str | int | None = None, *, agent_id: int | None = None, since: int | None = None
) -> Call[LogsReply]:
    """An agent's output so far.

    @param since: offset of the first line wanted, as an earlier reply gave it.
    @return: success, agent_id, lines: a list of {offset, stream, text,
        timestamp}, next (the offset to ask for next), lost (lines no longer
        held).
    @raise NotFound, PermissionDenied:
    """
    fields = {**agent_fields(name, agent_id), **optional(since=since)}
    return Call(Opcode.LOGS, fields, idempotent=True)


def follow_logs(
    name: str | int | None = None, *, agent_id: int | None = None, since: int | None = None
) -> StreamCall[LogsReply, LogLine]:
    """An agent's output line by line, each {offset, stream, text, timestamp}, until it
    has ended for good.
    """
    fields = {**agent_fields(name, agent_id), **optional(since=since), "follow": True}
    return StreamCall(Call(Opcode.LOGS, fields, patience=None), _lines)


def wait(
    name: str | int | None = None, *, agent_id: int | None = None, timeout: float | None = None
) -> Call[WaitReply]:
    """Wait until an agent has ended for good.

    @param timeout: seconds; None: as long as it takes.
    @return: success, exit_code, signal, reason (exited, killed, oom, pids, disk,
        timeout, escalated).
    @raise NotFound, TimedOut:
    """
    fields = {**agent_fields(name, agent_id), **optional(timeout=timeout)}
    return Call(Opcode.WAIT, fields, patience=timeout, idempotent=True)


def register_name(name: str) -> Call[RegisterReply]:
    """Take a name, by which others can send to us. Gives success, agent_id, name.

    @raise AlreadyExists: a live agent bears it.
    """
    return Call(Opcode.REGISTER, {"name": name})


def get_permissions(agent_id: int | None = None) -> Call[GetPermsReply]:
    """One's own permissions, or another's. Gives success, permissions."""
    return Call(Opcode.GET_PERMS, optional(agent_id=agent_id), idempotent=True)


def set_permissions(
    permissions: Mapping[str, Any] | None = None,
    *,
    agent_id: int | None = None,
    level: str | None = None,
) -> Call[SetPermsReply]:
    """Narrow one's own permissions or a descendant's (the operator: set those of any agent).

    @param level: unrestricted, standard, sandboxed, readonly or minimal.
    @return: success, agent_id.
    @raise PermissionDenied: they would be wider than before.
    """
    return Call(Opcode.SET_PERMS, optional(permissions=permissions, agent_id=agent_id, level=level))


def why(
    syscall: str | int,
    arguments: Mapping[str, Any] | None = None,
    agent_id: int | None = None,
    *,
    attempt: bool | None = None,
) -> Call[WhyReply]:
    """Would a syscall be allowed, which rule decides, and what happens when it is tried?

    @param syscall: its name (`READ`) or opcode; `CONNECT` with host and port is a
        connection that a program makes itself.
    @param arguments: its request, as it would be sent.
    @param agent_id: a descendant (the operator: any agent) instead of the caller.
    @param attempt: False asks policy alone; else it is tried in a throw-away sandbox
        with the same profile, to no lasting effect.
    @return: success, allowed, rule, hint, note, attempt {tried, happened, error,
        errno_name, detail, sandbox, reliable}, agrees.
    @raise LimitExceeded: too many attempts. @raise Unavailable: the agent is not running.
    """
    fields = {"syscall": syscall, "arguments": dict(arguments or {})}
    fields |= optional(agent_id=agent_id, attempt=attempt)
    return Call(Opcode.WHY, fields, patience=30.0, idempotent=True)


def _lines(reply: Reply) -> Iterable[LogLine]:
    lines: list[LogLine] = reply.get("lines") or []
    return lines
