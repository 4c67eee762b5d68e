"""SPAWN, KILL, LIST, PAUSE, RESUME, LOGS, WAIT."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from clove.messages.base import Reply, Request
from clove.messages.publishing import PublishedPort, PublishRequest

__all__ = [
    "DEFAULT_LIMITS",
    "AgentEnd",
    "AgentEntry",
    "HostMount",
    "KillReply",
    "KillRequest",
    "LimitHit",
    "LimitsRequest",
    "ListRequest",
    "LogLine",
    "LogsReply",
    "LogsRequest",
    "PauseReply",
    "ResumeReply",
    "SecretValue",
    "SpawnReply",
    "SpawnRequest",
    "TargetRequest",
    "TerminalSize",
    "WaitReply",
    "WaitRequest",
    "without_defaults",
]

Id = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86400 * 365)]


class LimitsRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Resource limits; a field that is absent or null takes the default.

    Bytes, processes and threads, microseconds of CPU per period, CPU shares
    in the scale of cgroup version 1 (1024 is one share); bytes of /tmp, /dev/shm and /workspace.
    """

    memory: Annotated[int, msgspec.Meta(ge=1 << 20, le=1 << 50)] | None = None
    max_pids: Annotated[int, msgspec.Meta(ge=1, le=1 << 22)] | None = None
    cpu_quota: Annotated[int, msgspec.Meta(ge=1000, le=10**9)] | None = None
    cpu_period: Annotated[int, msgspec.Meta(ge=1000, le=10**6)] | None = None
    cpu_shares: Annotated[int, msgspec.Meta(ge=2, le=262144)] | None = None
    tmp: Annotated[int, msgspec.Meta(ge=1 << 20, le=1 << 50)] | None = None
    shm: Annotated[int, msgspec.Meta(ge=1 << 20, le=1 << 50)] | None = None
    disk: Annotated[int, msgspec.Meta(ge=1 << 20, le=1 << 50)] | None = None


class HostMount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file or directory of the host that a sandbox shows at its own path, with all beneath.

    `as` is a second path, where a link leads to it.
    """

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    writable: bool = False
    link: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)] | None = msgspec.field(
        default=None, name="as"
    )


class TerminalSize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a terminal, in characters."""

    rows: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 24
    columns: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 80


class StdinText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an agent reads at each start."""

    text: str


class SecretValue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a program shall have and nobody else see: a variable, or a file in /run/secrets.

    `value` is empty in what is written down, and then no longer known.
    """

    value: str = ""
    file: bool = False

    def __repr__(self) -> str:
        """Without the value."""
        return f"SecretValue(file={self.file})"


class SpawnRequest(Request, frozen=True, kw_only=True):
    """Start an agent: a Python script (with the socket's path as its first argument), or a command
    as it is. One of the two.
    """

    name: str
    script: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)] | None = None
    command: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    socket_argument: bool = True
    cwd: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)] | None = None
    python: Annotated[str, msgspec.Meta(max_length=4096)] | None = None
    args: list[str] | None = None
    env: dict[str, str] | None = None
    sandboxed: bool = True
    network: bool | None = None
    mounts: list[HostMount] | None = None
    limits: LimitsRequest | None = None
    permissions: dict[str, Any] | str | None = None
    restart_policy: Literal["never", "on-failure", "always"] = "never"
    max_restarts: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 5
    restart_window: Annotated[float, msgspec.Meta(ge=1, le=86400 * 365)] = 300
    timeout: Annotated[float, msgspec.Meta(gt=0, le=86400 * 365)] | None = None
    llm_budget: Annotated[int, msgspec.Meta(ge=0)] | dict[str, int | None] | None = None
    allow_degraded: bool = False
    degrade: list[Literal["limits"]] | None = None
    labels: dict[str, str] | None = None
    warm: bool = True
    attach: bool = False
    stdin: Literal["closed", "stream"] | StdinText = "closed"
    tty: TerminalSize | None = None
    publish: list[PublishRequest] | None = None
    secrets: dict[str, SecretValue] | None = None
    forget: bool = False


