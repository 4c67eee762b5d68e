"""How machines come to a relay: what all targets share of it.

The steps C{register}, C{tunnel} and C{smoke}, and L{Enrolment}, from which a target gets a join token at the moment
at which it hands it on.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from clove.deploy.step import Facts, Planned, Progress
from clove.errors import (
    AlreadyExists,
    ConnectionLost,
    NotFound,
    RateLimited,
    TimedOut,
    Unavailable,
)

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["LABEL", "Enrolment", "Register", "Relay", "Smoke", "Tunnel"]

LABEL: Final = "deployment"
"""A machine of a deployment has its name as this label: so it is known again, by whichever run."""
TOKEN_HOURS: Final = 1.0
TUNNEL_SECONDS: Final = 300.0
SMOKE_SECONDS: Final = 120.0
EVERY: Final = 1.0
"""Seconds between two looks at the relay."""
_PASSING: Final = (ConnectionLost, TimedOut, RateLimited)
"""What may be otherwise at the next look. An error of these is that of the relay, not of a machine."""


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


class Register:
    """The machines are at the relay, with this deployment's label. Undone, they are gone, with keys and tokens."""

    name = "register"

    def __init__(self, enrolment: Enrolment) -> None:
        self._enrolment = enrolment

    def plan(self, facts: Facts) -> Planned:
        """What is registered, and where."""
        own = self._enrolment
        return Planned(f"register {', '.join(own.machines)} at {own.relay.url}")

    def look(self, facts: Facts) -> Facts | None:
        """Those with the label, if all are there."""
        for machine in self._enrolment.machines:
            found = self._enrolment.machine(machine)
            if found is None or not self._is_mine(found) or self._half_made(found):
                return None
        return self._facts

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Register those that are not there.

        @raise AlreadyExists: another machine has this id.
        """
        own = self._enrolment
        fleet = own.relay.fleet
        for machine in own.machines:
            found = own.machine(machine)
            if found is not None and not self._is_mine(found):
                raise AlreadyExists(
                    f"the relay has a machine {machine} that this deployment did not make",
                    hint=f"choose another --name, or remove it: clove machines remove {machine}",
                )
            if found is None:
                fleet.add_machine(
                    machine, name=own.token_name, labels=own.labels, provider=own.provider
                )
                found = {"name": own.token_name}
            if self._half_made(found):
                own.revoke_tokens(machine)  # what registers makes a token that does not expire
                fleet.change_machine(machine, name="")
        return self._facts

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Remove them, and what is left of their tokens."""
        own = self._enrolment
        for machine in facts.get("machines", own.machines):
            found = own.machine(machine)
            if found is not None and self._is_mine(found):
                own.relay.fleet.remove_machine(machine)
            own.revoke_tokens(machine)

    @property
    def _facts(self) -> Facts:
        return {"machines": list(self._enrolment.machines)}

    def _is_mine(self, found: Mapping[str, Any]) -> bool:
        return bool(found["labels"].get(LABEL) == self._enrolment.name)

    def _half_made(self, found: Mapping[str, Any]) -> bool:
        return bool(found["name"] == self._enrolment.token_name)


class Tunnel:
    """The relay says that each machine is connected: its kernel answers.

    @param where: what to look at when it does not come, in words and with a command.
    @param seconds: to wait for all of them.
    """

    name = "tunnel"

    def __init__(
        self,
        enrolment: Enrolment,
        where: Callable[[Facts], str],
        *,
        seconds: float = TUNNEL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._enrolment = enrolment
        self._where = where
        self._seconds = seconds
        self._clock = clock
        self._sleep = sleep

    def plan(self, facts: Facts) -> Planned:
        """What is waited for."""
        names = ", ".join(self._enrolment.machines)
        return Planned(f"wait until the kernel of {names} answers through the relay")

    def look(self, facts: Facts) -> Facts | None:
        """The versions that they say."""
        versions = {}
        for machine in self._enrolment.machines:
            found = self._enrolment.machine(machine)
            if found is None or found["presence"] != "connected":
                return None
            versions[machine] = found["versions"].get("clove", "")
        return {"versions": versions}

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Wait for them.

        @raise TimedOut: one is not connected after a while.
        """
        until = self._clock() + self._seconds
        while True:
            try:
                found = self.look(facts)
            except _PASSING:
                if self._clock() >= until:
                    raise
                found = None
            if found is not None:
                return found
            if self._clock() >= until:
                raise TimedOut(
                    f"{', '.join(self._missing())} did not connect within {self._seconds:.0f} s",
                    hint=self._where(facts),
                )
            self._sleep(EVERY)

    def _missing(self) -> list[str]:
        own = self._enrolment
        return [machine for machine in own.machines if not own.is_connected(machine)]

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Nothing: it ends with the kernel."""


class Smoke:
    """An agent runs on each machine, and says what it was told to say. Looked at anew in every run."""

    name = "smoke"

    def __init__(self, enrolment: Enrolment, *, seconds: float = SMOKE_SECONDS) -> None:
        self._enrolment = enrolment
        self._seconds = seconds

    def plan(self, facts: Facts) -> Planned:
        """What runs where."""
        return Planned(
            f"run an agent on {', '.join(self._enrolment.machines)} and compare its output"
        )

    def look(self, facts: Facts) -> Facts | None:
        """None: only trying tells."""
        return None

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Run it on each."""
        for machine in self._enrolment.machines:
            try_agent(self._enrolment.relay.fleet, machine, self._seconds)
        return {}

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Nothing: the agents have ended."""


def try_agent(fleet: FleetClient, machine: str, seconds: float = SMOKE_SECONDS) -> None:
    """Run an agent on a machine, and compare what it writes with what it was told to.

    @param seconds: it is ended after so many.
    @raise Unavailable: something else came, or it ended with an error.
    """
    word = secrets.token_hex(8)
    made = fleet.deploy(
        machine,
        "deploy-smoke.py",
        f"print('{word}')\n",
        name=f"deploy-smoke-{word[:8]}",
        timeout=seconds,
        attach=True,
    )
    output, end = bytearray(), {}
    for kind, fields in fleet.stream(machine, made["agent_id"], attach=True):
        if kind == "output":
            output += fields["data"][: 4096 - len(output)]
        elif kind == "exit":
            end = dict(fields)
    if end.get("exit_code") != 0 or output.decode(errors="replace").strip() != word:
        told = output.decode(errors="replace").strip()[-300:] or "nothing"
        raise Unavailable(
            f"the agent that was tried on {machine} ended with {_ended(end)} and wrote: {told}",
            hint=f"what it can isolate: clove machines doctor {machine}",
        )


def _ended(end: Mapping[str, Any]) -> str:
    if not end:
        return "no exit code"
    return f"signal {end['signal']}" if end.get("signal") else f"exit code {end.get('exit_code')}"


