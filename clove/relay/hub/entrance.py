"""Who comes in: every connection shows within some seconds who it is, or is closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clove.messages.relay import KernelAuth, first_message
from clove.relay.forwarded import Proxies
from clove.relay.hub.admission import Admission
from clove.relay.hub.agents import AgentEntrance
from clove.relay.hub.conversation import Conversation, Refusal
from clove.relay.hub.kernels import KernelEntrance

if TYPE_CHECKING:
    from clove.relay.hub.doors import MachineDoor, TokenDoor
    from clove.relay.hub.hub import Hub

__all__ = ["Entrance"]


class Entrance(Admission):
    """Authenticates kernels and remote agents.

    @param relay_id: what kernels pin when they join.
    """

    def __init__(self, hub: Hub, relay_id: str, tokens: TokenDoor, machines: MachineDoor) -> None:
        super().__init__(hub.clock, self._admit_one, hub.limits.auth_seconds, hub.limits.unknown)
        self._kernels = KernelEntrance(hub, relay_id, tokens, machines)
        self._agents = AgentEntrance(hub, tokens, machines)

    def listening(self, reactor: Any, proxies: Proxies | None = None) -> Any:
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

        return self.factory(reactor, client=client)

    async def _admit_one(self, conversation: Conversation) -> None:
        said = first_message(await conversation.next_text())
        if said.protocol_version not in (1, 2):
            raise Refusal("this relay has versions 1 and 2", "invalid_request")
        if isinstance(said, KernelAuth):
            await self._kernels.admit(conversation, said)
        else:
            await self._agents.admit(conversation, said)
