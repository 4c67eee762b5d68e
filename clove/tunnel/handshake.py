"""The first messages on a kernel's connection to its relay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from twisted.internet.defer import Deferred

from clove.channels.message_socket import printable
from clove.errors import CloveError, Unavailable
from clove.messages.relay import AuthError, AuthOk, Challenge, KernelAuth, Proof, relay_message

if TYPE_CHECKING:
    from clove.channels.message_socket import MessageSocket
    from clove.tunnel.identity import Identity
    from clove.tunnel.target import Target

__all__ = ["Handshake", "Refused"]

VERSION: Final = 2
MOST_WORDS: Final = 500
"""Characters of what a relay says, in a log or for people."""
_encode = msgspec.json.encode


class Refused(Unavailable):
    """The relay does not let this machine in.

    @ivar reason: the relay's code for it.
    """

    def __init__(self, answer: AuthError) -> None:
        words = printable(answer.error)[:MOST_WORDS]
        hint = printable(answer.hint)[:MOST_WORDS]
        super().__init__(f"the relay refuses this machine: {words}", hint=hint)
        self.reason = answer.code


class Handshake:
    """Says who we are; receives for the connection until the relay has answered.

    @ivar done: fires with the answer, or fails with a L{CloveError}.
    @param first: the kernel_auth; its fields about the session to be resumed are set.
    """

    def __init__(
        self, socket: MessageSocket, identity: Identity, target: Target, first: KernelAuth
    ) -> None:
        self.done: Deferred[AuthOk] = Deferred()
        self.relay_id = ""
        self._socket = socket
        self._identity = identity
        self._target = target
        socket.receiver = self
        socket.send_text(_encode(first))

    def text_received(self, text: bytes) -> None:
        """The relay answers."""
        try:
            said = relay_message(text)
            if isinstance(said, Challenge):
                self._prove(said)
            elif isinstance(said, AuthError):
                raise Refused(said)
            elif said.relay_id != self.relay_id or not self.relay_id:
                raise Unavailable("the relay has accepted us without a challenge")
            else:
                self._finish(said)
        except CloveError as error:
            self._finish(error)

    def _prove(self, challenge: Challenge) -> None:
        machine = self._target.machine_id
        may_change = self._target.changes_relay or not self._identity.relay_id
        joining = bool(self._target.join_token) and may_change
        signature = self._identity.sign(challenge, machine, joining=joining)
        self.relay_id = challenge.relay_id
        self._socket.send_text(_encode(Proof(signature=signature)))

    def _finish(self, result: AuthOk | CloveError) -> None:
        if self.done.called:
            return
        if isinstance(result, AuthOk):
            self.done.callback(result)
        else:
            self.done.errback(result)

    def binary_received(self, data: bytes) -> None:
        """There are none before the answer."""
        self._finish(Unavailable("the relay speaks before it has answered"))

    def writable(self) -> None:
        """Little is written here."""

    def closed(self, reason: str) -> None:
        """It is gone."""
        self._finish(Unavailable(f"the relay has closed the connection: {reason}"))
