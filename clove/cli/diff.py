"""`clove diff`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from clove.cli.console import Console, command_options
from clove.cli.ls import entries_of
from clove.cli.target import AGENT, name_or_id
from clove.cli.text import size
from clove.errors import CloveError

if TYPE_CHECKING:
    from clove.client.blocking import CloveClient

__all__ = ["diff"]

WORKSPACE: Final = "/workspace"
DEEPEST: Final = 128


@click.command(
    epilog="""\b
Examples:
  clove diff researcher
  clove diff --json researcher | jq -r '.path'
"""
)
@click.argument("agent", type=AGENT)
@command_options
def diff(console: Console, agent: str) -> None:
    """Show what the workspace of a sandboxed agent has that it did not start with.

    It starts empty, but for the script and what is mounted there: so it is all files,
    links and empty directories in it. What was granted of the host is not compared.
    """
    with console.client() as client:
        which = name_or_id(client, agent)
        seen = client.inspect(which)
        granted = _granted(seen)
        script = str(seen.get("script") or "").rpartition("/")[2]
        for path, entry in _walk(console, client, WORKSPACE, which, 0):
            started_with = path in granted or path == f"{WORKSPACE}/{script}"
            if started_with or any(path.startswith(f"{each}/") for each in granted):
                continue
            if console.as_json:
                console.data({**entry, "path": path})
            else:
                mark = "/" if entry["kind"] == "directory" else ""
                amount = size(entry["size"] or 0) if entry["kind"] == "file" else entry["kind"]
                console.line(f"A {amount:>9}  {path}{mark}".replace("\n", "\\n"))


def _granted(seen: Mapping[str, Any]) -> set[str]:
    """Paths of the host that are mounted."""
    exposed = seen["isolation"].get("exposed") or {}
    return {str(path) for kind in ("read", "write") for path in exposed.get(kind) or ()}


def _walk(
    console: Console, client: CloveClient, path: str, agent: str | int, depth: int
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All below a directory; a directory itself only if nothing is in it."""
    for entry in entries_of(console, client, path, agent):
        below = f"{path}/{entry['name']}"
        inner = False
        if entry["kind"] == "directory" and depth < DEEPEST and not entry["escaped"]:
            try:
                for found in _walk(console, client, below, agent, depth + 1):
                    inner = True
                    yield found
            except CloveError as error:
                console.remark(f"{below}: {error.message}")
        if not inner:
            yield below, entry
