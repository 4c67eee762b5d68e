"""The step C{container}: a kernel runs in a container, and has what it joins by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from clove.deploy.addresses import is_loopback
from clove.deploy.docker.containers import Containers
from clove.deploy.docker.image import image_files
from clove.deploy.relay import Enrolment
from clove.deploy.step import Facts, Planned, Progress
from clove.errors import Unavailable

__all__ = ["STATE", "ContainerStep", "run_options"]

STATE: Final = "/var/lib/clove"
"""Where a kernel of the image keeps its state: a volume."""


class ContainerStep:
    """The container of a deployment, and its volume.

    @param options: memory, cpus and pids: its limits; "" or 0: none.
    """

    name = "container"

    def __init__(
        self, containers: Containers, enrolment: Enrolment, options: Mapping[str, Any]
    ) -> None:
        self._containers = containers
        self._enrolment = enrolment
        self._options = options

    @property
    def _machine(self) -> str:
        return self._enrolment.machines[0]

    def plan(self, facts: Facts) -> Planned:
        """Which container."""
        own = self._containers
        network = ", in this machine's network" if is_loopback(self._enrolment.relay.hub) else ""
        return Planned(f"start the container {own.container_name} with {own.engine}{network}")

    def look(self, facts: Facts) -> Facts | None:
        """Whether it runs, and has joined or still can."""
        found = self._containers.container()
        if found is None or not found.running:
            return None
        if not self._enrolment.may_join(self._machine):
            return None
        return {"container": found.id}

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Make it anew from its image and its volume, hand it a token if it has not joined, start it.

        @raise Unavailable: it ends at once; with how to see why.
        """
        return self.replace(str(facts["image"]))

    def replace(self, image: str) -> Facts:
        """The same, from this image."""
        own = self._containers
        own.remove()
        options = run_options(
            own.engine, self._machine, self._enrolment.relay.hub, image_files(), self._options
        )
        made = own.create(image, options, STATE)
        files = {}
        if self._enrolment.relay.authority:
            files["authority.pem"] = self._enrolment.relay.authority.encode()
        if not self._enrolment.has_joined(self._machine):
            files["join-token"] = self._enrolment.fresh_token(self._machine).encode()
        if files:
            own.put(made, STATE, files)
        own.start(made)
        found = own.container()
        if found is None or not found.running:
            raise Unavailable(
                f"the container {own.container_name} does not run",
                hint=f"{own.engine} logs {own.container_name}",
            )
        return {"container": found.id}

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Remove it, and its volume with the machine's key and the agents' files."""
        self._containers.remove_all()


def run_options(
    engine: str, machine: str, hub: str, profile: Any, options: Mapping[str, Any]
) -> list[str]:
    """What a container is created with: what a sandbox needs, and no more (docs/docker.md). Pure.

    @param profile: the directory of C{seccomp.json}.
    """
    hidden = "systempaths=unconfined" if engine == "docker" else "unmask=ALL"
    words = ["--restart", "unless-stopped", "--read-only", "--tmpfs", "/tmp", "--tmpfs", "/run"]  # noqa: S108 inside
    words += ["--cap-drop", "ALL"]
    allowed = [f"seccomp={profile / 'seccomp.json'}", hidden, "apparmor=unconfined"]
    for each in ("no-new-privileges", *allowed):
        words += ["--security-opt", each]
    words += ["--env", f"CLOVE_RELAY_URL={hub}", "--env", f"CLOVE_MACHINE={machine}"]
    if is_loopback(hub):
        words += ["--network", "host"]
    for flag, key in (("--memory", "memory"), ("--cpus", "cpus"), ("--pids-limit", "pids")):
        if options.get(key):
            words += [flag, str(options[key])]
    return words
