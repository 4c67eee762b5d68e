"""A relay's REST API as a blocking client (docs/fleet.md). Standard library only::

    fleet = FleetClient("https://relay.example.org:8766", token)
    for machine in fleet.machines():
        print(machine["machine_id"], machine["presence"])

A connection is opened for each call, redirections are not followed and no proxy of the environment is
used, so that the token goes to the relay that was named and nowhere else; and without TLS it goes
to this machine alone. L{clove.client.fleet_deferred} has the same for Twisted.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from clove.client.fleet_http import Events, FleetHTTP
from clove.client.fleet_methods import FleetMethods
from clove.client.fleet_plan import Asked, Item, Next, Opened, Planned, Wait, advance
from clove.errors import CloveError

__all__ = ["DEFAULT_RELAY", "FleetClient"]

DEFAULT_RELAY: Final = "http://127.0.0.1:8766"

T = TypeVar("T")


class FleetClient(FleetMethods):
    """Machines, tokens and remote agents of one relay.

    Every call raises a L{CloveError}: what the relay says (C{PermissionDenied}, C{NotFound},
    C{NotAuthenticated}, ...), or that it was not reached (L{ConnectionLost}, L{TimedOut}).

    @param url: of the relay's REST API.
    @param token: of kind admin, agent or machine.
    @param ca_file: certificates in PEM that are trusted instead of the host's.
    @param timeout: seconds that the relay may be silent.
    @param plain: send the token without TLS to another machine.
    @raise InvalidRequest: the url is none, or would send the token unencrypted.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        ca_file: str | None = None,
        timeout: float = 30.0,
        plain: bool = False,
    ) -> None:
        self._http = FleetHTTP(url, token, ca_file, timeout, plain)

    @property
    def on_version(self) -> Callable[[str], object]:
        """Called with the relay's version at each reply that tells it."""
        return self._http.on_version

    @on_version.setter
    def on_version(self, observer: Callable[[str], object]) -> None:
        self._http.on_version = observer

    @property
    def check_reply(self) -> Callable[[Asked, dict[str, Any]], object]:
        """Called with each reply before it is given; raises an error if it is none for that request."""
        return self._http.check_reply

    @check_reply.setter
    def check_reply(self, check: Callable[[Asked, dict[str, Any]], object]) -> None:
        self._http.check_reply = check

    def ask(self, asked: Asked) -> dict[str, Any]:
        """Make one request and wait for its result."""
        return self._http.call(asked)

    def each(self, planned: Planned[T]) -> Iterator[T]:
        """Perform a plan; gives its items as they come."""
        steps = planned.steps()
        with contextlib.closing(steps), _Performed(self._http) as performed:
            step = advance(steps)
            while step is not None:
                if isinstance(step, Item):
                    yield step.value
                    step = advance(steps)
                    continue
                try:
                    result = performed.of(step)
                except CloveError as error:
                    step = advance(steps, error=error)
                else:
                    step = advance(steps, result)


class _Performed(contextlib.AbstractContextManager["_Performed", None]):
    """Steps, and the stream that one of them has opened."""

    def __init__(self, relay: FleetHTTP) -> None:
        self._relay = relay
        self._events: Events = iter(())

    def of(self, step: Asked | Next | Wait) -> Any:
        """What comes of it."""
        if isinstance(step, Next):
            return next(self._events, None)
        if isinstance(step, Wait):
            return time.sleep(step.seconds)
        if isinstance(step, Opened):
            self._close()
            self._events = self._relay.events(step)
            return None
        return self._relay.call(step)

    def __exit__(self, *exception: object) -> None:
        self._close()

    def _close(self) -> None:
        close = getattr(self._events, "close", None)
        if close is not None:
            close()
