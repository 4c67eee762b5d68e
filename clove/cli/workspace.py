"""`clove workspace`."""

from __future__ import annotations

import sys

import click

from clove.cli.console import Console, offline_options
from clove.cli.groups import NearGroup
from clove.cli.text import age
from clove.cli.workspaces import find_workspace, known_workspaces
from clove.errors import CloveError
from clove.removal import remove_tree

__all__ = ["workspace"]

EPILOG = """\b
Examples:
  clove run --workspace web -- npm install    made by its first use
  clove run --workspace web -- npm test
  clove workspace list --json
  clove workspace path web
  clove workspace rm web

They are directories of yours in ~/.local/share/clove/workspaces (or $XDG_DATA_HOME)."""


@click.group(cls=NearGroup, epilog=EPILOG)
def workspace() -> None:
    """List and remove what agents were told to keep (run --workspace, --keep)."""


@workspace.command("list")
@offline_options
def list_workspaces(console: Console) -> None:
    """List the workspaces, and how long ago something was made or removed in each."""
    import time

    now = time.time()
    for one in known_workspaces():
        if console.as_json:
            console.data({"name": one.name, "path": str(one.path), "changed": one.changed})
        else:
            console.line(f"{one.name:<40} {age((now - one.changed) * 1000)}")


@workspace.command()
@click.argument("name")
@offline_options
def path(console: Console, name: str) -> None:
    """Print where a workspace is."""
    found = find_workspace(name)
    if console.as_json:
        console.data({"name": found.name, "path": str(found.path)})
    else:
        console.line(str(found.path))


@workspace.command("rm")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("-f", "--force", is_flag=True, help="Don't ask.")
@offline_options
@click.pass_context
def remove(ctx: click.Context, console: Console, names: tuple[str, ...], force: bool) -> None:
    """Remove workspaces with all that is in them."""
    failed = False
    for name in names:
        try:
            found = find_workspace(name)
        except CloveError as error:
            console.error(error)
            failed = True
            continue
        if sys.stdin.isatty() and not force:
            click.confirm(f"remove {found.path} with all that is in it?", abort=True)
        try:
            remove_tree(str(found.path))
        except OSError as error:
            console.remark(f"{error.filename or found.path}: {error.strerror}")
            failed = True
            continue
        if console.as_json:
            console.data({"name": name, "removed": True})
        else:
            console.line(f"removed {name}")
    if failed:
        ctx.exit(1)
