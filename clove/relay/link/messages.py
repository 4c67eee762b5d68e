"""What relays say to each other before their link stands, and on it. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from clove.errors import InvalidRequest
from clove.messages.base import MALFORMED
from clove.messages.relay import AuthError

__all__ = [
    "ANSWERS",
    "DIALS",
    "LinkAuth",
    "LinkChallenge",
    "LinkOk",
    "LinkProof",
    "Opening",
    "decode",
    "proof_text",
]

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Nonce = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]

DIALS: Final = b"dials"
ANSWERS: Final = b"answers"


class LinkAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="link_auth"):
    """A relay dials another.

    @ivar relay, peer: the names of both, in the database.
    """

    relay: Name
    peer: Name
    nonce: Nonce


class LinkChallenge(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="link_challenge"
):
    """The other proves itself, and asks for the same."""

    nonce: Nonce
    signature: Signature


class LinkProof(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="link_proof"):
    """It is done."""

    signature: Signature


class LinkOk(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="link_ok"):
    """The link stands."""


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What OPEN says on a link between relays.

    @ivar token_id: of the token that the caller has shown; who bears it, the other relay looks up.
    @ivar name: the caller's.
    @ivar as_administrators: an administrator's call over REST: to the kernel all of these are one.
    @ivar version: of what is spoken on the channel; 1: frames of version 1, for a remote agent of that.
    """

    machine_id: Name
    token_id: Name
    name: Name
    as_administrators: bool = False
    version: int = 2


_DECODERS: Final = {
    LinkAuth: msgspec.json.Decoder(LinkAuth),
    LinkChallenge: msgspec.json.Decoder(LinkChallenge | AuthError),
    LinkProof: msgspec.json.Decoder(LinkProof),
    LinkOk: msgspec.json.Decoder(LinkOk | AuthError),
}


def decode(kind: Any, text: bytes) -> Any:
    """A message of this kind, or the other's refusal where it may refuse.

    @raise InvalidRequest: it is something else.
    """
    try:
        return _DECODERS[kind].decode(text)
    except MALFORMED:
        raise InvalidRequest(f"a {kind.__name__} was due, of a relay of Clove") from None


def proof_text(
    role: bytes, fleet: str, dialling: str, answering: str, nonces: tuple[bytes, bytes]
) -> bytes:
    """What a relay signs: it holds in this role, between these two starts of relays, once.

    @param nonces: of the one that dials, of the one that answers.
    """
    parts = (role, fleet.encode(), dialling.encode(), answering.encode(), *nonces)
    return b"clove link 1\0" + b"".join(len(one).to_bytes(4, "big") + one for one in parts)
