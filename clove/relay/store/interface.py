"""What a relay asks of its store."""

# ruff: noqa: N805 - methods of a zope interface have no self

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import Interface

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

__all__ = ["IStore", "MachineChanges", "Seen", "StoreLimits", "StoreObserver"]


class StoreLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of what a relay keeps."""

    tokens: int = 100_000
    """Tokens, revoked and expired ones among them until they are forgotten; one more gets
    `limit_exceeded`."""
    machines: int = 100_000
    """Machines; one more gets `limit_exceeded`."""
    kept_tokens: float = 30 * 86400.0
    """Seconds for which a token that was revoked, used up or has expired is still listed."""
    report: int = 16384
    """Bytes, as JSON, of what a machine tells about itself (versions, isolation); more are left out,
    and the machine is flagged."""
    waiting: int = 1024
    """Requests that wait for the store; one more gets `unavailable`."""
    repeats: int = 1000
    """Idempotency keys of one token that are remembered; the oldest are forgotten then."""
    repeat_machines: int = 10_000
    """Machines for which requests of one token with an idempotency key and a selector were; the oldest of such
    requests are forgotten then."""
    kept_repeats: float = 7 * 86400.0
    """Seconds for which one is."""
    denials: int = 10_000
    """Refusals that the audit keeps. At most a quarter may be of one token or, without a token, of one address (IPv4,
    or the first 64 bits of IPv6); at most half may be without a token. Past that the oldest of the same token,
    address or kind is forgotten."""
    connections: int = 4
    """Connections to PostgreSQL, beside one that is told of changes."""
    answer_seconds: float = 5.0
    """Seconds in which PostgreSQL answers a statement or a new connection; then the connection is
    given up, and what was asked gets `unavailable`."""


class MachineChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator changes of a machine; None: left as it is."""

    name: str | None = None
    provider: str | None = None
    labels: dict[str, str] | None = None
    metadata: dict[str, object] | None = None
    draining: bool | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine's tunnel told when it connected; None: nothing, so it is left as it is."""

    at: float
    address: str | None = None
    versions: dict[str, str] | None = None
    isolation: dict[str, object] | None = None


class StoreObserver(Protocol):
    """Is told what other relays changed in the store that they share."""

    def token_ended(self, token_id: str) -> None:
        """A token was revoked there."""

    def token_narrowed(self, token_id: str) -> None:
        """A token reaches less, or is allowed less."""

    def machine_removed(self, machine_id: str) -> None:
        """A machine was removed there."""

    def labels_changed(self, machine_id: str) -> None:
        """A machine has other labels."""

    def tunnel_taken(self, relay: str, machine_id: str) -> None:
        """Another instance of a machine's kernel has taken the place of the one with a tunnel to C{relay}."""

    def changes_missed(self) -> None:
        """Something may have changed without being told: look at what is open here."""


