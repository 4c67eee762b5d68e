"""A kernel comes in: by the key of its machine (version 2), or by a token (version 1)."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from clove.messages.base import MALFORMED
from clove.messages.relay import AuthOk, Challenge, KernelAuth, Proof, challenge_text
from clove.relay.hub.conversation import Conversation, Refusal
from clove.relay.hub.machine_link import MachineLink
from clove.relay.hub.machine_v1 import MachineV1

if TYPE_CHECKING:
    from clove.relay.hub.doors import MachineDoor, TokenDoor
    from clove.relay.hub.hub import Hub

__all__ = ["KernelEntrance"]

KEY_BYTES = 32
ALIVE_SECONDS = 5.0
"""For the answer of an earlier instance of a machine, when another shows the same key."""
_JOINING = ("join", "machine")
"""Kinds of token by which a machine that has no key yet gets one."""
_NOT_KNOWN = "this machine is not known here by that key, nor is its join token valid"
_JOIN = "join it with a token for it; if its key was lost, remove the machine first"


class WrongKey(Refusal):
    """An attempt that counts for the lock-out."""

    def __init__(self, error: str, hint: str = "") -> None:
        super().__init__(error, "wrong_key", hint)


class KernelEntrance:
    """Lets kernels in."""

    def __init__(self, hub: Hub, relay_id: str, tokens: TokenDoor, machines: MachineDoor) -> None:
        self._hub = hub
        self._relay_id = relay_id
        self._tokens = tokens
        self._machines = machines

    async def admit(self, conversation: Conversation, said: KernelAuth) -> None:
        """Serve a kernel that proves who it is.

        @raise Refusal, CloveError: it does not.
        """
        if said.protocol_version == 1:
            await self._admit_v1(conversation, said)
            return
        address = conversation.socket.address
        self._tokens.check_attempt(address, said.machine_id)
        try:
            await self._check_proof(conversation, said)
            await self._check_key(said, address)
        except WrongKey:
            self._tokens.attempt_failed(address, said.machine_id)
            raise
        self._tokens.attempt_succeeded(address, said.machine_id)
        await self._check_copy(said)
        if not await self._hub.elsewhere.claim(said.machine_id, said.instance, 2):
            await self._refuse_copy(said)
        conversation.check_open()
        earlier = self._hub.links().get(said.machine_id)
        resumes = (
            isinstance(earlier, MachineLink)
            and bool(said.session)
            and hmac.compare_digest(earlier.session.encode(), said.session.encode())
            and earlier.instance == said.instance
        )
        machine = earlier if resumes and isinstance(earlier, MachineLink) else self._new_link(said)
        self._welcome(conversation, machine, resumed=resumes)
        machine.attach(conversation.socket, said.received if resumes else 0)
        await self._machines.seen(
            said.machine_id,
            address=conversation.socket.address,
            versions=said.versions,
            isolation=said.isolation,
        )
        if await self._machines.key_of(said.machine_id) != said.public_key:
            machine.end("the machine was removed")

    def _new_link(self, said: KernelAuth) -> MachineLink:
        """@raise LimitExceeded: the relay has no room for it."""
        hub = self._hub
        hub.check_room()
        machine = MachineLink(
            hub.clock,
            hub.wall,
            hub.limits,
            said.machine_id,
            said.instance,
            hub.machine_ended,
            said.public_key,
        )
        hub.add_machine(machine)
        return machine

    def _welcome(self, conversation: Conversation, machine: MachineLink, *, resumed: bool) -> None:
        limits = self._hub.limits
        conversation.say(
            AuthOk(
                machine_id=machine.machine_id,
                protocol_version=2,
                relay_id=self._relay_id,
                session=machine.session,
                resumed=resumed,
                received=machine.link.session.received,
                ping_seconds=limits.ping_seconds,
                resume_seconds=limits.resume_seconds,
            )
        )

    async def _check_proof(self, conversation: Conversation, said: KernelAuth) -> None:
        """It has the key that it shows, now and for this relay."""
        if len(said.public_key) != KEY_BYTES or not said.instance:
            raise Refusal(
                "kernel_auth has a public_key of 32 bytes and an instance", "invalid_request"
            )
        nonce = secrets.token_bytes(32)
        conversation.say(Challenge(nonce=nonce, relay_id=self._relay_id))
        try:
            proof = msgspec.json.decode(await conversation.next_text(), type=Proof)
        except MALFORMED:
            raise Refusal("a proof was due", "invalid_request") from None
        text = challenge_text(self._relay_id, said.machine_id, said.instance, nonce)
        try:
            Ed25519PublicKey.from_public_bytes(said.public_key).verify(proof.signature, text)
        except (InvalidSignature, ValueError):
            raise WrongKey("the signature does not fit the key") from None

    async def _check_key(self, said: KernelAuth, address: str) -> None:
        """The key is this machine's, or becomes it by a join token, or by the token that the machine was made with.

        Those that have neither are asked and told the same, whether there is such a machine or not.
        """
        known = await self._machines.key_of(said.machine_id)
        if known is not None and hmac.compare_digest(known, said.public_key):
            return
        if known is not None:
            await self._machines.flag(said.machine_id, "wrong_key")
        if not said.join_token:
            raise WrongKey(_NOT_KNOWN, _JOIN)
        identity = await self._tokens.identify(said.join_token, address, said.machine_id)
        allowed = identity.kind in _JOINING and identity.machine_id == said.machine_id
        if known is not None or not allowed:
            raise WrongKey(_NOT_KNOWN, _JOIN)
        await self._machines.join(said.machine_id, said.public_key, identity)

    async def _check_copy(self, said: KernelAuth) -> None:
        """Another instance with the same key waits until the earlier one is gone."""
        earlier = self._hub.links().get(said.machine_id)
        if not isinstance(earlier, MachineLink) or earlier.instance == said.instance:
            return
        if await earlier.answers(ALIVE_SECONDS):
            await self._refuse_copy(said)

    async def _refuse_copy(self, said: KernelAuth) -> None:
        await self._machines.flag(said.machine_id, "copied_key")
        raise Refusal(
            "another kernel with this machine's key is connected and answers",
            "copied_key",
            "if its disk was copied, remove STATE_DIR/tunnel here and join as a new machine",
        )

    async def _admit_v1(self, conversation: Conversation, said: KernelAuth) -> None:
        socket = conversation.socket
        identity = await self._tokens.identify(said.token, socket.address, said.machine_id)
        if identity.kind != "machine" or identity.machine_id != said.machine_id:
            raise Refusal("the token is not for this machine", "permission_denied")
        self._tokens.attempt_succeeded(socket.address, said.machine_id)
        await self._hub.elsewhere.claim(said.machine_id, "", 1)
        conversation.check_open()
        self._hub.check_room()
        stops: list[Callable[[], None]] = []

        def ended(machine: MachineV1, reason: str) -> None:
            for stop in stops:
                stop()
            self._hub.machine_ended(machine, reason)

        machine = MachineV1(
            self._hub.clock, self._hub.wall, self._hub.limits, said.machine_id, ended
        )
        self._hub.add_machine(machine)
        conversation.say(AuthOk(machine_id=said.machine_id))
        machine.attach(socket)
        for text in conversation.rest:
            machine.text_received(text)
        stops.append(self._tokens.watch(identity, machine.end))
        if machine.is_over:  # so soon
            stops[0]()
        await self._machines.seen(said.machine_id, address=socket.address)
