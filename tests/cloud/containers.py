"""C{clove deploy docker} and C{kubernetes} as a command runs them, with containers, a cluster and a relay that are files."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from clove.deploy.docker import image
from tests.cloud.command import relay_environ, relay_world, run_command, run_deploy, use_relay

__all__ = ["CODE", "calls", "clove", "install", "main", "use_fakes", "world"]

CODE = "from tests.cloud.containers import main; main()"
clove = partial(run_deploy, CODE)
"""Run C{clove deploy} with an environment and words."""


def install(directory: Path, program: str) -> dict[str, str]:
    """Put a fake of docker or kubectl into a directory, and a token; what the environment has for that."""
    (directory / "bin").mkdir()
    fake = Path(__file__).with_name(f"fake_{program}.py")
    for name in (program, "podman") if program == "docker" else (program,):
        path = directory / "bin" / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -I {fake} "$@"\n')
        path.chmod(0o755)
    return {
        **relay_environ(directory),
        "PATH": f"{directory / 'bin'}:{os.environ['PATH']}",
        "CLOVE_FAKE_CLOUD": str(directory / "cloud"),
    }


def calls(directory: Path) -> list[dict[str, Any]]:
    """What the fake was called with: words and environment."""
    path = directory / "cloud" / "calls"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def world(directory: Path) -> dict[str, Any]:
    """What engine, cluster, relay and home have, without what differs from one deployment to the next."""
    found: dict[str, Any] = {}
    docker = directory / "cloud" / "docker.json"
    if docker.exists():
        kept = json.loads(docker.read_text())
        found["images"] = sorted(name for one in kept["image"].values() for name in one["names"])
        found["containers"] = [(one["name"], one["running"]) for one in kept["container"].values()]
        found["volumes"] = sorted(kept["volume"])
    cluster = directory / "cloud" / "cluster.json"
    if cluster.exists():
        kept = json.loads(cluster.read_text())
        found["objects"] = sorted(kept["objects"])
        found["volumes"] = sorted(kept["volumes"])
    found.update(relay_world(directory))
    found["contexts"] = [str(path) for path in directory.glob("state/**/context")]
    return found if any(found.values()) else {}


def _small_bundle(directory: Path) -> None:
    (directory / "clove-0-py311-linux-x86_64.tar.gz").write_bytes(b"bundle of Clove")


def use_fakes() -> None:
    """Have the command's relay and bundle be files."""
    use_relay()
    image._make_bundle = _small_bundle


def main() -> None:
    """The command, with these."""
    use_fakes()
    run_command()
