"""`clove rm`."""

from __future__ import annotations

import click

from clove.cli.console import Console, command_options
from clove.cli.remote_path import REMOTE, Remote
from clove.cli.target import name_or_id
from clove.errors import CloveError

__all__ = ["rm"]


@click.command(
    epilog="""\b
Examples:
  clove rm researcher:old.txt
  clove rm -r researcher:/workspace/cache
  clove rm -f researcher:maybe.txt       no error if it is not there

\b
To end an agent: clove kill. To forget an ended one: clove prune."""
)
@click.argument("files", metavar="AGENT:PATH...", nargs=-1, required=True, type=REMOTE)
@click.option("-r", "--recursive", is_flag=True, help="Directories with all in them.")
@click.option("-f", "--force", is_flag=True, help="That there is nothing is no error.")
@command_options
@click.pass_context
def rm(
    ctx: click.Context,
    console: Console,
    files: tuple[Remote, ...],
    recursive: bool,
    force: bool,
) -> None:
    """Remove files of running agents, with the agent's own rights. Links are removed themselves."""
    for file in files:
        if file.path == ".":
            raise click.UsageError(
                f"which file of {file.agent}? AGENT:PATH (clove kill ends an agent, clove prune forgets one)"
            )
    failed = False
    with console.client() as client:
        for file in files:
            agent = name_or_id(client, file.agent)
            try:
                reply = client.remove_file(
                    file.path, recursive=recursive, missing_ok=force, agent=agent
                )
            except CloveError as error:
                console.error(error)
                failed = True
                continue
            if console.as_json:
                console.data(reply)
    if failed:
        ctx.exit(1)
