"""INSPECT, RESTART, SIGNAL, RENAME, PRUNE and UPDATE: what is done to agents beside starting and ending them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from clove.messages.agents import AgentEntry, HostMount, LimitsRequest, Seconds, TargetRequest
from clove.messages.base import Reply
from clove.messages.publishing import PublishedPort, PublishRequest

__all__ = [
    "InspectReply",
    "PruneReply",
    "PruneRequest",
    "RenameReply",
    "RenameRequest",
    "RestartReply",
    "RestartRequest",
    "SignalReply",
    "SignalRequest",
    "UpdateReply",
    "UpdateRequest",
]


class InspectReply(Reply, frozen=True, kw_only=True):
    """All that is known of one agent.

    What SPAWN asked for (`script` to `max_restarts`) is empty for one that has ended. `env` has
    the names of its variables alone, as has `secrets`: values may be secrets. `limits` are those that hold, its
    defaults filled in, in SPAWN's units.
    """

    agent: AgentEntry | dict[str, Any] = {}
    script: str | None = None
    args: list[str] = []
    command: list[str] = []
    cwd: str | None = None
    mounts: list[HostMount] = []
    timeout: float | None = None
    python: str | None = None
    env: list[str] = []
    secrets: list[str] = []
    restart_policy: str = ""
    max_restarts: int = 0
    sandboxed: bool = False
    network: bool = False
    warm: bool = False
    ancestors: list[int] = []
    limits: dict[str, int] = {}
    permissions: dict[str, Any] = {}
    isolation: dict[str, Any] = {}
    cgroup: str | None = None


class RestartRequest(TargetRequest, frozen=True, kw_only=True):
    """End an agent's process and start it anew. `grace`: seconds between SIGTERM and SIGKILL."""

    grace: Seconds | None = None


class RestartReply(Reply, frozen=True, kw_only=True):
    """It runs again, as process `pid` of the host."""

    restarted: bool = False
    agent_id: int = 0
    pid: int = 0
    restarts: int = 0


class SignalRequest(TargetRequest, frozen=True, kw_only=True):
    """Send a signal, by its number or name (`SIGHUP`, `HUP`), to an agent's main program alone."""

    signal: Annotated[str, msgspec.Meta(min_length=1, max_length=32)] | int


class SignalReply(Reply, frozen=True, kw_only=True):
    """The signal was sent."""

    signalled: bool = False
    agent_id: int = 0
    signal: str = ""


class RenameRequest(TargetRequest, frozen=True, kw_only=True):
    """Give an agent another name; the old one is free then."""

    new_name: str


class RenameReply(Reply, frozen=True, kw_only=True):
    """The name that it has now, and had before."""

    agent_id: int = 0
    name: str = ""
    old_name: str = ""


class PruneRequest(TargetRequest, frozen=True, kw_only=True):
    """Forget ended agents: one by its name or id, or all that ended at least `older_than` seconds ago.

    One of the two must be there.
    """

    older_than: Seconds | None = None


class PruneReply(Reply, frozen=True, kw_only=True):
    """Those that are forgotten."""

    count: int = 0
    agent_ids: list[int] = []


class UpdateRequest(TargetRequest, frozen=True, kw_only=True):
    """Change a running agent: the limits that are named, and which of its ports are published.

    `unpublish`: ports of the host, which are revoked before others are published.
    """

    limits: LimitsRequest | None = None
    publish: list[PublishRequest] | None = None
    unpublish: list[Annotated[int, msgspec.Meta(ge=1, le=65535)]] | None = None


class UpdateReply(Reply, frozen=True, kw_only=True):
    """The limits and published ports that it has now.

    @ivar applied: fields of the request that bind its processes from now on.
    @ivar at_restart: those that bind from its next start on.
    """

    agent_id: int = 0
    limits: dict[str, int] = {}
    applied: list[str] = []
    at_restart: list[str] = []
    published: list[PublishedPort] = []
