"""Machines that have joined: their keys, and their rows in a relay's store.

The rows are written directly, since a relay is not what joining ten thousand machines measures; the proof
of the keys is then the real one.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clove.relay.records import MachineRecord
from clove.relay.store.connection import SQLiteDatabase
from clove.relay.store.rows import MACHINE_COLUMNS, machine_row, placeholders

__all__ = ["key_of", "machine_id", "public_key", "register"]

_WRITE = (
    f"INSERT INTO machines ({', '.join(MACHINE_COLUMNS)}) VALUES ({placeholders(MACHINE_COLUMNS)})"
)
_ROWS = 1000
"""In one transaction."""


def machine_id(number: int) -> str:
    """Such as m00042."""
    return f"m{number:05}"


def key_of(number: int) -> Ed25519PrivateKey:
    """The same at every run."""
    seed = hashlib.sha256(b"bench.fleet %d" % number).digest()
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_key(number: int) -> bytes:
    """Its public half."""
    return key_of(number).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def register(store: str, count: int) -> None:
    """Have machines joined.

    @param store: the file of a relay that does not run, or a connection string of PostgreSQL.
    """
    database = _database(store)
    for first in range(0, count, _ROWS):
        with database.updates():
            database.each(_WRITE, _rows(range(first, min(first + _ROWS, count))))
    database.close()


def _rows(numbers: Iterable[int]) -> Iterator[dict[str, object]]:
    for number in numbers:
        yield machine_row(
            MachineRecord(
                machine_id=machine_id(number), public_key=public_key(number), created=time.time()
            )
        )


def _database(store: str) -> Any:
    if "=" not in store and "://" not in store:
        return SQLiteDatabase(store)
    from clove.relay.store.postgresql_connection import PostgreSQLDatabase, connect

    return PostgreSQLDatabase(connect(store, 60.0), "bench")
