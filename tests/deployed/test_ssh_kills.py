"""A deployment by ssh, killed at every point and run again, comes to the same end; and nothing is left."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.deployment import Deployment, check_killed_everywhere
from tests.deployed.far_machine import FarMachine, hub_words
from tests.integration.fleet.fleet_processes import Fleet

EVERY = int(os.environ.get("CLOVE_KILLS", "5"))
SMOKE = re.compile(r"deploy-smoke-[0-9a-f]+")
"""In the path of an agent's output; a deployment that is killed while it waits for that runs another."""


def points(most: int) -> Iterable[int]:
    return range(1, most + 1, EVERY)


def world(far: FarMachine, fleet: Fleet) -> dict[str, Any]:
    """What there and here, and the relay, have of it."""
    deployments = far.directory / "state/clove/deployments"
    here = [str(path.relative_to(deployments)) for path in deployments.rglob("*")]
    machines = fleet.ask("GET", "/machines")["machines"]
    tokens = fleet.ask("GET", "/tokens")["tokens"]
    found: dict[str, Any] = {
        "there": sorted({SMOKE.sub("deploy-smoke", path) for path in far.world()}),
        "here": sorted(path for path in here if not path.endswith("/ssh")),
        "machines": [(each["machine_id"], each["name"], each["labels"]) for each in machines],
        "tokens": [
            (each["type"], each["name"])
            for each in tokens
            if each["valid"] and each["type"] != "admin"
        ],
    }
    return {key: value for key, value in found.items() if value}


@pytest.mark.time_limit(3600)
def test_killed_at_every_point(
    seeded: FarMachine, fleet: Fleet, bundle: str, tmp_path: Path
) -> None:
    words = ["deploy", "ssh", "root@far", "--name", "k", *hub_words(fleet), "--bundle", bundle]
    kills = check_killed_everywhere(
        Deployment(
            words=words,
            undo=["deploy", "ssh", "root@far", "--name", "k", "--destroy", "--yes"],
            world=lambda: world(seeded, fleet),
            tmp_path=tmp_path,
            environ=seeded.of_fleet(fleet),
            prepare=seeded.seed,
        ),
        points,
    )
    print(f"{kills} kills")
    seeded.run("rm -rf /opt/clove")
