"""`clove down`."""

from __future__ import annotations

import os
import sys

import click

from clove.cli.background_options import timeout_option
from clove.cli.console import Console, local_options
from clove.cli.kernel_process import find_running, stop
from clove.cli.text import counted
from clove.errors import CloveError
from clove.socket_paths import own_sockets

__all__ = ["down"]


@click.command(
    epilog="""\b
Examples:
  clove down
  clove down --force              don't ask, though agents run
  clove down --socket /tmp/mine.sock

\b
Exit code 0 if no kernel of this user runs afterwards."""
)
@click.option("-f", "--force", is_flag=True, help="Don't ask, though agents run.")
@timeout_option(60.0)
@local_options
def down(console: Console, force: bool, timeout: float) -> None:
    """End the kernel of this user, and all of its agents with it.

    It may have been started by `clove up` or by hand; another user's is left alone.
    """
    named = console.socket or os.environ.get("CLOVE_SOCKET")
    paths = (named,) if named else tuple(own_sockets(os.geteuid(), os.environ))
    running = find_running(paths)
    if running is None:
        _say(console, False, f"no kernel runs at {' or '.join(paths)}")
        return
    agents = _agents(console, running.socket)
    if agents and not force and sys.stdin.isatty() and not console.as_json:
        some = f"{counted(agents, 'agent')} {'runs' if agents == 1 else 'run'}"
        click.confirm(f"{some} and will end. Go on?", abort=True, err=True)
    stop(running, paths, timeout)
    _say(console, True, f"the kernel (pid {running.pid}) has ended")
    if os.path.exists(running.socket):  # a kernel removes its own
        console.remark(
            f"systemd listens on {running.socket} still, and starts it again for whom connects: "
            "systemctl --user stop clove-kernel.socket ends that (without --user for root's)"
        )


def _say(console: Console, ended: bool, text: str) -> None:
    if console.as_json:
        console.data({"ended": ended})
    else:
        console.line(text)


def _agents(console: Console, path: str) -> int:
    """How many run; 0 if it does not answer."""
    console.socket = path
    try:
        with console.local_client() as client:
            return len(client.list_agents())
    except CloveError:
        return 0
