"""The store that a relay's configuration names, and the relay's id. Blocking."""

from __future__ import annotations

import os
from typing import Any

from clove.errors import Unavailable
from clove.relay.config import RelayConfig
from clove.relay.hub.relay_id import own_relay_id
from clove.relay.store.interface import IStore
from clove.relay.store.sqlite import SQLiteStore
from clove.threads.threads import ThreadLimits, Threads

__all__ = ["open_store", "store_threads"]


def store_threads(reactor: Any, config: RelayConfig) -> Threads:
    """Those in which its calls are made; not started yet."""
    most = config.limits.store.connections if config.store.postgresql else 1
    return Threads(reactor, 1, ThreadLimits(own=most))


def open_store(
    reactor: Any, config: RelayConfig, path: str, threads: Threads
) -> tuple[IStore, str]:
    """The store, and the id that kernels pin: of this relay, or of all that share a database.

    @param path: file of the embedded store.
    @raise CloveError: it cannot be used.
    """
    relay_id = own_relay_id(os.path.dirname(path))
    if not config.store.postgresql:
        return SQLiteStore(path, threads, config.limits.store), relay_id
    try:
        from clove.relay.store.postgresql import PostgreSQLStore
    except ImportError as error:
        raise Unavailable(
            f"PostgreSQL needs psycopg: {error}", hint="pip install 'clove[postgresql]'"
        ) from None
    store = PostgreSQLStore(
        reactor, config.store.postgresql, threads, config.limits.store, relay_id
    )
    return store, store.relay_id
