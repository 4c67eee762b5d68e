"""The end of a link that answers: another relay's callers reach machines whose tunnels are here.

The other relay's word is the id of a token. Who bears it, and what that bearer may, is looked up here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from clove.channels.session import BrokenLink
from clove.channels.splice import Splice
from clove.errors import CloveError, LimitExceeded, NotFound, PermissionDenied, Unavailable
from clove.messages.relay import Caller
from clove.relay.hub.kernels import ALIVE_SECONDS
from clove.relay.hub.machine_link import MachineLink
from clove.relay.hub.machine_v1 import MachineV1, check_permissions
from clove.relay.link.far_agent_v1 import FarAgentV1
from clove.relay.link.messages import Opening
from clove.relay.link.relay_link import RelayLink
from clove.relay.machines.caller_query import MOST_TOLD, CallerQuery, matching
from clove.relay.machines.machines import Machines
from clove.relay.records import ADMINISTRATORS, Identity, TokenKind
from clove.relay.tokens.tokens import Tokens

if TYPE_CHECKING:
    from clove.channels.multiplexed import MultiplexedChannel
    from clove.relay.hub.hub import Hub

__all__ = ["Home", "ServedLink"]

MOST_ASKED = 256
"""Kernels that one relay asks about at once; more get no answer."""


class Home(Protocol):
    """The relay that answers: where its tunnels, tokens and machines are."""

    hub: Hub
    tokens: Tokens
    machines: Machines
    callers: Counter[str]
    """Channels of other relays' callers, by token."""


class ServedLink(RelayLink):
    """A link from another relay."""

    log = Logger()
    accepts = True

    def __init__(self, home: Home, *given: Any) -> None:
        self._home = home
        self._works: set[Deferred[Any]] = set()
        self._observed: Counter[str] = Counter()
        self._unobserve: dict[str, Callable[[], None]] = {}
        super().__init__(*given)

    def _accept(self, channel: MultiplexedChannel, said: dict[str, Any]) -> None:
        try:
            opening = msgspec.convert(said, Opening)
        except msgspec.ValidationError as error:
            raise BrokenLink(f"OPEN of a relay says no caller: {error}") from None
        self._begin(self._serve(channel, opening))

    async def _serve(self, channel: MultiplexedChannel, opening: Opening) -> None:
        try:
            await self._join(channel, opening)
        except CloveError as error:
            channel.refuse(error.message)

    async def _join(self, channel: MultiplexedChannel, opening: Opening) -> None:
        home = self._home
        identity = await home.tokens.of_id(opening.token_id)
        if opening.as_administrators and identity.kind is not TokenKind.ADMIN:
            raise PermissionDenied("this token is no administrator's", rule="token kind")
        if not await home.machines.may_reach(identity, opening.machine_id):
            raise NotFound("there is no such machine")
        machine = home.hub.links().get(opening.machine_id)
        if machine is None or self.link.is_over:
            raise Unavailable(f"machine {opening.machine_id!r} is not connected any more")
        if home.callers[identity.token_id] >= home.hub.limits.links_per_token:
            raise LimitExceeded("this token has all the callers that it may have")
        caller = self._caller(opening, identity)
        by_frames = isinstance(machine, MachineV1) and opening.version == 1
        if isinstance(machine, MachineV1):
            check_permissions(machine.machine_id, caller)
        there = None if by_frames else machine.open(caller)
        home.callers[identity.token_id] += 1
        stops = [home.machines.watch(identity, opening.machine_id, channel.refuse)]
        if isinstance(machine, MachineLink):
            stops.append(self._observe(machine))

        def ended(reason: str) -> None:
            home.callers[identity.token_id] -= 1
            if not home.callers[identity.token_id]:
                del home.callers[identity.token_id]
            for stop in stops:
                stop()

        if there is not None:
            Splice(channel, there, ended)
        elif isinstance(machine, MachineV1):
            FarAgentV1(home.hub.limits, caller, machine, channel, ended)

    def _caller(self, opening: Opening, identity: Identity) -> Caller:
        return Caller(
            id=self._home.hub.next_agent_id(),
            name=opening.name,
            token_id=ADMINISTRATORS if opening.as_administrators else identity.token_id,
            permissions=identity.permissions,
        )

    def _observe(self, machine: MachineLink) -> Callable[[], None]:
        """Tell the other relay what becomes of a tunnel, while it has channels there."""
        name = machine.machine_id
        self._observed[name] += 1
        if self._observed[name] == 1:

            def tell(change: str) -> None:
                self.link.send_control({"type": change, "machine_id": name})

            self._unobserve[name] = machine.observe(tell)

        def stop() -> None:
            self._observed[name] -= 1
            if not self._observed[name]:
                del self._observed[name]
                self._unobserve.pop(name)()

        return stop

    def _said(self, said: dict[str, Any]) -> None:
        number, name = said.get("id"), said.get("machine_id")
        if not (isinstance(number, int) and isinstance(name, str)):
            return
        if len(self._works) >= MOST_ASKED:
            return
        if said.get("type") == "answers":
            self._begin(self._tell_answers(number, name, said.get("instance")))
        elif said.get("type") == "callers":
            self._begin(self._tell_callers(number, said))

    async def _tell_callers(self, number: int, said: dict[str, Any]) -> None:
        try:
            query = msgspec.convert(said, CallerQuery)
        except msgspec.ValidationError as error:
            raise BrokenLink(f"a relay asks for remote agents in its own words: {error}") from None
        query = msgspec.structs.replace(query, limit=min(query.limit, MOST_TOLD))
        found = matching(await self._home.hub.callers(), query)
        self.link.send_control({"type": "callers", "id": number, **msgspec.to_builtins(found)})

    async def _tell_answers(self, number: int, name: str, instance: object) -> None:
        machine = self._home.hub.links().get(name)
        answers = (
            isinstance(machine, MachineLink)
            and machine.instance == instance
            and await machine.answers(ALIVE_SECONDS)
        )
        self.link.send_control({"type": "answered", "id": number, "answers": answers})

    def _begin(self, work: Any) -> None:
        working: Deferred[Any] = Deferred.fromCoroutine(work)
        if not working.called:
            self._works.add(working)
        working.addErrback(
            lambda failure: self.log.failure("another relay's caller was lost", failure)
        )
        working.addBoth(lambda _: self._works.discard(working))
