"""What the calls of `clove.messages.permissions` give. Made by tools/results.py: do not edit."""

from typing import Any

from clove.client.results.base import Reply

__all__ = ["GetPermsReply", "SetPermsReply", "WhyReply"]


class GetPermsReply(Reply):
    """The permissions, in the form that SET_PERMS takes."""

    agent_id: int
    permissions: dict[str, Any]


class SetPermsReply(Reply):
    """The agent that they were set for, and what they are now.

    @ivar restart_needed: syscalls are judged by them from now on, but the mounts of a
        sandbox (the agent's, or a descendant's) and what can be executed in it are still
        as they were.
    """

    agent_id: int
    permissions: dict[str, Any]
    restart_needed: bool


class WhyReply(Reply):
    """What policy says to these words, and what happened.

    @ivar rule: the rule that decides.
    @ivar note: why the two differ; without an attempt, what the answer does not cover.
    @ivar attempt: tried, happened (succeeded, failed or not tried), error, errno_name,
        detail, sandbox (its isolation), reliable (False: a program that is not the kernel's
        says so); empty if none was asked for.
    @ivar agrees: whether what happened is what policy says; None: nothing was tried, or it
        is not reliable.
    """

    agent_id: int
    syscall: str
    allowed: bool
    rule: str
    hint: str
    note: str
    attempt: dict[str, Any]
    agrees: bool | None
