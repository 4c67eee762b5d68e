"""`clove tokens`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click

from clove.cli.agents import seconds_option
from clove.cli.ages import passed, until
from clove.cli.console import Console
from clove.cli.fleet.fleet_types import MACHINE, TOKEN
from clove.cli.fleet.relay_options import RELAY_HELP, label_option, relay_options
from clove.cli.groups import NearGroup
from clove.cli.option_types import Choice
from clove.cli.progress import telling_of
from clove.cli.tables import make_table, print_table, shortened
from clove.cli.text import short_time

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["tokens"]

HOUR: Final = 3600.0
MOST_SHOWN: Final = 16
"""Characters of a name in a table."""
KINDS: Final = ("agent", "admin", "machine", "join")
EXPIRES = seconds_option("--expires", "For how long it is good (10m, 8h, 30d).")


@click.group(
    cls=NearGroup,
    epilog=f"""\b
Examples:
  clove tokens list
  clove tokens create --kind admin --name ann
  clove tokens create --kind agent --machine build-7
  clove tokens create --kind agent --label env=test --expires 8h
  clove tokens narrow 80d249da0c2f77cb --machine build-7   it reaches less
  clove tokens rotate 80d249da0c2f77cb --grace 1h   a new one for an old one
  clove tokens revoke 80d249da0c2f77cb     what it had opened ends at once

A new token goes to standard output, this once. --json goes with each.

{RELAY_HELP}""",
)
def tokens() -> None:
    """Make, list, narrow and revoke the tokens of a relay."""


@tokens.command("list", epilog="\b\nExamples:\n  clove tokens list --all")
@click.option("-a", "--all", "every", is_flag=True, help="Those that are not valid any more, too.")
@relay_options
def list_tokens(console: Console, fleet: FleetClient, every: bool) -> None:
    """List tokens, never their values; `show` has times in UTC."""
    with telling_of(console, "asking the relay"):
        found = [each for each in fleet.tokens() if every or each["valid"]]
    if console.as_json:
        for each in found:
            console.data(each)
        return
    titles = ("ID", "KIND", "NAME", "EXPIRES IN", "USED AGO", "STATE", "FOR")
    styles = ["" if each["valid"] else "dim" for each in found]
    print_table(make_table(titles, map(_row, found), styles=styles))


@tokens.command("show", epilog="\b\nExamples:\n  clove tokens show 80d249da0c2f77cb")
@click.argument("token", metavar="ID", type=TOKEN)
@relay_options
def show_token(console: Console, fleet: FleetClient, token: str) -> None:
    """Show what a token may do and when it was used; never its value."""
    _show(console, fleet.token(token))


@tokens.command(
    "create",
    epilog="""\b
Examples:
  clove tokens create --kind admin --name ann --expires 90d
  clove tokens create --kind agent --machine build-7 --expires 8h
  clove tokens create --kind agent --label env=test \\
      --permissions '{"level": "sandboxed"}'
  clove tokens create --kind join --machine build-7

\b
agent    for remote agents on machines (--machine, --label); good for a day
admin    may do everything with the relay
join     one machine joins with it, once; good for an hour, as machines join
machine  for one machine's tunnel of version 1""",
)
@click.option("--kind", type=Choice(KINDS), required=True, help=f"{', '.join(KINDS)}.")
@click.option("--machine", "machines", type=MACHINE, multiple=True, help="For this; repeatable.")
@label_option("It may reach machines with all of these labels; may be repeated.")
@click.option("--permissions", metavar="JSON", help="What its calls may do (docs/wire.md).")
@click.option("--name", default="", help="What it is for; people read it.")
@EXPIRES
@relay_options
def create_token(
    console: Console,
    fleet: FleetClient,
    kind: str,
    machines: tuple[str, ...],
    labels: dict[str, str],
    permissions: str | None,
    name: str,
    expires: float | None,
) -> None:
    """Make a token; it is on standard output, this once."""
    given: dict[str, Any] = {"name": name, **_expiry(expires)}
    if kind == "agent":
        if not (machines or labels):
            raise click.UsageError("a token of kind agent is for machines: --machine or --label")
        given |= {"target_machines": list(machines), "labels": labels}
        given["permissions"] = _permissions(permissions)
    elif labels or permissions:
        raise click.UsageError(f"--label and --permissions are not for tokens of kind {kind}")
    elif kind == "admin" and machines:
        raise click.UsageError("--machine is not for tokens of kind admin, which reach all")
    elif kind != "admin":
        if len(machines) != 1:
            raise click.UsageError(f"a token of kind {kind} is for one --machine")
        given["machine_id"] = machines[0]
    made = fleet.issue_token(kind, **given)
    _made(console, made, f"token {made['id']}, shown this once:")


