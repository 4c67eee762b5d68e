"""`clove stats`."""

from __future__ import annotations

import click

from clove.cli.agents import agent_id
from clove.cli.console import Console, command_options
from clove.cli.option_types import Choice
from clove.cli.tables import print_table
from clove.cli.target import AGENT
from clove.cli.usage import CUT, ORDERS, SPARE, agents_of, usage_table

__all__ = ["stats"]


@click.command(
    epilog="""\b
Examples:
  clove stats
  clove stats researcher writer
  clove stats --sort memory
  clove stats --json | jq '{name, rss: .process.memory.rss}'

\b
CPU% is of one processor, since the last look at this agent; MEMORY what its cgroup counts (else
what its processes have resident); CALLS and TOKENS those of the model; WAITING the syscalls
that it waits for. A narrow terminal gets no THREADS, UPTIME, LIMIT ...; --json has them. `clove top` shows the same again and again."""
)
@click.argument("agents", metavar="[AGENT]...", nargs=-1, type=AGENT)
@click.option("--sort", type=Choice(tuple(ORDERS)), default="id", help="What goes first.")
@command_options
def stats(console: Console, agents: tuple[str, ...], sort: str) -> None:
    """Show what agents use: processor, memory, syscalls, the model's tokens; and what they wait for."""
    with console.client() as client:
        wanted = {agent_id(client, agent) for agent in agents}
        seen = agents_of(client)
    found = [one for one in seen.agents if not wanted or one["agent_id"] in wanted]
    if console.as_json:
        console.each(sorted(found, key=ORDERS[sort]))
    elif found:
        print_table(usage_table(found, sort), spare=SPARE)
    else:
        console.remark("no agents run")
    if seen.truncated:
        console.remark_truncated(CUT)
