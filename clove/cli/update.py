"""`clove update`."""

from __future__ import annotations

from typing import Any, Final

import click

from clove.cli.agents import act_on_each
from clove.cli.console import Console, command_options
from clove.cli.option_types import Parsed
from clove.cli.published_ports import PORT, PUBLISHED, shown_ports
from clove.cli.target import AGENT
from clove.cli.text import parse_room

__all__ = ["update"]

PERIOD: Final = 100_000
"""Microseconds: what --cpus is a share of."""


def _processors(text: str) -> int:
    """Microseconds of each period from a number of processors.

    @raise ValueError: it is none.
    """
    number = float(text)
    if not 0.01 <= number <= 10_000:
        raise ValueError("it is from 0.01 to 10000 processors")
    return round(number * PERIOD)


SIZE: Final = Parsed("size", parse_room)


@click.command(
    epilog="""\b
Examples:
  clove update --memory 1G researcher
  clove update --cpus 0.5 --pids 128 researcher writer
  clove update --publish 8080:8000 researcher
  clove update --unpublish 8080 researcher
  clove update --memory 1G --json researcher | jq .at_restart

\b
What its cgroup holds binds at once. Where the host has none, and for --tmp and --shm, it binds
from its next start on (clove restart). Less memory than it uses now is refused. Connections to a port
that is published no more are reset."""
)
@click.argument("agents", metavar="AGENT...", nargs=-1, required=True, type=AGENT)
@click.option("--memory", type=SIZE, help="At most so much memory (512M).")
@click.option("--cpus", type=Parsed("number", _processors), help="So many processors (0.5).")
@click.option("--cpu-shares", type=click.IntRange(2, 262144), help="Its weight against others.")
@click.option("--pids", type=click.IntRange(1, 1 << 22), help="So many processes and threads.")
@click.option("--tmp", type=SIZE, help="So much in /tmp, in memory.")
@click.option("--shm", type=SIZE, help="So much in /dev/shm, in memory.")
@click.option("--disk", type=SIZE, help="So much in /workspace.")
@click.option(
    "-p",
    "--publish",
    "published",
    type=PUBLISHED,
    multiple=True,
    help="Let programs of this host connect to its PORT. Repeatable.",
)
@click.option(
    "--unpublish",
    "revoked",
    type=PORT,
    multiple=True,
    help="End that for a port of this host. Repeatable.",
)
@command_options
def update(
    console: Console,
    /,
    agents: tuple[str, ...],
    published: tuple[dict[str, Any], ...],
    revoked: tuple[int, ...],
    **asked: int | None,
) -> None:
    """Change the limits of running agents, and which of their ports are published.

    What is not named stays.
    """
    names = {"cpus": "cpu_quota", "pids": "max_pids"}
    limits = {names.get(name, name): value for name, value in asked.items() if value is not None}
    if "cpu_quota" in limits:
        limits["cpu_period"] = PERIOD
    if not (limits or published or revoked):
        raise click.UsageError("which limits? --memory, --cpus, --pids ...")

    def act(client: Any, agent: str | int) -> dict[str, Any]:
        reply: dict[str, Any] = {}
        if published or revoked:
            reply |= client.update_ports(agent, published, revoked)
        if limits:
            reply |= client.update_limits(agent, limits)
        return reply

    act_on_each(console, agents, act, _told)


def _told(agent: str, reply: Any) -> str:
    now, later = ", ".join(reply["applied"]), ", ".join(reply["at_restart"])
    ports = shown_ports(reply["published"])
    parts = [
        f"now: {now}" if now else "",
        f"from its next start on: {later}" if later else "",
        f"published: {ports}" if ports else "",
    ]
    return f"updated {agent} ({'; '.join(filter(None, parts)) or 'no port of it is published'})"
