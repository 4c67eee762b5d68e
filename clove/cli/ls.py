"""`clove ls`."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from clove.cli.console import Console, command_options
from clove.cli.remote_path import REMOTE, Remote
from clove.cli.tables import make_table, print_table
from clove.cli.target import name_or_id
from clove.cli.text import counted, size

if TYPE_CHECKING:
    from clove.client.blocking import CloveClient

__all__ = ["entries_of", "ls"]

MARKS = {"directory": "/", "link": "@", "fifo": "|", "socket": "="}
TYPES = {
    "file": stat.S_IFREG, "directory": stat.S_IFDIR, "link": stat.S_IFLNK, "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
}  # fmt: skip


@click.command(
    epilog="""\b
Examples:
  clove ls researcher                 its working directory
  clove ls researcher:/workspace/out
  clove ls -l researcher:data
  clove ls --json researcher: | jq '.name'
"""
)
@click.argument("where", metavar="AGENT[:PATH]", type=REMOTE)
@click.option("-l", "long", is_flag=True, help="With mode, size and time.")
@command_options
def ls(console: Console, where: Remote, long: bool) -> None:
    """List a directory of a running agent, as the agent sees it."""
    with console.client() as client:
        agent = name_or_id(client, where.agent)
        found = client.stat_file(where.path, agent=agent)
        if found["exists"] and found["kind"] != "directory":
            entries: list[Mapping[str, Any]] = [{"name": where.path, **_facts(found)}]
        else:
            entries = list(entries_of(console, client, where.path, agent))
    if console.as_json:
        for entry in entries:
            console.data(dict(entry))
    elif long:
        rows = [_row(entry) for entry in entries]
        print_table(make_table(("MODE", "SIZE", "MODIFIED", "NAME"), rows, numbers=("SIZE",)))
    else:
        for entry in entries:
            console.line(_shown(entry))


def entries_of(
    console: Console, client: CloveClient, path: str, agent: str | int
) -> Iterator[Mapping[str, Any]]:
    """The names in a directory, page by page; says what is not among them."""
    after: str | None = None
    while True:
        page = client.list_directory(path, agent=agent, after=after)
        yield from page["entries"]
        if page["hidden"]:
            console.remark(f"{counted(page['hidden'], 'name')} in {path} may not be read")
        if not page["more"]:
            break
        after = page["next"]
    if page["truncated"]:
        console.remark_truncated(f"{path} has more names than the kernel looks at")


def _facts(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("kind", "size", "mode", "modified")}


def _shown(entry: Mapping[str, Any]) -> str:
    """A name on one line, with a mark of its kind."""
    name = str(entry["name"]).replace("\n", "\\n")
    return name + MARKS.get(str(entry["kind"]), "")


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    if entry.get("mode") is None:
        return ("?", "-", "-", _shown(entry))
    mode = stat.filemode(TYPES.get(entry["kind"], stat.S_IFCHR) | entry["mode"])
    when = datetime.fromtimestamp(entry["modified"]).strftime("%Y-%m-%d %H:%M")
    return (mode, size(entry["size"]), when, _shown(entry))
