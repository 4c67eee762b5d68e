"""The embedded store: SQLite in a thread, for one relay."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping
from typing import ParamSpec, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from zope.interface import implementer

from clove.errors import Unavailable
from clove.relay.records import Flag, MachineRecord, Targets, TokenKind, TokenRecord
from clove.relay.store.connection import connect
from clove.relay.store.interface import IStore, MachineChanges, Seen, StoreLimits
from clove.relay.store.machine_table import MachineTable
from clove.relay.store.token_table import TokenTable
from clove.threads.threads import Threads

__all__ = ["SQLiteStore"]

P = ParamSpec("P")
T = TypeVar("T")


@implementer(IStore)
class SQLiteStore:
    """Each call runs in the one thread that it is given, in the order in which it came.

    @param threads: with a single thread, so that calls do not overlap.
    """

    log = Logger()

    def __init__(self, path: str, threads: Threads, limits: StoreLimits | None = None) -> None:
        self._limits = limits or StoreLimits()
        self._threads = threads
        self._waiting = 0
        self._connection: sqlite3.Connection | None = connect(path)
        self._tokens = TokenTable(self._connection, self._limits)
        self._machines = MachineTable(self._connection, self._limits, self._tokens)

    def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        if self._waiting >= self._limits.waiting or self._connection is None:
            return fail(Unavailable("the relay's store is busy", hint="try again in a second"))
        self._waiting += 1

        def work() -> T:
            try:
                return function(*args, **kwargs)
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

    def add_token(self, record: TokenRecord) -> Deferred[None]:
        """See L{IStore}, as for all of these."""
        return self._run(self._tokens.add, record)

    def token(self, token_id: str) -> Deferred[TokenRecord]:
        """One token."""
        return self._run(self._tokens.get, token_id)

    def token_by_digest(self, digest: bytes) -> Deferred[TokenRecord | None]:
        """One token, by what is kept of its text."""
        return self._run(self._tokens.by_digest, digest)

    def tokens(self, after: str, most: int) -> Deferred[list[TokenRecord]]:
        """A page of tokens."""
        return self._run(self._tokens.after, after, most)

    def revoke_token(self, token_id: str, now: float) -> Deferred[TokenRecord]:
        """Make one invalid."""
        return self._run(self._tokens.revoke, token_id, now)

    def used_tokens(self, times: Mapping[str, float]) -> Deferred[None]:
        """When tokens were used last."""
        return self._run(self._tokens.note_used, dict(times))

    def count_tokens(self, kind: TokenKind, now: float) -> Deferred[int]:
        """Valid ones of a kind."""
        return self._run(self._tokens.count, kind, now)

    def add_machine(self, record: MachineRecord, token: TokenRecord | None) -> Deferred[None]:
        """A new machine."""
        return self._run(self._machines.add, record, token)

    def machine(self, machine_id: str) -> Deferred[MachineRecord | None]:
        """One machine."""
        return self._run(self._machines.get, machine_id)

    def machines(self, after: str, most: int, targets: Targets) -> Deferred[list[MachineRecord]]:
        """A page of machines."""
        return self._run(self._machines.after, after, most, targets)

    def count_machines(self, targets: Targets, ids: Collection[str]) -> Deferred[tuple[int, int]]:
        """For a status."""
        return self._run(self._machines.count, targets, tuple(ids))

    def change_machine(self, machine_id: str, changes: MachineChanges) -> Deferred[MachineRecord]:
        """By an operator."""
        return self._run(self._machines.change, machine_id, changes)

    def remove_machine(self, machine_id: str, now: float) -> Deferred[list[str]]:
        """And its tokens' validity."""
        return self._run(self._machines.remove, machine_id, now)

    def join_machine(
        self, machine_id: str, public_key: bytes, token_id: str, now: float
    ) -> Deferred[MachineRecord]:
        """A machine's key, for a token."""
        return self._run(self._machines.join, machine_id, public_key, token_id, now)

    def seen_machines(self, seen: Mapping[str, Seen]) -> Deferred[None]:
        """What their tunnels told."""
        return self._run(self._machines.note_seen, dict(seen))

    def flag_machine(self, machine_id: str, flag: Flag) -> Deferred[None]:
        """Something to look at."""
        return self._run(self._machines.note_flag, machine_id, flag)

    def close(self) -> Deferred[None]:
        """After what was asked before."""
        connection, self._connection = self._connection, None
        if connection is None:
            return self._threads.run(lambda: None)
        return self._threads.run(connection.close)
