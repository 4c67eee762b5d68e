"""What a user types about a machine of a relay."""

from __future__ import annotations

from pathlib import Path

from tests.integration.fleet.fleet_processes import Fleet, Ran, clove_process

__all__ = ["MAIN", "clove", "home_with", "on", "run_there"]

MAIN = "from clove.cli.main import main; main()"


def clove(fleet: Fleet, *words: str, typed: str = "", **environ: str) -> Ran:
    return clove_process(fleet, *words, typed=typed, **environ)


def on(fleet: Fleet, *words: str, typed: str = "") -> Ran:
    return clove(fleet, "--context", "/build-7", *words, typed=typed)


def run_there(fleet: Fleet, *words: str, typed: str = "") -> Ran:
    return clove(fleet, "agent", "run", "--machine", "build-7", *words, typed=typed)


def home_with(directory: Path, rest_port: int, hub_port: int, token: str) -> str:
    """A home with a context for a relay at these ports."""
    path = directory / "home/.clove/config.yaml"
    path.parent.mkdir(parents=True, mode=0o700)
    path.touch(0o600)
    path.write_text(
        "current: other\ncontexts:\n  other:\n"
        f"    relay: http://127.0.0.1:{rest_port}\n    hub: ws://127.0.0.1:{hub_port}\n"
        f"    token: {token}\n"
    )
    return str(path.parents[1])
