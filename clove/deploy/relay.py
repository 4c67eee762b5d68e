"""A relay as deployments need it, and the machines of one deployment there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from clove.errors import NotFound

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["LABEL", "Enrolment", "Relay"]

LABEL: Final = "deployment"
"""A machine of a deployment has its name as this label: so it is known again, by whichever run."""
TOKEN_HOURS: Final = 1.0


class Relay:
    """A relay, as deployments need it.

    @ivar url: of its REST API.
    @ivar hub: what kernels dial, C{wss://...}.
    @ivar authority: certificates in PEM that sign the relay's; "": the host's own do.
    @param connect: makes a client; called when it is first needed, since it reads the token.
    """

    def __init__(
        self, url: str, hub: str, connect: Callable[[], FleetClient], authority: str = ""
    ) -> None:
        self.url = url
        self.hub = hub
        self.authority = authority
        self._connect = connect
        self._fleet: FleetClient | None = None

    @property
    def fleet(self) -> FleetClient:
        """A client of its REST API.

        @raise CloveError: there is no token, or it cannot be read.
        """
        if self._fleet is None:
            self._fleet = self._connect()
        return self._fleet

    def dialled_at(self, hub: str) -> Relay:
        """The same relay, for kernels that dial another address of it."""
        return Relay(self.url, hub, self._connect, self.authority)


class Enrolment:
    """The machines of one deployment at its relay.

    @ivar name: the deployment's.
    @ivar machines: their ids.
    @ivar labels: given to each.
    """

    def __init__(
        self,
        relay: Relay,
        name: str,
        machines: Sequence[str],
        labels: Mapping[str, str] | None = None,
        provider: str = "",
    ) -> None:
        self.relay = relay
        self.name = name
        self.machines = tuple(machines)
        self.labels = {**(labels or {}), LABEL: name}
        self.provider = provider

    @property
    def token_name(self) -> str:
        """What its tokens are called."""
        return f"deploy {self.name}"

    def machine(self, machine: str) -> dict[str, Any] | None:
        """What the relay has of it; None: nothing."""
        try:
            return self.relay.fleet.machine(machine)
        except NotFound:
            return None

    def has_joined(self, machine: str) -> bool:
        """Whether it has a key by which it is known: then it needs no token any more."""
        found = self.machine(machine)
        return found is not None and bool(found["has_key"])

    def is_connected(self, machine: str) -> bool:
        """Whether its kernel answers."""
        found = self.machine(machine)
        return found is not None and found["presence"] == "connected"

    def may_join(self, machine: str) -> bool:
        """Whether it has joined or still can; False: its token was lost, or has expired."""
        return self.has_joined(machine) or self.waiting_token(machine)

    def fresh_token(self, machine: str) -> str:
        """A join token, in place of any that was made and lost. To be handed on at once, and kept nowhere."""
        self.revoke_tokens(machine)
        made = self.relay.fleet.issue_token(
            "join", machine_id=machine, name=self.token_name, expires_hours=TOKEN_HOURS
        )
        return str(made["token"])

    def waiting_token(self, machine: str) -> bool:
        """Whether there is one that was not used yet and is valid."""
        return next(self._valid_tokens(machine), None) is not None

    def revoke_tokens(self, machine: str) -> None:
        """Make those invalid that were made for it by this deployment."""
        for token in list(self._valid_tokens(machine)):
            self.relay.fleet.revoke_token(token["id"])

    def _valid_tokens(self, machine: str) -> Iterator[dict[str, Any]]:
        for token in self.relay.fleet.tokens():
            mine = token["name"] == self.token_name and token["machine_id"] == machine
            if mine and token["valid"]:
                yield token
