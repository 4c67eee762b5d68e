"""How two relays prove to each other, before their link stands, the keys that the database has of them."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

import msgspec

from clove.errors import Unavailable
from clove.messages.relay import AuthError
from clove.relay.hub.conversation import Conversation, Refusal
from clove.relay.link.identity import RelayIdentity, is_signed
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
from clove.relay.records import RelayRecord

__all__ = ["prove_answering", "prove_dialling"]


async def prove_dialling(
    ours: RelayIdentity, conversation: Conversation, relay: RelayRecord
) -> None:
    """As the one that dials this relay.

    @raise Unavailable: the other does not prove its key, or refuses.
    """
    nonce = secrets.token_bytes(32)
    conversation.say(LinkAuth(relay=ours.name, peer=relay.relay, nonce=nonce))
    said = decode(LinkChallenge, await conversation.next_text())
    _check(said)
    words = (ours.fleet, ours.name, relay.relay, (nonce, said.nonce))
    if not is_signed(relay, said.signature, proof_text(ANSWERS, *words)):
        raise Unavailable("another program answers there")
    conversation.say(LinkProof(signature=ours.sign(proof_text(DIALS, *words))))
    _check(decode(LinkOk, await conversation.next_text()))


async def prove_answering(
    ours: RelayIdentity,
    conversation: Conversation,
    find: Callable[[str], Awaitable[RelayRecord | None]],
) -> RelayRecord:
    """As the one that is dialled; gives the relay that has proved itself.

    @param find: a relay that holds a lease, by its name.
    @raise Refusal: it has not.
    """
    said: LinkAuth = decode(LinkAuth, await conversation.next_text())
    if said.peer != ours.name:
        raise Refusal("another relay is here now", "not_found", "look up where it is")
    relay = await find(said.relay)
    if relay is None or relay.relay == ours.name:
        raise Refusal("no such relay holds a lease", "not_authenticated")
    nonce = secrets.token_bytes(32)
    words = (ours.fleet, said.relay, ours.name, (said.nonce, nonce))
    conversation.say(LinkChallenge(nonce=nonce, signature=ours.sign(proof_text(ANSWERS, *words))))
    proof: LinkProof = decode(LinkProof, await conversation.next_text())
    if not is_signed(relay, proof.signature, proof_text(DIALS, *words)):
        raise Refusal("the signature does not fit the key", "not_authenticated")
    conversation.check_open()
    conversation.say(LinkOk())
    return relay


def _check(said: msgspec.Struct) -> None:
    """@raise Unavailable: it is a refusal."""
    if isinstance(said, AuthError):
        raise Unavailable(f"it refuses this relay: {said.error[:300]}")