DEFAULT_LIMITS: Final = LimitsRequest(
    memory=268435456, max_pids=64, cpu_quota=100000, cpu_period=100000, cpu_shares=1024
)
"""The contract's (`docs/wire.md`); a kernel's own may be others."""


def without_defaults(request: SpawnRequest) -> SpawnRequest:
    """A SPAWN of version 1 without the values that its clients send unasked.

    A library fills in every field with the contract's default: to start an agent without a sandbox
    is not to ask that `network: false` be enforced, nor for a limit that the contract gives anyway.
    """
    changes: dict[str, Any] = {}
    if request.network is False and not request.sandboxed:
        changes["network"] = None
    if request.limits is not None:
        named = {
            field: None if value == getattr(DEFAULT_LIMITS, field) else value
            for field, value in msgspec.structs.asdict(request.limits).items()
        }
        changes["limits"] = LimitsRequest(**named)
    if request.permissions == "":
        changes["permissions"] = None
    return msgspec.structs.replace(request, **changes) if changes else request


class SpawnReply(Reply, frozen=True, kw_only=True):
    """A started agent. `isolation` is what is really enforced; `published` its ports on the host."""

    id: int = 0
    agent_id: int = 0
    name: str = ""
    pid: int = 0
    status: str = ""
    restart_policy: str = ""
    warm: bool = False
    isolation: dict[str, Any] = {}
    published: list[PublishedPort] = []


class TargetRequest(Request, frozen=True, kw_only=True):
    """An agent by name or id."""

    name: str | None = None
    id: Id | None = None
    agent_id: Id | None = None

    def __post_init__(self) -> None:
        """Have the id in `id`, which is what the audit log shows."""
        if self.agent_id and not self.id:
            msgspec.structs.force_setattr(self, "id", self.agent_id)


class KillRequest(TargetRequest, frozen=True, kw_only=True):
    """End an agent. `grace`: seconds between SIGTERM and SIGKILL; absent: the kernel's."""

    grace: Seconds | None = None


class KillReply(Reply, frozen=True, kw_only=True):
    """Whether the agent is ended now."""

    killed: bool = False
    agent_id: int = 0


class PauseReply(Reply, frozen=True, kw_only=True):
    """Whether the agent is paused now."""

    paused: bool = False
    agent_id: int = 0


class ResumeReply(Reply, frozen=True, kw_only=True):
    """Whether the agent runs again."""

    resumed: bool = False
    agent_id: int = 0


class ListRequest(Request, frozen=True, kw_only=True):
    """The live agents; with `all` the ended ones that are still known as well."""

    all: bool = False


class LimitHit(msgspec.Struct, frozen=True, kw_only=True):
    """The limit of SPAWN that ended a process, and its value in SPAWN's unit."""

    name: str
    value: int


class AgentEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How the last process of an agent ended, and when."""

    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    limit: LimitHit | None = None
    ms_ago: int = 0


class AgentEntry(msgspec.Struct, frozen=True, kw_only=True):
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
    command: str = ""
    labels: dict[str, str] = {}
    published: list[PublishedPort] = []
    ended: AgentEnd | msgspec.UnsetType = msgspec.UNSET


class LogsRequest(TargetRequest, frozen=True, kw_only=True):
    """Lines of an agent's output from offset `since` on; `follow` streams more."""

    since: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] = 0
    follow: bool = False


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line, or a piece of one (`partial`). `offset` counts lines from 0."""

    offset: int
    stream: str
    text: str
    timestamp: str
    partial: bool = False


class LogsReply(Reply, frozen=True, kw_only=True):
    """`next` is the offset to ask for next; `lost` lines were no longer held."""

    agent_id: int = 0
    lines: list[LogLine] = []
    next: int = 0
    lost: int = 0


class WaitRequest(TargetRequest, frozen=True, kw_only=True):
    """Wait until an agent has ended for good. No timeout: for ever."""

    timeout: Seconds | None = None


class WaitReply(Reply, frozen=True, kw_only=True):
    """How an agent ended."""

    agent_id: int = 0
    name: str = ""
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    restarts: int = 0
    limit: LimitHit | None = None
