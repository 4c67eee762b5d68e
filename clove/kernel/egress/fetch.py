"""The kernel's way out by HTTP: every hop is judged, resolved, judged again, dialled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.interfaces import IHostnameResolver
from twisted.python.failure import Failure
from twisted.web.client import (
    BrowserLikePolicyForHTTPS,
    HostnameCachingHTTPSPolicy,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IPolicyForHTTPS, IResponse

from clove.errors import CloveError, LimitExceeded, TimedOut, Unavailable
from clove.kernel.egress.body import Collector, Sender, as_text
from clove.kernel.egress.dialling import Hop
from clove.kernel.egress.limits import EgressLimits
from clove.kernel.egress.lookup import Lookups
from clove.kernel.egress.outgoing import REDIRECTS, Outgoing, outgoing
from clove.kernel.shares import ShareLimits, Shares
from clove.messages.http import HttpReply, HttpRequest
from clove.policy import Permissions, Target, check_address, check_url

__all__ = ["Egress"]

_ANY_URL = "http://target.invalid/"
"""What treq is told. A hop knows its own URL, so that no other parser reads it
(treq's could not read one with an IPv6 address)."""
_BROKEN = (ResponseFailed, ResponseNeverReceived, RequestTransmissionFailed)


class Egress:
    """Fetches URLs for agents.

    @param reactor: connects, keeps time, and resolves names where no resolver is given.
    @param trust: what TLS trusts; the host's certificates where it is None.
    """

    def __init__(
        self,
        reactor: Any,
        limits: EgressLimits | None = None,
        *,
        resolver: IHostnameResolver | None = None,
        trust: IPolicyForHTTPS | None = None,
        shares: ShareLimits | None = None,
    ) -> None:
        self._reactor = reactor
        self._limits = limits or EgressLimits()
        self._trust = HostnameCachingHTTPSPolicy(trust or BrowserLikePolicyForHTTPS(), 64)
        limits = self._limits
        self._lookups = Lookups(
            resolver or reactor.nameResolver,
            Shares("names being resolved", "limits.http.max_lookups", limits.max_lookups, shares),
            limits.max_addresses,
        )
        self._shares = Shares(
            "HTTP requests", "limits.http.max_concurrent", limits.max_concurrent, shares
        )
        self._running: Counter[int] = Counter()

    def fetch(
        self,
        permissions: Permissions,
        request: HttpRequest,
        agent_id: int = 0,
        family: int | None = None,
        current: Callable[[], Permissions] | None = None,
    ) -> Deferred[HttpReply]:
        """Send a request; fires with the last response. Cancelling it ends the connection.

        @param current: the permissions of now, by which each hop is judged; None: they
            do not change.
        @param agent_id: whose request it is, for the limit of each agent.
        @param family: whose share it is of; its own if none is given.
        @raise PermissionDenied: (all by the Deferred) policy refuses a hop.
        @raise InvalidRequest: the URL or a header makes no sense.
        @raise LimitExceeded: too many requests, redirects or headers.
        @raise TimedOut: not done within the request's time-out.
        @raise Unavailable: the host cannot be reached, or does not speak HTTP.
        """
        limits = self._limits
        family = agent_id if family is None else family
        if self._running[agent_id] >= limits.max_per_agent:
            return _fail(
                LimitExceeded(
                    f"an agent has at most {limits.max_per_agent} HTTP requests under way",
                    hint="wait for one to end",
                )
            )
        refusal = self._shares.refusal(family)
        if refusal is not None:
            return _fail(refusal)
        self._shares.add(family)
        self._running[agent_id] += 1
        seconds = min(request.timeout, limits.max_timeout)
        judged_by = current or (lambda: permissions)
        fetched = Deferred.fromCoroutine(self._fetch(judged_by, request, family))
        fetched.addTimeout(seconds, self._reactor, lambda _, __: _timed_out(seconds))
        return fetched.addBoth(self._ended, agent_id, family)

    def _ended(self, result: Any, agent_id: int, family: int) -> Any:
        self._shares.give(family)
        self._running[agent_id] -= 1
        if not self._running[agent_id]:
            del self._running[agent_id]
        return result

    async def _fetch(
        self, current: Callable[[], Permissions], request: HttpRequest, family: int
    ) -> HttpReply:
        sending = outgoing(request, self._limits.max_headers)
        origin: tuple[str, str, int] | None = None
        for _ in range(self._limits.max_redirects + 1):
            target = _judge(current(), sending)
            if origin not in (None, target[:3]):
                sending = sending.without_secrets()
            origin = target[:3]
            addresses = await self._addresses(current, target, family)
            _judge(current(), sending)  # the permissions may be others by now
            hop = Hop(self._reactor, target, addresses, self._trust, self._limits)
            try:
                response = await self._send(hop, target, sending)
                location = response.headers.getRawHeaders(b"location")
                if response.code not in REDIRECTS or not location:
                    return await self._reply(hop, target, response)
            finally:
                hop.close()
            there = location[0].decode("utf-8", "replace")
            sending = sending.redirected(response.code, target, there)
        raise LimitExceeded(f"more than {self._limits.max_redirects} redirects")

    async def _addresses(
        self, current: Callable[[], Permissions], target: Target, family: int
    ) -> list[str]:
        """Where to dial. One answer that policy refuses refuses the name.

        @raise PermissionDenied: an address is refused.
        @raise Unavailable: there is none.
        """
        if target.address is not None:
            addresses = [target.host]
        else:
            addresses = await self._lookups.resolve(target.host, target.port, family)
        if not addresses:
            raise Unavailable(f"the name {target.host!r} has no address", hint="check the name")
        for address in addresses:
            decision = check_address(current(), target.host, target.port, address)
            decision.require(f"HTTP to {target.host}, which is {address}")
        return addresses

    async def _send(self, hop: Hop, target: Target, sending: Outgoing) -> IResponse:
        headers = Headers()
        for name, value in sending.headers:
            headers.addRawHeader(name.encode("ascii"), value.encode("latin-1"))
        try:
            response: IResponse = await HTTPClient(hop, None, Sender).request(
                sending.method,
                _ANY_URL,
                headers=headers,
                data=sending.body or None,
                allow_redirects=False,
                unbuffered=True,
                reactor=self._reactor,
            )
        except _BROKEN as error:
            if hop.flooded:
                raise self._too_many_headers() from None
            if any(reason.check(CancelledError) for reason in error.reasons):
                raise CancelledError from None
            raise _unreachable(target, error.reasons[0]) from None
        except (ConnectError, ConnectionDone, SSL.Error, OSError) as error:
            raise _unreachable(target, Failure(error)) from None
        size = sum(
            len(name) + len(value) + 4
            for name, values in response.headers.getAllRawHeaders()
            for value in values
        )
        if size > self._limits.max_headers:
            raise self._too_many_headers()
        return response

    def _too_many_headers(self) -> LimitExceeded:
        return LimitExceeded(f"the server sends over {self._limits.max_headers} bytes of headers")

    async def _reply(self, hop: Hop, target: Target, response: IResponse) -> HttpReply:
        collector = Collector(self._limits.max_body, hop.encoding)
        response.deliverBody(collector)
        body, truncated = await collector.done
        text, encoding = as_text(body, truncated)
        return HttpReply(
            success=200 <= response.code < 400,
            status_code=response.code,
            headers={
                name.decode("latin-1").lower(): b", ".join(values).decode("latin-1")
                for name, values in response.headers.getAllRawHeaders()
            },
            body=text,
            encoding=encoding,
            truncated=truncated,
            url=target.url,
        )


def _judge(permissions: Permissions, sending: Outgoing) -> Target:
    """Where a hop goes.

    @raise PermissionDenied: not with these permissions.
    """
    decision, target = check_url(permissions, sending.method, sending.url)
    decision.require(f"HTTP {sending.method} {sending.url[:200]}")
    return target


def _fail(error: CloveError) -> Deferred[HttpReply]:
    failed: Deferred[HttpReply] = Deferred()
    failed.errback(error)
    return failed


def _timed_out(seconds: float) -> Any:
    raise TimedOut(f"the request was not done within {seconds:g} s", hint="give a longer timeout")


def _unreachable(target: Target, reason: Failure) -> CloveError:
    """The error for a connection that failed, which tells no more than the network did."""
    cause: Any = reason.value
    if isinstance(cause, SSL.Error) or type(cause).__module__.startswith("service_identity"):
        return Unavailable(
            f"TLS with {target.netloc} failed: {_brief(cause)}",
            hint="its certificate is not for this name, or nobody trusted signed it",
        )
    return Unavailable(f"cannot reach {target.netloc}: {_brief(cause)}")


def _brief(cause: BaseException) -> str:
    if isinstance(cause, SSL.Error) and cause.args and cause.args[0]:
        return str(cause.args[0][-1][-1])
    return (str(cause) or type(cause).__name__)[:200]
