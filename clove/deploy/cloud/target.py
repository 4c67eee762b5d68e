"""A deployment to a cloud as a target: its steps, in their order, and what all clouds refuse."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from clove.deploy.addresses import check_reachable
from clove.deploy.cloud.boot import Boot, Console
from clove.deploy.cloud.steps import Apply, Bundle, Cloud, Module, Tokens
from clove.deploy.cloud.terraform import Terraform
from clove.deploy.enrol import Register, Smoke, Tunnel
from clove.deploy.kinds import Place
from clove.deploy.relay import Enrolment
from clove.deploy.step import Step
from clove.errors import InvalidRequest

__all__ = ["CloudTarget", "egress_ports", "machine_ids"]

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")


class CloudTarget:
    """Machines in a cloud.

    @cvar not_upgradable: why they stay at the version that they were made with.
    @param console: shows what a machine says at its first boot.
    """

    not_upgradable: Final = "its machines let nobody in, not even by ssh (docs/cloud.md)"

    def __init__(
        self, place: Place, options: Mapping[str, Any], cloud: Cloud, console: Console
    ) -> None:
        check_reachable(place.relay.hub, "a machine in a cloud")
        machines = machine_ids(place.name, options)
        enrolment = Enrolment(place.relay, place.name, machines, place.labels, cloud.kind)
        terraform = Terraform(place.directory / "terraform", options["terraform"])
        boot = Boot(enrolment, console)
        self._steps: Sequence[Step] = (
            Register(enrolment),
            Bundle(cloud, place.directory),
            Module(cloud, place.directory, enrolment, terraform),
            Apply(cloud, enrolment, terraform),
            boot,
            Tunnel(enrolment, lambda facts: boot.where(machines[0], facts)),
            Tokens(enrolment, terraform),
            Smoke(enrolment),
        )

    @property
    def steps(self) -> Sequence[Step]:
        """In their order."""
        return self._steps


def machine_ids(name: str, options: Mapping[str, Any]) -> list[str]:
    """The deployment's name for one machine; with numbers for several.

    @raise InvalidRequest: clouds take no such name.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidRequest(
            f"{name!r} cannot be the name of a deployment to a cloud",
            hint="--name: a small letter, then small letters, digits and hyphens, 31 at most",
        )
    count = int(options["count"])
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]


def egress_ports(hub: str) -> list[int]:
    """The TCP ports that machines connect to: HTTPS, and the relay's."""
    return sorted({443, urlsplit(hub).port or 443})
