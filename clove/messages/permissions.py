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
    """Whose were set, and to what.

    @ivar restart_needed: syscalls are judged by them from now on, but the mounts of
        a sandbox, whose or a descendant's, are still as they were.
    """

    agent_id: int = 0
    permissions: dict[str, Any] = {}
    restart_needed: bool = False


class WhyRequest(Request, frozen=True, kw_only=True):
    """Ask what policy would say.

    @ivar syscall: name or opcode.
    @ivar arguments: as the syscall's own request has them.
    """

    syscall: str | int
    arguments: dict[str, Any] = {}


class WhyReply(Reply, frozen=True, kw_only=True):
    """What policy would say to these words.

    @ivar rule: the rule that decides.
    @ivar note: what the answer does not cover.
    """

    syscall: str = ""
    allowed: bool = False
    rule: str = ""
    hint: str = ""
    note: str = ""
