"""`clove cp`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from clove.cli.console import Console, command_options
from clove.cli.option_types import Size
from clove.cli.remote_path import Remote, parse_remote
from clove.cli.target import name_or_id
from clove.cli.text import counted, size
from clove.cli.transfer import Bounds, Transfer
from clove.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from clove.client.blocking import CloveClient

__all__ = ["cp"]


@click.command(
    epilog="""\b
Examples:
  clove cp data.csv researcher:              into its working directory
  clove cp -r ./src researcher:/workspace/src
  clove cp researcher:report.pdf .
  clove cp -r researcher:/workspace/out ./results

\b
Links within a directory, FIFOs, sockets and devices are left out, and said. Nothing is written
through a link that lies in the directory that is copied to. A copy from an agent ends at --max-size, at a
million names, and before a file for which there is no room here; the file it was at is not left half.
On a terminal, one that takes longer says how far it is."""
)
@click.argument("source")
@click.argument("target")
@click.option("-r", "--recursive", is_flag=True, help="Directories with all in them.")
@click.option(
    "--max-size",
    type=Size,
    default="16G",
    show_default=True,
    help="The most that comes from an agent.",
)
@command_options
def cp(console: Console, source: str, target: str, recursive: bool, max_size: int) -> None:
    """Copy files from or to a running agent; one of SOURCE and TARGET is AGENT:PATH.

    If TARGET is a directory, or ends in a slash, the copy gets SOURCE's name in it.
    """
    there, here = parse_remote(source), parse_remote(target)
    if (there is None) == (here is None):
        raise click.UsageError("one of SOURCE and TARGET is AGENT:PATH, the other a path here")
    with console.client() as client:
        remote = there or here
        assert remote is not None
        bounds = Bounds(size=max_size)
        transfer = Transfer(console, client, name_or_id(client, remote.agent), bounds)
        try:
            if there is not None:
                _fetch(transfer, client, there, target, recursive)
            else:
                _send(transfer, client, source, remote, recursive)
        except OSError as error:
            name = error.filename or target
            raise InvalidRequest(f"{name}: {os.strerror(error.errno or 0)}") from None
        finally:
            transfer.finish()
    if console.as_json:
        facts = {"files": transfer.copied, "bytes": transfer.size, "left_out": transfer.left_out}
        console.data(facts)
    else:
        console.remark(f"copied {counted(transfer.copied, 'file')}, {_bytes(transfer.size)}")


def _bytes(number: int) -> str:
    return counted(number, "byte") if number < 1024 else size(number)


def _require(kind: str, path: str, recursive: bool) -> None:
    if kind == "directory" and not recursive:
        raise InvalidRequest(f"{path!r} is a directory", hint="copy it with -r")


def _fetch(
    transfer: Transfer, client: CloveClient, source: Remote, target: str, recursive: bool
) -> None:
    agent = name_or_id(client, source.agent)
    found = client.stat_file(source.path, agent=agent)
    if not found["exists"]:
        raise NotFound(f"no such file or directory: {source.path!r} of {source.agent}")
    _require(found["kind"], source.path, recursive)
    if os.path.isdir(target) or target.endswith("/"):
        directory, name = target, os.path.basename(found["path"].rstrip("/"))
    else:
        directory, name = os.path.split(target)
    opened = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        transfer.fetch(source.path, found["kind"], opened, name)
    finally:
        os.close(opened)


def _send(
    transfer: Transfer, client: CloveClient, source: str, target: Remote, recursive: bool
) -> None:
    if not os.path.exists(source):
        raise NotFound(f"no such file or directory: {source!r}")
    _require("directory" if os.path.isdir(source) else "file", source, recursive)
    agent = name_or_id(client, target.agent)
    path = target.path
    found = client.stat_file(path, agent=agent)
    if (found["exists"] and found["kind"] == "directory") or path.endswith("/"):
        name = os.path.basename(os.path.abspath(source))
        path = f"{path.rstrip('/')}/{name}"
    opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        transfer.send(opened, source, path)
    finally:
        os.close(opened)
