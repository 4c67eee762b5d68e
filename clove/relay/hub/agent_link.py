"""A remote agent's link (version 2): one channel, joined to one on its machine's tunnel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from clove.channels.multiplex import LinkLimits, Multiplex
from clove.channels.splice import Splice
from clove.relay.hub.machine_link import MachineLink
from clove.relay.hub.resumable_link import ResumableLink

if TYPE_CHECKING:
    from clove.messages.relay import Caller
    from clove.relay.hub.doors import FarMachine, TunnelChange
    from clove.relay.hub.limits import HubLimits

__all__ = ["AgentLink", "Reached"]

Reached: TypeAlias = "MachineLink | FarMachine"
SILENT: Final = 90.0
"""Seconds without a message, of a client that asks every 20 s for one; then its connection is cut."""
LINGER: Final = 1.0
"""Seconds in which the agent may read why its channel was closed."""


class AgentLink(ResumableLink):
    """One remote agent.

    @param ended: called once, when nothing of the session is left.
    @ivar bearer: id of the token that it came with; the kernel knows all administrators by one.
    @ivar connected_at: seconds since the epoch.
    """

    peer = "the agent"

    def __init__(
        self,
        clock: Any,
        limits: HubLimits,
        caller: Caller,
        machine: Reached,
        connected_at: float,
        ended: Callable[[AgentLink, str], object],
        bearer: str = "",
    ) -> None:
        super().__init__(clock, limits)
        self.caller = caller
        self.bearer = bearer or caller.token_id
        self.target_machine = machine.machine_id
        self.connected_at = connected_at
        self._ended = ended
        self._spent = ""
        self._seen, self._heard = 0, 0.0
        there = machine.open(caller)  # first: what it may raise must find no link to leave behind
        self.link = Multiplex(
            clock,
            control=self._control,
            ended=self._over,
            limits=LinkLimits(unacknowledged=limits.kept, channels=1),
        )
        self._unobserve = machine.observe(self._machine_changed)
        self._splice = Splice(self.link.add_channel(1), there, self._spliced)

    @property
    def syscalls_sent(self) -> int:
        """Messages from the agent: a relay does not look into them."""
        return self._splice.first.pieces

    @property
    def responses_received(self) -> int:
        """Messages to it."""
        return self._splice.second.pieces

    @property
    def status(self) -> str:
        """For people."""
        return "connected" if self._socket is not None else "disconnected"

    def _attached(self) -> None:
        self._heard = self._clock.seconds()
        if self._spent:
            self._end_soon()

    def check(self) -> None:
        """Cut a connection of which nothing has come for too long: it may be dead and not say so."""
        now = self._clock.seconds()
        if self.link.messages != self._seen:
            self._seen, self._heard = self.link.messages, now
        elif self._socket is not None and now - self._heard > SILENT:
            self._socket.abort()

    def drain(self) -> None:
        """Tell the agent that this relay, or the one with its machine's tunnel, is about to stop."""
        self.link.send_control({"type": "drain", "seconds": self._limits.drain_seconds})

    def leave_when_cut(self) -> None:
        """This relay takes no connection any more: one that is cut now does not come back."""
        self._draining = True
        self.drain()

    def _over(self, reason: str) -> None:
        self._stop_expiry()
        self._unobserve()
        self._socket = None
        self._ended(self, reason)

    def _spliced(self, reason: str) -> None:
        """The kernel, or the agent, has closed the channel: the link has no further use."""
        self._spent = reason or "the channel was closed"
        if not self.link.is_over and self._expiry is None:
            self._end_soon()

    def _end_soon(self) -> None:
        self._expiry = self._clock.callLater(LINGER, self.end, self._spent)

    def _machine_changed(self, change: TunnelChange) -> None:
        if change != "drain":
            self.link.send_control({"type": change, "machine_id": self.target_machine})
        elif not self._draining:
            self.drain()

    def _control(self, said: dict[str, Any]) -> None:
        number = said.get("id")
        if said.get("type") == "ping" and isinstance(number, int):
            self.link.send_control({"type": "pong", "id": number})
