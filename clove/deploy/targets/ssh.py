"""The target C{ssh}: a Linux machine that one has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from clove.deploy.enrol import Register, Smoke, Tunnel
from clove.deploy.kinds import Place
from clove.deploy.relay import Enrolment
from clove.deploy.ssh.answers import where_to_look
from clove.deploy.ssh.bundles import Bundles
from clove.deploy.ssh.connection import Connection, check_host
from clove.deploy.ssh.steps import BundleStep, HostStep, InstallStep, KernelStep
from clove.deploy.step import Step

__all__ = ["CHANGEABLE", "SshTarget", "machines", "make"]

CHANGEABLE: Final = ("port", "identity", "bundle")
"""How it is reached, and from what; what is there stays the same."""


def machines(name: str, options: Mapping[str, Any]) -> list[str]:
    """One, of the deployment's name."""
    return [name]


def make(place: Place, options: Mapping[str, Any]) -> SshTarget:
    """The target.

    @param options: host, port, identity, user_units, bundle.
    @raise InvalidRequest: the host is none.
    """
    return SshTarget(place, options)


class SshTarget:
    """A machine that is reached by ssh."""

    def __init__(self, place: Place, options: Mapping[str, Any]) -> None:
        host = check_host(options["host"])
        self.connection = Connection(
            host, options["port"], options["identity"], place.directory / "ssh"
        )
        self.enrolment = Enrolment(place.relay, place.name, [place.name], place.labels, "ssh")
        self.bundles = Bundles(self.connection, options["bundle"], place.directory / "bundle")
        self._options = options

    @property
    def steps(self) -> Sequence[Step]:
        """In their order."""
        connection, own = self.connection, self.enrolment
        units = bool(self._options["user_units"])
        return (
            Register(own),
            HostStep(connection, own.name, own.relay.hub, user_units=units),
            BundleStep(connection, self.bundles),
            InstallStep(connection, self.bundles),
            KernelStep(connection, own, self.bundles),
            Tunnel(own, lambda facts: where_to_look(connection, facts)),
            Smoke(own),
        )
