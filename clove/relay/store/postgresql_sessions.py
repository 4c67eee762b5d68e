"""The connections that a relay has to PostgreSQL. Calls are made in threads, each with one of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

import psycopg

from clove.errors import Unavailable
from clove.relay.store.interface import StoreLimits
from clove.relay.store.postgresql_connection import PostgreSQLDatabase, connect
from clove.relay.store.table_calls import Tables, tables_of

__all__ = ["Sessions"]

T = TypeVar("T")

TRIES: Final = 3
"""Times that a call is made which others' transactions, or a restart of the database, made fail."""
_PAUSE: Final = 0.5
"""Seconds after a failed connection in which no other is tried: calls fail at once."""


class _Session(NamedTuple):
    database: PostgreSQLDatabase
    tables: Tables


class Sessions:
    """Connections that are idle, and new ones; used by several threads.

    @param name: of this relay, told with each change.
    """

    def __init__(self, address: str, limits: StoreLimits, name: str) -> None:
        self._address = address
        self._limits = limits
        self._name = name
        self._idle: list[_Session] = []  # append and pop are whole under the interpreter's lock
        self._failed = float("-inf")

    def call(self, call: Callable[[Tables], T]) -> T:
        """Make a call with a connection of its own.

        @raise psycopg.Error: it cannot be made, or whether it was made is not known.
        @raise CloveError: as the call says.
        """
        for tries in range(TRIES):
            session, used = self._session()
            try:
                return call(session.tables)
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                if tries == TRIES - 1:
                    raise
            except psycopg.OperationalError:
                lost = session.database.is_lost
                session.database.close()
                if not lost or not used or session.database.unsure:
                    raise
                self.close()  # the others are as old
            except psycopg.Error:
                session.database.close()
                raise
            finally:
                if not session.database.is_lost:
                    self._idle.append(session)
        raise Unavailable("the relay's store is restarting", hint="try again in a second")

    def _session(self) -> tuple[_Session, bool]:
        """A connection, and whether it was used before, so that the server may have ended it since."""
        if self._idle:
            try:
                return self._idle.pop(), True
            except IndexError:  # another thread has it
                pass
        if time.monotonic() < self._failed + _PAUSE:
            raise psycopg.OperationalError("it could not be reached a moment ago")
        try:
            connection = connect(self._address, self._limits.answer_seconds)
        except psycopg.Error:
            self._failed = time.monotonic()
            raise
        database = PostgreSQLDatabase(connection, self._name)
        return _Session(database, tables_of(database, self._limits)), False

    def close(self) -> None:
        """Close those that are idle."""
        while self._idle:
            try:
                self._idle.pop().database.close()
            except IndexError:
                return
