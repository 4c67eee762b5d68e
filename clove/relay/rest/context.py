"""What the calls of the REST API ask."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from clove.messages.metrics import ReactorTurns
from clove.relay.denial_writer import DenialWriter
from clove.relay.denials import Denials
from clove.relay.machines.caller_query import CallerQuery, CallersFound
from clove.relay.machines.machines import Machines
from clove.relay.rest.limits import RestLimits
from clove.relay.rest.metrics import RequestCounts
from clove.relay.rest.repeats import Repeats
from clove.relay.store.interface import IStore
from clove.relay.tokens.logins import Logins
from clove.relay.tokens.tokens import Tokens

if TYPE_CHECKING:
    from clove.relay.rest.streams import Streams

__all__ = ["Context", "shown_time"]


class Context(NamedTuple):
    """The relay, as the calls see it.

    @ivar clock: the reactor; measures.
    @ivar wall: seconds since the epoch.
    @ivar started: by the clock.
    @ivar other_callers: remote agents of the relays that share the store; None: there are none.
    @ivar turns: of the reactor, as the watchdog counts them.
    """

    tokens: Tokens
    machines: Machines
    store: IStore
    limits: RestLimits
    clock: Any
    wall: Callable[[], float]
    started: float
    requests: RequestCounts
    repeats: Repeats
    streams: Streams
    denials: Denials
    audit: DenialWriter
    turns: ReactorTurns
    logins: Logins
    other_callers: Callable[[CallerQuery], Awaitable[CallersFound]] | None = None


def shown_time(at: float | None) -> str | None:
    """A time as replies have it."""
    if at is None:
        return None
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
