"""What the calls of `clove.messages.agents` give. Made by tools/results.py: do not edit."""

from typing import Any, NotRequired, TypedDict

from clove.client.results.base import Reply
from clove.client.results.publishing import PublishedPort

__all__ = [
    "AgentEnd",
    "AgentEntry",
    "HostMount",
    "KillReply",
    "LimitHit",
    "LogLine",
    "LogsReply",
    "PauseReply",
    "ResumeReply",
    "SpawnReply",
    "WaitReply",
]


HostMount = TypedDict("HostMount", {"path": str, "writable": bool, "as": str | None})
"""A file or directory of the host that a sandbox shows at its own path, with all beneath.

`as` is a second path, where a link leads to it."""


class SpawnReply(Reply):
    """A started agent. `isolation` is what is really enforced; `published` its ports on the host."""

    id: int
    agent_id: int
    name: str
    pid: int
    status: str
    restart_policy: str
    warm: bool
    isolation: dict[str, Any]
    published: list[PublishedPort]


class KillReply(Reply):
    """Whether the agent is ended now."""

    killed: bool
    agent_id: int


class PauseReply(Reply):
    """Whether the agent is paused now."""

    paused: bool
    agent_id: int


class ResumeReply(Reply):
    """Whether the agent runs again."""

    resumed: bool
    agent_id: int


class LimitHit(TypedDict):
    """The limit of SPAWN that ended a process, and its value in SPAWN's unit."""

    name: str
    value: int


class AgentEnd(TypedDict):
    """How the last process of an agent ended, and when."""

    exit_code: int | None
    signal: int | None
    reason: str
    limit: LimitHit | None
    ms_ago: int


class AgentEntry(TypedDict):
    """One agent in LIST's array. `command` is what it runs, for those who may see its output, as are
    `labels` and `published`.

    `ended` is there for one that has ended for good.
    """

    id: int
    name: str
    pid: int
    state: str
    running: bool
    uptime_ms: int
    parent_id: int
    restarts: int
    command: str
    labels: dict[str, str]
    published: list[PublishedPort]
    ended: NotRequired[AgentEnd]


class LogLine(TypedDict):
    """One line, or a piece of one (`partial`). `offset` counts lines from 0."""

    offset: int
    stream: str
    text: str
    timestamp: str
    partial: bool


class LogsReply(Reply):
    """`next` is the offset to ask for next; `lost` lines were no longer held."""

    agent_id: int
    lines: list[LogLine]
    next: int
    lost: int


class WaitReply(Reply):
    """How an agent ended."""

    agent_id: int
    name: str
    exit_code: int | None
    signal: int | None
    reason: str
    restarts: int
    limit: LimitHit | None
