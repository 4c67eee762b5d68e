"""`clove up`."""

from __future__ import annotations

import os

import click

from clove.cli.background import has_user_systemd
from clove.cli.background_options import daemon_words, start_options
from clove.cli.console import Console, local_options
from clove.cli.kernel_process import KERNEL, find_running
from clove.errors import InvalidRequest
from clove.socket_paths import default_state_dir, own_sockets

__all__ = ["up"]


@click.command(
    epilog="""\b
Examples:
  clove up
  clove up --config ~/.config/clove.toml
  clove up --socket /tmp/mine.sock --state-dir /tmp/mine
  clove down                                end it

\b
Exit code 0 if a kernel of this user runs afterwards, also if it did before."""
)
@start_options("where that is there, for one kernel at the usual socket")
@local_options
def up(
    console: Console,
    config: str | None,
    state_dir: str | None,
    systemd: bool | None,
    timeout: float,
) -> None:
    """Start the kernel of this user in the background, and wait until it answers.

    Under systemd --user it is the service clove-kernel, is started again when it crashes, and
    has cgroups of its own; else it is a process of its own session, with its log in
    kernel.log of the state directory.
    """
    named = console.socket or os.environ.get("CLOVE_SOCKET")
    paths = (named,) if named else tuple(own_sockets(os.geteuid(), os.environ))
    if not paths:
        raise InvalidRequest("there is no directory for a socket", hint="name one with --socket")
    running = find_running(paths)
    service = False
    fresh = running is None
    if running is None:
        where = os.path.abspath(state_dir or default_state_dir(os.geteuid(), os.environ))
        service = has_user_systemd() and not named if systemd is None else systemd
        words = daemon_words({"--socket": named, "--state-dir": state_dir, "--config": config})
        process = KERNEL.start(words, where, systemd=service)
        running = KERNEL.wait_until_up(lambda: find_running(paths), process, where, timeout)
    if console.as_json:
        facts = {"pid": running.pid, "socket": running.socket, "started": fresh, "systemd": service}
        console.data(facts)
    elif fresh:
        by = f" (service {KERNEL.unit})" if service else ""
        console.line(f"the kernel runs: pid {running.pid}, {running.socket}{by}")
    else:
        console.line(f"a kernel runs already: pid {running.pid}, {running.socket}")
