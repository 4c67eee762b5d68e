"""Links from other relays: each proves the key that the database has of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from twisted.internet.task import LoopingCall

from clove.relay.hub.admission import Admission
from clove.relay.hub.conversation import Conversation
from clove.relay.link.identity import RelayIdentity
from clove.relay.link.limits import RelayLinkLimits
from clove.relay.link.proving import prove_answering
from clove.relay.link.served_link import ServedLink
from clove.relay.store.route_calls import RouteCalls

if TYPE_CHECKING:
    from clove.relay.hub.hub import Hub
    from clove.relay.machines.machines import Machines
    from clove.relay.tokens.tokens import Tokens

__all__ = ["LinkServing"]


class LinkServing:
    """Serves other relays' callers.

    @ivar callers: their channels, by token.
    @ivar admission: of their connections.
    """

    def __init__(
        self,
        hub: Hub,
        identity: RelayIdentity,
        store: RouteCalls,
        tokens: Tokens,
        machines: Machines,
        limits: RelayLinkLimits,
    ) -> None:
        self.hub = hub
        self.tokens = tokens
        self.machines = machines
        self.callers: Counter[str] = Counter()
        self._identity = identity
        self._store = store
        self._limits = limits
        self._links: set[ServedLink] = set()
        self.admission = Admission(hub.clock, self._admit, limits.auth_seconds, limits.unknown)
        self._loop = LoopingCall(self._look)
        self._loop.clock = hub.clock

    def start(self) -> None:
        """Begin to look whether the others answer."""
        self._loop.start(self._limits.ping_seconds, now=False)

    def stop(self) -> None:
        """End all links."""
        if self._loop.running:
            self._loop.stop()
        self.admission.stop()
        for link in list(self._links):
            link.end("the relay stops")

    @property
    def channels(self) -> int:
        """That are open."""
        return self.callers.total()

    async def _admit(self, conversation: Conversation) -> None:
        relay = await prove_answering(self._identity, conversation, self._store.relay)
        given: tuple[Any, ...] = (relay.relay, self._limits, conversation.socket, self._ended)
        self._links.add(ServedLink(self, self.hub.clock, *given))

    def _ended(self, link: ServedLink, reason: str) -> None:
        self._links.discard(link)

    def _look(self) -> None:
        for link in list(self._links):
            link.look()