# More than 20 methods: what a relay asks of its store, each a call of one table.
class IStore(Interface):
    """Tokens and machines.

    What has been answered is on the disk. Every method's Deferred may fail with Unavailable:
    the store cannot be reached now, and whether a change was made is not known.
    """

    def add_token(record: TokenRecord) -> Deferred[None]:
        """Keep a new token.

        @raise LimitExceeded: there are many.
        """

    def token(token_id: str) -> Deferred[TokenRecord]:
        """One token.

        @raise NotFound: there is none of this id.
        """

    def token_by_digest(digest: bytes) -> Deferred[TokenRecord | None]:
        """The token with this digest, valid or not."""

    def tokens(after: str, most: int) -> Deferred[list[TokenRecord]]:
        """Tokens by id, from the first after this one on."""

    def revoke_token(token_id: str, now: float) -> Deferred[TokenRecord]:
        """Make a token invalid for good; one that was revoked keeps its time.

        @raise NotFound: there is none of this id.
        """

    def expire_token(token_id: str, at: float) -> Deferred[TokenRecord]:
        """Have a token expire then; one that was to expire before keeps its time.

        @raise NotFound: there is none of this id.
        """

    def used_tokens(times: Mapping[str, float]) -> Deferred[None]:
        """Note when tokens were used last."""

    def invalid_tokens(token_ids: Collection[str], now: float) -> Deferred[list[str]]:
        """Those of these that were revoked, have expired, or are not there."""

    def count_tokens(kind: TokenKind, now: float) -> Deferred[int]:
        """How many valid ones of a kind there are."""

    def change_token(
        token_id: str, change: Callable[[TokenRecord], TokenRecord]
    ) -> Deferred[TokenRecord]:
        """Change name, expiry and scope of a token; gives what it is now.

        @param change: of what it is; called in a thread. What it raises is what the Deferred fails with.
        @raise NotFound: there is none of this id.
        """

    def tokens_of(token_ids: Collection[str]) -> Deferred[list[TokenRecord]]:
        """The tokens with these ids, valid or not; those that are not there are left out."""

    def add_machine(record: MachineRecord, token: TokenRecord | None) -> Deferred[None]:
        """Keep a new machine, and a token for it, or neither.

        @raise AlreadyExists: its id is in use.
        @raise LimitExceeded: there are many.
        """

    def machine(machine_id: str) -> Deferred[MachineRecord | None]:
        """One machine."""

    def machines(after: str, most: int, targets: Targets) -> Deferred[list[MachineRecord]]:
        """Those of these machines by id, from the first after this one on."""

    def count_machines(targets: Targets, ids: Collection[str]) -> Deferred[tuple[int, int]]:
        """How many of these machines there are, and how many of them have one of these ids."""

    def keys_of(machine_ids: Collection[str]) -> Deferred[dict[str, bytes | None]]:
        """The keys of machines; those that are not there are left out."""

    def labels_of(machine_ids: Collection[str]) -> Deferred[dict[str, dict[str, str]]]:
        """The labels of machines; those that are not there are left out."""

    def change_machine(machine_id: str, changes: MachineChanges) -> Deferred[MachineRecord]:
        """Change what an operator may; gives what it is now.

        @raise NotFound: there is no such machine.
        """

    def remove_machine(machine_id: str, now: float) -> Deferred[list[str]]:
        """Forget a machine and its key, and revoke the machine and join tokens for it.

        @return: the ids of the tokens that were revoked by this.
        @raise NotFound: there is no such machine.
        """

    def join_machine(
        machine_id: str, public_key: bytes, token_id: str, now: float
    ) -> Deferred[MachineRecord]:
        """Keep a machine's key, and use up the join token that allows it: both or neither. A machine's own
        token allows it as well, and stays valid.

        The same key again with the same token is no error, since an answer may get lost.

        @raise NotAuthenticated: the token is not valid (any more), or for another machine.
        @raise AlreadyExists: the machine has a key, and not this one.
        @raise LimitExceeded: there are many machines.
        """

    def seen_machines(seen: Mapping[str, Seen]) -> Deferred[None]:
        """Note what tunnels told, by machine. Nothing happens where a machine was removed."""

    def flag_machine(machine_id: str, flag: Flag) -> Deferred[None]:
        """Note something to look at, instead of an earlier flag of the same kind."""

    def claim_repeat(named: RepeatKey, body: bytes, claimant: str, now: float) -> Deferred[Repeat]:
        """Who does the request with an idempotency key, and whether that was done before.

        @param body: its digest.
        @param claimant: name of this start of the relay that would do it now. Whatever one does that has
            ended without telling, the next one is given as doubtful.
        @raise InvalidRequest: the key was used for another body.
        """

    def finish_repeat(named: RepeatKey, claimant: str, answer: bytes) -> Deferred[None]:
        """It was done, and this is the answer to all that repeat it."""

    def doubt_repeat(named: RepeatKey, claimant: str) -> Deferred[None]:
        """It may have been done: the next one that asks is told so."""

    def drop_repeat(named: RepeatKey, claimant: str) -> Deferred[None]:
        """It was not done: the next one may try."""

    def keep_denials(relay: str, denials: Sequence[Denial]) -> Deferred[None]:
        """Keep what was refused; what is beyond the share of a caller, of those without a token, and of all is
        forgotten, the oldest first. One that is kept already gets its new count and time.

        @param relay: name of the start of a relay, which numbers its own.
        """

    def denials(
        before: int, most: int, *, kind: str = "", machine_id: str = ""
    ) -> Deferred[list[Denial]]:
        """What was refused at all relays, the newest first, from the one before this id on; 0: from the newest.

        @param kind: of this kind alone; "": of all.
        @param machine_id: concerning this machine alone; "": all.
        """

    def observe(observer: StoreObserver) -> None:
        """Have it told, in the reactor's thread, what other relays change, from now on."""

    def close() -> Deferred[None]:
        """Finish what was asked, and close."""
