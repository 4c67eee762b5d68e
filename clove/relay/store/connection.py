"""A SQLite database, its file private and its schema known. Blocking; for one thread at a time."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from typing import Final

from clove.errors import Unavailable
from clove.relay.store.database import Dialect, Parameters, Row

__all__ = ["SCHEMA", "SQLiteDatabase", "connect"]

_BUSY_SECONDS: Final = 5.0

_MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE tokens (
            id TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, kind TEXT NOT NULL, name TEXT NOT NULL,
            machine_id TEXT NOT NULL, targets TEXT NOT NULL, permissions TEXT NOT NULL,
            created REAL NOT NULL, expires REAL, last_used REAL, used REAL, revoked REAL
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX tokens_of_machine ON tokens (machine_id)",
        """
        CREATE TABLE machines (
            machine_id TEXT PRIMARY KEY, name TEXT NOT NULL, provider TEXT NOT NULL,
            labels TEXT NOT NULL, metadata TEXT NOT NULL, address TEXT NOT NULL,
            versions TEXT NOT NULL, isolation TEXT NOT NULL, public_key BLOB, created REAL NOT NULL,
            last_seen REAL, draining INTEGER NOT NULL, flags TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    ),
    (
        """
        CREATE TABLE repeats (
            token_id TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, claimant TEXT NOT NULL,
            answer BLOB, doubtful INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (token_id, key)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX repeats_by_age ON repeats (at)",
        "CREATE INDEX repeats_of_token ON repeats (token_id, at)",
    ),
    (
        """
        CREATE TABLE denials (
            id INTEGER PRIMARY KEY AUTOINCREMENT, relay TEXT NOT NULL, number INTEGER NOT NULL,
            at REAL NOT NULL, last REAL NOT NULL, count INTEGER NOT NULL, caller TEXT NOT NULL,
            kind TEXT NOT NULL, source TEXT NOT NULL, token_id TEXT NOT NULL,
            machine_id TEXT NOT NULL, what TEXT NOT NULL, code TEXT NOT NULL, rule TEXT NOT NULL,
            error TEXT NOT NULL, UNIQUE (relay, number)
        ) STRICT
        """,
        "CREATE INDEX denials_of_caller ON denials (caller, id)",
        "CREATE INDEX denials_of_strangers ON denials (id) WHERE token_id = ''",
    ),
    (
        "ALTER TABLE repeats RENAME TO earlier_repeats",
        """
        CREATE TABLE repeats (
            token_id TEXT NOT NULL, key TEXT NOT NULL, machine_id TEXT NOT NULL, body BLOB NOT NULL,
            claimant TEXT NOT NULL, answer BLOB, doubtful INTEGER NOT NULL, at REAL NOT NULL,
            PRIMARY KEY (token_id, key, machine_id)
        ) STRICT, WITHOUT ROWID
        """,
        "INSERT INTO repeats SELECT token_id, key, '', body, claimant, answer, doubtful, at"
        " FROM earlier_repeats",
        "DROP TABLE earlier_repeats",
        "CREATE INDEX repeats_by_age ON repeats (at)",
        "CREATE INDEX repeats_of_token ON repeats (token_id, at) WHERE machine_id = ''",
        "CREATE INDEX repeats_on_machines ON repeats (token_id, at) WHERE machine_id <> ''",
    ),
)
"""Statements that lead from each version of the tables, which C{user_version} counts, to the next."""
SCHEMA: Final = len(_MIGRATIONS)
"""The version that this Clove makes."""

_DAMAGED: Final = (
    "restore it from a backup, or move it away: then machines and tokens are made anew"
)
_DIALECT: Final = Dialect(
    in_list="{column} IN (SELECT value FROM json_each(:{parameter}))",
    has_labels="""
        NOT EXISTS (
            SELECT 1 FROM json_each(:labels) AS wanted WHERE NOT EXISTS (
                SELECT 1 FROM json_each(machines.labels) AS has
                WHERE has.key = wanted.key AND has.value = wanted.value
            )
        )
    """,
    claimant_lives="FALSE",
    locking="",
)


class SQLiteDatabase:
    """See L{Database<clove.relay.store.database.Database>}."""

    dialect = _DIALECT

    def __init__(self, path: str) -> None:
        self._connection = connect(path)

    def rows(self, statement: str, parameters: Parameters) -> list[Row]:
        """What a statement finds or returns."""
        return [dict(row) for row in self._connection.execute(statement, parameters)]

    def each(self, statement: str, parameters: Iterable[Parameters]) -> None:
        """The same statement for many."""
        self._connection.executemany(statement, parameters)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what is done within, or nothing."""
        with _transaction(self._connection):
            yield

    updates = transaction

    def changed(self, what: str, named: str) -> None:
        """There is no other relay."""

    def close(self) -> None:
        """Use it no more."""
        self._connection.close()


def connect(path: str) -> sqlite3.Connection:
    """Open the database, and make it where there is none.

    @raise Unavailable: the file is not ours, cannot be written, or a newer Clove has made it.
    """
    try:
        _make_private(path)
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"cannot open {path}: {error}", hint="see --state-dir") from None
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "PRAGMA synchronous = FULL"
        )  # what was answered survives a loss of power
        connection.execute("PRAGMA trusted_schema = OFF")
        _check_whole(connection)
        _make_tables(connection, path)
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError):
            raise Unavailable(f"{path}: {error}", hint="see --state-dir") from None
        if isinstance(error, sqlite3.DatabaseError):
            raise Unavailable(f"{path} is damaged: {error}", hint=_DAMAGED) from None
        raise
    return connection


def _check_whole(connection: sqlite3.Connection) -> None:
    """A damaged file must not be taken for one with fewer tokens; 0.1 s for 100,000 of them.

    @raise sqlite3.DatabaseError: it is damaged.
    """
    [said] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(str(said).splitlines()[-1])


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of what is done within, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:  # a full disk may leave the transaction open
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _make_private(path: str) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
            raise Unavailable(
                f"{path} is not a file of the relay's own user", hint="choose another --state-dir"
            )
        os.fchmod(descriptor, 0o600)  # files beside it (-wal, -shm) get the same mode
    finally:
        os.close(descriptor)


def _make_tables(connection: sqlite3.Connection, path: str) -> None:
    with _transaction(connection):
        [version] = connection.execute("PRAGMA user_version").fetchone()
        if version > len(_MIGRATIONS):
            raise Unavailable(
                f"{path} has version {version} of the tables, this Clove knows {len(_MIGRATIONS)}",
                hint="start the newer Clove that made it, or choose another --state-dir",
            )
        for statements in _MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        if version < len(_MIGRATIONS):
            connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
