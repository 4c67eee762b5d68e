"""A remote agent comes in, with a token for the machine that it wants."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clove.messages.relay import AgentAuth, AuthOk, Caller
from clove.relay.hub.agent_link import AgentLink, Reached
from clove.relay.hub.agent_v1 import AgentV1
from clove.relay.hub.conversation import Conversation, Refusal
from clove.relay.hub.machine_v1 import MachineV1
from clove.relay.records import ADMINISTRATORS, TokenKind

if TYPE_CHECKING:
    from clove.relay.hub.doors import MachineDoor, TokenDoor
    from clove.relay.hub.hub import Hub

__all__ = ["AgentEntrance"]


class AgentEntrance:
    """Lets remote agents in."""

    def __init__(self, hub: Hub, tokens: TokenDoor, machines: MachineDoor) -> None:
        self._hub = hub
        self._tokens = tokens
        self._machines = machines

    async def admit(self, conversation: Conversation, said: AgentAuth) -> None:
        """Serve a remote agent.

        @raise Refusal, CloveError: it may not reach that machine, or nobody can now.
        """
        identity = await self._tokens.identify(said.token, conversation.socket.address)
        await self._check_reach(identity, said.target_machine)
        here = self._hub.is_here(said.target_machine)
        machine = await self._hub.find(said.target_machine, identity.token_id)
        if not here:  # others may have changed it meanwhile
            await self._check_reach(identity, said.target_machine)
        conversation.check_open()
        if (
            said.protocol_version == 2
            and not isinstance(machine, MachineV1)
            and machine.version == 2
        ):
            self._serve(conversation, said, identity, machine)
        else:
            self._serve_v1(conversation, said, identity)

    async def _check_reach(self, identity: Any, machine_id: str) -> None:
        """@raise Refusal: the token does not reach the machine."""
        if not await self._machines.may_reach(identity, machine_id):
            raise Refusal(
                "this token does not reach that machine",
                "permission_denied",
                "ask for a token of kind agent with the machine among its targets",
            )

    def _caller(self, said: AgentAuth, identity: Any) -> Caller:
        """An administrator manages by this connection what it has started by the REST API, and the other way round."""
        self._hub.check_room(identity.token_id)
        is_admin = identity.kind is TokenKind.ADMIN
        return Caller(
            id=self._hub.next_agent_id(),
            name=said.name,
            token_id=ADMINISTRATORS if is_admin else identity.token_id,
            permissions=identity.permissions,
        )

    def _serve(
        self, conversation: Conversation, said: AgentAuth, identity: Any, machine: Reached
    ) -> None:
        agent = self._resumed(said, identity)
        resumed = agent is not None
        if agent is None:
            watched = _Watched(self._hub.agent_ended)
            agent = AgentLink(
                self._hub.clock,
                self._hub.limits,
                self._caller(said, identity),
                machine,
                self._hub.wall(),
                watched.ended,
                identity.token_id,
            )
            self._hub.add_agent(agent)
            watched.stop = self._machines.watch(identity, said.target_machine, agent.end)
            if agent.link.is_over:
                watched.stop()
                raise Refusal("the token was revoked", "not_authenticated")
        limits = self._hub.limits
        conversation.say(
            AuthOk(
                agent_id=agent.caller.id,
                target_machine=said.target_machine,
                protocol_version=2,
                session=agent.session,
                resumed=resumed,
                received=agent.link.session.received,
                ping_seconds=limits.ping_seconds,
                resume_seconds=limits.resume_seconds,
            )
        )
        agent.attach(conversation.socket, said.received if resumed else 0)

    def _resumed(self, said: AgentAuth, identity: Any) -> AgentLink | None:
        """The link that it had before, if that is there and was opened with the same token."""
        agent = self._hub.agent_of_session(said.session) if said.session else None
        if (
            agent is None
            or agent.target_machine != said.target_machine
            or not hmac.compare_digest(agent.bearer, identity.token_id)
        ):
            return None
        return agent

    def _serve_v1(self, conversation: Conversation, said: AgentAuth, identity: Any) -> None:
        watched = _Watched(self._hub.agent_ended)
        agent = AgentV1(
            self._hub.limits,
            self._caller(said, identity),
            said.target_machine,
            self._hub.wall(),
            self._hub.reach,
            watched.ended,
            identity.token_id,
        )
        agent.connect()
        self._hub.add_agent(agent)
        conversation.say(AuthOk(agent_id=agent.caller.id, target_machine=said.target_machine))
        agent.attach(conversation.socket, conversation.rest)
        watched.stop = self._machines.watch(identity, said.target_machine, agent.end)
        if agent.is_over:  # so soon
            watched.stop()


class _Watched:
    """Ends the watch on a token with what it opened."""

    def __init__(self, ended: Callable[[Any, str], object]) -> None:
        self.stop: Callable[[], None] = lambda: None
        self._ended = ended

    def ended(self, agent: Any, reason: str) -> None:
        self.stop()
        self._ended(agent, reason)
