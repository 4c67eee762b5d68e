"""How a relay's REST API is asked on Twisted, by treq: one request a connection."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from OpenSSL import SSL
from service_identity import VerificationError
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.web.client import (
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers

from clove.channels.host_check import CheckedPolicy
from clove.client.fleet_body import Body
from clove.client.fleet_plan import Asked, Opened
from clove.client.relay_replies import MOST_REPLY, address_of, request_of, understood
from clove.client.server_events import Event, EventLines
from clove.errors import CloveError, ConnectionLost, InvalidRequest, LimitExceeded, TimedOut

__all__ = ["EventReader", "FleetTreq"]

_BROKEN: Final = (
    ConnectError,
    DNSLookupError,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"

T = TypeVar("T")


class FleetTreq:
    """Asks one relay; parameters as L{clove.client.fleet_deferred.DeferredFleetClient}."""

    def __init__(
        self,
        reactor: Any,
        url: str,
        token: str,
        ca_file: str | None,
        timeout: float,
        plain: bool,
    ) -> None:
        self._host, self._port, secure = address_of(url, plain)
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self._base = f"{'https' if secure else 'http'}://{shown}:{self._port}"
        self._reactor = reactor
        self._token = token
        self._timeout = timeout
        pool = HTTPConnectionPool(reactor, persistent=False)
        authorities = _authorities(ca_file) if secure and ca_file else None
        trust = CheckedPolicy(BrowserLikePolicyForHTTPS(authorities))
        self._http = HTTPClient(Agent(reactor, trust, connectTimeout=timeout, pool=pool))

    async def call(self, asked: Asked) -> dict[str, Any]:
        """One request, and what the reply says.

        @raise CloveError: what went wrong.
        """
        response, body = await self._answered(asked, {})
        return await self._understood(response, body)

    async def opened(self, asked: Opened) -> EventReader:
        """A stream of server-sent events.

        @raise CloveError: what went wrong.
        """
        response, body = await self._answered(asked, {"Accept": "text/event-stream"})
        if response.headers.getRawHeaders("Content-Type") == ["text/event-stream"]:
            return EventReader(self, body)
        await self._understood(response, body)
        raise CloveError("this is no stream of events", hint="is this a relay's address?")

    async def in_time(self, awaited: Coroutine[Deferred[Any], Any, T]) -> T:
        """What comes of it, in the seconds that the relay may be silent.

        @raise TimedOut: nothing did.
        """
        waiting = Deferred.fromCoroutine(awaited)
        return await _cancellable(waiting.addTimeout(self._timeout, self._reactor, self._late))

    def _late(self, result: object, seconds: float) -> NoReturn:
        raise TimedOut(
            f"the relay at {self._host} has not answered in {self._timeout:.0f} s",
            hint="a request that changes something may have been executed",
        )

    async def _answered(self, asked: Asked, more: Mapping[str, str]) -> tuple[Any, Body]:
        headers, payload = request_of(asked, self._token)
        return await self.in_time(self._sent(asked, {**headers, **more}, payload))

    async def _sent(
        self, asked: Asked, headers: dict[str, str], payload: bytes | None
    ) -> tuple[Any, Body]:
        try:
            response = await self._http.request(
                asked.method,
                self._base + asked.path,
                headers=Headers({name: [value] for name, value in headers.items()}),
                data=payload,
                allow_redirects=False,
                unbuffered=True,
            )
        except _BROKEN as error:
            raise self._lost(error) from None
        body = Body()
        response.deliverBody(body)
        return response, body

    async def _understood(self, response: Any, body: Body) -> dict[str, Any]:
        raw = bytearray()
        with contextlib.closing(body):
            while some := await self.in_time(body.read()):
                raw += some
                if len(raw) > MOST_REPLY:
                    raise LimitExceeded(f"the relay's reply has more than {MOST_REPLY} bytes")
        after = response.headers.getRawHeaders("Retry-After", [None])[0]
        return understood(response.code, after, bytes(raw))

    def _lost(self, error: Exception) -> ConnectionLost:
        """What to tell of a connection that failed."""
        causes = [failure.value for failure in getattr(error, "reasons", ())] or [error]
        if any(isinstance(cause, (SSL.Error, VerificationError)) for cause in causes):
            said = "; ".join(str(cause) or type(cause).__name__ for cause in causes)
            return ConnectionLost(
                f"no TLS with the relay at {self._host}: {said}",
                hint="check its certificate, or name its authority's with ca_file",
            )
        return ConnectionLost(
            f"cannot reach the relay at {self._host} port {self._port}: {causes[0]}",
            hint="is it running (clove relay up starts one here), and is this its address?",
        )


class EventReader:
    """Reads server-sent events one after the other."""

    def __init__(self, relay: FleetTreq, body: Body) -> None:
        self._relay = relay
        self._body = body
        self._lines = EventLines()
        self._found: deque[Event] = deque()

    async def next(self) -> Event | None:
        """Kind, number to go on from, and fields; None at the end.

        @raise CloveError: the connection was cut, or an event makes no sense.
        """
        while not self._found:
            some = await self._relay.in_time(self._body.read())
            if not some:
                return None
            self._found += self._lines.feed(some)
        return self._found.popleft()

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._body.close()


def _cancellable(waiting: Deferred[T]) -> Deferred[T]:
    """The same; cancelled, it fails with CancelledError, whatever Twisted's client makes of that."""
    cancelled = False

    def cancel(outer: Deferred[T]) -> None:
        nonlocal cancelled
        cancelled = True
        waiting.cancel()

    def done(result: Any) -> None:
        if not cancelled:
            outer.callback(result)

    outer: Deferred[T] = Deferred(cancel)
    waiting.addBoth(done)
    return outer


def _authorities(ca_file: str) -> Any:
    """Those of a file.

    @raise InvalidRequest: there are none.
    """
    try:
        text = Path(ca_file).read_text("ascii")
        found = [Certificate.loadPEM((_BEGIN + each).encode()) for each in text.split(_BEGIN)[1:]]
    except (OSError, ValueError, SSL.Error) as error:
        raise InvalidRequest(f"cannot use the certificates in {ca_file}: {error}") from None
    if not found:
        raise InvalidRequest(f"cannot use the certificates in {ca_file}: there are none")
    return trustRootFromCertificates(found)
