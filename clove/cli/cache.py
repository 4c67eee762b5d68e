"""`clove cache`."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator

import click

from clove.cli.agents import seconds_option
from clove.cli.console import Console, offline_options
from clove.cli.environment_cache import EnvironmentCache
from clove.cli.groups import NearGroup
from clove.cli.tables import make_table, print_table
from clove.cli.text import age, size

__all__ = ["cache"]

EPILOG = """\b
Examples:
  clove run --requirements requirements.txt agent.py    built by its first use
  clove cache list --json
  clove cache prune                    what no run can find any more
  clove cache prune --older-than 30d   and what was not used for so long
  clove cache prune --all

They are virtual environments of yours in ~/.cache/clove/environments (or
$XDG_CACHE_HOME). One that a running agent is in stays."""


@click.group(cls=NearGroup, epilog=EPILOG)
def cache() -> None:
    """List and remove what `run --requirements` has built."""


@cache.command("list")
@offline_options
def list_environments(console: Console) -> None:
    """List the environments: size, how long ago each was used, and what for."""
    rows = []
    now = time.time()
    for entry in EnvironmentCache().entries():
        if console.as_json:
            facts = {name: value for name, value in entry.record.items() if name != "directory"}
            facts["python"] = entry.record["python"][0]
            console.data(
                {
                    "key": entry.key,
                    "path": entry.path,
                    "used": entry.used,
                    "stale": entry.stale,
                    **facts,
                }
            )
            continue
        names = ", ".join(map(os.path.basename, entry.record["requirements"]))
        used = age((now - entry.used) * 1000)
        python = os.path.basename(entry.record["python"][0])
        note = "  (its Python has changed)" if entry.stale else ""
        rows.append([entry.key[:12], size(entry.record["size"]), used, python, f"{names}{note}"])
    if rows:
        print_table(make_table(["KEY", "SIZE", "USED", "PYTHON", "REQUIREMENTS"], rows))


@cache.command()
@click.option("--all", "everything", is_flag=True, help="All that no running agent is in.")
@seconds_option("--older-than", "Also what was not used for so long (12h, 30d).")
@offline_options
@click.pass_context
def prune(ctx: click.Context, console: Console, everything: bool, older_than: float | None) -> None:
    """Remove what broken builds have left, and environments whose Python has changed; or more."""
    if everything and older_than is not None:
        raise click.UsageError("--all is more than --older-than: give one of the two")
    found = EnvironmentCache()
    oldest = time.time() - older_than if older_than is not None else None
    freed, failed = 0, False
    for key, path, bytes_of in _chosen(found, everything, oldest):
        try:
            removed, reason = _remove(found, key, path)
        except OSError as error:
            removed, reason, failed = False, f"{error.filename or path}: {error.strerror}", True
        freed += bytes_of if removed else 0
        if console.as_json:
            console.data({"key": key, "path": path, "removed": removed, "reason": reason})
        elif reason:
            console.remark(f"{key[:12]} stays: {reason}")
    if not console.as_json:
        console.line(f"freed {size(freed)}")
    if failed:
        ctx.exit(1)


def _chosen(
    found: EnvironmentCache, everything: bool, oldest: float | None
) -> Iterator[tuple[str, str, int]]:
    """Keys, directories and sizes of what is to go."""
    for entry in found.entries():
        old = oldest is not None and entry.used <= oldest
        if everything or old or entry.stale:
            yield entry.key, entry.path, int(entry.record["size"])
    for path in found.left():
        yield os.path.basename(path).partition("-")[0], path, 0


def _remove(found: EnvironmentCache, key: str, path: str) -> tuple[bool, str]:
    """Remove one, unless it is used; gives the reason why not.

    @raise OSError: something of it cannot be removed.
    """
    from clove.cli.environment_uses import in_use

    lock = found.lock(key)
    try:
        if not lock.take(fcntl.LOCK_EX | fcntl.LOCK_NB):
            return False, "it is used or built just now"
        if in_use(path, found.kernels(key)):
            return False, "a running agent is in it"
        found.remove(key, path)
        if found.find(key) is None:
            lock.remove()
    finally:
        lock.close()
    return True, ""
