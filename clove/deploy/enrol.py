"""The steps that all targets share: C{register}, C{tunnel} and C{smoke}.

There is none for the join token: a target asks L{Enrolment<clove.deploy.relay.Enrolment>} for one at the moment at which
it hands it on, so that none is made and then lost for longer than until the next run.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from clove.deploy.relay import LABEL, Enrolment
from clove.deploy.step import Facts, Planned, Progress
from clove.deploy.waiting import look_until
from clove.errors import (
    AlreadyExists,
    TimedOut,
    Unavailable,
)

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["Register", "Smoke", "Tunnel", "try_agent"]

TUNNEL_SECONDS: Final = 300.0
SMOKE_SECONDS: Final = 120.0
EVERY: Final = 1.0
"""Seconds between two looks at the relay."""


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
    @param since: presence that does not count, by machine: it is that of an earlier tunnel.
    """

    name = "tunnel"

    def __init__(
        self,
        enrolment: Enrolment,
        where: Callable[[Facts], str],
        *,
        seconds: float = TUNNEL_SECONDS,
        since: Mapping[str, str] = MappingProxyType({}),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._enrolment = enrolment
        self._where = where
        self._seconds = seconds
        self._since = since
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
            version = found and found["versions"].get("clove")  # is written after the presence
            if not version or found is None or found["presence"] != "connected":
                return None
            if found["presence_since"] == self._since.get(machine):
                return None
            versions[machine] = version
        return {"versions": versions}

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Wait for them.

        @raise TimedOut: one is not connected after a while.
        """
        return look_until(
            lambda: self.look(facts),
            lambda: self._late(facts),
            seconds=self._seconds,
            every=EVERY,
            clock=self._clock,
            sleep=self._sleep,
        )

    def _late(self, facts: Facts) -> TimedOut:
        return TimedOut(
            f"{', '.join(self._missing())} did not connect within {self._seconds:.0f} s",
            hint=self._where(facts),
        )

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
