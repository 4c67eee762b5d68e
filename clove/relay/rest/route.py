"""What there is to say about a route. A route says who may call it; what serves it need not ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from clove.messages.base import Request
from clove.relay.records import Identity, TokenKind

if TYPE_CHECKING:
    from clove.relay.rest.context import Context

__all__ = ["ADMIN", "PUBLIC", "REACHING", "SEEING", "Call", "Route", "Streamed"]

PUBLIC: Final = None
"""Without a token."""
ADMIN: Final = frozenset({TokenKind.ADMIN})
SEEING: Final = frozenset({TokenKind.ADMIN, TokenKind.MACHINE, TokenKind.AGENT})
"""Each sees what it may: all, itself, its targets."""
REACHING: Final = frozenset({TokenKind.ADMIN, TokenKind.AGENT})
"""Each acts where it may: everywhere, on its targets."""


class Call(NamedTuple):
    """One request that may be served.

    @ivar identity: who asks; without a token, one that may see nothing.
    @ivar path: what stands in the path, by name.
    @ivar query: as the route's type has it.
    @ivar body: as the route's type has it.
    @ivar source: the address that it came from.
    @ivar wants_events: C{Accept} names server-sent events.
    @ivar idempotency_key, last_event_id: headers of these names; "" without.
    """

    identity: Identity
    path: dict[str, Any]
    query: Any
    body: Any
    idempotency_key: str = ""
    last_event_id: str = ""
    wants_events: bool = False
    source: str = ""


class Streamed(NamedTuple):
    """A reply that is written as it comes.

    @ivar write: writes it, and returns when it is whole; what it raises before its first byte is
        an error's reply.
    """

    write: Callable[[Any], Awaitable[None]]
    content_type: str = "text/event-stream"


class Route(NamedTuple):
    """One line of the table.

    @ivar kinds: of tokens that may call it; None: no token is needed.
    @ivar call: makes the reply, of type C{reply}.
    @ivar lenient: fields of the body that are not known are ignored: clients of the contract send them.
    @ivar streams: the reply may be server-sent events as well.
    @ivar in_document: the OpenAPI document has it.
    """

    method: str
    path: str
    kinds: frozenset[TokenKind] | None
    call: Callable[[Context, Call], Awaitable[Any]]
    reply: type
    summary: str
    status: int = 200
    body: type[Request] | None = None
    query: type[Request] | None = None
    lenient: bool = False
    streams: bool = False
    in_document: bool = True
