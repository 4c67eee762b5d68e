"""What the REST API takes and gives for agents on machines. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from clove.messages.agents import SecretValue, TerminalSize
from clove.messages.base import Request
from clove.policy.fields import PermissionFields
from clove.relay.rest.types import AgentLabels, Labels, MachineId, PageByNumber

__all__ = [
    "AlsoEnded",
    "Deployed",
    "DeployedAgents",
    "Deployment",
    "InMachine",
    "Logs",
    "LogsFrom",
    "OnMachine",
    "Selector",
    "Stopped",
    "StreamFrom",
]


ScriptName = Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$(?!\n)")]
AgentName = Annotated[
    str, msgspec.Meta(pattern=r"^([A-Za-z0-9_]([A-Za-z0-9_ .@:+-]{0,126}[A-Za-z0-9_])?)?$(?!\n)")
]
Environment = Annotated[dict[str, str], msgspec.Meta(max_length=256)]


class AlsoEnded(PageByNumber, frozen=True, kw_only=True):
    """Which agents."""

    all: bool = False


class Selector(Request, frozen=True, kw_only=True):
    """Which machines, of those that the token reaches: those that are named and have all of the labels."""

    machines: Annotated[list[MachineId], msgspec.Meta(max_length=1000)] = []
    labels: Labels = {}
    all: bool = False
    """Whatever their names and labels are."""


class Deployment(Request, frozen=True, kw_only=True):
    """What to start on a machine, in a sandbox, within what the token and the kernel allow: a script, or a
    command in a directory that comes as an archive.
    """

    machine_id: MachineId | Literal[""] = ""
    selector: Selector | None = None
    """Instead of one machine."""
    script_name: ScriptName = ""
    script_content: str = ""
    command: Annotated[list[str], msgspec.Meta(max_length=256)] = []
    archive: bytes = b""
    """A tar, plain or compressed; in base64."""
    requirements: str = ""
    """Of a command: what pip installs before it starts."""
    args: Annotated[list[str], msgspec.Meta(max_length=256)] = []
    name: AgentName = ""
    env: Environment = {}
    labels: AgentLabels = {}
    limits: dict[str, int] = {}
    network: bool = False
    permissions: PermissionFields = PermissionFields()
    restart_policy: Literal["never", "on-failure", "always"] = "never"
    timeout: Annotated[float, msgspec.Meta(gt=0, le=86400 * 365)] | None = None
    attach: bool = False
    """Keep all of its output for a stream with `attach` that begins within ten seconds."""
    socket_argument: bool = True
    """Of a script: its first argument is the path of the kernel's socket."""
    secrets: Annotated[dict[str, SecretValue], msgspec.Meta(max_length=32)] = {}
    """Variables, or files in /run/secrets; no log or listing has their values (docs/wire.md)."""
    stdin: Literal["closed", "stream"] = "closed"
    """Of a command: a stream is written by a remote agent (INPUT, ATTACH)."""
    tty: TerminalSize | None = None
    """Of a command: it runs on a terminal, which a remote agent shows (ATTACH)."""
    warm: bool = True
    """False: in an interpreter that is started for it."""
    forget: bool = False
    """It is not known any more when it has ended."""


class InMachine(Request, frozen=True, kw_only=True):
    """On which machine."""

    machine_id: MachineId


class LogsFrom(Request, frozen=True, kw_only=True):
    """Which lines."""

    machine_id: MachineId
    since: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] = 0
    follow: bool = False


class StreamFrom(Request, frozen=True, kw_only=True):
    """Which bytes; with `attach` the agent writes no faster than they are read."""

    machine_id: MachineId
    since: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] = 0
    attach: bool = False


class OnMachine(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment with a selector came to on one machine. `unavailable`: it is not connected, or drained."""

    machine_id: str
    status: Literal["deployed", "sent", "unavailable", "failed"]
    agent_id: int = 0
    agent_name: str = ""
    error: str = ""
    code: str = ""
    hint: str = ""
    rule: str = ""


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that runs; with a selector a result for each machine. `sent`: to a tunnel of version 1, which
    does not answer.
    """

    status: Literal["deployed", "sent", "partly", "failed"] = "deployed"
    machine_id: str
    script_name: str
    agent_id: int
    agent_name: str
    results: list[OnMachine] = []


class DeployedAgents(msgspec.Struct, frozen=True, kw_only=True):
    """Some agents on a machine, as its kernel's LIST has them (docs/wire.md); `next` is what to ask for `after`,
    empty at the end.
    """

    machine_id: str
    agents: list[dict[str, Any]]
    next: str


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that has ended; `sent`: to a tunnel of version 1, which does not answer."""

    status: Literal["stopped", "sent"] = "stopped"
    machine_id: str
    agent_id: int


class Logs(msgspec.Struct, frozen=True, kw_only=True):
    """Lines, as the kernel's LOGS has them (docs/wire.md); `next` is what to ask for `since`."""

    machine_id: str
    agent_id: int
    lines: list[dict[str, Any]]
    next: int
    lost: int
