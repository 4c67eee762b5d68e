"""`clove relay`: a relay of this user in the background, and backups of what it keeps."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

from clove.cli.background import has_user_systemd
from clove.cli.background_options import (
    CONFIG,
    STATE_DIR,
    daemon_words,
    start_options,
    timeout_option,
)
from clove.cli.console import Console
from clove.cli.groups import NearGroup
from clove.cli.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from clove.relay.backup import Manifest

__all__ = ["relay"]


@click.group(
    cls=NearGroup,
    epilog="""\b
Examples:
  clove relay up                         start it, and keep its first token
  clove machines join build-7            then: a token with which a machine joins
  clove relay status
  clove relay backup relay-monday.tar    while it runs
  clove relay restore relay-monday.tar   while it does not
  clove relay down

--json goes with each. A relay elsewhere is reached by clove login URL.""",
)
@click.pass_obj
def relay(console: Console) -> None:
    """Run a relay on this machine, and back up what it keeps."""
    console.check_local("this command is about the relay of this host")


def _json(function: Callable[..., Any]) -> Callable[..., Any]:
    """--json, behind the subcommand as well."""

    def as_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        console = ctx.find_object(Console)
        assert console is not None
        console.as_json = console.as_json or value

    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=as_json,
        help="Print JSON for machines.",
    )(function)


@relay.command(
    epilog="""\b
Examples:
  clove relay up
  clove relay up --config ~/.config/clove/relay.toml

\b
Exit code 0 if a relay serves from this state directory afterwards, also if it did before."""
)
@start_options("where that is there")
@_json
@click.pass_obj
def up(
    console: Console,
    config: str | None,
    state_dir: str | None,
    systemd: bool | None,
    timeout: float,
) -> None:
    """Start a relay in the background, and wait until it serves.

    Its first start makes an admin token, of which it keeps only the hash: it becomes the context
    `local`, if there is no context yet, else it stays in the file admin-token of the state directory.
    """
    from clove.cli.fleet.first_token import keep_first_token
    from clove.cli.fleet.relay_process import RELAY
    from clove.relay.state_dir import find_running_relay

    where = _state_dir(config, state_dir)
    running = find_running_relay(where)
    fresh, service = running is None, False
    if running is None:
        service = has_user_systemd() if systemd is None else systemd
        words = daemon_words({"--state-dir": state_dir, "--config": config})
        process = RELAY.start(words, where, systemd=service)
        running = RELAY.wait_until_up(lambda: find_running_relay(where), process, where, timeout)
    kept = keep_first_token(where, running.rest, running.hub)
    if console.as_json:
        facts = {"started": fresh, "systemd": service, "state_dir": where, "token": kept.place}
        console.data({**running._asdict(), **facts})
        return
    by = f" (service {RELAY.unit})" if service else ""
    word = "the relay runs" if fresh else "a relay runs already"
    console.line(f"{word}: pid {running.pid}, {running.rest}, {running.hub}{by}")
    if kept.text:
        console.remark(kept.text)


@relay.command(
    epilog="""\b
Examples:
  clove relay status

\b
Exit code 0 if it runs, else 1."""
)
@CONFIG
@STATE_DIR
@_json
@click.pass_context
def status(ctx: click.Context, config: str | None, state_dir: str | None) -> None:
    """Say whether a relay runs here, and where it serves."""
    from clove.relay.state_dir import find_running_relay

    console = ctx.find_object(Console)
    assert console is not None
    where = _state_dir(config, state_dir)
    running = find_running_relay(where)
    if console.as_json:
        facts = {} if running is None else running._asdict()
        console.data({"running": running is not None, "state_dir": where, **facts})
    elif running is None:
        console.line(f"no relay serves from {where}")
    else:
        console.line(f"the relay runs: pid {running.pid}")
        console.line(f"  REST and page   {running.rest}")
        console.line(f"  WebSockets      {running.hub}")
        console.line(f"  state           {where}")
    ctx.exit(0 if running is not None else 1)


@relay.command(
    epilog="""\b
