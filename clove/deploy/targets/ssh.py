"""The target C{ssh}: a Linux machine that one has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from clove.deploy.enrol import Register, Smoke, Tunnel
from clove.deploy.kinds import Place
from clove.deploy.relay import Enrolment
from clove.deploy.ssh import scripts
from clove.deploy.ssh.answers import (
    activate,
    in_use,
    install,
    remove_others,
    start,
    where_to_look,
)
from clove.deploy.ssh.bundles import Bundles
from clove.deploy.ssh.connection import Connection, check_host
from clove.deploy.ssh.steps import BundleStep, HostStep, InstallStep, KernelStep
from clove.deploy.step import Facts, Progress, Step
from clove.errors import NotFound

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
        labels = {"ssh": host, **place.labels}  # by which `clove machines ssh` goes there
        self.enrolment = Enrolment(place.relay, place.name, [place.name], labels, "ssh")
        self.kept = place.directory / "bundle"
        self.bundles = Bundles(self.connection, options["bundle"], self.kept)
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

    def installed(self, facts: Facts) -> str:
        """The release in use there."""
        found = in_use(self.connection, facts)
        if not found:
            raise NotFound("nothing is installed there any more", hint="deploy it again")
        return found

    def upgrade(self, facts: Facts, version: str, bundle: str, progress: Progress) -> str:
        """Install a bundle beside the release in use, use it, and start the kernel again.

        @param version: a release that is there already, instead of a bundle.
        """
        if version and not bundle:
            self.change_back(facts, version, progress)
            return version
        bundles = Bundles(self.connection, bundle, self.kept)
        brought = bundles.bring(facts, progress)
        if brought["release"] != self.installed(facts):
            progress.note(f"installing {brought['release']}; the kernel starts again, agents end")
            install(self.connection, {**facts, **brought}, ())
            start(self.connection, facts)
        self.connection.run(scripts.CLEAR, (facts["staging"],))
        return self.installed(facts)

    def change_back(self, facts: Facts, version: str, progress: Progress) -> None:
        """Use a release again that is there."""
        progress.note(f"using {version}; the kernel starts again, agents end")
        activate(self.connection, facts, version)
        start(self.connection, facts)

    def remove_older(self, facts: Facts, before: str) -> None:
        """Remove the releases there, besides the one in use and the one before it."""
        remove_others(self.connection, facts, before)
