"""The kernel's way out by HTTP: how many requests at once, for how long, for which callers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IHostnameResolver

from clove.errors import CloveError, LimitExceeded, TimedOut, Unavailable
from clove.kernel.network.egress.limits import EgressLimits
from clove.kernel.network.lookups import Lookups
from clove.kernel.network.way_out import WayOut
from clove.messages.http import HttpReply, HttpRequest
from clove.policy import Permissions
from clove.sharing.shares import ShareLimits, Shares

if TYPE_CHECKING:
    from twisted.web.iweb import IPolicyForHTTPS

    from clove.kernel.network.egress.client import Client

__all__ = ["Egress"]

CLIENT: Final = "clove.kernel.network.egress.client"


class Egress:
    """Fetches URLs for agents.

    @param reactor: connects, keeps time, and resolves names where no resolver is given.
    @param trust: what TLS trusts; where it is None, the host's certificates and C{certificates}.
    @param certificates: each in PEM.
    @param load: imports a module; at once where it is not given.
    """

    def __init__(
        self,
        reactor: Any,
        limits: EgressLimits | None = None,
        *,
        resolver: IHostnameResolver | None = None,
        trust: IPolicyForHTTPS | None = None,
        shares: ShareLimits | None = None,
        load: Callable[[str], Awaitable[None]] | None = None,
        way_out: WayOut | None = None,
        certificates: tuple[str, ...] = (),
    ) -> None:
        self._reactor = reactor
        self._trust = trust
        self._certificates = certificates
        self._way_out = way_out or WayOut(reactor)
        self._import = load or _import_now
        self._limits = limits = limits or EgressLimits()
        self._lookups = Lookups(
            resolver or reactor.nameResolver,
            Shares("names being resolved", "limits.http.max_lookups", limits.max_lookups, shares),
            limits.max_addresses,
        )
        self._shares = Shares(
            "HTTP requests", "limits.http.max_concurrent", limits.max_concurrent, shares
        )
        self._running: Counter[int] = Counter()
        self._client: Client | None = None
        self._loading = DeferredLock()

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
        @param agent_id: the caller's, for the limit of each agent.
        @param family: the caller's, for its share; the caller itself if none is given.
        @raise PermissionDenied: (all by the Deferred) policy refuses a hop.
        @raise InvalidRequest: the URL or a header makes no sense.
        @raise LimitExceeded: too many requests, redirects or headers.
        @raise TimedOut: not done within the request's time-out.
        @raise Unavailable: the host cannot be reached, or its answer is not HTTP.
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
        if self._client is None:
            await self._loading.run(self._load)
        assert self._client is not None
        return await self._client.fetch(current, request, family)

    def _load(self) -> Deferred[None]:
        """Import the client, once."""
        return Deferred.fromCoroutine(self._import_client())

    async def _import_client(self) -> None:
        if self._client is not None:
            return
        try:
            await self._import(CLIENT)
        except (ImportError, OSError) as error:
            raise Unavailable(f"the kernel cannot load its HTTP client: {error}") from None
        from clove.kernel.network.egress.client import Client

        if self._certificates and self._trust is None:
            from clove.kernel.network.egress.trust import trusting

            self._trust = trusting(self._certificates)
        self._client = Client(
            self._reactor, self._limits, self._lookups, self._trust, self._way_out
        )


async def _import_now(name: str) -> None:
    import_module(name)


def _fail(error: CloveError) -> Deferred[HttpReply]:
    failed: Deferred[HttpReply] = Deferred()
    failed.errback(error)
    return failed


def _timed_out(seconds: float) -> Any:
    raise TimedOut(f"the request was not done within {seconds:g} s", hint="give a longer timeout")
