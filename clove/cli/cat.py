"""`clove cat`."""

from __future__ import annotations

import sys

import click

from clove.cli.console import Console, command_options
from clove.cli.remote_path import REMOTE, Remote
from clove.cli.sinks import Plain
from clove.cli.target import name_or_id
from clove.cli.text import clean
from clove.cli.transfer import pieces_of

__all__ = ["cat"]


@click.command(
    epilog="""\b
Examples:
  clove cat researcher:notes.md
  clove cat researcher:/workspace/data.bin > data.bin
  clove cat --json researcher:notes.md        one JSON string
"""
)
@click.argument("files", metavar="AGENT:PATH...", nargs=-1, required=True, type=REMOTE)
@command_options
def cat(console: Console, files: tuple[Remote, ...]) -> None:
    """Print files of running agents: into a pipe byte by byte, on a terminal without control
    characters.
    """
    sys.stdout.flush()
    # Writes all of each piece; sys.stdout.buffer may write a part (PYTHONUNBUFFERED).
    out = Plain(sys.stdout.fileno())
    terminal = sys.stdout.isatty()
    with console.client() as client:
        for file in files:
            agent = name_or_id(client, file.agent)
            pieces = pieces_of(client, agent, file.path)
            if console.as_json:
                text = b"".join(pieces).decode("utf-8", "backslashreplace")
                console.data({"agent": file.agent, "path": file.path, "content": text})
                continue
            for piece in pieces:
                if terminal:
                    lines = piece.decode("utf-8", "replace").split("\n")
                    piece = "\n".join(clean(line) for line in lines).encode()
                out.write(piece)
