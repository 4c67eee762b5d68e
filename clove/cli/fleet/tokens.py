"""`clove tokens`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from clove.cli.agents import seconds_option
from clove.cli.console import Console
from clove.cli.fleet.relay_options import RELAY_HELP, label_option, relay_options
from clove.cli.groups import NearGroup
from clove.cli.tables import make_table, print_table
from clove.cli.text import short_time

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["tokens"]

HOUR = 3600.0
EXPIRES = seconds_option("--expires", "For how long it is good (10m, 8h, 30d).")
NAME = click.option("--name", default="", help="What it is for; people read it.")


@click.group(
    cls=NearGroup,
    epilog=f"""\b
Examples:
  clove tokens list
  clove tokens admin --name ann
  clove tokens agent --machine build-7 --permissions '{{"level": "sandboxed"}}'
  clove tokens agent --label env=test --expires 8h
  clove tokens revoke 80d249da0c2f77cb     what it had opened ends at once

A new token goes to standard output, this once. --json goes with each.

{RELAY_HELP}""",
)
def tokens() -> None:
    """Make, list and revoke the tokens of a relay."""


@tokens.command("list", epilog="\b\nExamples:\n  clove tokens list --all")
@click.option("-a", "--all", "every", is_flag=True, help="Those that are not valid any more, too.")
@relay_options
def list_tokens(console: Console, fleet: FleetClient, every: bool) -> None:
    """List tokens, with times in UTC; never their values."""
    found = [each for each in fleet.tokens() if every or each["valid"]]
    if console.as_json:
        for each in found:
            console.data(each)
        return
    titles = ("ID", "TYPE", "NAME", "FOR", "EXPIRES", "LAST USED", "STATE")
    styles = ["" if each["valid"] else "dim" for each in found]
    print_table(make_table(titles, map(_row, found), styles=styles))


@tokens.command("admin", epilog="\b\nExamples:\n  clove tokens admin --name ann --expires 90d")
@NAME
@EXPIRES
@relay_options
def make_admin(console: Console, fleet: FleetClient, name: str, expires: float | None) -> None:
    """Make a token that may do everything with the relay."""
    _made(console, fleet.issue_token("admin", name=name, **_expiry(expires)))


@tokens.command("machine", epilog="\b\nExamples:\n  clove tokens machine build-7")
@click.argument("machine")
@NAME
@EXPIRES
@relay_options
def make_machine(
    console: Console, fleet: FleetClient, machine: str, name: str, expires: float | None
) -> None:
    """Make a token for a tunnel of version 1; `clove machines join` is for all others."""
    _made(console, fleet.issue_token("machine", machine_id=machine, name=name, **_expiry(expires)))


@tokens.command(
    "agent", epilog="\b\nExamples:\n  clove tokens agent --machine build-7 --expires 8h"
)
@click.option("--machine", "targets", multiple=True, help="It may reach this one; may be repeated.")
@label_option("It may reach those with all of these labels; may be repeated.")
@click.option("--permissions", metavar="JSON", help="What its calls may do (docs/wire.md).")
@NAME
@EXPIRES
@relay_options
def make_agent(
    console: Console,
    fleet: FleetClient,
    targets: tuple[str, ...],
    labels: dict[str, str],
    permissions: str | None,
    name: str,
    expires: float | None,
) -> None:
    """Make a token for remote agents; good for a day if nothing else is said."""
    made = fleet.issue_token(
        "agent",
        target_machines=list(targets),
        labels=labels,
        permissions=_permissions(permissions),
        name=name,
        **_expiry(expires),
    )
    _made(console, made)


@tokens.command("revoke", epilog="\b\nExamples:\n  clove tokens revoke 80d249da0c2f77cb")
@click.argument("tokens", metavar="ID...", nargs=-1, required=True)
@relay_options
def revoke(console: Console, fleet: FleetClient, tokens: tuple[str, ...]) -> None:
    """Make tokens invalid; what they had opened has ended when this is done."""
    for token_id in tokens:
        revoked = fleet.revoke_token(token_id)
        if console.as_json:
            console.data(revoked)
        else:
            console.line(f"revoked {token_id}")


def _expiry(seconds: float | None) -> dict[str, float]:
    return {} if seconds is None else {"expires_hours": seconds / HOUR}


def _permissions(text: str | None) -> Any:
    try:
        return {} if text is None else json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"it is not JSON: {error}", param_hint="--permissions") from None


def _made(console: Console, made: dict[str, Any]) -> None:
    if console.as_json:
        console.data(made)
        return
    console.remark(f"token {made['id']}, shown this once:")
    console.line(made["token"])


def _row(token: dict[str, Any]) -> tuple[str, ...]:
    labels = [f"{key}={value}" for key, value in sorted(token["labels"].items())]
    goal = token["machine_id"] or ",".join([*token["target_machines"], *labels])
    state = "valid" if token["valid"] else "expired"
    if token["used_at"]:
        state = "used"
    if token["revoked_at"]:
        state = "revoked"
    return (
        token["id"],
        token["type"],
        token["name"],
        goal or "-",
        short_time(token["expires_at"]) if token["expires_at"] else "never",
        short_time(token["last_used"] or ""),
        state,
    )
