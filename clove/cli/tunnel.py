"""`clove tunnel`."""

from __future__ import annotations

import sys
from typing import Final

import click

from clove.cli.console import Console, command_options
from clove.cli.groups import NearGroup
from clove.cli.tables import make_table, print_table
from clove.errors import InvalidRequest

__all__ = ["tunnel"]

MOST: Final = 1024
"""Characters of a token."""


@click.group(
    cls=NearGroup,
    epilog="""\b
Examples:
  clove machines join build-7                            there, where the relay is managed
  clove tunnel join wss://relay.example.org:8765 build-7   here; it asks for the token
  clove tunnel status
  clove tunnel callers                                   who is connected through it?
  clove tunnel leave

--json goes with each.""",
)
def tunnel() -> None:
    """Connect this machine's kernel to a relay, by which it is reached from elsewhere."""


@tunnel.command(
    "join",
    epilog="""\b
Examples:
  clove tunnel join wss://relay.example.org:8765 build-7
  clove tunnel join wss://relay.example.org:8765 build-7 < token
  clove tunnel join wss://relay.example.org:8765 build-7 --again   it has joined before""",
)
@click.argument("relay", metavar="URL")
@click.argument("machine")
@click.option("--again", is_flag=True, help="By its key: it has joined this relay before.")
@command_options
def join(console: Console, relay: str, machine: str, again: bool) -> None:
    """Dial out to a relay with a one-time token, as the machine of this name.

    The kernel keeps a key of its own, by which it is known from then on, and dials this relay at its next
    starts, too (clove tunnel leave ends that; a relay of its configuration goes before).
    """
    token = None if again else _token()
    with console.local_client() as client:
        reply = client.tunnel_connect(relay, machine, token)
    if console.as_json:
        console.data(reply)
        return
    console.line(f"connected to {reply['relay_url']} as {reply['machine_id']}")
    if reply.get("kept"):
        console.remark("the kernel's next start dials by itself, until: clove tunnel leave")
    else:
        console.remark(
            "the kernel's next start does not dial this relay: its configuration names another one "
            "([tunnel] relay_url), or it could not be kept (see its log)"
        )


def _token() -> str:
    """From the terminal, where it is not shown, or from standard input."""
    if sys.stdin.isatty():
        text = str(click.prompt("Join token", hide_input=True, err=True))
    else:
        text = sys.stdin.read(MOST + 1)
    token = text.strip()
    if not token or len(token) > MOST:
        raise InvalidRequest(
            "there is no token on standard input", hint="make one: clove machines join MACHINE"
        )
    return token


@tunnel.command("status", epilog="\b\nExamples:\n  clove tunnel status")
@command_options
def status(console: Console) -> None:
    """Say whether there is a tunnel, and what is wrong with it."""
    with console.local_client() as client:
        reply = client.tunnel_status()
    if console.as_json:
        console.data(reply)
    elif reply["connected"]:
        console.line(f"connected to {reply['relay_url']} as {reply['machine_id']}")
        console.line(f"remote callers: {reply['remote_agent_count']}")
    elif reply["relay_url"]:
        console.line(f"not connected to {reply['relay_url']}: {reply.get('problem') or 'dialling'}")
    else:
        console.line("there is no tunnel")
        console.remark(
            "clove tunnel join makes one; with --again where this machine has joined before"
        )


@tunnel.command("callers", epilog="\b\nExamples:\n  clove tunnel callers")
@command_options
def callers(console: Console) -> None:
    """List the remote callers that are connected."""
    with console.local_client() as client:
        found = client.tunnel_remotes()["agents"]
    if console.as_json:
        console.each(found)
        return
    rows = [
        (str(each["agent_id"]), each["name"], each["token_id"], str(each["connections"]))
        for each in found
    ]
    print_table(make_table(("ID", "NAME", "TOKEN", "CONNECTIONS"), rows, numbers=("CONNECTIONS",)))


@tunnel.command("leave", epilog="\b\nExamples:\n  clove tunnel leave")
@command_options
def leave(console: Console) -> None:
    """End the tunnel for good. A relay of the kernel's configuration is dialled again at its next start."""
    with console.local_client() as client:
        reply = client.tunnel_disconnect()
    if console.as_json:
        console.data(reply)
    else:
        console.line("disconnected" if reply["disconnected"] else "there was no tunnel")