Examples:
  clove relay down

\b
Exit code 0 if no relay serves from this state directory afterwards."""
)
@CONFIG
@STATE_DIR
@timeout_option(30.0)
@_json
@click.pass_obj
def down(console: Console, config: str | None, state_dir: str | None, timeout: float) -> None:
    """End the relay of this state directory. Machines dial again when there is one."""
    from clove.cli.fleet.relay_process import stop
    from clove.relay.state_dir import find_running_relay

    where = _state_dir(config, state_dir)
    running = find_running_relay(where)
    if running is not None:
        stop(running, where, timeout)
    if console.as_json:
        console.data({"ended": running is not None})
    elif running is None:
        console.line(f"no relay serves from {where}")
    else:
        console.line(f"the relay (pid {running.pid}) has ended")


@relay.command(
    epilog="""\b
Examples:
  clove relay backup relay-$(date +%F).tar
  sudo -u clove-relay clove relay backup --config /etc/clove/relay.toml \\
      --state-dir /var/lib/clove-relay /var/backups/relay.tar

The file has the mode 0600 and must not be there yet. In it are machines with their public keys, tokens as
hashes, and the id that machines know the relay by; no token, certificate or configuration. With PostgreSQL
it is made by pg_dump."""
)
@click.argument("file", type=click.Path(dir_okay=False))
@CONFIG
@STATE_DIR
@_json
@click.pass_obj
def backup(console: Console, file: str, config: str | None, state_dir: str | None) -> None:
    """Copy what a relay keeps into FILE, as it is at one moment; the relay may run meanwhile."""
    from clove.relay.backup import back_up
    from clove.relay.config import load

    made, digest = back_up(load(config), _state_dir(config, state_dir), file)
    if console.as_json:
        facts = {"machines": made.machines, "tokens": made.tokens, "store": made.store}
        console.data({"file": os.path.abspath(file), "sha256": digest, **facts})
    else:
        console.line(f"{file}: {_contents(made)} ({made.store})")
        console.line(f"  sha256 {digest}")


@relay.command(
    epilog="""\b
Examples:
  clove relay down
  clove relay restore relay-monday.tar
  clove relay restore --replace relay-monday.tar    there is a store already

A store that is there is moved into a directory before-restore-... beside it; tables of PostgreSQL are
dropped. Tokens and machines that were made after the backup are gone then, and what was revoked after it
is valid again: look at clove tokens list."""
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@CONFIG
@STATE_DIR
@click.option("--replace", is_flag=True, help="Also where there is a store already.")
@_json
@click.pass_obj
def restore(
    console: Console, file: str, config: str | None, state_dir: str | None, replace: bool
) -> None:
    """Make a state directory, or a database, what FILE says. No relay may run there."""
    from clove.relay.backup import restore as restore_backup
    from clove.relay.config import load

    where = _state_dir(config, state_dir)
    done = restore_backup(load(config), where, file, replace=replace)
    made = done.manifest
    if console.as_json:
        facts = {"machines": made.machines, "tokens": made.tokens, "made": made.made}
        console.data({"state_dir": where, "aside": done.aside or None, **facts})
        return
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(made.made))
    console.line(f"restored {_contents(made)} of {when}")
    if done.aside:
        console.remark(f"what was there before is in {done.aside}")
    console.remark("what was revoked after the backup is valid again: clove tokens list")


def _contents(made: Manifest) -> str:
    return f"{counted(made.machines, 'machine')} and {counted(made.tokens, 'token')}"


def _state_dir(config: str | None, given: str | None) -> str:
    """@raise CloveError: the configuration is wrong, or this user has no home."""
    from clove.errors import InvalidRequest
    from clove.relay.state_dir import relay_state_dir

    if given is None and config is not None:
        from clove.relay.config import load

        given = load(config).state_dir
    where = given or relay_state_dir(os.geteuid(), os.environ)
    if not where:
        raise InvalidRequest("this user has no home", hint="say where with --state-dir")
    return os.path.abspath(where)
