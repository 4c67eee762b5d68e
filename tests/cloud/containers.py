"""C{clove deploy docker} and C{kubernetes} as a command runs them, with containers, a cluster and a relay that are files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clove.cli.main import main as clove_main
from clove.client import fleet
from clove.deploy.docker import image
from tests.cloud.fake_fleet import FakeFleet

__all__ = ["CODE", "calls", "clove", "install", "main", "use_fakes", "world"]

CODE = "from tests.cloud.containers import main; main()"
ROOT = Path(__file__).parents[2]


def install(directory: Path, program: str) -> dict[str, str]:
    """Put a fake of docker or kubectl into a directory, and a token; what the environment has for that."""
    token = directory / ".config" / "clove" / "secrets" / "relay-token"
    token.parent.mkdir(parents=True, mode=0o700)
    token.write_text("clove_admin_0123456789abcdef\n")
    token.chmod(0o600)
    (directory / "bin").mkdir()
    fake = Path(__file__).with_name(f"fake_{program}.py")
    for name in (program, "podman") if program == "docker" else (program,):
        path = directory / "bin" / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -I {fake} "$@"\n')
        path.chmod(0o755)
    return {
        "PATH": f"{directory / 'bin'}:{os.environ['PATH']}",
        "CLOVE_FAKE_CLOUD": str(directory / "cloud"),
        "CLOVE_FAKE_FLEET": str(directory),
        "CLOVE_RELAY": "https://relay.example.org:8766",
        "HOME": str(directory),
        "XDG_STATE_HOME": str(directory / "state"),
        "COLUMNS": "80",
    }


def clove(environ: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run C{clove deploy WORDS}."""
    return subprocess.run(
        [sys.executable, "-c", CODE, "deploy", *words],
        env={**os.environ, **environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


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
    if (directory / "fleet.json").exists():
        kept = json.loads((directory / "fleet.json").read_text())
        machines = kept["machines"].items()
        found["machines"] = {name: each["key"] is not None for name, each in machines}
        found["tokens"] = sum(each["valid"] for each in kept["tokens"].values())
    found["deployments"] = sorted(path.name for path in directory.glob("state/clove/deployments/*"))
    found["contexts"] = [str(path) for path in directory.glob("state/**/context")]
    return found if any(found.values()) else {}


def _small_bundle(directory: Path) -> None:
    (directory / "clove-0-py311-linux-x86_64.tar.gz").write_bytes(b"bundle of Clove")


def use_fakes() -> None:
    """Have the command's relay be files in C{$CLOVE_FAKE_FLEET}."""

    def connect(*args: Any, **kwargs: Any) -> FakeFleet:
        return FakeFleet(Path(os.environ["CLOVE_FAKE_FLEET"]))

    fleet.FleetClient = connect  # type: ignore[assignment, misc]
    image._make_bundle = _small_bundle


def main() -> None:
    """The command, with these."""
    use_fakes()
    sys.argv[0] = "clove"
    clove_main()
