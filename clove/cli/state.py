"""`clove state`: the keys that agents share."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from clove.cli.agents import seconds_option
from clove.cli.console import Console, command_options
from clove.cli.groups import NearGroup
from clove.cli.option_types import Choice
from clove.errors import NotFound
from clove.spelling import guess

__all__ = ["state"]

SCOPE = click.option(
    "--scope",
    type=Choice(("global", "session")),
    help="global stays, session ends with the kernel (default: whichever has the key; global).",
)


@click.group(
    cls=NearGroup,
    epilog="""\b
Examples:
  clove state list
  clove state list jobs/                keys that begin so
  clove state get config
  clove state set config '{"depth": 3}' --value-json
  clove state set note - < note.txt     from standard input
  clove state delete config

\b
Exit codes: 0; 1 for an error, or for a key that is not there. --json goes with each.""",
)
def state() -> None:
    """Read and change the keys that all agents share (STORE, FETCH, KEYS, DELETE)."""


@state.command("list", epilog="\b\nExamples:\n  clove state list\n  clove state list --json jobs/")
@click.argument("prefix", required=False)
@SCOPE
@command_options
def list_keys(console: Console, prefix: str | None, scope: str | None) -> None:
    """List the keys, those that begin with PREFIX alone if there is one."""
    with console.client() as client:
        reply = client.list_keys(prefix, scope=scope)
    if console.as_json:
        console.each({"key": key} for key in reply["keys"])
    else:
        for key in reply["keys"]:
            console.line(key)
    if reply.get("truncated"):
        console.remark_truncated("there are more keys: name a longer PREFIX")


@state.command(
    "get", epilog="\b\nExamples:\n  clove state get config\n  clove state get --json config"
)
@click.argument("key")
@SCOPE
@command_options
def get_key(console: Console, key: str, scope: str | None) -> None:
    """Print the value of KEY: a text as it is, all else as JSON.

    With --json: the value with its scope and version.
    """
    with console.client() as client:
        reply = client.fetch(key, scope=scope)
        if not reply["exists"]:
            close = guess(key, tuple(client.list_keys(scope=scope)["keys"][:1000]))
            hint = f"did you mean {close}?" if close else "clove state list shows the keys"
            raise NotFound(f"there is no key {key!r}", hint=hint)
    if console.as_json:
        console.data(reply)
        return
    value = reply["value"]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    for line in text.split("\n"):
        console.line(line)


@state.command(
    "set",
    epilog="""\b
Examples:
  clove state set note 'read this'
  clove state set --value-json config '{"depth": 3}'
  clove state set --ttl 10m token - < token
""",
)
@click.argument("key")
@click.argument("value")
@click.option("--value-json", is_flag=True, help="VALUE is JSON, not a text.")
@seconds_option("--ttl", "Forget it after so long (30, 10m).")
@click.option("--if-version", type=click.IntRange(min=0), help="Only over this version; 0: if new.")
@SCOPE
@command_options
def set_key(
    console: Console,
    key: str,
    value: str,
    value_json: bool,
    ttl: float | None,
    if_version: int | None,
    scope: str | None,
) -> None:
    """Set KEY to VALUE, a text; `-` reads it from standard input."""
    text = sys.stdin.read() if value == "-" else value
    with console.client() as client:
        reply = client.store(
            key, _parsed(text) if value_json else text, scope=scope, ttl=ttl, if_version=if_version
        )
    if console.as_json:
        console.data(reply)
    else:
        console.line(f"{key} has version {reply['version']}")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"it is not JSON: {error}", param_hint="VALUE") from None


@state.command(
    "delete", epilog="\b\nExamples:\n  clove state delete config\n  clove state delete a b"
)
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@SCOPE
@command_options
@click.pass_context
def delete_keys(
    ctx: click.Context, console: Console, keys: tuple[str, ...], scope: str | None
) -> None:
    """Delete keys."""
    missing = False
    with console.client() as client:
        for key in keys:
            reply = client.delete_key(key, scope=scope)
            missing = missing or not reply["deleted"]
            if console.as_json:
                console.data({"key": key, **reply})
            elif reply["deleted"]:
                console.line(f"deleted {key}")
            else:
                console.remark(f"there is no key {key!r}")
    if missing:
        ctx.exit(1)
