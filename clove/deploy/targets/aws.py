"""Instances of Amazon EC2, made by terraform (docs/cloud.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from clove.deploy.bundle import Target as BundleTarget
from clove.deploy.cloud.prices import costs
from clove.deploy.cloud.steps import Cloud
from clove.deploy.cloud.target import CloudTarget, egress_ports, machine_ids
from clove.deploy.kinds import Place
from clove.deploy.step import Facts, Target

__all__ = ["CHANGEABLE", "machines", "make"]

CHANGEABLE: Final = ("terraform",)
PYTHON: Final = "3.11"
"""Of Debian 12, which the module's image is."""
_GRAVITON: Final = re.compile(r"a1\..*|[a-z]+[0-9]+g[a-z]*\..*")


def machines(name: str, options: Mapping[str, Any]) -> list[str]:
    """The ids of a deployment's machines."""
    return machine_ids(name, options)


def make(place: Place, options: Mapping[str, Any]) -> Target:
    """The target.

    @raise CloveError: name or relay do not do.
    """
    kind, region = str(options["type"]), str(options["region"])
    arm = _GRAVITON.fullmatch(kind) is not None
    disk, spot = int(options["disk"]), bool(options["spot"])
    cloud = Cloud(
        kind="aws",
        variables={
            "instance_type": kind,
            "architecture": "arm64" if arm else "x86_64",
            "zone": options["zone"],
            "disk_gib": disk,
            "spot": spot,
            "egress_ports": egress_ports(place.relay.hub),
        },
        instance="aws_instance",
        bundle=BundleTarget(PYTHON, "aarch64" if arm else "x86_64"),
        region=region,
        costs=costs("aws", kind, int(options["count"]), disk, spot=spot),
    )
    return CloudTarget(
        place, options, cloud, lambda facts, machine: _console(facts, machine, region)
    )


def _console(facts: Facts, machine: str, region: str) -> list[str]:
    instance = (facts.get("instances") or {}).get(machine, "INSTANCE")
    words = ["aws", "ec2", "get-console-output", "--latest", "--output", "text"]
    return [*words, "--region", region, "--instance-id", instance]
