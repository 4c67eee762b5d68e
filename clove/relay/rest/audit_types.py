"""What the REST API takes and gives of refusals. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from clove.messages.base import Request
from clove.relay.denial_record import DenialKind, Refusal
from clove.relay.rest.types import PageSize, Time

__all__ = ["Audit", "AuditEntry", "AuditFrom"]


class AuditFrom(Request, frozen=True, kw_only=True):
    """Which refusals."""

    before: Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)] = 0
    limit: PageSize = 100
    kind: DenialKind | Literal[""] = ""
    machine_id: str = ""


class AuditEntry(Refusal, frozen=True, kw_only=True):
    """A refusal, or several of the same within a minute. C{kind}: `token`, `route` (a token of a kind that may not
    call it), `site` (a foreign Host or Origin), `connection` (a tunnel or remote agent), `kernel` (a machine's kernel
    refused a request of the REST API).
    """

    id: int
    at: Time
    last: Time
    count: int


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """Refusals, the newest first; `next` is what to ask for `before`, 0 at the end."""

    entries: list[AuditEntry]
    next: int
