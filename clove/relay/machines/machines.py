"""The registry of machines: which there are, the keys that they prove, and what is known of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from itertools import islice
from typing import Any, Final

import msgspec

from clove.errors import InvalidRequest, Unavailable
from clove.loop.slices import in_slices
from clove.relay.absent import no_machine
from clove.relay.machines.keys import KeyLookups
from clove.relay.machines.presence import Links, NoLinks, Presence, Tunnels
from clove.relay.machines.reach import Reach
from clove.relay.records import (
    EVERY_MACHINE,
    Flag,
    Identity,
    MachineRecord,
    Targets,
    TokenKind,
    TokenRecord,
)
from clove.relay.store.interface import IStore, MachineChanges, Seen, StoreLimits
from clove.relay.tokens.tokens import Tokens

__all__ = ["KEY_BYTES", "Machines", "check_machine_id", "visible_to"]

KEY_BYTES: Final = 32
"""Of an Ed25519 public key."""
_READS: Final = 10
"""Times that a machine is read which others change meanwhile."""
_RANKS: Final[tuple[Presence, ...]] = ("connected", "stale", "disconnected")
_SEEN_TOGETHER: Final = 32
"""Machines in one write of what they told: the store answers others in between, when a whole fleet has come."""
_MACHINE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")


def check_machine_id(machine_id: str) -> str:
    """The id itself.

    @raise InvalidRequest: it can be none.
    """
    if not _MACHINE_ID.fullmatch(machine_id):
        raise InvalidRequest(
            "this is no machine_id",
            hint="at most 128 letters, digits and . _ : @ -, the first a letter or digit",
        )
    return machine_id


def visible_to(identity: Identity) -> Targets:
    """The machines that a token's bearer may see; an agent's are also those that it may reach."""
    if identity.kind is TokenKind.ADMIN:
        return EVERY_MACHINE
    if identity.kind is TokenKind.AGENT:
        return identity.targets
    if identity.kind is TokenKind.MACHINE:
        return Targets(machines=(identity.machine_id,))
    return Targets()


class Machines:
    """The machines of a relay.

    @ivar hub: the live tunnels; set by what wires the relay.
    @ivar reach: what tokens have opened to machines.
    @ivar elsewhere: those of other relays that share the store, likewise; None: there are none.
    """

    def __init__(
        self,
        store: IStore,
        tokens: Tokens,
        wall: Callable[[], float],
        limits: StoreLimits | None = None,
    ) -> None:
        self._limits = limits or StoreLimits()
        self._seen: dict[str, Seen] = {}
        self._flags: dict[tuple[str, str], float] = {}
        self._store = store
        self._keys = KeyLookups(lambda ids: store.keys_of(ids))
        self._tokens = tokens
        self._wall = wall
        self.hub: Links = NoLinks()
        self.reach = Reach()
        self.elsewhere: Tunnels | None = None

    async def key_of(self, machine_id: str) -> bytes | None:
        """The key that a machine has to prove; None: it has joined with none."""
        return await self._keys.key_of(machine_id)

    async def join(self, machine_id: str, public_key: bytes, identity: Identity) -> MachineRecord:
        """Keep a machine's key, and use up its join token.

        @param identity: of the join token, or of the machine's; the key must have been proved before.
        @raise NotAuthenticated: the token is for another machine, or was used meanwhile.
        @raise AlreadyExists: the machine has joined with another key.
        """
        if len(public_key) != KEY_BYTES:
            raise InvalidRequest(f"an Ed25519 public key has {KEY_BYTES} bytes")
        check_machine_id(machine_id)
        return await self._store.join_machine(
            machine_id, public_key, identity.token_id, self._wall()
        )

    async def may_reach(self, identity: Identity, machine_id: str) -> bool:
        """Whether L{reached} gives it."""
        return await self.reached(identity, machine_id) is not None

    async def reached(self, identity: Identity, machine_id: str) -> MachineRecord | None:
        """This machine, connected or not, if a bearer may have calls made on it.

        What the bearer opens by that begins to be watched (L{watch}) in the same turn of the loop: then
        no change of the machine lies between.

        @raise Unavailable: the machine changes all the time.
        """
        if identity.kind not in (TokenKind.ADMIN, TokenKind.AGENT):
            return None
        for _ in range(_READS):
            begun = self.reach.begin(machine_id)
            try:
                record = await self._store.machine(machine_id)
            finally:
                stale = self.reach.end(machine_id, begun)
            if not stale:
                reached = record and identity.targets.include(machine_id, record.labels)
                return record if reached else None
        raise Unavailable("the machine is being changed", hint="try again in a second")

    def watch(
        self, identity: Identity, machine_id: str, cut: Callable[[str], None]
    ) -> Callable[[], None]:
        """Have what a token has opened to a machine ended when the token is not valid any more, or
        does not reach the machine any more.

        @return: stop watching; to be called when it has ended by itself.
        """
        stop_reach = self.reach.watch(identity, machine_id, cut)
        stop_token = self._tokens.watch(identity, cut)

        def stop() -> None:
            stop_reach()
            stop_token()

        return stop

    async def seen(
        self,
        machine_id: str,
        *,
        address: str | None = None,
        versions: dict[str, str] | None = None,
        isolation: dict[str, Any] | None = None,
    ) -> None:
        """Its tunnel has connected, or still answers; what it tells about itself.

        That is on the disk within a second (L{write_seen}): many come at once.
        """
        told = {"address": address, "versions": versions, "isolation": isolation}
        if len(msgspec.json.encode(told)) > self._limits.report:
            told = {"address": address}
            await self.flag(machine_id, "report_too_large")
        earlier = self._seen.get(machine_id)
        kept = {} if earlier is None else msgspec.structs.asdict(earlier)
        given = {name: value for name, value in told.items() if value is not None}
        self._seen[machine_id] = Seen(**{**kept, **given, "at": self._wall()})

    async def write_seen(self) -> None:
        """Keep what tunnels have told, and flags; every second, and at the end.

        @raise Unavailable: not now; they are kept for the next time.
        """
        seen, self._seen = self._seen, {}
        flags, self._flags = self._flags, {}
        try:
            while seen:
                some = dict(islice(seen.items(), _SEEN_TOGETHER))
                await self._store.seen_machines(some)
                for name in some:
                    del seen[name]
            for (machine_id, what), at in list(flags.items()):
                await self._store.flag_machine(machine_id, Flag(what=what, at=at))
                del flags[machine_id, what]
        finally:
            self._seen = {**seen, **self._seen}
            self._flags = {**flags, **self._flags}

    async def flag(self, machine_id: str, what: str) -> None:
        """Note something that an operator should look at.

        That is on the disk within a second: neither is it told by the time that an answer takes, nor
        does a stranger have the disk written at each attempt.
        """
        self._flags[machine_id, what] = self._wall()

    async def narrowed(self, record: TokenRecord) -> None:
        """A token has another scope, here or at another relay: end what it does not reach any more. Without
        the store that is also what it reaches by labels.
        """
        names = self.reach.narrowed(record.identity())
        labels: dict[str, dict[str, str]] = {}
        try:
            labels = await self._store.labels_of(names)
        finally:
            for name in names:
                self.reach.changed(name, labels.get(name, {}))

    async def add(self, record: MachineRecord, token: TokenRecord | None = None) -> None:
        """A new machine, and a token for it.

        @raise AlreadyExists: its id is in use.
        """
        check_machine_id(record.machine_id)
        await self._store.add_machine(record, token)

    async def get(self, machine_id: str) -> MachineRecord:
        """One machine.

        @raise NotFound: there is none of this id.
        """
        record = await self._store.machine(machine_id)
        if record is None:
            raise no_machine()
        return record

    async def page(self, targets: Targets, after: str, most: int) -> list[MachineRecord]:
        """Those of these machines by id, from the first after this one on."""
        return await self._store.machines(after, most, targets)

    async def presences(self, machine_ids: Collection[str]) -> dict[str, tuple[Presence, float]]:
        """Of each of these machines that has a tunnel, whether it answers, and since when; the better one,
        where it has several.

        @raise Unavailable: the store does not answer.
        """
        links = self.hub.links()
        found: dict[str, tuple[Presence, float]] = {}
        for machine_id in machine_ids:
            if (link := links.get(machine_id)) is not None:
                found[machine_id] = link.presence, link.since
        missing = [each for each in machine_ids if found.get(each, ("",))[0] != "connected"]
        if self.elsewhere is None or not missing:
            return found
        for machine_id, state in (await self.elsewhere.states(missing)).items():
            here = found.get(machine_id)
            for presence in _RANKS[: 3 if here is None else _RANKS.index(here[0])]:
                if presence == state.presence:
                    found[machine_id] = presence, state.since
        return found

    async def count(self, targets: Targets, clock: Any) -> tuple[int, int]:
        """How many of these machines there are, and how many are connected, to whichever relay.

        @param clock: the reactor's.

        @raise Unavailable: the store does not answer.
        """
        if self.elsewhere is not None:
            known, _ = await self._store.count_machines(targets, ())
            return known, await self.elsewhere.connected(targets)
        here: list[str] = []
        async for some in in_slices(self.hub.links().items(), clock):
            here += [machine_id for machine_id, link in some if link.presence == "connected"]
        return await self._store.count_machines(targets, here)

    async def relays(self) -> int:
        """How many relays run with this store, this one among them.

        @raise Unavailable: the store does not answer.
        """
        return 1 if self.elsewhere is None else await self.elsewhere.relays()

    async def change(self, machine_id: str, changes: MachineChanges) -> MachineRecord:
        """Rename, label or drain it; what its labels do not open any more has ended then."""
        record = await self._store.change_machine(machine_id, changes)
        if changes.labels is not None:
            self.reach.changed(machine_id, record.labels)
        return record

    async def remove(self, machine_id: str) -> None:
        """Forget a machine, with its key and its tokens, and end its tunnel.

        @raise NotFound: there is none of this id.
        """
        for token_id in await self._store.remove_machine(machine_id, self._wall()):
            self._tokens.cut(token_id, "its machine was removed")
        self.removed(machine_id)

    def removed(self, machine_id: str) -> None:
        """It was removed, here or at another relay: end its tunnel, and what is open to it."""
        self.hub.cut(machine_id, "the machine was removed")
        self.reach.changed(machine_id, None)
