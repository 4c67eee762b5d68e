"""Instances of Google Compute Engine, made by terraform (docs/cloud.md)."""

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
from clove.errors import InvalidRequest

__all__ = ["CHANGEABLE", "machines", "make"]

CHANGEABLE: Final = ("terraform",)
PYTHON: Final = "3.12"
"""Of Ubuntu 24.04. Google's images of Debian have no cloud-init."""
IMAGE: Final = "ubuntu-os-cloud/ubuntu-2404-lts-{}"
_ARM: Final = re.compile(r"(t2a|c4a|n4a)-.*")


def machines(name: str, options: Mapping[str, Any]) -> list[str]:
    """The ids of a deployment's machines."""
    return machine_ids(name, options)


def make(place: Place, options: Mapping[str, Any]) -> Target:
    """The target.

    @raise CloveError: name, project or relay do not do.
    """
    kind, region, project = (str(options[key]) for key in ("type", "region", "project"))
    if not project:
        raise InvalidRequest(
            "no project of Google Cloud was named", hint="--project ID, or $GOOGLE_CLOUD_PROJECT"
        )
    arm = _ARM.fullmatch(kind) is not None
    zone = options["zone"] or f"{region}-b"
    disk, spot = int(options["disk"]), bool(options["spot"])
    cloud = Cloud(
        kind="gcp",
        variables={
            "project": project,
            "instance_type": kind,
            "image": IMAGE.format("arm64" if arm else "amd64"),
            "zone": zone,
            "disk_gib": disk,
            "spot": spot,
            "egress_ports": egress_ports(place.relay.hub),
        },
        instance="google_compute_instance",
        bundle=BundleTarget(PYTHON, "aarch64" if arm else "x86_64"),
        region=region,
        costs=costs("gcp", kind, int(options["count"]), disk, spot=spot),
    )
    return CloudTarget(
        place, options, cloud, lambda facts, machine: _console(facts, machine, project, zone)
    )


def _console(facts: Facts, machine: str, project: str, zone: str) -> list[str]:
    instance = (facts.get("instances") or {}).get(machine, "INSTANCE")
    words = ["gcloud", "compute", "instances", "get-serial-port-output", instance]
    return [*words, "--project", project, "--zone", zone]
