"""Names to addresses by the reactor's resolver, bounded."""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from zope.interface import implementer

from clove.kernel.network.record_lookups import RecordLookups
from clove.sharing.shares import Shares

__all__ = ["Lookups"]


T = TypeVar("T")


@implementer(IResolutionReceiver)
class _Answers:
    """Collects one look-up's answers."""

    def __init__(self, most: int, done: Any) -> None:
        self._most = most
        self._done = done
        self.addresses: list[str] = []

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        """Part of IResolutionReceiver."""

    def addressResolved(self, address: IAddress) -> None:
        """Part of IResolutionReceiver."""
        host: str = getattr(address, "host", "")
        if len(self.addresses) < self._most and host not in self.addresses:
            self.addresses.append(host)

    def resolutionComplete(self) -> None:
        """Part of IResolutionReceiver."""
        self._done(self.addresses)


class Lookups:
    """Resolves names, at most so many at a time, and of each family no more than its share."""

    def __init__(
        self,
        resolver: IHostnameResolver,
        shares: Shares,
        most_addresses: int,
        records: RecordLookups | None = None,
    ) -> None:
        self._resolver = resolver
        self._records = records
        self._shares = shares
        self._most_addresses = most_addresses

    def resolve(self, host: str, port: int, family: int) -> Deferred[list[str]]:
        """All addresses of a name, in the order to try them; empty if there are none.

        Cancelling the Deferred abandons the look-up, which goes on counting
        until its thread is done: a look-up in a thread cannot be stopped.

        @param family: of the caller.
        @raise LimitExceeded: too many look-ups are under way.
        """
        self._shares.take(family)
        found: Deferred[list[str]] = Deferred(lambda _: None)

        def done(addresses: list[str]) -> None:
            self._shares.give(family)
            if not found.called:
                found.callback(addresses)

        self._resolver.resolveHostName(_Answers(self._most_addresses, done), host, port)
        return found

    def records(self, name: str, host: str, kind: int, family: int) -> Deferred[bytes]:
        """The whole reply with a name's records; see L{RecordLookups.ask}.

        @param family: of the caller.
        @raise LimitExceeded: too many look-ups are under way.
        """
        if self._records is None:
            return succeed(b"")
        self._shares.take(family)

        def done(result: T) -> T:
            self._shares.give(family)
            return result

        return self._records.ask(name, host, kind).addBoth(done)
