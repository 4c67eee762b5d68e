"""What other relays have changed in a shared store, done here as well: what is not valid any more is cut."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from clove.errors import CloveError
from clove.relay.link.routes import Routing
from clove.relay.machines.machines import Machines
from clove.relay.store.interface import IStore
from clove.relay.tokens.tokens import Tokens

__all__ = ["Changes"]

_REVOKED = "its token was revoked"
_REMOVED = "the machine was removed"
_MOST = 1000
"""Ids that the store is asked for at once."""


class Changes:
    """See L{StoreObserver<clove.relay.store.interface.StoreObserver>}.

    @param wall: seconds since the epoch.
    """

    log = Logger()

    def __init__(
        self,
        store: IStore,
        tokens: Tokens,
        machines: Machines,
        routing: Routing | None,
        wall: Callable[[], float],
    ) -> None:
        self._store = store
        self._wall = wall
        self._tokens = tokens
        self._machines = machines
        self._routing = routing

    def token_ended(self, token_id: str) -> None:
        """Revoked at another relay."""
        self._tokens.cut(token_id, _REVOKED)

    def token_narrowed(self, token_id: str) -> None:
        """At another relay."""
        Deferred.fromCoroutine(self._guarded(lambda: self._look_at_scopes([token_id])))

    def machine_removed(self, machine_id: str) -> None:
        """At another relay."""
        self._machines.removed(machine_id)

    def labels_changed(self, machine_id: str) -> None:
        """At another relay. What is being let in meanwhile is judged by what is read after this."""
        self._machines.reach.note(machine_id)
        Deferred.fromCoroutine(self._guarded(lambda: self._look_at_labels([machine_id])))

    def tunnel_taken(self, relay: str, machine_id: str) -> None:
        """By another kernel of that machine, at another relay."""
        if self._routing is not None:
            self._routing.taken(relay, machine_id)

    def changes_missed(self) -> None:
        """The database has not been heard of for a while."""
        Deferred.fromCoroutine(self.look())

    async def look(self) -> None:
        """Compare what is open with the store. Without the store it stays open."""
        await self._guarded(self._look_at_all)

    async def _look_at_all(self) -> None:
        await self._look_at_tokens()
        await self._look_at_scopes(self._machines.reach.agent_tokens())
        await self._look_at_machines()
        await self._look_at_labels(self._machines.reach.watched())
        if self._routing is not None:
            await self._routing.look()

    async def _guarded(self, look: Callable[[], Awaitable[None]]) -> None:
        try:
            await look()
        except CloveError as error:
            self.log.warn("what is open is not compared with the store: {error}", error=str(error))
        except Exception:
            self.log.failure("what is open is not compared with the store")

    async def _look_at_tokens(self) -> None:
        watched = self._tokens.watched()
        for start in range(0, len(watched), _MOST):
            asked = watched[start : start + _MOST]
            for token_id in await self._store.invalid_tokens(asked, self._wall()):
                self._tokens.cut(token_id, _REVOKED)

    async def _look_at_scopes(self, names: list[str]) -> None:
        """Of what agent tokens have opened, and how long they are valid."""
        for start in range(0, len(names), _MOST):
            for record in await self._store.tokens_of(names[start : start + _MOST]):
                self._tokens.expires_sooner(record)
                await self._machines.narrowed(record)

    async def _look_at_labels(self, names: list[str]) -> None:
        """Of what is open by tokens that reach a machine by its labels, or not any more."""
        for start in range(0, len(names), _MOST):
            asked = names[start : start + _MOST]
            found = await self._store.labels_of(asked)
            for machine_id in asked:
                self._machines.reach.changed(machine_id, found.get(machine_id))

    async def _look_at_machines(self) -> None:
        """Those that came with a key; of the others the tokens are looked at."""
        proved = {
            machine_id: link.public_key
            for machine_id, link in self._machines.hub.links().items()
            if link.public_key is not None
        }
        names = list(proved)
        for start in range(0, len(names), _MOST):
            asked = names[start : start + _MOST]
            keys = await self._store.keys_of(asked)
            for machine_id in asked:
                link = self._machines.hub.links().get(machine_id)
                stays = keys.get(machine_id) == proved[machine_id]
                if not stays and link is not None and link.public_key == proved[machine_id]:
                    self._machines.hub.cut(machine_id, _REMOVED)
