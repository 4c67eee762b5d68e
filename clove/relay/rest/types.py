"""What the REST API takes and gives. Pure.

Requests refuse fields that they do not know: a restriction that is misspelled must not be one that is
not there. Times in replies are ISO 8601, UTC; null where there is none yet.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from clove.messages.base import Request

__all__ = [
    "Agent",
    "AgentLabels",
    "Agents",
    "Health",
    "Hours",
    "Labels",
    "Machine",
    "MachineFlag",
    "MachineId",
    "MachinePatch",
    "Machines",
    "NewMachine",
    "OfMachine",
    "Page",
    "PageSize",
    "Problem",
    "Ready",
    "Registered",
    "Removed",
    "Status",
    "Text",
    "Time",
]

MachineId = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$(?!\n)",
        description="At most 128 letters, digits and . _ : @ -, the first a letter or digit.",
    ),
]
Text = Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$(?!\n)")]
"""One line; as all patterns here it ends in `$(?!\\n)`, because `$` alone lets a newline follow."""
LabelKey = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,62}[A-Za-z0-9])?$(?!\n)")
]
Labels = Annotated[dict[LabelKey, Text], msgspec.Meta(max_length=64)]
AgentLabels = Annotated[dict[LabelKey, Text], msgspec.Meta(max_length=15)]
Hours = Annotated[float, msgspec.Meta(gt=0, le=24 * 3660)]
Time = str | None
NumberText = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{0,18}$(?!\n)")]
PageSize = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class Page(Request, frozen=True, kw_only=True):
    """Where a list begins, and how long it may be."""

    after: Annotated[str, msgspec.Meta(max_length=128)] = ""
    limit: PageSize = 1000


class PageByNumber(Request, frozen=True, kw_only=True):
    """The same for a list by number."""

    after: NumberText = ""
    limit: PageSize = 1000


class OfMachine(PageByNumber, frozen=True, kw_only=True):
    """Which machine's, or all."""

    machine_id: str = ""


class NewMachine(Request, frozen=True, kw_only=True):
    """A machine that will connect with a token (version 1)."""

    machine_id: MachineId
    provider: Text = ""
    metadata: dict[str, Any] = {}
    name: Text = ""
    labels: Labels = {}


class MachinePatch(Request, frozen=True, kw_only=True):
    """What changes; what is left out stays."""

    name: Text | None = None
    provider: Text | None = None
    labels: Labels | None = None
    metadata: dict[str, Any] | None = None
    draining: bool | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The relay serves: its store answers."""

    status: Literal["ready"] = "ready"


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of what the token's bearer may see."""

    status: Literal["ok"] = "ok"
    version: str
    uptime_seconds: float
    machines: int
    machines_connected: int
    agents: int
    relays: int


class MachineFlag(msgspec.Struct, frozen=True, kw_only=True):
    """Something to look at."""

    what: str
    at: Time


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """One machine. `presence` says more than `status`: `stale` is connected and does not answer."""

    machine_id: str
    name: str
    provider: str
    status: Literal["connected", "disconnected"]
    presence: Literal["connected", "stale", "disconnected"]
    presence_since: Time
    ip_address: str
    created_at: Time
    last_seen: Time
    metadata: dict[str, Any]
    labels: dict[str, str]
    versions: dict[str, str]
    isolation: dict[str, Any]
    has_key: bool
    draining: bool
    flags: list[MachineFlag]


class Machines(msgspec.Struct, frozen=True, kw_only=True):
    """Some machines; `next` is what to ask for `after`, empty at the end."""

    machines: list[Machine]
    next: str


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """A new machine, with its token, which is shown this once."""

    machine_id: str
    token: str
    token_id: str
    created_at: Time


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that is gone."""

    status: Literal["removed"] = "removed"
    machine_id: str


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """One remote agent that is connected."""

    agent_id: int
    agent_name: str
    target_machine: str
    connected_at: Time
    syscalls_sent: int
    responses_received: int
    status: str


class Agents(msgspec.Struct, frozen=True, kw_only=True):
    """Some remote agents of all relays; `next` is what to ask for `after`, empty at the end.

    `relays_missing`: relays that did not answer, so that theirs are left out.
    """

    agents: list[Agent]
    next: str
    relays_missing: int = 0


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong (RFC 9457), beside the contract's `error` and `status`."""

    type: str
    title: str
    status: int
    detail: str
    error: str
    code: str
    hint: str = ""
    rule: str = ""
