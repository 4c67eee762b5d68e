"""What a relay proves to others that it is: a key of this start of it. Pure."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clove.relay.records import RelayRecord

__all__ = ["RelayIdentity", "is_signed"]


class RelayIdentity:
    """A relay's name and key. Both are made at each start, and the key is in no file: the database has its
    public half for as long as the relay's lease lasts.

    @ivar fleet: the id that all relays of the database have in common.
    """

    def __init__(self, fleet: str) -> None:
        self.fleet = fleet
        self.name = secrets.token_hex(8)
        self._key = Ed25519PrivateKey.generate()

    def record(self, url: str, *, draining: bool = False) -> RelayRecord:
        """What the database has of it."""
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return RelayRecord(relay=self.name, url=url, public_key=public, draining=draining)

    def sign(self, text: bytes) -> bytes:
        """Its signature."""
        return self._key.sign(text)


def is_signed(relay: RelayRecord, signature: bytes, text: bytes) -> bool:
    """Whether a relay has signed that."""
    try:
        Ed25519PublicKey.from_public_bytes(relay.public_key).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True
