"""What the calls of `clove.messages.managing` give. Made by tools/results.py: do not edit."""

from typing import Any

from clove.client.results.agents import AgentEntry, HostMount
from clove.client.results.base import Reply
from clove.client.results.publishing import PublishedPort

__all__ = [
    "InspectReply",
    "PruneReply",
    "RenameReply",
    "RestartReply",
    "SignalReply",
    "UpdateReply",
]


class InspectReply(Reply):
    """All that is known of one agent.

    What SPAWN asked for (`script` to `max_restarts`) is empty for one that has ended. `env` has
    the names of its variables alone, as has `secrets`: values may be secrets. `limits` are those that hold, its
    defaults filled in, in SPAWN's units.
    """

    agent: AgentEntry
    script: str | None
    args: list[str]
    command: list[str]
    cwd: str | None
    mounts: list[HostMount]
    timeout: float | None
    python: str | None
    env: list[str]
    secrets: list[str]
    restart_policy: str
    max_restarts: int
    sandboxed: bool
    network: bool
    warm: bool
    ancestors: list[int]
    limits: dict[str, int]
    permissions: dict[str, Any]
    isolation: dict[str, Any]
    cgroup: str | None


class RestartReply(Reply):
    """It runs again, as process `pid` of the host."""

    restarted: bool
    agent_id: int
    pid: int
    restarts: int


class SignalReply(Reply):
    """The signal was sent."""

    signalled: bool
    agent_id: int
    signal: str


class RenameReply(Reply):
    """The name that it has now, and had before."""

    agent_id: int
    name: str
    old_name: str


class PruneReply(Reply):
    """Those that are forgotten."""

    count: int
    agent_ids: list[int]


class UpdateReply(Reply):
    """The limits and published ports that it has now.

    @ivar applied: fields of the request that bind its processes from now on.
    @ivar at_restart: those that bind from its next start on.
    """

    agent_id: int
    limits: dict[str, int]
    applied: list[str]
    at_restart: list[str]
    published: list[PublishedPort]
