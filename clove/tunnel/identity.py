"""What a machine proves that it is itself with: a key that never leaves it, and the relay it belongs to.

Everything here that reads or writes files blocks; it is called in threads.
"""

from __future__ import annotations

import contextlib
import os
import secrets

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clove.errors import Unavailable
from clove.messages.relay import Challenge, challenge_text
from clove.regular import read_secret, write_whole

__all__ = ["Identity", "OtherRelay"]

_MOST = 4096


class OtherRelay(Unavailable):
    """The machine joins another relay than its key is known to: it needs another key (L{Identity.renew})."""


class Identity:
    """A machine's key and its relay.

    @ivar public_key: 32 bytes.
    @ivar instance: made at each start; a copied disk has another.
    @ivar relay_id: the one relay that it signs for; "" before it has joined one.
    """

    def __init__(self, directory: str, key: Ed25519PrivateKey, relay_id: str) -> None:
        self._directory = directory
        self.instance = secrets.token_hex(16)
        self._use(key, relay_id)

    def _use(self, key: Ed25519PrivateKey, relay_id: str) -> None:
        self._key = key
        self.relay_id = relay_id
        self.public_key = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @classmethod
    def load(cls, directory: str) -> Identity:
        """The identity that a directory keeps; made at the first call. Blocking.

        @param directory: of the kernel's own user, mode 0700.
        @raise Unavailable: it cannot be read or made, or others may read it.
        """
        path = os.path.join(directory, "key")
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(directory, 0o700)
            if not os.path.lexists(path):
                write_whole(path, secrets.token_bytes(32))
            key = Ed25519PrivateKey.from_private_bytes(read_secret(path, _MOST))
            pinned = os.path.join(directory, "relay")
            relay = read_secret(pinned, _MOST).decode() if os.path.lexists(pinned) else ""
        except (OSError, ValueError) as error:
            raise Unavailable(
                f"the tunnel's key in {directory} cannot be used: {error}",
                hint="remove it, and join again with a new token",
            ) from None
        return cls(directory, key, relay)

    def sign(self, challenge: Challenge, machine_id: str, *, joining: bool) -> bytes:
        """The signature that a relay asks for.

        @param joining: a join token was sent: then it may be another relay than before.
        @raise Unavailable: this machine belongs to another relay, or to none.
        @raise OtherRelay: so it does, and joins this one: the new relay must not have signatures by a
            key that the earlier one knows, since it could hand that relay's challenge on.
        """
        if joining and self.relay_id not in ("", challenge.relay_id):
            raise OtherRelay(
                f"this relay is {challenge.relay_id!r}, and the key of this machine belongs to "
                f"{self.relay_id}"
            )
        if not joining and challenge.relay_id != self.relay_id:
            raise Unavailable(
                f"this relay is {challenge.relay_id!r}, and this machine has joined "
                f"{self.relay_id or 'none'}",
                hint="join it with a token of that relay: clove tunnel join URL MACHINE",
            )
        return self._key.sign(
            challenge_text(challenge.relay_id, machine_id, self.instance, challenge.nonce)
        )

    def pin(self, relay_id: str) -> None:
        """Sign for this relay from now on. Blocking.

        @raise OSError: it cannot be written.
        """
        if relay_id != self.relay_id:
            write_whole(os.path.join(self._directory, "relay"), relay_id.encode())
            self.relay_id = relay_id

    def renew(self) -> None:
        """Have another key, and no relay any more. Blocking.

        @raise OSError: it cannot be written.
        """
        secret = secrets.token_bytes(32)
        write_whole(os.path.join(self._directory, "key"), secret)  # first: an old key has its relay
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._directory, "relay"))
        self._use(Ed25519PrivateKey.from_private_bytes(secret), "")
