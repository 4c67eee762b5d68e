"""Connections to PostgreSQL that answer within a time, or are given up. Blocking."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import re
import time
from collections.abc import Generator, Iterable, Iterator
from typing import Any, Final, TypeVar

import msgspec
import psycopg
from psycopg import conninfo
from psycopg.rows import dict_row

from clove.errors import InvalidRequest
from clove.relay.store.database import Dialect, Parameters, Row
from clove.relay.store.postgresql_schema import LOCK

__all__ = ["CHANNEL", "PostgreSQLDatabase", "checked", "connect"]

T = TypeVar("T")

CHANNEL: Final = "clove_relay"
"""Where relays tell each other what has changed."""
_DIALECT: Final = Dialect(
    in_list="{column} IN (SELECT jsonb_array_elements_text(CAST(:{parameter} AS jsonb)))",
    has_labels="CAST(machines.labels AS jsonb) @> CAST(:labels AS jsonb)",
    claimant_lives="""
        (claimant <> :claimant AND EXISTS (SELECT 1 FROM relays WHERE relay = claimant
            AND until > extract(epoch FROM clock_timestamp())))
    """,
    locking=" FOR UPDATE",
)
_PARAMETER: Final = re.compile(r":([a-z_]+)")
_SETTINGS: Final = """
    SELECT set_config('statement_timeout', %(milliseconds)s, false),
        set_config('lock_timeout', %(milliseconds)s, false),
        set_config('idle_in_transaction_session_timeout', %(milliseconds)s, false),
        set_config('synchronous_commit', CASE current_setting('synchronous_commit')
            WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)
"""
"""What was answered is on the server's disk, and nothing holds others up for long."""


class _Bounded(psycopg.Connection[dict[str, Any]]):
    """A connection that waits for each answer no longer than C{answer_seconds}."""

    answer_seconds = 5.0

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Called by psycopg for all that it waits for."""
        return super().wait(_until(gen, time.monotonic() + self.answer_seconds), *args, **kwargs)


def _until(gen: Generator[Any, Any, T], end: float) -> Generator[Any, Any, T]:
    """The same steps; psycopg comes back ten times a second with nothing ready, until the end."""
    try:
        state = next(gen)
        while True:
            ready = yield state
            if not ready and time.monotonic() > end:
                raise psycopg.OperationalError("the database does not answer in time")
            state = gen.send(ready)
    except StopIteration as stopped:
        found: T = stopped.value
        return found


def checked(address: str) -> str:
    """A connection string; over a network TLS and the server's certificate are asked for.

    @raise InvalidRequest: it is none. It is not repeated: it may hold a password.
    """
    try:
        given = conninfo.conninfo_to_dict(address)
    except psycopg.Error:
        raise InvalidRequest(
            "store.postgresql is no connection string of PostgreSQL",
            hint="such as postgresql://clove@db.example.org/clove?passfile=/etc/clove/pgpass",
        ) from None
    hosts = str(given.get("hostaddr") or given.get("host") or "")
    if "sslmode" not in given and not all(_is_near(host) for host in hosts.split(",")):
        return conninfo.make_conninfo(address, sslmode="verify-full")
    return address


def _is_near(host: str) -> bool:
    """A socket of this machine, or loopback."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def connect(address: str, answer_seconds: float) -> _Bounded:
    """A connection that is ready for statements, each a transaction of its own unless one is begun.

    @raise psycopg.Error: there is none to be had.
    """
    connection = _Bounded.connect(
        address,
        autocommit=True,
        row_factory=dict_row,
        connect_timeout=max(2, round(answer_seconds)),  # of libpq: two seconds at least
        application_name="clove-relay",
    )
    connection.answer_seconds = answer_seconds
    try:
        connection.execute(_SETTINGS, {"milliseconds": str(round(answer_seconds * 1000))})
    except BaseException:
        connection.close()
        raise
    return connection


class PostgreSQLDatabase:
    """See L{Database<clove.relay.store.database.Database>}.

    @ivar unsure: a transaction was being committed: whether it was, is not known if that failed.
    @param name: of this relay, told with each change.
    """

    dialect = _DIALECT

    def __init__(self, connection: psycopg.Connection[dict[str, Any]], name: str) -> None:
        self._connection = connection
        self._name = name
        self.unsure = False

    @property
    def is_lost(self) -> bool:
        """Nothing more can be asked."""
        return self._connection.closed

    def rows(self, statement: str, parameters: Parameters) -> list[Row]:
        """What a statement finds or returns."""
        _check(parameters)
        cursor = self._connection.execute(_translated(statement), parameters)
        return [*cursor.fetchall()] if cursor.description else []

    def each(self, statement: str, parameters: Iterable[Parameters]) -> None:
        """The same statement for many, sent together."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_translated(statement), parameters)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what is done within, or nothing, and one such after the other."""
        with self.updates():
            self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            yield

    @contextlib.contextmanager
    def updates(self) -> Iterator[None]:
        """All of what is done within, or nothing."""
        with self._connection.transaction():
            yield
            self.unsure = True
        self.unsure = False

    def changed(self, what: str, named: str) -> None:
        """Told by PostgreSQL when the transaction is committed."""
        payload = msgspec.json.encode([self._name, what, named]).decode()
        self._connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))

    def close(self) -> None:
        """Use it no more."""
        self._connection.close()


def _check(parameters: Parameters) -> None:
    """PostgreSQL has no text with this character; SQLite would find nothing."""
    if any(isinstance(value, str) and "\0" in value for value in parameters.values()):
        raise InvalidRequest("a text has a NUL character", hint="send it without")


@functools.cache
def _translated(statement: str) -> Any:
    return _PARAMETER.sub(r"%(\1)s", statement)
