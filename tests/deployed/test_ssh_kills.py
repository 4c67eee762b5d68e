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
def test_killed_at_every_point(far: FarMachine, fleet: Fleet, bundle: str, tmp_path: Path) -> None:
    words = ["deploy", "ssh", "root@far", "--name", "k", *hub_words(fleet), "--bundle", bundle]
    made = far.deploy(fleet, "root", *words[3:])
    assert made.exit_code == 0, made.stderr
    release = far.run("readlink /opt/clove/current").strip()
    far.run(f"rm -rf /srv/seed; cp -a /opt/clove/{release} /srv/seed")
    gone = far.deploy(fleet, "root", "--name", "k", "--destroy", "--yes")
    assert gone.exit_code == 0, gone.stderr

    def seed() -> None:
        """A release that is there already: making one anew takes most of the time."""
        there = f"/opt/clove/{release}"
        far.run(f"mkdir -p /opt/clove; [ -e {there} ] || cp -al /srv/seed {there}")

    kills = check_killed_everywhere(
        Deployment(
            words=words,
            undo=["deploy", "ssh", "root@far", "--name", "k", "--destroy", "--yes"],
            world=lambda: world(far, fleet),
            tmp_path=tmp_path,
            environ=far.of_fleet(fleet),
            prepare=seed,
        ),
        points,
    )
    print(f"{kills} kills")
    far.run("rm -rf /srv/seed /opt/clove")
