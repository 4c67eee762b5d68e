"""The embedded store: SQLite in a thread, for one relay."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from zope.interface import implementer

from clove.errors import Unavailable
from clove.relay.store.connection import SQLiteDatabase
from clove.relay.store.interface import IStore, StoreLimits, StoreObserver
from clove.relay.store.table_calls import TableCalls, Tables, tables_of
from clove.threads.threads import Threads

__all__ = ["SQLiteStore"]

T = TypeVar("T")


@implementer(IStore)
class SQLiteStore(TableCalls):
    """Each call runs in the one thread that it is given, in the order in which it came.

    @param threads: with a single thread, so that calls do not overlap.
    """

    log = Logger()

    def __init__(self, path: str, threads: Threads, limits: StoreLimits | None = None) -> None:
        self._limits = limits or StoreLimits()
        self._threads = threads
        self._waiting = 0
        self._database: SQLiteDatabase | None = SQLiteDatabase(path)
        self._tables = tables_of(self._database, self._limits)

    def _run(self, call: Callable[[Tables], T]) -> Deferred[T]:
        if self._waiting >= self._limits.waiting or self._database is None:
            return fail(Unavailable("the relay's store is busy", hint="try again in a second"))
        self._waiting += 1

        def work() -> T:
            try:
                return call(self._tables)
            except (sqlite3.Error, OSError) as error:
                self.log.error("store: {error}", error=str(error))
                raise Unavailable(
                    "the relay's store cannot be used now",
                    hint="try again; the relay's log has why",
                ) from None

        return self._threads.run(work).addBoth(self._counted)

    def _counted(self, result: T) -> T:
        self._waiting -= 1
        return result

    def observe(self, observer: StoreObserver) -> None:
        """There are no other relays."""

    def close(self) -> Deferred[None]:
        """After what was asked before."""
        database, self._database = self._database, None
        if database is None:
            return self._threads.run(lambda: None)
        return self._threads.run(database.close)
