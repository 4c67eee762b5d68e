"""GET_PERMS, SET_PERMS and WHY."""

from __future__ import annotations

from typing import Any

from clove.messages.base import Reply, Request

__all__ = [
    "GetPermsReply",
    "GetPermsRequest",
    "SetPermsReply",
    "SetPermsRequest",
    "WhyReply",
    "WhyRequest",
]


class GetPermsRequest(Request, frozen=True, kw_only=True):
    """Ask for an agent's permissions; without an id (or with 0) one's own."""

    agent_id: int | None = None


class GetPermsReply(Reply, frozen=True, kw_only=True):
    """The permissions, in the form that SET_PERMS takes."""

    agent_id: int = 0
    permissions: dict[str, Any] = {}


class SetPermsRequest(Request, frozen=True, kw_only=True):
    """Set an agent's permissions; without an id (or with 0) one's own.

    @ivar permissions: fields to set, or the name of a level.
    """

    agent_id: int | None = None
    level: str | None = None
    permissions: dict[str, Any] | str | None = None


class SetPermsReply(Reply, frozen=True, kw_only=True):
    """The agent that they were set for, and what they are now.

    @ivar restart_needed: syscalls are judged by them from now on, but the mounts of a
        sandbox (the agent's, or a descendant's) and what can be executed in it are still
        as they were.
    """

    agent_id: int = 0
    permissions: dict[str, Any] = {}
    restart_needed: bool = False


class WhyRequest(Request, frozen=True, kw_only=True):
    """Ask what policy says to a syscall, and what would happen.

    @ivar syscall: name or opcode; CONNECT, with host and port, is a connection that a
        program makes itself.
    @ivar arguments: as the syscall's own request has them.
    @ivar agent_id: the agent that is meant; without an id (or with 0) the caller.
    @ivar attempt: try it in a throw-away sandbox with the same profile.
    """

    syscall: str | int
    arguments: dict[str, Any] = {}
    agent_id: int | None = None
    attempt: bool = True


class WhyReply(Reply, frozen=True, kw_only=True):
    """What policy says to these words, and what happened.

    @ivar rule: the rule that decides.
    @ivar note: why the two differ; without an attempt, what the answer does not cover.
    @ivar attempt: tried, happened (succeeded, failed or not tried), error, errno_name,
        detail, sandbox (its isolation), reliable (False: a program that is not the kernel's
        says so); empty if none was asked for.
    @ivar agrees: whether what happened is what policy says; None: nothing was tried, or it
        is not reliable.
    """

    agent_id: int = 0

    syscall: str = ""
    allowed: bool = False
    rule: str = ""
    hint: str = ""
    note: str = ""
    attempt: dict[str, Any] = {}
    agrees: bool | None = None
