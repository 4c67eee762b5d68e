"""The calls of a store, made on its tables: the same for every database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, TypeVar

from twisted.internet.defer import Deferred

from clove.relay.denial_record import Denial
from clove.relay.records import (
    Flag,
    MachineRecord,
    Repeat,
    RepeatKey,
    Targets,
    TokenKind,
    TokenRecord,
)
from clove.relay.store.database import Database
from clove.relay.store.denial_table import DenialTable
from clove.relay.store.interface import MachineChanges, Seen, StoreLimits
from clove.relay.store.machine_table import MachineTable
from clove.relay.store.repeat_table import RepeatTable
from clove.relay.store.route_table import RouteTable
from clove.relay.store.token_table import TokenTable

__all__ = ["TableCalls", "Tables", "tables_of"]

T = TypeVar("T")


class Tables(NamedTuple):
    """The tables of one connection."""

    tokens: TokenTable
    machines: MachineTable
    routes: RouteTable
    repeats: RepeatTable
    denials: DenialTable


def tables_of(database: Database, limits: StoreLimits) -> Tables:
    """Those that are reached by this connection."""
    tokens = TokenTable(database, limits)
    return Tables(
        tokens,
        MachineTable(database, limits, tokens),
        RouteTable(database),
        RepeatTable(database, limits),
        DenialTable(database, limits),
    )


# More than 20 methods: those of IStore
class TableCalls:
    """What L{IStore<clove.relay.store.interface.IStore>} asks, as calls of tables."""

    def _run(self, call: Callable[[Tables], T]) -> Deferred[T]:
        """Make a call in a thread, with tables that no other call uses meanwhile."""
        raise NotImplementedError

    def add_token(self, record: TokenRecord) -> Deferred[None]:
        """See L{IStore}, as for all of these."""
        return self._run(lambda tables: tables.tokens.add(record))

    def token(self, token_id: str) -> Deferred[TokenRecord]:
        """One token."""
        return self._run(lambda tables: tables.tokens.get(token_id))

    def token_by_digest(self, digest: bytes) -> Deferred[TokenRecord | None]:
        """One token, by what is kept of its text."""
        return self._run(lambda tables: tables.tokens.by_digest(digest))

    def tokens(self, after: str, most: int) -> Deferred[list[TokenRecord]]:
        """A page of tokens."""
        return self._run(lambda tables: tables.tokens.after(after, most))

    def revoke_token(self, token_id: str, now: float) -> Deferred[TokenRecord]:
        """Make one invalid."""
        return self._run(lambda tables: tables.tokens.revoke(token_id, now))

    def expire_token(self, token_id: str, at: float) -> Deferred[TokenRecord]:
        """Have one expire then, or when it was to before that."""
        return self._run(lambda tables: tables.tokens.expire(token_id, at))

    def change_token(
        self, token_id: str, change: Callable[[TokenRecord], TokenRecord]
    ) -> Deferred[TokenRecord]:
        """Name, expiry and scope of one."""
        return self._run(lambda tables: tables.tokens.change(token_id, change))

    def tokens_of(self, token_ids: Collection[str]) -> Deferred[list[TokenRecord]]:
        """Several."""
        asked = tuple(token_ids)
        return self._run(lambda tables: tables.tokens.of_ids(asked))

    def used_tokens(self, times: Mapping[str, float]) -> Deferred[None]:
        """When tokens were used last."""
        noted = dict(times)
        return self._run(lambda tables: tables.tokens.note_used(noted))

    def count_tokens(self, kind: TokenKind, now: float) -> Deferred[int]:
        """Valid ones of a kind."""
        return self._run(lambda tables: tables.tokens.count(kind, now))

    def add_machine(self, record: MachineRecord, token: TokenRecord | None) -> Deferred[None]:
        """A new machine."""
        return self._run(lambda tables: tables.machines.add(record, token))

    def machine(self, machine_id: str) -> Deferred[MachineRecord | None]:
        """One machine."""
        return self._run(lambda tables: tables.machines.get(machine_id))

    def machines(self, after: str, most: int, targets: Targets) -> Deferred[list[MachineRecord]]:
        """A page of machines."""
        return self._run(lambda tables: tables.machines.after(after, most, targets))

    def count_machines(self, targets: Targets, ids: Collection[str]) -> Deferred[tuple[int, int]]:
        """For a status."""
        named = tuple(ids)
        return self._run(lambda tables: tables.machines.count(targets, named))

    def invalid_tokens(self, token_ids: Collection[str], now: float) -> Deferred[list[str]]:
        """Those that open nothing any more."""
        asked = tuple(token_ids)
        return self._run(lambda tables: tables.tokens.invalid(asked, now))

    def keys_of(self, machine_ids: Collection[str]) -> Deferred[dict[str, bytes | None]]:
        """The keys that machines have joined with."""
        asked = tuple(machine_ids)
        return self._run(lambda tables: tables.machines.keys_of(asked))

    def labels_of(self, machine_ids: Collection[str]) -> Deferred[dict[str, dict[str, str]]]:
        """By which tokens reach them."""
        asked = tuple(machine_ids)
        return self._run(lambda tables: tables.machines.labels_of(asked))

    def change_machine(self, machine_id: str, changes: MachineChanges) -> Deferred[MachineRecord]:
        """By an operator."""
        return self._run(lambda tables: tables.machines.change(machine_id, changes))

    def remove_machine(self, machine_id: str, now: float) -> Deferred[list[str]]:
        """And its tokens' validity."""
        return self._run(lambda tables: tables.machines.remove(machine_id, now))

    def join_machine(
        self, machine_id: str, public_key: bytes, token_id: str, now: float
    ) -> Deferred[MachineRecord]:
        """A machine's key, for a token."""
        return self._run(lambda tables: tables.machines.join(machine_id, public_key, token_id, now))

    def seen_machines(self, seen: Mapping[str, Seen]) -> Deferred[None]:
        """What their tunnels told."""
        noted = dict(seen)
        return self._run(lambda tables: tables.machines.note_seen(noted))

    def flag_machine(self, machine_id: str, flag: Flag) -> Deferred[None]:
        """Something to look at."""
        return self._run(lambda tables: tables.machines.note_flag(machine_id, flag))

    def claim_repeat(
        self, named: RepeatKey, body: bytes, claimant: str, now: float
    ) -> Deferred[Repeat]:
        """Who does a request."""
        return self._run(lambda tables: tables.repeats.claim(named, body, claimant, now))

    def finish_repeat(self, named: RepeatKey, claimant: str, answer: bytes) -> Deferred[None]:
        """It was done."""
        return self._run(lambda tables: tables.repeats.finish(named, claimant, answer))

    def doubt_repeat(self, named: RepeatKey, claimant: str) -> Deferred[None]:
        """Whether it was is not known."""
        return self._run(lambda tables: tables.repeats.doubt(named, claimant))

    def drop_repeat(self, named: RepeatKey, claimant: str) -> Deferred[None]:
        """It was surely not."""
        return self._run(lambda tables: tables.repeats.drop(named, claimant))

    def keep_denials(self, relay: str, denials: Sequence[Denial]) -> Deferred[None]:
        """What was refused."""
        kept = tuple(denials)
        return self._run(lambda tables: tables.denials.keep(relay, kept))

    def denials(
        self, before: int, most: int, *, kind: str = "", machine_id: str = ""
    ) -> Deferred[list[Denial]]:
        """A page of it."""
        return self._run(lambda tables: tables.denials.before(before, most, kind, machine_id))
