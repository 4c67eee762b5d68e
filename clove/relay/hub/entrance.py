"""Who comes in: every connection shows within some seconds who it is, or is closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from clove.messages.relay import AuthError, KernelAuth, first_message
from clove.relay.forwarded import Proxies
from clove.relay.hub.admission import Admission
from clove.relay.hub.agents import AgentEntrance
from clove.relay.hub.conversation import Conversation, Refusal
from clove.relay.hub.kernels import KernelEntrance

if TYPE_CHECKING:
    from clove.relay.hub.doors import MachineDoor, TokenDoor
    from clove.relay.hub.hub import Hub

__all__ = ["Entrance"]

Note = Callable[..., None]
"""L{clove.relay.denials.Denials.add}."""
_REFUSALS: Final = frozenset(
    ("not_authenticated", "locked_out", "permission_denied", "wrong_key", "copied_key")
)
"""Codes that say who may not come in; others say what cannot be done now."""


class Entrance(Admission):
    """Authenticates kernels and remote agents.

    @param relay_id: what kernels pin when they join.
    """

    def __init__(
        self,
        hub: Hub,
        relay_id: str,
        tokens: TokenDoor,
        machines: MachineDoor,
        note: Note = lambda kind, source, **facts: None,
    ) -> None:
        limits = hub.limits
        super().__init__(
            hub.clock, self._admit_one, limits.auth_seconds, limits.unknown, self._note_refusal
        )
        self._note = note
        self._kernels = KernelEntrance(hub, relay_id, tokens, machines)
        self._agents = AgentEntrance(hub, tokens, machines)

    def listening(
        self,
        reactor: Any,
        proxies: Proxies | None = None,
        is_own: Callable[[str, str], bool] = lambda origin, host: False,
    ) -> Any:
        """For a listening endpoint.

        @param proxies: trusted to say where a connection comes from.
        @param is_own: of L{serving<clove.channels.websocket_messages.serving>}.
        """
        trusted = proxies or Proxies()

        def client(peer: str, headers: Mapping[str, str]) -> str:
            lines = [
                [headers[name]] if name in headers else []
                for name in ("x-forwarded-for", "forwarded")
            ]
            return trusted.client(peer, *lines)

        return self.factory(reactor, client=client, is_own=is_own)

    async def _admit_one(self, conversation: Conversation) -> None:
        said = first_message(await conversation.next_text())
        if said.protocol_version not in (1, 2):
            raise Refusal("this relay has versions 1 and 2", "invalid_request")
        conversation.wanted = "tunnel" if isinstance(said, KernelAuth) else "remote agent"
        if isinstance(said, KernelAuth):
            conversation.machine_id = said.machine_id
            await self._kernels.admit(conversation, said)
        else:
            conversation.machine_id = said.target_machine
            await self._agents.admit(conversation, said)

    def _note_refusal(self, conversation: Conversation, answer: AuthError) -> None:
        if answer.code in _REFUSALS:
            self._note(
                "connection",
                conversation.socket.address,
                machine_id=conversation.machine_id,
                what=conversation.wanted,
                code=answer.code,
                error=answer.error,
            )
