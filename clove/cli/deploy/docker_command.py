"""`clove deploy docker`."""

from __future__ import annotations

import platform

import click

from clove.cli.deploy.options import Asked, TargetCommand, deployment_options
from clove.cli.fleet.relay_options import RELAY_HELP
from clove.cli.option_types import Choice
from clove.deploy.docker.containers import ENGINES

__all__ = ["command"]


@click.command(
    "docker",
    cls=TargetCommand,
    epilog=f"""\b
Examples:
  clove deploy docker                              a container here, built from this Clove
  clove deploy docker --name box --memory 4g --cpus 2
  clove deploy docker --engine podman
  clove deploy docker --image registry.example.org/clove:0.1.0
  clove deploy docker --name box --dry-run
  clove deploy docker --name box --destroy         with its volume: the agents' files too

The container runs as an ordinary user without capabilities; its seccomp profile allows namespaces and
mounts beyond Docker's default (docs/docker.md). Where the relay's address is this very machine's
loopback, the container is in this machine's network.

{RELAY_HELP}""",
)
@click.option("--name", default="", help="The machine's id [this host's name and -container].")
@click.option(
    "--engine", type=Choice(ENGINES), default=ENGINES[0], help="docker or podman [docker]."
)
@click.option("--image", default="", help="Fetch this image [one is built].")
@click.option(
    "--bundle",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help="Build from this bundle, for Python 3.11 [one of this Clove is made].",
)
@click.option("--base", default="", help="Build on this image [python:3.11-slim-bookworm].")
@click.option("--memory", default="", help="For all of its agents together, such as 4g [no limit].")
@click.option("--cpus", type=click.FloatRange(min=0.01), help="Processors [no limit].")
@click.option("--pids", type=click.IntRange(min=64), help="Processes and threads [no limit].")
@deployment_options
def command(
    asked: Asked,
    name: str,
    engine: str,
    image: str,
    bundle: str | None,
    base: str,
    memory: str,
    cpus: float | None,
    pids: int | None,
) -> None:
    """Deploy to a container of Docker or Podman here."""
    options = {
        "engine": engine,
        "image": image,
        "bundle": bundle or "",
        "base": base,
        "memory": memory,
        "cpus": cpus or 0,
        "pids": pids or 0,
    }
    asked.deploy("docker", name or f"{platform.node().partition('.')[0]}-container", options)
