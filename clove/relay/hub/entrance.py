"""Who comes in: every connection shows within some seconds who it is, or is closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as NotInTime
from twisted.logger import Logger

from clove.channels.session import BrokenLink
from clove.channels.websocket_messages import MessageSocket, serving
from clove.errors import CloveError
from clove.messages.relay import AuthError, KernelAuth, first_message
from clove.relay.forwarded import Proxies
from clove.relay.hub.agents import AgentEntrance
from clove.relay.hub.conversation import Conversation, Refusal
from clove.relay.hub.kernels import KernelEntrance
from clove.relay.hub.strangers import Strangers

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from clove.relay.hub.doors import MachineDoor, TokenDoor
    from clove.relay.hub.hub import Hub

__all__ = ["Entrance"]


class Entrance:
    """Authenticates connections.

    @param relay_id: what kernels pin when they join.
    """

    log = Logger()

    def __init__(self, hub: Hub, relay_id: str, tokens: TokenDoor, machines: MachineDoor) -> None:
        self._hub = hub
        self._kernels = KernelEntrance(hub, relay_id, tokens, machines)
        self._agents = AgentEntrance(hub, tokens, machines)
        self._strangers = Strangers(hub.limits.unknown)
        self._unknown: set[Deferred[Any]] = set()

    def factory(self, reactor: Any, proxies: Proxies | None = None) -> Any:
        """For a listening endpoint.

        @param proxies: whose word is taken for where a connection comes from.
        """
        trusted = proxies or Proxies()

        def client(peer: str, headers: Mapping[str, str]) -> str:
            lines = [
                [headers[name]] if name in headers else []
                for name in ("x-forwarded-for", "forwarded")
            ]
            return trusted.client(peer, *lines)

        return serving(self.accept, reactor=reactor, arrived=self._strangers.add, client=client)

    def stop(self) -> None:
        """Close the connections that have not shown who they are."""
        for each in list(self._unknown):
            each.cancel()

    def accept(self, socket: MessageSocket) -> None:
        """A new connection."""
        conversation = Conversation(socket)
        admitted = Deferred.fromCoroutine(self._admit(conversation))
        if not admitted.called:
            self._unknown.add(admitted)
            admitted.addTimeout(self._hub.limits.auth_seconds, self._hub.clock)
        admitted.addErrback(self._refuse, conversation)
        admitted.addBoth(lambda _: self._unknown.discard(admitted))

    async def _admit(self, conversation: Conversation) -> None:
        said = first_message(await conversation.next_text())
        if said.protocol_version not in (1, 2):
            raise Refusal("this relay has versions 1 and 2", "invalid_request")
        if isinstance(said, KernelAuth):
            await self._kernels.admit(conversation, said)
        else:
            await self._agents.admit(conversation, said)
        conversation.socket.known()

    def _refuse(self, failure: Failure, conversation: Conversation) -> None:
        error = failure.value
        if isinstance(error, Refusal):
            answer = error.answer
        elif isinstance(error, NotInTime):
            seconds = self._hub.limits.auth_seconds
            answer = AuthError(
                error=f"nobody was authenticated within {seconds:g} s", code="timeout"
            )
        elif isinstance(error, CloveError):
            answer = AuthError(error=error.message, code=error.code, hint=error.hint)
        elif isinstance(error, (BrokenLink, CancelledError)):
            answer = AuthError(error=str(error) or "the relay stops", code="unavailable")
        else:
            self.log.failure("a connection could not be admitted", failure)
            answer = AuthError(
                error="a fault of the relay: its log has more", code="internal_error"
            )
        conversation.socket.send_text(msgspec.json.encode(answer))
        conversation.socket.end(answer.error)
