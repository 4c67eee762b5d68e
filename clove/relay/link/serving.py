"""Links from other relays: each proves the key that the database has of it."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import TYPE_CHECKING, Any

from twisted.internet.task import LoopingCall

from clove.relay.hub.admission import Admission
from clove.relay.hub.conversation import Conversation, Refusal
from clove.relay.link.identity import RelayIdentity, is_signed
from clove.relay.link.limits import RelayLinkLimits
from clove.relay.link.messages import (
    ANSWERS,
    DIALS,
    LinkAuth,
    LinkChallenge,
    LinkOk,
    LinkProof,
    decode,
    proof_text,
)
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
        ours = self._identity
        said: LinkAuth = decode(LinkAuth, await conversation.next_text())
        if said.peer != ours.name:
            raise Refusal("another relay is here now", "not_found", "look up where it is")
        relay = await self._store.relay(said.relay)
        if relay is None or relay.relay == ours.name:
            raise Refusal("no such relay holds a lease", "not_authenticated")
        nonce = secrets.token_bytes(32)
        words = (ours.fleet, said.relay, ours.name, (said.nonce, nonce))
        conversation.say(
            LinkChallenge(nonce=nonce, signature=ours.sign(proof_text(ANSWERS, *words)))
        )
        proof: LinkProof = decode(LinkProof, await conversation.next_text())
        if not is_signed(relay, proof.signature, proof_text(DIALS, *words)):
            raise Refusal("the signature does not fit the key", "not_authenticated")
        conversation.check_open()
        conversation.say(LinkOk())
        given: tuple[Any, ...] = (relay.relay, self._limits, conversation.socket, self._ended)
        self._links.add(ServedLink(self, self.hub.clock, *given))

    def _ended(self, link: ServedLink, reason: str) -> None:
        self._links.discard(link)

    def _look(self) -> None:
        for link in list(self._links):
            link.look()