@tokens.command(
    "narrow",
    epilog="""\b
Examples:
  clove tokens narrow 80d249da0c2f77cb --machine build-7 --no-labels
  clove tokens narrow 80d249da0c2f77cb --label env=test --label zone=a
  clove tokens narrow 80d249da0c2f77cb --permissions '{"can_exec": false}'
  clove tokens narrow 80d249da0c2f77cb --expires 1h""",
)
@click.argument("token", metavar="ID", type=TOKEN)
@click.option(
    "--machine",
    "machines",
    type=MACHINE,
    multiple=True,
    help="One that it still names; repeatable.",
)
@click.option("--no-machines", is_flag=True, help="It names none any more: labels alone count.")
@label_option("All labels that it has, and more; may be repeated.")
@click.option("--no-labels", is_flag=True, help="It has none any more: machines alone count.")
@click.option("--permissions", metavar="JSON", help="Fields that allow less than now.")
@click.option("--name", help="What it is for; people read it.")
@seconds_option("--expires", "For how long it is good from now on (10m, 8h, 30d).")
@relay_options
def narrow_token(
    console: Console,
    fleet: FleetClient,
    token: str,
    machines: tuple[str, ...],
    no_machines: bool,
    labels: dict[str, str],
    no_labels: bool,
    permissions: str | None,
    name: str | None,
    expires: float | None,
) -> None:
    """Have a token reach less, be allowed less or end sooner; shows what it is then.

    What is not named stays as it is. What the token has opened and does not reach any more has ended when this is
    done. It never gets more: for that, make another one.
    """
    for given, none, option in ((machines, no_machines, "machine"), (labels, no_labels, "label")):
        if given and none:
            raise click.UsageError(f"--{option} and --no-{option}s exclude each other")
    changes: dict[str, Any] = {} if name is None else {"name": name}
    changes |= _expiry(expires)
    if machines or no_machines:
        changes["target_machines"] = list(machines)
    if labels or no_labels:
        changes["labels"] = labels
    if permissions is not None:
        changes["permissions"] = _permissions(permissions)
    if not changes:
        raise click.UsageError("say what it is to have less of: --machine, --label, --expires, ...")
    now = fleet.narrow_token(token, **changes)
    _show(console, now)


@tokens.command("rotate", epilog="\b\nExamples:\n  clove tokens rotate 80d249da0c2f77cb --grace 1h")
@click.argument("token", metavar="ID", type=TOKEN)
@seconds_option("--grace", "For how long the old one stays valid (10m, 1h; default: no longer).")
@EXPIRES
@relay_options
def rotate_token(
    console: Console, fleet: FleetClient, token: str, grace: float | None, expires: float | None
) -> None:
    """Make a token like this one, then end the old one; the new one is on standard output.

    Kind, name, machines, permissions and life span are the same. It is another token: what agents the old one has
    started, a token of kind agent does not manage.
    """
    own = fleet.token()["id"] == token
    made = fleet.rotate_token(token, grace_seconds=grace or 0.0, **_expiry(expires))
    until = made["replaced_until"]
    ends = f"is valid until {short_time(until)} UTC" if until else "is not valid any more"
    _made(console, made, f"token {made['id']}, shown this once; {token} {ends}:")
    if own:
        console.remark("that was the token of this command: keep the new one with clove login")


@tokens.command("revoke", epilog="\b\nExamples:\n  clove tokens revoke 80d249da0c2f77cb")
@click.argument("tokens", metavar="ID...", nargs=-1, required=True, type=TOKEN)
@relay_options
def revoke(console: Console, fleet: FleetClient, tokens: tuple[str, ...]) -> None:
    """Make tokens invalid; what they had opened has ended when this is done."""
    for token_id in tokens:
        revoked = fleet.revoke_token(token_id)
        if console.as_json:
            console.data(revoked)
        else:
            console.line(f"revoked {token_id}")


def _show(console: Console, found: dict[str, Any]) -> None:
    if console.as_json:
        console.data(found)
        return
    times = ("created", "expires", "last_used", "used", "revoked")
    facts = {"id": found["id"], "kind": found["type"], "name": found["name"] or "-"}
    facts |= {"for": _goal(found), "state": _state(found)}
    facts |= {name: found[name if name == "last_used" else f"{name}_at"] for name in times}
    if found["permissions"]:
        facts["permissions"] = json.dumps(found["permissions"], ensure_ascii=False)
    for key, value in facts.items():
        if key in times:
            value = f"{short_time(value)} UTC" if value else "never" if key == "expires" else "-"
        console.line(f"{key.replace('_', ' ') + ':':<13}{value}")


def _expiry(seconds: float | None) -> dict[str, float]:
    return {} if seconds is None else {"expires_hours": seconds / HOUR}


def _permissions(text: str | None) -> Any:
    try:
        return {} if text is None else json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"it is not JSON: {error}", param_hint="--permissions") from None


def _made(console: Console, made: dict[str, Any], remark: str) -> None:
    if console.as_json:
        console.data(made)
        return
    console.remark(remark)
    console.line(made["token"])


def _goal(token: dict[str, Any]) -> str:
    labels = [f"{key}={value}" for key, value in sorted(token["labels"].items())]
    return token["machine_id"] or ",".join([*token["target_machines"], *labels]) or "-"


def _state(token: dict[str, Any]) -> str:
    if token["revoked_at"]:
        return "revoked"
    if token["used_at"]:
        return "used"
    return "valid" if token["valid"] else "expired"


def _row(token: dict[str, Any]) -> tuple[str, ...]:
    return (
        token["id"],
        token["type"],
        shortened(token["name"], MOST_SHOWN),
        "never" if token["expires_at"] is None else until(token["expires_at"]) or "-",
        passed(token["last_used"]),
        _state(token),
        _goal(token),
    )
