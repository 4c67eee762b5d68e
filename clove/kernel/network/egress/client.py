"""The HTTP client: every hop is judged, resolved, judged again, dialled.

With Twisted's client and TLS behind it this takes 15 MB, which a kernel has no use for before an
agent fetches something: L{clove.kernel.network.egress.fetch} imports it then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError, ConnectionDone
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

from clove.channels.host_check import CheckedPolicy
from clove.errors import CloveError, LimitExceeded, Unavailable
from clove.kernel.network.egress.body import Collector, Sender, as_text
from clove.kernel.network.egress.hop import Hop
from clove.kernel.network.egress.limits import EgressLimits
from clove.kernel.network.egress.outgoing import REDIRECTS, Outgoing, outgoing
from clove.kernel.network.lookups import Lookups
from clove.kernel.network.way_out import WayOut
from clove.messages.http import HttpReply, HttpRequest
from clove.policy import Permissions, Target, check_address, check_url

__all__ = ["Client"]

_ANY_URL = "http://target.invalid/"
"""What treq is told. A hop knows its own URL, so that no other parser reads it
(treq's could not read one with an IPv6 address)."""
_BROKEN = (ResponseFailed, ResponseNeverReceived, RequestTransmissionFailed)


class Client:
    """Sends requests and follows redirects.

    @param trust: what TLS trusts; the host's certificates where it is None.
    """

    def __init__(
        self,
        reactor: Any,
        limits: EgressLimits,
        lookups: Lookups,
        trust: IPolicyForHTTPS | None,
        way_out: WayOut,
    ) -> None:
        self._reactor = reactor
        self._limits = limits
        self._lookups = lookups
        self._way_out = way_out
        self._trust = HostnameCachingHTTPSPolicy(
            trust or CheckedPolicy(BrowserLikePolicyForHTTPS()), 64
        )

    async def fetch(
        self, current: Callable[[], Permissions], request: HttpRequest, family: int
    ) -> HttpReply:
        """The last response; raises as L{clove.kernel.network.egress.fetch.Egress.fetch} says."""
        sending = outgoing(request, self._limits.max_headers)
        origin: tuple[str, str, int] | None = None
        for _ in range(self._limits.max_redirects + 1):
            target = _judge(current(), sending)
            if origin not in (None, target[:3]):
                sending = sending.without_secrets()
            origin = target[:3]
            addresses = await self._addresses(current, target, family)
            _judge(current(), sending)  # the permissions may be others by now
            hop = Hop(self._reactor, target, addresses, self._trust, self._limits, self._way_out)
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

        @return: none where the proxy looks the name up.
        @raise PermissionDenied: an address is refused.
        @raise Unavailable: there is none.
        """
        if target.address is not None:
            addresses = [target.host]
        elif not self._way_out.looks_up(target.host):
            return []
        else:
            addresses = await self._lookups.resolve(target.host, target.port, family)
        if not addresses:
            raise Unavailable(
                f"the name {target.host!r} has no address", hint=self._way_out.name_hint
            )
        meant = [self._way_out.meant_by(address) for address in addresses]
        for address in dict.fromkeys([*addresses, *meant]):
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


def _unreachable(target: Target, reason: Failure) -> CloveError:
    """The error for a connection that failed, which tells no more than the network did."""
    cause: Any = reason.value
    if isinstance(cause, SSL.Error) or type(cause).__module__.startswith("service_identity"):
        return Unavailable(
            f"TLS with {target.netloc} failed: {_brief(cause)}",
            hint="its certificate is not for this name, or no trusted authority has signed it",
        )
    return Unavailable(f"cannot reach {target.netloc}: {_brief(cause)}")


def _brief(cause: BaseException) -> str:
    if isinstance(cause, SSL.Error) and cause.args and cause.args[0]:
        return str(cause.args[0][-1][-1])
    return (str(cause) or type(cause).__name__)[:200]
