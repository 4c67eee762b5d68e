"""The store of several relays: PostgreSQL, in threads with a connection each."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from zope.interface import implementer

from clove.errors import Unavailable
from clove.relay.store.interface import IStore, StoreLimits, StoreObserver
from clove.relay.store.postgresql_connection import checked, connect
from clove.relay.store.postgresql_listener import Listener
from clove.relay.store.postgresql_schema import migrate
from clove.relay.store.postgresql_sessions import Sessions
from clove.relay.store.route_calls import RouteCalls
from clove.relay.store.table_calls import TableCalls, Tables
from clove.threads.threads import Threads

__all__ = ["PostgreSQLStore"]

T = TypeVar("T")


@implementer(IStore)
class PostgreSQLStore(TableCalls, RouteCalls):
    """Calls overlap, as those of other relays do.

    @param address: a connection string of PostgreSQL.
    @param threads: as many as there may be connections.
    @param relay_id: of the fleet's relays, if this is the first of them.
    @ivar relay_id: what it is.
    @raise Unavailable: the database cannot be reached, or a newer Clove has made its tables.
    @raise InvalidRequest: C{address} is no connection string.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        address: str,
        threads: Threads,
        limits: StoreLimits | None = None,
        relay_id: str = "",
    ) -> None:
        self._reactor = reactor
        self._limits = limits or StoreLimits()
        self._threads = threads
        self._address = checked(address)
        self._name = secrets.token_hex(8)
        self._sessions = Sessions(self._address, self._limits, self._name)
        self._listener: Listener | None = None
        self._waiting = 0
        self._closed: Deferred[None] | None = None
        try:
            with connect(self._address, self._limits.answer_seconds) as connection:
                self.relay_id = migrate(connection, relay_id)
        except psycopg.Error as error:
            raise Unavailable(
                f"PostgreSQL cannot be used: {_one_line(error)}", hint="see store.postgresql"
            ) from None

    def _run(self, call: Callable[[Tables], T]) -> Deferred[T]:
        if self._waiting >= self._limits.waiting or self._closed is not None:
            return fail(Unavailable("the relay's store is busy", hint="try again in a second"))
        self._waiting += 1

        def work() -> T:
            try:
                return self._sessions.call(call)
            except psycopg.Error as error:
                self.log.error("store: {error}", error=_one_line(error))
                raise Unavailable(
                    "the relay's store cannot be used now",
                    hint="try again; the relay's log has why",
                ) from None

        return self._threads.run(work).addBoth(self._counted)

    def _counted(self, result: T) -> T:
        self._waiting -= 1
        if self._closed is not None and not self._waiting:
            self._closed.callback(None)
        return result

    def observe(self, observer: StoreObserver) -> None:
        """Begin to listen."""
        limits = self._limits
        self._listener = Listener(
            self._reactor, self._address, limits.answer_seconds, self._name, observer
        )
        self._listener.start()

    def close(self) -> Deferred[None]:
        """After what was asked before."""
        if self._closed is not None:
            return succeed(None)
        self._closed = Deferred()
        finished = self._closed
        if not self._waiting:
            finished.callback(None)
        return finished.addCallback(lambda _: self._threads.run(self._close))

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.stop()
        self._sessions.close()


def _one_line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())[:300]
