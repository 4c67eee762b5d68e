"""The end of a link that dialled: callers of this relay reach machines whose tunnels are at the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as NotInTime

from clove.channels.session import BrokenLink
from clove.errors import NotImplementedYet, Unavailable
from clove.relay.link.messages import Opening
from clove.relay.link.relay_link import RelayLink
from clove.relay.machines.caller_query import MOST_TOLD, CallerQuery, CallersFound

if TYPE_CHECKING:
    from clove.channels.multiplexed import MultiplexedChannel
    from clove.messages.relay import Caller
    from clove.relay.hub.doors import TunnelObserver
    from clove.relay.machines.presence import RemoteCaller

__all__ = ["FarMachine", "PeerLink"]

ANSWER_SECONDS: Final = 10.0
"""For the other relay's word about a kernel, which it may have to ask."""
MOST_ASKED: Final = 256
"""Kernels that are asked about at once."""


class PeerLink(RelayLink):
    """A link to another relay."""

    def __init__(self, *given: Any) -> None:
        self._observers: dict[str, set[TunnelObserver]] = {}
        self._asked: dict[int, Deferred[dict[str, Any]]] = {}
        self._last = 0
        super().__init__(*given)

    def open(self, opening: Opening) -> MultiplexedChannel:
        """A channel to a machine's kernel.

        @raise Unavailable: the link is over, or has all the channels that it may have.
        """
        try:
            return self.link.open(msgspec.to_builtins(opening))
        except BrokenLink as error:
            raise Unavailable(
                f"machine {opening.machine_id!r} is not reached at its relay: {error}",
                hint="try again in a second",
            ) from None

    async def answers(self, machine_id: str, instance: str) -> bool:
        """Whether that instance of a machine's kernel answers the other relay.

        @raise Unavailable: that cannot be asked now.
        """
        said = await self._ask("answers", machine_id=machine_id, instance=instance)
        return bool(said.get("answers"))

    async def callers(self, query: CallerQuery) -> CallersFound:
        """Remote agents of the other relay, in as many questions as their number needs.

        @raise Unavailable: that cannot be asked now, or a relay of an earlier version is there.
        """
        found: list[RemoteCaller] = []
        while True:
            part = msgspec.structs.replace(query, limit=min(MOST_TOLD, query.limit - len(found)))
            said = await self._ask("callers", **msgspec.structs.asdict(part))
            try:
                told = msgspec.convert(said, CallersFound)
            except msgspec.ValidationError:
                raise Unavailable("another relay's answer makes no sense") from None
            found += told.callers
            if len(told.callers) < MOST_TOLD or len(found) >= query.limit:
                return msgspec.structs.replace(told, callers=found)
            query = msgspec.structs.replace(query, after=told.callers[-1].agent_id)

    async def _ask(self, what: str, **fields: object) -> dict[str, Any]:
        """@raise Unavailable: there is no answer in time."""
        if len(self._asked) >= MOST_ASKED:
            raise Unavailable("another relay is asked for much", hint="try again in a second")
        self._last += 1
        number = self._last
        waiting = self._asked[number] = Deferred()
        waiting.addTimeout(ANSWER_SECONDS, self.clock)
        self.link.send_control({"type": what, "id": number, **fields})
        try:
            return await waiting
        except (NotInTime, CancelledError):
            raise Unavailable(
                "the relay that has this machine's tunnel does not answer"
                if what == "answers"
                else "another relay does not answer",
                hint="try again in a second",
            ) from None
        finally:
            self._asked.pop(number, None)

    def observe(self, machine_id: str, observer: TunnelObserver) -> Callable[[], None]:
        """Have an observer told what becomes of a machine's tunnel; gives the way out."""
        self._observers.setdefault(machine_id, set()).add(observer)

        def stop() -> None:
            found = self._observers.get(machine_id, set())
            found.discard(observer)
            if not found:
                self._observers.pop(machine_id, None)

        return stop

    def _said(self, said: dict[str, Any]) -> None:
        if said.get("type") in ("answered", "callers"):
            number = said.get("id")
            waiting = self._asked.get(number) if isinstance(number, int) else None
            if waiting is not None and not waiting.called:
                waiting.callback(said)
        elif said.get("type") in ("kernel_connected", "kernel_disconnected", "drain"):
            for observer in list(self._observers.get(str(said.get("machine_id")), ())):
                observer(said["type"])

    def _over(self, reason: str) -> None:
        for waiting in list(self._asked.values()):
            waiting.cancel()
        super()._over(reason)


class FarMachine:
    """A machine whose tunnel is at another relay, for the bearer of one token.

    It is to the hub what L{MachineLink<clove.relay.hub.machine_link.MachineLink>} is.
    """

    def __init__(self, link: PeerLink, machine_id: str, token_id: str, version: int) -> None:
        self.machine_id = machine_id
        self.version = version
        self._link = link
        self._token_id = token_id

    def open(self, caller: Caller) -> MultiplexedChannel:
        """A channel to the kernel; the other relay looks up itself what the token's bearer may.

        @raise Unavailable: there is none to be had.
        @raise NotImplementedYet: the tunnel has version 1.
        """
        if self.version == 1:
            raise NotImplementedYet(
                f"the tunnel of {self.machine_id!r} has version 1, which has no channels, and is at another relay",
                hint="run a kernel of this version there",
            )
        return self._open(caller, 2)

    def open_for_v1(self, caller: Caller) -> MultiplexedChannel:
        """A channel for frames of version 1.

        @raise Unavailable: there is none to be had.
        """
        return self._open(caller, 1)

    def _open(self, caller: Caller, version: int) -> MultiplexedChannel:
        return self._link.open(
            Opening(
                machine_id=self.machine_id,
                token_id=self._token_id,
                name=caller.name,
                as_administrators=caller.token_id != self._token_id,
                version=version,
            )
        )

    def observe(self, observer: TunnelObserver) -> Callable[[], None]:
        """See L{PeerLink.observe}."""
        return self._link.observe(self.machine_id, observer)
