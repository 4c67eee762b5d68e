"""`clove deploy ssh`."""

from __future__ import annotations

import os

import click

from clove.cli.deploy.options import Asked, deployment_options
from clove.cli.fleet.relay_options import RELAY_HELP

__all__ = ["command"]


@click.command(
    "ssh",
    epilog=f"""\b
Examples:
  clove deploy ssh ann@build-7
  clove deploy ssh ann@build-7 --name b7 --label env=prod
  clove deploy ssh ann@build-7 --user-units     without root, for ann alone
  clove deploy ssh ann@build-7 --dry-run
  clove deploy ssh ann@build-7 --destroy

The user's own ssh is used, with its configuration, keys and known hosts. The machine needs Linux, Python 3.11
or newer, and root (or sudo that does not ask); no package index. Debian 12 is tried; others are not.
A machine without systemd gets a process that is not started again after a reboot.

{RELAY_HELP}""",
)
@click.argument("host", metavar="[USER@]HOST")
@click.option("--name", default="", help="The machine's id [the host's name].")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Of sshd [as ssh's configuration says]."
)
@click.option(
    "--identity", type=click.Path(exists=True, dir_okay=False), help="File with a private key."
)
@click.option("--user-units", is_flag=True, help="Under systemd --user, without root.")
@click.option(
    "--bundle",
    type=click.Path(exists=True, dir_okay=False),
    help="Install this bundle [one of this Clove is made].",
)
@deployment_options
def command(
    asked: Asked,
    host: str,
    name: str,
    port: int | None,
    identity: str | None,
    user_units: bool,
    bundle: str | None,
) -> None:
    """Deploy to a Linux machine that you reach by ssh."""
    from clove.deploy.ssh.connection import check_host

    options = {
        "host": host,
        "port": port or 0,
        "identity": os.path.abspath(identity) if identity else "",
        "user_units": user_units,
        "bundle": os.path.abspath(bundle) if bundle else "",
    }
    check_host(host)
    asked.deploy("ssh", name or host.rpartition("@")[2].strip("[]").replace(":", "-"), options)
