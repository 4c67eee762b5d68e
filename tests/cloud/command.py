"""C{clove deploy} as a command runs it, with a relay that is a file."""

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
from tests.cloud.fake_fleet import FakeFleet

__all__ = ["relay_environ", "relay_world", "run_command", "run_deploy", "use_relay"]

_ROOT = Path(__file__).parents[2]


def relay_environ(directory: Path) -> dict[str, str]:
    """Put a token into a directory; what the environment has for that, and for a relay and a home there."""
    token = directory / ".config" / "clove" / "secrets" / "relay-token"
    token.parent.mkdir(parents=True, mode=0o700)
    token.write_text("clove_admin_0123456789abcdef\n")
    token.chmod(0o600)
    return {
        "CLOVE_FAKE_FLEET": str(directory),
        "CLOVE_RELAY": "https://relay.example.org:8766",
        "HOME": str(directory),
        "XDG_STATE_HOME": str(directory / "state"),
        "COLUMNS": "80",
    }


def run_deploy(
    code: str, environ: Mapping[str, str], *words: str
) -> subprocess.CompletedProcess[str]:
    """Run C{clove deploy WORDS}.

    @param code: Python that is the command.
    """
    return subprocess.run(
        [sys.executable, "-c", code, "deploy", *words],
        env={**os.environ, **environ, "PYTHONPATH": str(_ROOT)},
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def relay_world(directory: Path) -> dict[str, Any]:
    """What relay and home have, without what differs from one deployment to the next."""
    kept: dict[str, Any] = {}
    if (directory / "fleet.json").exists():
        kept = json.loads((directory / "fleet.json").read_text())
    machines = kept.get("machines", {}).items()
    return {
        "machines": {name: each["key"] is not None for name, each in machines},
        "tokens": sum(each["valid"] for each in kept.get("tokens", {}).values()),
        "deployments": sorted(path.name for path in directory.glob("state/clove/deployments/*")),
    }


def use_relay() -> None:
    """Have the command's relay be files in C{$CLOVE_FAKE_FLEET}."""

    def connect(*args: Any, **kwargs: Any) -> FakeFleet:
        return FakeFleet(Path(os.environ["CLOVE_FAKE_FLEET"]))

    fleet.FleetClient = connect  # type: ignore[assignment, misc]


def run_command() -> None:
    """The command, by the words of this process."""
    sys.argv[0] = "clove"
    clove_main()
