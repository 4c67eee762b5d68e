"""The steps of a deployment by ssh: host, bundle, install, kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from clove.deploy.addresses import is_loopback
from clove.deploy.relay import Enrolment
from clove.deploy.ssh import scripts
from clove.deploy.ssh.answers import (
    START_SECONDS,
    check_ran,
    in_use,
    install,
    mode_arguments,
    option_words,
    start,
)
from clove.deploy.ssh.bundles import Bundles
from clove.deploy.ssh.connection import Connection
from clove.deploy.ssh.host import judge, read_probe
from clove.deploy.step import Facts, Planned, Progress
from clove.errors import CloveError, InvalidRequest

__all__ = ["BundleStep", "HostStep", "InstallStep", "KernelStep"]

UNINSTALL_SECONDS: Final = 300.0
_PORTS: Final = {"wss": 443, "ws": 80}


class HostStep:
    """The machine can have Clove, and is claimed for this deployment by a file there."""

    name = "host"

    def __init__(
        self, connection: Connection, name: str, hub: str, *, user_units: bool = False
    ) -> None:
        self._connection = connection
        self._name = name
        self._hub = hub
        self._user_units = user_units

    def plan(self, facts: Facts) -> Planned:
        """What is looked at."""
        host = self._connection.host
        does = f"look at {host}: Linux, Python 3.11 or newer, systemd, root, room, the way to {self._hub}"
        if is_loopback(self._hub) and not is_loopback(f"ssh://{host}"):
            does += (
                f", which from there is {host.rpartition('@')[2]} itself: unless the relay runs there, "
                "say --hub with the address that it has from there"
            )
        return Planned(does)

    def look(self, facts: Facts) -> Facts | None:
        """What it is, if it is claimed."""
        found = self._judged()
        return found if found["claimed"] else None

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Claim it."""
        found = self._judged()
        progress.note(
            f"{found['os']}, Python {found['python']}, {found['machine']}, as {_MODES[found['mode']]}"
        )
        arguments = (found["prefix"], self._name, found["mode"])
        check_ran(
            self._connection.run(scripts.CLAIM, arguments, root=found["root"]),
            "it cannot be claimed",
            f"there, as root: loginctl enable-linger {found['user']}"
            if found["mode"] == "user"
            else "",
        )
        return {**found, "claimed": True}

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Take the claim back."""
        found = facts if "prefix" in facts else self._facts_now()
        if found is not None:
            arguments = (found["prefix"], self._name, found["settings"])
            check_ran(
                self._connection.run(scripts.FORGET, arguments, root=found["root"]),
                f"{found['prefix']} has more in it than was installed",
            )
        self._connection.end()

    def _judged(self) -> dict[str, Any]:
        parts = urlsplit(self._hub)
        if parts.scheme != "wss" and not is_loopback(self._hub):
            raise InvalidRequest(
                f"{self._hub} is without TLS: a kernel sends its token there to its own machine alone",
                hint="have the relay serve wss:// (docs/fleet.md, [tls]), and say --hub",
            )
        port = parts.port or _PORTS.get(parts.scheme, 443)
        ran = self._connection.run(scripts.PROBE, (parts.hostname or "", str(port)))
        host = self._connection.host
        return judge(read_probe(ran.text), host, self._name, user_units=self._user_units)

    def _facts_now(self) -> Facts | None:
        """Of a run that was killed before it was recorded; None: the machine could not be used."""
        try:
            return self._judged()
        except CloveError:
            return None


_MODES: Final = {
    "system": "services of systemd",
    "user": "services of systemd --user",
    "background": "a process (no systemd: it is not started again after a reboot; untried elsewhere)",
}


class BundleStep:
    """The bundle is there, unpacked; or what it has is in use already."""

    name = "bundle"

    def __init__(self, connection: Connection, bundles: Bundles) -> None:
        self._connection = connection
        self._bundles = bundles

    def plan(self, facts: Facts) -> Planned:
        """What is copied."""
        given = self._bundles.given
        what = Path(given).name if given else "a bundle of this Clove"
        return Planned(f"copy {what} there (some 25 MB; no package index is needed)")

    def look(self, facts: Facts) -> Facts | None:
        """The one that was brought there before, if it is unpacked, or any is installed."""
        if "directory" not in facts:
            return None
        if in_use(self._connection, facts) or self._bundles.is_there(facts):
            return {key: facts[key] for key in ("release", "version", "directory")}
        return None

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Copy and unpack it."""
        return self._bundles.bring(facts, progress)

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Remove it there."""
        if "staging" in facts:
            ran = self._connection.run(scripts.CLEAR, (facts["staging"],))
            check_ran(ran, f"{facts['staging']} cannot be removed")


class InstallStep:
    """The release is in use there."""

    name = "install"

    def __init__(self, connection: Connection, bundles: Bundles) -> None:
        self._connection = connection
        self._bundles = bundles

    def plan(self, facts: Facts) -> Planned:
        """What is installed."""
        return Planned("install it beside others, with units for systemd, and use it")

    def look(self, facts: Facts) -> Facts | None:
        """The release in use; after an upgrade it is another one than was installed first."""
        found = in_use(self._connection, facts)
        return {"release": found} if found else None

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Install it."""
        brought = self._bundles.ensure(facts, progress)
        install(self._connection, {**facts, **brought}, ())
        return brought

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Remove all releases, units and links that were installed."""
        if "directory" not in facts:
            return
        staged = f"{facts['staging']}/{facts['directory']}"
        arguments = (facts["prefix"], staged, *option_words(facts))
        ran = self._connection.run(
            scripts.UNINSTALL, arguments, root=facts["root"], timeout=UNINSTALL_SECONDS
        )
        check_ran(ran, "it cannot be uninstalled")


class KernelStep:
    """The kernel runs there, and has joined or has a join token that waits."""

    name = "kernel"

    def __init__(self, connection: Connection, enrolment: Enrolment, bundles: Bundles) -> None:
        self._connection = connection
        self._enrolment = enrolment
        self._bundles = bundles
        [self._machine] = enrolment.machines

    def plan(self, facts: Facts) -> Planned:
        """What is started."""
        hub = self._enrolment.relay.hub
        return Planned(f"start a kernel there that joins {hub} as {self._machine}, with a token")

    def look(self, facts: Facts) -> Facts | None:
        """It runs, and the relay knows its key or has a token that waits for it."""
        ran = self._connection.run(scripts.RUNS, mode_arguments(facts), root=facts["root"])
        if ran.status != 0 or not self._enrolment.may_join(self._machine):
            return None
        # A run that was killed as soon as the kernel was started has left the bundle there.
        self._connection.run(scripts.CLEAR, (facts["staging"],))
        return {}

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Hand a token on and start it; the bundle is not needed there any more."""
        own, connection = self._enrolment, self._connection
        brought = self._bundles.ensure(facts, progress)
        authority = self._put_authority(facts)
        words = ["--relay", own.relay.hub, "--machine", self._machine]
        words += ["--join-token-file", "/dev/stdin"]
        words += ["--ca-file", authority] if authority else []
        token = own.fresh_token(self._machine)
        install(connection, {**facts, **brought}, words, stdin=token.encode())
        if facts["mode"] == "background":  # under systemd the installer has started it
            start(connection, facts)
        connection.run(scripts.CLEAR, (facts["staging"],))
        return {key: brought[key] for key in ("version", "directory")}

    def _put_authority(self, facts: Facts) -> str:
        """The path of the certificates that sign the relay's, there; "": it needs none."""
        pem = self._enrolment.relay.authority.encode()
        if not pem:
            return ""
        path = f"{facts['settings']}/authority.pem"
        ran = self._connection.run(scripts.PUT, (path, "644"), stdin=pem, root=facts["root"])
        check_ran(ran, f"{path} cannot be written")
        return path

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Stop it, and remove what it has kept."""
        if "prefix" in facts:
            ran = self._connection.run(
                scripts.STOP, mode_arguments(facts), root=facts["root"], timeout=START_SECONDS
            )
            check_ran(ran, "the kernel cannot be stopped")
