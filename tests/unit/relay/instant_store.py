"""A relay's store that answers at once, in the thread of the test."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from clove.relay.store.interface import StoreLimits
from clove.relay.store.sqlite import SQLiteStore

__all__ = ["instant_store"]


class _NoThreads:
    def run(self, function: Any, *args: Any, **kwargs: Any) -> Deferred[Any]:
        return maybeDeferred(function, *args, **kwargs)


def instant_store(path: str, **limits: int) -> SQLiteStore:
    return SQLiteStore(path, _NoThreads(), StoreLimits(**limits))  # type: ignore[arg-type] # a stand-in
