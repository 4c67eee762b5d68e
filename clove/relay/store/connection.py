"""A SQLite database, its file private and its schema known. Blocking; for one thread at a time."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from typing import Final

from clove.errors import Unavailable
from clove.relay.store.rows import SCHEMA

__all__ = ["connect", "transaction"]

_VERSION: Final = 1
_BUSY_SECONDS: Final = 5.0


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
        _make_tables(connection, path)
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error):
            raise Unavailable(f"{path}: {error}", hint="see --state-dir") from None
        raise
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of what is done within, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


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
    with transaction(connection):
        [version] = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION:
            raise Unavailable(
                f"{path} has version {version} of the tables, this Clove knows {_VERSION}",
                hint="start the newer Clove that made it, or choose another --state-dir",
            )
