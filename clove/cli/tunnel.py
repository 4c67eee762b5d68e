"""`clove tunnel`."""

from __future__ import annotations

import sys
from typing import Final
from urllib.parse import urlsplit

import click

from clove.cli.console import Console, local_options
from clove.cli.groups import NearGroup
from clove.cli.tables import make_table, print_table
from clove.errors import InvalidRequest
from clove.spelling import shown

__all__ = ["tunnel"]

MOST: Final = 1024
"""Characters of a token."""
OF_THE_PAGE: Final = {"http": "ws", "https": "wss"}
"""Schemes of a relay's page and REST API, and what its WebSockets have instead."""
REST_PORT: Final = 8766
HUB_PORT: Final = 8765


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
@local_options
def join(console: Console, relay: str, machine: str, again: bool) -> None:
    """Dial out to a relay with a one-time token, as the machine of this name.

    The kernel keeps a key of its own, by which it is known from then on, and dials this relay at its next
    starts, too (clove tunnel leave ends that; a relay of its configuration goes before).
    """
    _check_address(relay)
    with console.local_client() as client:
        reply = client.tunnel_connect(relay, machine, None if again else _token())
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


def _check_address(url: str) -> None:
    """@raise InvalidRequest: it is none of a relay's WebSockets, as far as can be said here."""
    try:
        parts = urlsplit(url if "://" in url else f"wss://{url}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if not host or parts.scheme not in (*OF_THE_PAGE, *OF_THE_PAGE.values()):
        raise InvalidRequest(
            f"{shown(url)!r} is no relay's address", hint="it is like wss://relay.example.org:8765"
        )
    if parts.scheme in OF_THE_PAGE:
        name = f"[{host}]" if ":" in host else host
        hub = HUB_PORT if port in (None, REST_PORT) else port
        raise InvalidRequest(
            f"{shown(url)} is where people and the REST API are served; machines dial the relay's WebSockets",
            hint=f"did you mean {OF_THE_PAGE[parts.scheme]}://{shown(name)}:{hub}? clove relay status says it there",
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
@local_options
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
@local_options
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
@local_options
def leave(console: Console) -> None:
    """End the tunnel for good. A relay of the kernel's configuration is dialled again at its next start."""
    with console.local_client() as client:
        reply = client.tunnel_disconnect()
    if console.as_json:
        console.data(reply)
    else:
        console.line("disconnected" if reply["disconnected"] else "there was no tunnel")
